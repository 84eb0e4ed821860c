"""One request and its reply on their way between a client and an endpoint, and the check of both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from mockserver.contract.bodies.call_outputs import unchecked_call_outputs
from mockserver.contract.bodies.requests import RequestChecker, ignored_parameters
from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.contract.operations import Operation, find_operation
from mockserver.contract.turn_history import TurnHistory
from mockserver.live.client import MAX_REPLY_BYTES, MAX_REPLY_CHUNKS
from mockserver.live.endpoint import stays_below_base_path
from mockserver.live.findings import UNFINISHED_STREAM_RULES
from mockserver.profiles import Profile
from mockserver.server.errors import ApiError, render_error
from mockserver.server.http.request_body import NO_BODY
from mockserver.server.state.journal import Entry, EntryDetails, RequestHead
from mockserver.server.state.sessions import AnyModel
from mockserver.wire import json

__all__ = ["Failure", "PassThroughChecker", "PassThroughExchange", "relative_path", "run_until_disconnect"]

#: Headers of a reply that tell a client whether and when to retry.
_RETRY_HEADERS = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry"})
#: Statuses with which an endpoint refuses a key.
_KEY_REFUSALS = (401, 403)
#: Statuses with which it refuses a path or a method.
_UNKNOWN_PATH = (404, 405)
_MAX_MESSAGE_CHARACTERS = 200

#: Characters that a path or query may contain unescaped (RFC 3986); all others are percent-encoded.
_SAFE_URL_CHARACTERS = "%/?:@!$&'()*+,;=~-._[]|{}^"


class Failure(NamedTuple):
    """Why an endpoint did not answer a request; falsy names mean that it did."""

    name: str = ""
    """refused, unreachable or budget: the names that tests allow."""
    reason: str = ""


class PassThroughExchange:
    """One request and its reply while they pass through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send
        self.received_at = time.time()
        self._started = time.perf_counter()
        self.path = ""
        """Relative to the base path, with the query."""
        self.body_start = NO_BODY
        """The request's body as the client sent it, as far as it was read."""
        self.request_body = b""
        """The request's body, decoded; empty if it was not read."""
        self.unread_reason = ""
        """Why the body that was passed on could not be read."""
        self.body_findings: tuple[Finding, ...] = ()
        """Findings in a body that could not be read."""
        self.status = 0
        self.reply_headers: list[tuple[bytes, bytes]] = []
        """As they were passed on."""
        self.reply_chunks: list[bytes] = []
        self.chunk_times: list[float] = []
        """Seconds from the request to each chunk."""
        self.head_time = 0.0
        self.end_time = 0.0
        self.endpoint_key = ""
        """The key sent to the endpoint: never written anywhere."""
        self.forwarded = False
        """Whether the endpoint got the request."""
        self.refused = False
        """Whether the reply is an error of ours, not the endpoint's."""
        self.failure = Failure()
        """Why the endpoint did not answer, set before `send_error`."""
        self.complete = False
        self.client_disconnected = False
        """Whether the client disconnected before the end."""
        self._reply_size = 0
        self._chunk_count = 0
        self.is_stream = False
        self.request_id = str(uuid4())
        self.exchange_name: str | None = None
        """The name of the recording that was played."""

    @property
    def is_truncated(self) -> bool:
        """Whether the reply is larger than what is kept."""
        return self._reply_size > MAX_REPLY_BYTES or self._chunk_count > MAX_REPLY_CHUNKS

    @property
    def is_create_request(self) -> bool:
        """Whether the request creates a response."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/responses")

    @property
    def is_chat_request(self) -> bool:
        """Whether the request is one of Chat Completions."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/chat/completions")

    @property
    def request_json(self) -> Any:
        """The request's JSON value; None if it is not JSON."""
        return json.loads_or_none(self.request_body)

    @property
    def kept_bytes(self) -> int:
        """The size of both bodies, as far as they are kept."""
        return len(self.request_body) + min(self._reply_size, MAX_REPLY_BYTES)

    @property
    def reply_body(self) -> bytes:
        """The reply's body so far."""
        return b"".join(self.reply_chunks)

    def mark_forwarded(self) -> None:
        """Mark the request as complete and forwarded; times count from now."""
        self.forwarded, self.received_at, self._started = True, time.time(), time.perf_counter()

    async def send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status and headers."""
        names = dict(headers)
        self.status, self.reply_headers, self.head_time = status, headers, self._elapsed()
        self.is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        self.request_id = names.get(b"x-request-id", self.request_id.encode()).decode("latin-1")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        """Send each chunk as it arrives."""
        async for chunk in chunks:
            await self.send_chunk(chunk)
        self.complete = True

    async def send_chunk(self, chunk: bytes) -> None:
        """Send a chunk of the body."""
        self._reply_size += len(chunk)
        self._chunk_count += 1
        if not self.is_truncated:
            self.reply_chunks.append(chunk)
            self.chunk_times.append(self._elapsed())
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def flush_head(self) -> None:
        """Send the head before the first chunk is there."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def finish(self) -> None:
        """End the reply as the endpoint did: complete, or by closing the connection."""
        self.end_time = self._elapsed()
        if self.complete:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            self.scope["extensions"]["mockserver.connection"].close()

    def full_path(self, profile: Profile) -> str:
        """The path below the profile's base path, without the query."""
        return profile.base_path + self.path.partition("?")[0]

    def operation(self, profile: Profile) -> Operation | None:
        """The operation of the Responses API that was requested; None if the profile has none there."""
        return find_operation(profile, self.scope["method"], self.full_path(profile))

    def settle_failure(self, profile: Profile) -> None:
        """Set `failure` if the endpoint refused the request or cut the reply.

        404 can be the answer of an operation that retrieves something; it is a refusal of any other request.
        """
        if self.refused or not self.forwarded or self.exchange_name is not None:
            return
        unknown_path = self.status in _UNKNOWN_PATH and (
            self.is_create_request or self.operation(profile) is None
        )
        if self.status in _KEY_REFUSALS or unknown_path:
            message = _error_message(self.reply_body)
            self.failure = Failure("refused", f"the endpoint replied {self.status}: {message}")
        elif not self.status and not self.failure.name:
            self.failure = Failure("unreachable", "the client disconnected before the endpoint replied")
        elif self.status and not self.complete and not self.client_disconnected:
            size = f"{self._reply_size:,} bytes"
            self.failure = Failure("unreachable", f"the endpoint cut the reply after {size}")

    async def send_error(self, error: ApiError) -> None:
        """Send an error of ours instead of the endpoint's reply."""
        body = render_error(error, self.request_id)
        self.status, self.reply_chunks, self.complete, self.refused = error.status, [body], True, True
        self.failure = self.failure if self.failure.name else Failure("refused", error.message)
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
            *error.headers,
        ]
        await self._send({"type": "http.response.start", "status": error.status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started


def relative_path(scope: Scope, base_path: str) -> str | None:
    """The path behind the base path, with the query and escaped as received; None if it is not below it.

    A path that an endpoint could read as one outside the base path is not below it.
    """
    path: str = scope["path"]
    if not path.startswith(f"{base_path}/"):
        return None
    raw = scope.get("raw_path", b"").decode("latin-1")
    relative = (
        raw.removeprefix(base_path) if raw.startswith(f"{base_path}/") else path.removeprefix(base_path)
    )
    if not stays_below_base_path(relative):
        return None
    query = scope["query_string"].decode("latin-1")
    return quote(
        f"{relative}?{query}" if query else relative,
        safe=_SAFE_URL_CHARACTERS,
        encoding="latin-1",
        errors="replace",
    )


async def run_until_disconnect(
    pass_through: PassThroughExchange, work: Coroutine[Any, Any, None], receive: Receive
) -> None:
    """Run `work`, and cancel it if the client disconnects first, or if the server stops."""
    task, disconnect = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        pass_through.client_disconnected = not task.done()
    finally:
        for each in (task, disconnect):
            each.cancel()
        await asyncio.wait({task, disconnect})
    if not task.cancelled():
        task.result()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error_message(body: bytes) -> str:
    """The message of an error envelope, or the start of the body."""
    value = json.loads_or_none(body)
    holder = value.get("error", value) if isinstance(value, dict) else None
    message = holder.get("message") if isinstance(holder, dict) else None
    text = message if isinstance(message, str) else body[:_MAX_MESSAGE_CHARACTERS].decode(errors="replace")
    return " ".join(text.split())[:_MAX_MESSAGE_CHARACTERS] or "no message"


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
        body = pass_through.request_json
        findings, ignored = self._request_findings(pass_through, body)
        is_read = (
            bool(findings)
            if pass_through.unread_reason
            else pass_through.forwarded or bool(pass_through.request_body)
        )
        model, prompt = (body.get("model"), body.get("input")) if isinstance(body, dict) else (None, None)
        details = EntryDetails(
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
        scope = pass_through.scope
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        head = RequestHead(scope["method"], scope["path"], scope["headers"], authorization, secrets)
        entry = Entry(
            pass_through.received_at,
            head,
            pass_through.request_body,
            pass_through.status,
            tuple(pass_through.reply_chunks),
            pass_through.is_stream,
            pass_through.request_id,
            details,
        )
        if pass_through.client_disconnected:
            entry.left_at = time.time()
        if pass_through.forwarded and pass_through.complete and pass_through.status == 200:
            self._turns.remember(
                pass_through.scope["method"], pass_through.path, body, pass_through.reply_body
            )
        return entry

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
    """Whether the reply is to be a stream: as the request says, or as the reply says if that was not read."""
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
