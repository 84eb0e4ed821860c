"""Checks of what passed through: both directions, as entries of a journal."""

from __future__ import annotations

import time
from typing import Any

from mockserver.contract.bodies.call_outputs import unchecked_call_outputs
from mockserver.contract.bodies.requests import RequestChecker, ignored_parameters
from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.contract.turn_history import TurnHistory
from mockserver.live.findings import UNFINISHED_STREAM_RULES
from mockserver.live.pass_through import PassThroughExchange
from mockserver.profiles import Profile
from mockserver.server.state.journal import Entry, EntryDetails, RequestHead
from mockserver.server.state.sessions import AnyModel

__all__ = ["PassThroughChecker"]

#: Headers of a reply that tell a client whether and when to retry.
_RETRY_HEADERS = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry"})


class PassThroughChecker:
    """Checks exchanges that passed through, and makes journal entries of them."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._request_checker = RequestChecker(profile, AnyModel())
        self._turns = TurnHistory()

    def warm_up(self) -> None:
        """Load the schemas, so that the first request does not wait for them."""
        check_stream(b"", self._profile)
        check_response({}, self._profile)
        self._request_checker.check({})

    def journal_entry(self, pass_through: PassThroughExchange, secrets: tuple[str, ...]) -> Entry:
        """The journal entry of an exchange; `secrets` are masked in it."""
        body, scope = pass_through.request_json, pass_through.scope
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        entry = Entry(
            pass_through.received_at,
            RequestHead(scope["method"], scope["path"], scope["headers"], authorization, secrets),
            pass_through.request_body,
            pass_through.status,
            tuple(pass_through.reply_chunks),
            pass_through.is_stream,
            pass_through.request_id,
            self._check(pass_through, body),
        )
        if pass_through.client_disconnected:
            entry.left_at = time.time()
        if pass_through.forwarded and pass_through.complete and pass_through.status == 200:
            self._turns.remember(scope["method"], pass_through.path, body, pass_through.reply_body)
        return entry

    def _check(self, pass_through: PassThroughExchange, body: Any) -> EntryDetails:
        """What the journal says about an exchange: the findings, and why the endpoint did not answer."""
        findings, ignored = self._request_findings(pass_through, body)
        is_read = (
            bool(findings)
            if pass_through.unread_reason
            else pass_through.forwarded or bool(pass_through.request_body)
        )
        model, prompt = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        return EntryDetails(
            model if isinstance(model, str) else "",
            prompt if isinstance(prompt, str) else "",
            pass_through.exchange_name,
            request_findings=findings,
            ignored=ignored,
            error_detail=pass_through.failure.reason,
            refusal=pass_through.failure.name,
            reply_findings=tuple(self._reply_findings(pass_through, body)) if pass_through.forwarded else (),
            is_checked=is_read and self._has_contract(pass_through),
            reply_headers=tuple(each for each in pass_through.reply_headers if each[0] in _RETRY_HEADERS),
        )

    def _has_contract(self, pass_through: PassThroughExchange) -> bool:
        """Whether there is something to check the request against."""
        return (
            pass_through.is_create_request
            or pass_through.is_chat_request
            or pass_through.operation(self._profile) is not None
        )

    def _request_findings(
        self, pass_through: PassThroughExchange, body: Any
    ) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """The findings in the value of a request, and the parameters that the service ignores."""
        if pass_through.body_findings or body is None:
            return pass_through.body_findings, ()
        if pass_through.is_chat_request:
            return _chat_request_findings(body, self._profile)
        if pass_through.is_create_request:
            return self._create_request_findings(body)
        operation = pass_through.operation(self._profile)
        if operation is None or operation.request_schema is None:
            return (), ()
        return tuple(check_body(body, operation.request_schema, self._profile)), ()

    def _create_request_findings(self, body: Any) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        if not isinstance(body, dict):
            return tuple(self._request_checker.check(body)), ()
        history = self._turns.before(body)
        findings = self._request_checker.check(body, history)
        if not errors(findings):
            findings += unchecked_call_outputs(body, self._profile, history)
        return tuple(findings), tuple(ignored_parameters(body, self._profile))

    def _reply_findings(self, pass_through: PassThroughExchange, body: Any) -> list[Finding]:
        profile = self._profile.name
        reply, operation = pass_through.reply_body, pass_through.operation(self._profile)
        if not pass_through.status or pass_through.refused or operation is None:
            return _chat_reply_findings(pass_through, body) if pass_through.is_chat_request else []
        if pass_through.status != 200:
            return check_error(reply, profile, pass_through.status)
        if operation.name != "createResponse":
            return check_body(reply, operation.response_schema, profile) if pass_through.complete else []
        if _is_stream(pass_through, body):
            return _received_findings(pass_through, check_stream(reply, profile, body))
        return check_response(reply, profile, body) if pass_through.complete else []


def _is_stream(pass_through: PassThroughExchange, body: Any) -> bool:
    """Whether the reply must be a stream: as the request says, or as the reply says if that was not read."""
    if pass_through.unread_reason:
        return pass_through.is_stream
    return isinstance(body, dict) and body.get("stream") is True


def _received_findings(pass_through: PassThroughExchange, findings: list[Finding]) -> list[Finding]:
    """The findings in a stream; if the client disconnects, the rest of the stream is unknown."""
    if pass_through.complete:
        return findings
    return [each for each in findings if each.rule not in UNFINISHED_STREAM_RULES]


def _chat_request_findings(body: Any, profile: Profile) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    # Imported only for chat requests: most endpoints get none.
    from mockserver.contract.chat.requests import chat_request_findings, ignored_chat_parameters

    ignored = ignored_chat_parameters(body) if isinstance(body, dict) else ()
    return tuple(chat_request_findings(body, profile)), ignored


def _chat_reply_findings(pass_through: PassThroughExchange, body: Any) -> list[Finding]:
    from mockserver.contract.chat.check import check_chat_completion, check_chat_error, check_chat_stream

    reply = pass_through.reply_body
    if not pass_through.status or pass_through.refused:
        return []
    if pass_through.status != 200:
        return check_chat_error(reply)
    if _is_stream(pass_through, body):
        return _received_findings(pass_through, check_chat_stream(reply, body))
    return check_chat_completion(reply, body) if pass_through.complete else []
