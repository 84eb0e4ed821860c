"""One server for all cases; each case has a base URL of its own.

Requests go to `{root}/_case/{number}{base_path}/responses`. They are checked as usual, and refused as the
mock server refuses them. Otherwise:

- the first request gets the reply of the case, streamed or not as it requests;
- the same request again, a retry, gets the same reply, unless the fault of the case occurs once;
- a different request, a second turn, gets the short text `FOLLOW_UP_REPLY`.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

from starlette.types import Receive, Scope, Send

from mockserver.contract.findings import Finding, NumberedFinding, errors
from mockserver.errors import InvalidJSON
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.script import message_script
from mockserver.server.access import ApiKeys
from mockserver.server.conduct import check_journal
from mockserver.server.delivery.steps import Send as SendStep
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError, error_from_finding
from mockserver.server.http.dispatch import run_handler
from mockserver.server.http.reply_delivery import send_reply
from mockserver.server.http.request_body import read_body
from mockserver.server.http.requests import HttpRequest, derive_request_id
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import EntryDetails, Journal
from mockserver.server.state.sessions import open_session
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_replies import CaseReply, render_case
from mockserver.testing.fuzzing.separate_reads import pause_until_read
from mockserver.testing.strategies.rendered_replies import render_context
from mockserver.wire import json

__all__ = ["FOLLOW_UP_REPLY", "CaseRun", "CaseServer", "ReceivedRequest"]

#: The reply to further turns of a conversation.
FOLLOW_UP_REPLY = "Done."

_CASE_PATH = re.compile(r"/_case/([0-9]+)(/.*)")
_FOLLOW_UP_PLAN = CasePlan(script=message_script(FOLLOW_UP_REPLY))

#: What a case that refuses with 429 asks a client to wait, if its conduct is checked.
_RETRY_AFTER = (b"retry-after", b"1")


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that the client sent during a case."""

    body: bytes
    json_body: Any
    """The parsed body; None if it is not JSON."""
    findings: tuple[Finding, ...]
    refusal: str = ""
    """Why the case did not reply to it, "401 Invalid API-key provided." for example."""

    @property
    def contract_errors(self) -> list[Finding]:
        """The contract violations of the request."""
        return errors(self.findings)


@dataclass(slots=True)
class CaseRun:
    """A case that is being played, and the requests so far."""

    plan: CasePlan
    base_url: str
    requests: list[ReceivedRequest] = field(default_factory=list)
    first_request: bytes | None = None
    """The first request as canonical JSON."""
    client_disconnected: threading.Event = field(default_factory=threading.Event)
    """Set if the client disconnected before the reply was complete."""
    checks_conduct: bool = False
    """Whether to check also what the client does over several requests."""
    journal: Journal = field(default_factory=Journal)
    """The requests and their replies."""

    def check_conduct(self) -> tuple[NumberedFinding, ...]:
        """The findings about what the client has done over several requests, if they are to be checked."""
        return tuple(check_journal(self.journal)) if self.checks_conduct else ()

    def plan_for_request(self, canonical_request: bytes) -> tuple[CasePlan, int]:
        """The plan that replies to a request, and the position of that response in its conversation."""
        if self.first_request is None:
            self.first_request = canonical_request
            return self.plan, 1
        if canonical_request != self.first_request:
            return _FOLLOW_UP_PLAN, len(self.requests)
        return CasePlan(self.plan.script) if self.plan.once else self.plan, 1


