"""The door: one server for all cases, each answered under a path of its own.

A case is asked at `{root}/_case/{number}{base_path}/responses`. What a request may be is judged as ever; what
is refused for that is answered as the mock always does. For the rest:

- the first question gets the case's answer, in the form it asks for (`stream` or not);
- the same question again, a retry, gets the same answer, unless the plan says that its fault comes once;
- another question, a second turn, gets the short text `NEXT`.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.types import Receive, Scope, Send

from mockserver.contract.findings import Finding, errors
from mockserver.errors import InvalidJSON
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.script import message_script
from mockserver.server.access import ApiKeys
from mockserver.server.errors import ApiError, error_from_finding
from mockserver.server.http.request_body import read_body
from mockserver.server.http.responses_endpoint import HttpRequest, Services, derive_request_id, run_handler
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.transmission import Headers, send_body, send_steps
from mockserver.server.state.sessions import open_session
from mockserver.testing.fuzzing.case_plan import CasePlan
from mockserver.testing.fuzzing.case_replies import CaseReply, render_case
from mockserver.testing.strategies.rendered_replies import render_context
from mockserver.wire import json

__all__ = ["FOLLOW_UP_REPLY", "CaseRun", "CaseServer", "ReceivedRequest"]

#: What is said when a conversation goes on after its case.
FOLLOW_UP_REPLY = "Done."

_CASE_PATH = re.compile(r"/_case/([0-9]+)(/.*)")
_FOLLOW_UP_PLAN = CasePlan(script=message_script(FOLLOW_UP_REPLY))


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request of a case."""

    body: bytes
    json_body: Any
    """The body's value; None where it has none."""
    findings: tuple[Finding, ...]
    refusal: str = ""
    """Why it was not answered by the case: "401 Invalid API-key provided."."""

    @property
    def contract_errors(self) -> list[Finding]:
        """What in it breaks the contract."""
        return errors(self.findings)


@dataclass(slots=True)
class CaseRun:
    """A plan that is being played, and what was asked so far."""

    plan: CasePlan
    base_url: str
    requests: list[ReceivedRequest] = field(default_factory=list)
    first_request: bytes | None = None
    """The first question, in canonical form."""
    client_disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when a client has gone before its answer was whole."""

    def plan_for_request(self, canonical_request: bytes) -> tuple[CasePlan, int]:
        """The plan that answers a question, and which response of the conversation that is."""
        if self.first_request is None:
            self.first_request = canonical_request
            return self.plan, 1
        if canonical_request != self.first_request:
            return _FOLLOW_UP_PLAN, len(self.requests)
        return CasePlan(self.plan.script) if self.plan.once else self.plan, 1


class CaseServer:
    """A server on loopback, for `with`; `play` opens a case."""

    def __init__(
        self,
        *,
        profile: str = DEFAULT_PROFILE,
        rendering: str = "wire",
        models: Container[str] | None = None,
    ) -> None:
        self.context = render_context(profile, rendering)
        self.api_key = f"sk-mock-{secrets.token_hex(12)}"
        session = open_session(profile=profile, rendering=rendering, models=models, exchanges=())
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

    @contextmanager
    def open_case(self, plan: CasePlan) -> Iterator[CaseRun]:
        """A case with a base URL of its own, until the end of the block."""
        with self._lock:
            self._run_count += 1
            number = self._run_count
        url = f"{self._server.url}/_case/{number}{self.context.profile.base_path}"
        case = self._runs[number] = CaseRun(plan, url)
        try:
            yield case
        finally:
            del self._runs[number]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        await run_handler(self._handle, self._services, scope, receive, send)

    async def _handle(self, request: HttpRequest) -> None:
        case = self._find_run(request)
        try:
            wrong = request.session.profile.wrong_key
            request.services.keys.check(request.headers.get(b"authorization"), wrong)
            _require_post(request.scope["method"])
        except ApiError as error:
            case.requests.append(ReceivedRequest(b"", None, (), f"{error.status} {error.message}"))
            raise
        request.body = await read_body(request.receive, request.headers.get(b"content-length"))
        value = self._parse_and_check(case, request)
        plan, number = case.plan_for_request(json.canonical(value))
        reply = render_case(plan, self.context, value, number)
        await self._send_reply(request, reply, case)

    def _find_run(self, request: HttpRequest) -> CaseRun:
        match = _CASE_PATH.fullmatch(request.scope["path"])
        case = self._runs.get(int(match[1])) if match else None
        if case is None or match is None:
            raise ApiError(404, "NotFound", "There is no such case (any more).")
        if match[2] != f"{self.context.profile.base_path}/responses":
            error = ApiError(404, "NotFound", f"There is nothing at {match[2]}.")
            case.requests.append(ReceivedRequest(b"", None, (), f"404 {error.message}"))
            raise error
        return case

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
        kind = b"text/event-stream;charset=UTF-8" if reply.stream else b"application/json"
        head: Headers = [
            (b"content-type", kind),
            (b"x-request-id", derive_request_id(request, "200").encode()),
            (b"date", request.services.date_header()),
        ]
        request.response_started = True
        if not reply.steps and not reply.stream:
            await send_body(request.send, 200, head, b"")
            return
        if reply.content_length is not None:
            head.append((b"content-length", b"%d" % reply.content_length))
        await send_steps(request.scope, request.receive, request.send, 200, head, reply.steps)
        if run.plan.fault == "stalled":
            run.client_disconnected.set()  # nothing else ends this silence


def _require_post(method: str) -> None:
    if method != "POST":
        # Text of the vendor's error-code page (2026).
        raise ApiError(405, "InvalidParameter", f"Request method '{method}' is not supported.")
