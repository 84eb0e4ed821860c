"""The hot endpoint, `POST …/responses`: from the connection to the engine and back.

`guarded` is what every path shares, hot or not: host check, request id, the envelope for refusals, and
the last resort for a defect of our own.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from hmac import compare_digest
from typing import Any, TypeAlias

from starlette.types import Receive, Scope, Send

from mockserver.errors import ConfigurationError
from mockserver.ids import format_uuid, request_digest
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.delivery.delivery import DEFAULT_DELIVERY, Delivery, apply_fault, apply_timing
from mockserver.server.delivery.faults import (
    OutgoingReply,
    RequestedFault,
    ServiceFault,
    parse_fault,
)
from mockserver.server.delivery.steps import Raw
from mockserver.server.delivery.steps import Send as SendStep
from mockserver.server.delivery.timer import Timer
from mockserver.server.engine.pipeline import (
    RenderedReply,
    render_in_band_error,
    respond,
    respond_with_fault,
)
from mockserver.server.errors import ApiError, NotAnApiRequest, UnmatchedRequest, render_error
from mockserver.server.http.access_log import AccessLog
from mockserver.server.http.request_body import ClientDisconnected, read_body
from mockserver.server.http.transmission import (
    CONNECTION_EXTENSION,
    ENTRY_SCOPE_KEY,
    Headers,
    send_body,
    send_pieces,
    send_steps,
)
from mockserver.server.mock_headers import (
    ADMIN_TOKEN_HEADER,
    DELAY_HEADER,
    FAULT_HEADER,
    SCENARIO_HEADER,
    SESSION_HEADER,
)
from mockserver.server.state.journal import Entry, EntryDetails, RequestHead, request_secrets
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX, SessionRegistry
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import MemoryStore, Store
from mockserver.server.stubs.exchange_folder import ExchangeFolder
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = [
    "Handler",
    "HttpRequest",
    "Services",
    "create_response",
    "derive_request_id",
    "fault_for_request",
    "reply_handler",
    "requested_scenario",
    "require_json_content_type",
    "run_handler",
]

_JSON_CONTENT_TYPE = (b"content-type", b"application/json")
_MAX_DELAY_MS = 600_000
_SESSION_CACHE_HEADER = b"x-dashscope-session-cache"
#: As recorded on the service's hosts (2026).
_EVENT_STREAM_CONTENT_TYPE = (b"content-type", b"text/event-stream;charset=UTF-8")


@dataclass(slots=True)
class Services:
    """What all requests of a server share."""

    default_session: Session
    store: Store = field(default_factory=MemoryStore)
    keys: ApiKeys = field(default_factory=ApiKeys)
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    access_log: AccessLog = field(default_factory=AccessLog)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The accepted keys, and the admin token, for redaction."""
    mock_headers: bool = False
    """Whether requests may ask for faults by header."""
    admin_token: str = field(default="", repr=False)
    """What opens the admin API; empty: there is none."""
    exchange_folder: ExchangeFolder | None = None
    """The folder of the user's own exchange files, which is read again when it changes."""
    stream_errors: str = "http"
    """How a stream is refused: "http", with a status of its own, or "inband", with 200 and within it."""
    sessions: SessionRegistry = field(init=False)
    """All sessions: `session`, and those that are named."""
    _date_cache: tuple[int, bytes] = (0, b"")

    def __post_init__(self) -> None:
        self.sessions = SessionRegistry(self.default_session, self.store, self.keys)
        self.sessions.on_evicted = lambda line: self.access_log.add(line)  # noqa: PLW0108 (whichever is in place then)
        self.sessions.on_keys_changed = self._update_secrets
        self._update_secrets()

    def _update_secrets(self) -> None:
        self.secrets = (*self.keys.secrets, *([self.admin_token] if self.admin_token else []))

    def is_admin_token(self, token: bytes) -> bool:
        """Whether that is the admin API's token."""
        return self.admin_token != "" and compare_digest(token, self.admin_token.encode())

    def allows_session_header(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may name its session by header: as it may ask for faults, or with the token."""
        return self.mock_headers or self.is_admin_token(headers.get(ADMIN_TOKEN_HEADER, b""))

    def date_header(self, session: Session | None = None) -> bytes:
        """The `Date` header, by a session's clock."""
        now = int((session or self.default_session).clock.now())
        if self._date_cache[0] != now:
            self._date_cache = (now, formatdate(now, usegmt=True).encode())
        return self._date_cache[1]


class HttpRequest:
    """One request on its way."""

    __slots__ = (
        "body",
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
        self.response_started = False
        """Whether an answer has begun."""
        self.timer: Timer | None = None
        """Keeps the time of an answer that is held back."""

    def record(self, status: int, reply: tuple[bytes, ...], stream: bool, details: EntryDetails) -> Entry:
        """Into the journal and the log."""
        scope, session = self.scope, self.session
        authorization, secrets = self.headers.get(b"authorization", b""), self.services.secrets
        sent = RequestHead(
            scope["method"], scope["path"], scope["headers"], authorization, secrets, session.name
        )
        at = session.clock.now() if self.timer is None else self.timer.started_at
        entry = scope[ENTRY_SCOPE_KEY] = Entry(at, sent, self.body, status, reply, stream, details)
        session.journal.add(entry)
        self.services.access_log.add(entry)
        return entry


Handler: TypeAlias = Callable[[HttpRequest], Awaitable[None]]


async def run_handler(
    handler: Handler,
    services: Services,
    scope: Scope,
    receive: Receive,
    send: Send,
    path_session: str = "",
    translate_error: Callable[[ApiError], ApiError] | None = None,
) -> None:
    """Run a handler; whatever it refuses or breaks on is answered in the API's own envelope.

    `prefix` is the session that the path named; `worded` says a refusal in the words of another API than
    Responses.
    """
    request = HttpRequest(scope, receive, send, services)
    try:
        services.hosts.check(request.headers.get(b"host"), request.headers.get(b"origin"))
        if SESSION_HEADER in request.headers or path_session or services.sessions.names_by_key:
            await _enter_session(request, path_session, hot=handler is create_response)
        await handler(request)
    except ClientDisconnected:
        return
    except ApiError as error:
        await _send_error(request, translate_error(error) if translate_error else error)
    except Exception as error:  # noqa: BLE001 (the last resort: a defect of ours must not look like a hang)
        services.access_log.add(_describe_internal_error(error))
        if request.response_started:
            scope["extensions"][CONNECTION_EXTENSION].close()
            return
        defect = ApiError(500, "InternalError", "An internal error of the mock server.")
        await _send_error(request, translate_error(defect) if translate_error else defect)


async def _enter_session(request: HttpRequest, path_session: str, *, hot: bool) -> None:
    """Put a request into the session that it names; ApiError where it can not be called that.

    `hot`: it came to the server's own endpoint, and the session may play another age.
    """
    services, headers = request.services, request.headers
    try:
        name = services.sessions.resolve_name(
            headers, path_session, allow_header=services.allows_session_header(headers)
        )
    except ConfigurationError as error:
        where = SESSION_HEADER.decode() if SESSION_HEADER in headers else f"{SESSION_PATH_PREFIX}NAME/"
        raise NotAnApiRequest(400, "InvalidParameter", f"{where}: {error}") from None
    session = services.sessions.get(name)
    if session is None:
        if not services.is_admin_token(headers.get(ADMIN_TOKEN_HEADER, b"")):
            # Whoever has no key makes no session, and so drives out none.
            services.keys.check(headers.get(b"authorization"), services.default_session.profile.wrong_key)
        session = await services.sessions.open(name)
    request.session = session
    path, own = request.scope["path"], session.profile.base_paths
    if hot and not any(path == f"{base}/responses" for base in own):
        message = f"{path} belongs to the profile {services.default_session.profile.name}."
        raise NotAnApiRequest(404, "NotFound", f"{message} The session {name} plays {session.profile.name}.")


def derive_request_id(request: HttpRequest, outcome: str) -> str:
    """An id for an answer that is no response, from the request and what it came to.

    What was refused before its body was read is told apart by method, address, key and outcome alone.
    """
    scope = request.scope
    asked = f"{scope['method']} {scope['path']} {outcome}\n".encode(errors="replace")
    key = request.headers.get(b"authorization", b"")
    digest = request_digest(b"%b%b\n%b\n%b" % (asked, scope.get("query_string", b""), key, request.body))
    return format_uuid(request.session.ids.draw(digest, request.session.next_occurrence(digest), 1)[0])


ReplyMaker: TypeAlias = Callable[[HttpRequest], Awaitable[RenderedReply]]


def reply_handler(make_reply: ReplyMaker) -> Handler:
    """The handler of an endpoint that makes answers: who asks, how much, what is said, how it goes out."""

    async def create(request: HttpRequest) -> None:
        headers = request.headers
        request.services.keys.check(headers.get(b"authorization"), request.session.profile.wrong_key)
        require_json_content_type(headers.get(b"content-type"))
        request.body = await read_body(request.receive, headers.get(b"content-length"))
        limiter = request.session.limiter
        if limiter is None:
            await _send_reply(request, await make_reply(request))
            return
        key = headers.get(b"authorization", b"")
        limiter.begin_request(key)
        try:
            await _send_reply(request, await make_reply(request))
        finally:
            limiter.end_request(key)

    return create


async def _send_reply(request: HttpRequest, reply: RenderedReply) -> None:
    services, session = request.services, request.session
    if services.mock_headers and DELAY_HEADER in request.headers:
        request.timer = timer = session.new_timer()
        await timer.pause(_parse_delay(request.headers[DELAY_HEADER]))
    head = [
        _EVENT_STREAM_CONTENT_TYPE if reply.stream else _JSON_CONTENT_TYPE,
        (b"x-request-id", reply.details.request_id.encode()),
        (b"date", services.date_header(session)),
    ]
    if reply.fault_name:
        head.append((FAULT_HEADER, reply.fault_name.encode()))
    delivery = (
        session.delivery
        if reply.delivery is DEFAULT_DELIVERY
        else reply.delivery.with_defaults(session.delivery)
    )
    if delivery is not DEFAULT_DELIVERY and not delivery.is_immediate:
        await _send_delivered(request, reply, head, delivery)
        return
    if reply.steps:
        own = [*reply.headers, *head[1:]] if reply.headers else head
        outgoing = OutgoingReply(reply.status, tuple(own), reply.steps, reply.stream)
        await _send_outgoing(request, outgoing, reply.pieces, reply.details)
        return
    request.record(reply.status, reply.pieces, reply.stream, reply.details)
    request.response_started = True
    if reply.stream:
        await send_pieces(request.send, 200, head, reply.pieces)
    else:
        await send_body(request.send, reply.status, head, reply.pieces[0])


async def _send_delivered(
    request: HttpRequest, reply: RenderedReply, head: Headers, delivery: Delivery
) -> None:
    """Send an answer otherwise than at once and whole; the journal has what is really sent."""
    about = reply.details
    own = [*reply.headers, *head[1:]] if reply.headers else head
    steps = reply.steps or tuple(SendStep(piece) for piece in reply.pieces)
    outgoing = OutgoingReply(reply.status, tuple(own), steps, reply.stream)
    if delivery.fault is not None:
        outgoing = _apply_delivery_fault(request, outgoing, delivery.fault, about)
        about = about._replace(error_detail=f"fault {delivery.fault}")
    pieces = tuple(step.data for step in outgoing.steps if isinstance(step, SendStep | Raw))
    outgoing = apply_timing(outgoing, delivery, about.request_id.encode())
    if not reply.stream and outgoing.needs_content_length:
        length = (b"content-length", b"%d" % sum(map(len, pieces)))
        outgoing = replace(outgoing, headers=(*outgoing.headers, length))
    await _send_outgoing(request, outgoing, pieces, about)


async def _send_outgoing(
    request: HttpRequest, outgoing: OutgoingReply, pieces: tuple[bytes, ...], details: EntryDetails
) -> None:
    """Send an answer step by step; the journal has when its bytes went out, and whether the client left."""
    timer = request.timer or request.session.new_timer()
    entry = request.record(outgoing.status, pieces, outgoing.stream, details)
    entry.send_times = None, None
    request.response_started = True
    scope, head = request.scope, list(outgoing.headers)
    try:
        whole = await send_steps(
            scope, request.receive, request.send, outgoing.status, head, outgoing.steps, timer
        )
        entry.left = entry.left or not whole
    finally:
        entry.send_times = timer.first_byte_at, timer.now()


def _parse_delay(header: bytes) -> float:
    """Seconds that an answer is to wait, of `x-mock-delay: MILLISECONDS`; ApiError 400."""
    if not header.isdigit() or int(header) > _MAX_DELAY_MS:
        shown = header.decode("latin-1")[:40]
        message = f"x-mock-delay: milliseconds from 0 to {_MAX_DELAY_MS}, not {shown!r}"
        raise ApiError(400, "InvalidParameter", message)
    return int(header) / 1000


def _apply_delivery_fault(
    request: HttpRequest, outgoing: OutgoingReply, requested_fault: RequestedFault, details: EntryDetails
) -> OutgoingReply:
    """The answer with its fault; ApiError 400 where it has no place for it."""
    pick = int(details.request_id.replace("-", "")[:8], 16)
    try:
        return apply_fault(
            outgoing, requested_fault, request.session.profile, pick, _json_object(request.body)
        )
    except ConfigurationError as error:
        if FAULT_HEADER not in request.headers and requested_fault in request.session.faults:
            return outgoing  # in force for all requests: this one's answer has no place for it
        refusal = ApiError(400, "InvalidParameter", f"fault: {error}")
        refusal.exchange = details.stub_name
        raise refusal from None


async def _make_reply(request: HttpRequest) -> RenderedReply:
    services, session, path = request.services, request.session, request.scope["path"]
    fault = fault_for_request(request) if services.mock_headers or session.faults else None
    if fault is not None and isinstance(fault.definition, ServiceFault):
        return respond_with_fault(session, path, request.body, fault)
    cache = request.headers.get(_SESSION_CACHE_HEADER) == b"enable"
    try:
        answer = await respond(
            session,
            services.store,
            path,
            request.body,
            session_cache=cache,
            headers=request.headers,
            scenario=requested_scenario(request),
        )
    except ApiError as error:
        if error.stream_requested and services.stream_errors == "inband":
            return render_in_band_error(session, path, request.body, error)
        raise
    planned = answer.delivery.fault
    if fault is None and (planned is None or session.fault_if_due(planned, path, request.body)):
        return answer
    return answer._replace(delivery=replace(answer.delivery, fault=fault))


create_response: Handler = reply_handler(_make_reply)
"""`POST …/responses`."""


def requested_scenario(request: HttpRequest) -> str | None:
    """The exchange, the plan or the scenario that a request asks for by header."""
    named = request.headers.get(SCENARIO_HEADER) if request.services.mock_headers else None
    return None if named is None else named.decode("latin-1")


def fault_for_request(request: HttpRequest) -> RequestedFault | None:
    """The fault that a request asks for by header, or that one in force gives it.

    ApiError 400 where the header asks for one that there is not.
    """
    session, path = request.session, request.scope["path"]
    asked = request.headers.get(FAULT_HEADER) if request.services.mock_headers else None
    if asked is None:
        return session.fault_for(path, request.body) if session.faults else None
    try:
        fault = parse_fault(asked.decode("latin-1"))
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"x-mock-fault: {error}") from None
    return session.fault_if_due(fault, path, request.body)


def require_json_content_type(content_type: bytes | None) -> None:
    """ApiError 400 where a body is something else than JSON by its type."""
    if content_type == b"application/json":
        return
    kind = (content_type or b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        shown = kind.decode("latin-1")
        message = "Required body invalid, please check the request body format."
        raise NotAnApiRequest(
            400, "InvalidParameter", f"{message} The content type must be application/json, not {shown!r}."
        )


async def _send_error(request: HttpRequest, error: ApiError) -> None:
    """Answer with an error; its id is derived like any other, from the request and what it came to."""
    request_id = derive_request_id(request, f"{error.status} {error.message}")
    if error.envelope.undashed_request_id:
        request_id = request_id.replace("-", "")
    model, prompt = _model_and_prompt(request.body)
    detail = error.detail or error.message
    refusal = "refused" if isinstance(error, NotAnApiRequest) else ""
    refusal = "unplanned" if isinstance(error, UnmatchedRequest) else refusal
    about = EntryDetails(
        request_id, model, prompt, error.exchange, error.findings, error_detail=detail, refusal=refusal
    )
    authorization = request.headers.get(b"authorization", b"")
    error.message = redact(error.message, request_secrets(authorization, request.services.secrets))
    body = render_error(error, request_id, request.session.profile)
    head: Headers = [
        _JSON_CONTENT_TYPE,
        (b"x-request-id", request_id.encode()),
        (b"date", request.services.date_header(request.session)),
    ]
    head += error.headers
    if error.delivery is not None:
        await _send_delivered(
            request, RenderedReply(about, (body,), False, error.status), head, error.delivery
        )
        return
    request.record(error.status, (body,), False, about)
    await send_body(request.send, error.status, head, body)


def _json_object(body: bytes) -> dict[str, Any] | None:
    """The object in a body; None where there is none."""
    value = json.loads_or_none(body)
    return value if isinstance(value, dict) else None


def _model_and_prompt(body: bytes) -> tuple[str, str]:
    """(model, prompt) of a request that was refused, as far as they can be told."""
    value = _json_object(body) or {}
    model, content = value.get("model"), value.get("input")
    return model if isinstance(model, str) else "", content if isinstance(content, str) else ""


def _describe_internal_error(error: Exception) -> str:
    """The traceback without the values of anything: type, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"internal error: {type(error).__name__} in {where}"