class CaseServer:
    """A server on loopback, used with `with`; `open_case` starts a case."""

    def __init__(
        self,
        *,
        profile: str = DEFAULT_PROFILE,
        rendering: str = "wire",
        models: Container[str] | None = None,
        checks_conduct: bool = False,
    ) -> None:
        """`checks_conduct`: whether to check also what the client does over the requests of a case."""
        self.context = render_context(profile, rendering)
        self.api_key = f"sk-mock-{secrets.token_hex(12)}"
        session = open_session(profile=profile, rendering=rendering, models=models, exchanges=())
        self._checks_conduct = checks_conduct
        self._services = Services(default_session=session, keys=ApiKeys([self.api_key]))
        self._server = ThreadedServer(self)
        self._runs: dict[int, CaseRun] = {}
        self._run_count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return self._server.url

    @contextmanager
    def open_case(self, plan: CasePlan) -> Iterator[CaseRun]:
        """A case with its own base URL, until the end of the block."""
        with self._lock:
            self._run_count += 1
            number = self._run_count
        url = f"{self.url}/_case/{number}{self.context.profile.base_path}"
        run = self._runs[number] = CaseRun(plan, url, checks_conduct=self._checks_conduct)
        try:
            yield run
        finally:
            del self._runs[number]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        await run_handler(self._handle, self._services, scope, receive, send)

    async def _handle(self, request: HttpRequest) -> None:
        run = self._find_run(request)
        try:
            wrong = request.session.profile.wrong_key
            request.services.keys.check(request.headers.get(b"authorization"), wrong)
            _require_post(request.scope["method"])
        except ApiError as error:
            run.requests.append(ReceivedRequest(b"", None, (), f"{error.status} {error.message}"))
            raise
        request.body = await read_body(
            request.scope, request.receive, request.headers, request.services.max_body
        )
        value = self._parse_and_check(run, request)
        plan, number = run.plan_for_request(json.canonical(value))
        try:
            reply = render_case(plan, self.context, value, number)
        except ApiError as error:
            if error.status == 429 and run.checks_conduct:
                error.headers = (_RETRY_AFTER,)
            raise
        await self._send_reply(request, reply, run)

    def _find_run(self, request: HttpRequest) -> CaseRun:
        match = _CASE_PATH.fullmatch(request.scope["path"])
        run = self._runs.get(int(match[1])) if match else None
        if run is None or match is None:
            raise ApiError(404, "NotFound", "There is no such case.")
        request.session = replace(request.session, journal=run.journal)
        if match[2] != f"{self.context.profile.base_path}/responses":
            error = ApiError(404, "NotFound", f"There is nothing at {match[2]}.")
            run.requests.append(ReceivedRequest(b"", None, (), f"404 {error.message}"))
            raise error
        return run

    def _parse_and_check(self, run: CaseRun, request: HttpRequest) -> dict[str, Any]:
        try:
            value = json.loads(request.body)
        except InvalidJSON as error:
            run.requests.append(ReceivedRequest(request.body, None, (), f"400 the body is not JSON: {error}"))
            raise ApiError(400, "InvalidParameter", f"The body is not JSON: {error}.") from None
        findings = tuple(request.session.request_checker.check(value))
        run.requests.append(ReceivedRequest(request.body, value, findings))
        for finding in errors(findings):
            raise error_from_finding(finding, findings)
        body: dict[str, Any] = value
        return body

    async def _send_reply(self, request: HttpRequest, reply: CaseReply, run: CaseRun) -> None:
        head = [(b"content-type", reply.content_type.encode())]
        if reply.content_length is not None:
            head.append((b"content-length", b"%d" % reply.content_length))
        client, server = request.scope["client"], request.scope["server"]
        steps = tuple(pause_until_read(reply.steps or (SendStep(b""),), client, server))
        rendered = RenderedReply(
            await derive_request_id(request, "200"),
            EntryDetails(),
            tuple(step.data for step in steps if isinstance(step, SendStep)),
            reply.stream,
            headers=tuple(head),
            steps=steps,
        )
        await send_reply(request, rendered)
        if run.plan.fault == "stalled":
            run.client_disconnected.set()  # only a disconnect ends a stalled reply


def _require_post(method: str) -> None:
    if method != "POST":
        # Text of the vendor's error-code page (2026).
        raise ApiError(405, "InvalidParameter", f"Request method '{method}' is not supported.")
