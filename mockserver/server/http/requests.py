"""One HTTP request, and what its headers ask of the mock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mockserver.contract.findings import Finding
from mockserver.errors import ConfigurationError
from mockserver.ids import format_uuid, request_digest
from mockserver.server.delivery.faults import RequestedFault, parse_fault
from mockserver.server.delivery.options import MAX_DELAY_MS
from mockserver.server.delivery.timer import Timer
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.services import Services
from mockserver.server.http.transmission import ENTRY_SCOPE_KEY
from mockserver.server.large_bodies import run_beside_loop, run_with_imports
from mockserver.server.mock_headers import FAULT_HEADER, SCENARIO_HEADER
from mockserver.server.state.journal import BodyText, Entry, EntryDetails, RequestHead
from mockserver.server.state.store import StoreUnavailable
from mockserver.wire import json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = [
    "SESSION_SCOPE_KEY",
    "Handler",
    "HttpRequest",
    "derive_request_id",
    "derive_tunnel_id",
    "fault_for_request",
    "json_object",
    "parse_delay",
    "requested_scenario",
    "require_json_content_type",
]

#: Key in the scope for the session that the path names.
SESSION_SCOPE_KEY = "mockserver.session"


class HttpRequest:
    """One request and its connection."""

    __slots__ = (
        "body",
        "body_text",
        "findings",
        "headers",
        "receive",
        "response_started",
        "scope",
        "send",
        "services",
        "session",
        "timer",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.services = services
        self.session = services.default_session
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.body = b""
        self.body_text: BodyText | None = None
        self.findings: tuple[Finding, ...] | None = None
        """Findings in the body, for the journal of an error or of an operation beside creating a response.
        None: the body was not checked."""
        self.response_started = False
        """Whether the head of the reply was sent."""
        self.timer: Timer | None = None
        """Measures the time of a delayed reply."""

    @property
    def body_or_digest(self) -> bytes:
        """The body, for ids; of a large one its digest, because to hash it takes long."""
        return self.body if self.body_text is None else self.body_text.digest

    async def examine_large_body(self) -> None:
        """Examine a large body for the journal and the log, beside the event loop."""
        self.body_text = await run_beside_loop(BodyText.of, self.body)

    def record(
        self,
        status: int,
        reply: Sequence[bytes],
        stream: bool,
        request_id: str,
        details: EntryDetails,
        *,
        in_journal: bool = True,
    ) -> Entry:
        """Add an entry to the journal, unless it is a call of the admin API, and a line to the access log."""
        scope, session = self.scope, self.session
        authorization, secrets = self.headers.get(b"authorization", b""), self.services.secrets
        head = RequestHead(
            scope["method"],
            scope["path"],
            scope["headers"],
            authorization,
            secrets,
            session.name,
            scope["client"],
        )
        at = session.clock.now() if self.timer is None else self.timer.started_at
        entry = scope[ENTRY_SCOPE_KEY] = Entry(
            at, head, self.body, status, reply, stream, request_id, details
        )
        entry.body_text = self.body_text
        entry.clock = session.clock
        if in_journal:
            session.journal.add(entry)
        self.services.access_log.add(entry)
        return entry


Handler: TypeAlias = Callable[[HttpRequest], Awaitable[None]]


async def derive_request_id(request: HttpRequest, outcome: str) -> str:
    """The id of a reply that is not a response, derived from the request and the outcome.

    A request that is rejected before its body is read has only its method, URL and key to derive it from.
    """
    session, digest = request.session, _digest_of_outcome(request, outcome)
    try:
        occurrence = await session.next_shared_occurrence(digest)
    except StoreUnavailable:  # the reply may be the error that says so
        occurrence = session.next_occurrence(digest)
    return format_uuid(session.ids.draw(digest, occurrence, 1)[0])


def derive_tunnel_id(request: HttpRequest, outcome: str) -> str:
    """The id of the reply to a `CONNECT` request; a server with tunnels shares no session with others."""
    session, digest = request.session, _digest_of_outcome(request, outcome)
    return format_uuid(session.ids.draw(digest, session.next_occurrence(digest), 1)[0])


def _digest_of_outcome(request: HttpRequest, outcome: str) -> bytes:
    scope = request.scope
    line = f"{scope['method']} {scope['path']} {outcome}\n".encode(errors="replace")
    key = request.headers.get(b"authorization", b"")
    query = scope.get("query_string", b"")
    return request_digest(b"%b%b\n%b\n%b" % (line, query, key, request.body_or_digest))


def require_json_content_type(content_type: bytes | None) -> None:
    """Raise ApiError 400 if the content type is not JSON."""
    if content_type == b"application/json":
        return
    kind = (content_type or b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        shown = kind.decode("latin-1")
        message = "Required body invalid, please check the request body format."
        raise NotAnApiRequest(
            400, "InvalidParameter", f"{message} The content type must be application/json, not {shown!r}."
        )


def requested_scenario(request: HttpRequest) -> str | None:
    """The exchange, stub or scenario that `x-mock-scenario` names."""
    name = request.headers.get(SCENARIO_HEADER) if request.services.mock_headers else None
    return None if name is None else name.decode("latin-1")


def parse_delay(header: bytes) -> float:
    """Seconds to wait before the reply, from `x-mock-delay: MILLISECONDS`; ApiError 400 if invalid."""
    if not header.isdigit() or int(header) > MAX_DELAY_MS:
        shown = header.decode("latin-1")[:40]
        message = f"x-mock-delay: milliseconds from 0 to {MAX_DELAY_MS}, not {shown!r}"
        raise ApiError(400, "InvalidParameter", message)
    return int(header) / 1000


async def fault_for_request(request: HttpRequest) -> RequestedFault | None:
    """The fault that `x-mock-fault` names, or one that the session applies to all requests.

    ApiError 400 if the header names an unknown fault.
    """
    session, path = request.session, request.scope["path"]
    header = request.headers.get(FAULT_HEADER) if request.services.mock_headers else None
    if header is None:
        return await session.fault_for(path, request.body) if session.faults else None
    try:
        fault = await run_with_imports(parse_fault, header.decode("latin-1"))
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"x-mock-fault: {error}") from None
    return await session.fault_if_due(fault, path, request.body)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, or None."""
    value = json.loads_or_none(body)
    return value if isinstance(value, dict) else None
