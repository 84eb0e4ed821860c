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
from mockserver.ids import request_digest, uuid
from mockserver.server.access import Hosts, Keys
from mockserver.server.bodies import Disconnected, read_body
from mockserver.server.delivery import PLAIN, Delivery, broken, timed
from mockserver.server.directory import PREFIX, SESSION_HEADER, Directory
from mockserver.server.engine import Answer, fail, in_band, respond
from mockserver.server.envelopes import ApiError, Misdirected, Unplanned, envelope
from mockserver.server.faults import FAULT_HEADER, AskedFault, Fault, Outgoing, parse_fault
from mockserver.server.journal import About, Entry, Sent, secrets_of
from mockserver.server.logbook import Logbook
from mockserver.server.reloading import Folder
from mockserver.server.sessions import Session
from mockserver.server.steps import Raw
from mockserver.server.steps import Send as SendStep
from mockserver.server.store import MemoryStore, Store
from mockserver.server.timing import Timer
from mockserver.server.transmit import CONNECTION, ENTRY, Headers, send_body, send_pieces, send_steps
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = [
    "Handler",
    "Request",
    "Services",
    "asked_fault",
    "asked_scenario",
    "create_response",
    "creating",
    "drawn_id",
    "guarded",
    "require_json",
]

_JSON = (b"content-type", b"application/json")
_DELAY = b"x-mock-delay"
_SCENARIO = b"x-mock-scenario"
ADMIN_HEADER = b"x-mock-admin-token"
_LONGEST_DELAY_MS = 600_000
_SESSION_CACHE = b"x-dashscope-session-cache"
#: As recorded on the service's hosts (2026).
_EVENTS = (b"content-type", b"text/event-stream;charset=UTF-8")


@dataclass(slots=True)
class Services:
    """What all requests of a server share."""

    session: Session
    store: Store = field(default_factory=MemoryStore)
    keys: Keys = field(default_factory=Keys)
    hosts: Hosts = field(default_factory=Hosts)
    logbook: Logbook = field(default_factory=Logbook)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The accepted keys, and the admin token, for redaction."""
    mock_headers: bool = False
    """Whether requests may ask for faults by header."""
    admin_token: str = field(default="", repr=False)
    """What opens the admin API; empty: there is none."""
    folder: Folder | None = None
    """The folder of the user's own exchange files, which is read again when it changes."""
    stream_errors: str = "http"
    """How a stream is refused: "http", with a status of its own, or "inband", with 200 and within it."""
    sessions: Directory = field(init=False)
    """All sessions: `session`, and those that are named."""
    _date: tuple[int, bytes] = (0, b"")

    def __post_init__(self) -> None:
        self.sessions = Directory(self.session, self.store, self.keys)
        self.sessions.told = lambda line: self.logbook.note(line)  # noqa: PLW0108 (whichever is in place then)
        self.sessions.lent = self._know
        self._know()

    def _know(self) -> None:
        self.secrets = (*self.keys.secrets, *([self.admin_token] if self.admin_token else []))

    def is_admin(self, token: bytes) -> bool:
        """Whether that is the admin API's token."""
        return self.admin_token != "" and compare_digest(token, self.admin_token.encode())

    def allows_header(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may name its session by header: as it may ask for faults, or with the token."""
        return self.mock_headers or self.is_admin(headers.get(ADMIN_HEADER, b""))

    def date(self, session: Session | None = None) -> bytes:
        """The `Date` header, by a session's clock."""
        now = int((session or self.session).clock.now())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]


class Request:
    """One request on its way."""

    __slots__ = ("body", "headers", "receive", "scope", "send", "services", "session", "started", "timer")

    def __init__(self, scope: Scope, receive: Receive, send: Send, services: Services) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.services = services
        self.session = services.session
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.body = b""
        self.started = False
        """Whether an answer has begun."""
        self.timer: Timer | None = None
        """Keeps the time of an answer that is held back."""

    def note(self, status: int, reply: tuple[bytes, ...], stream: bool, about: About) -> Entry:
        """Into the journal and the log."""
        scope, session = self.scope, self.session
        authorization, secrets = self.headers.get(b"authorization", b""), self.services.secrets
        sent = Sent(scope["method"], scope["path"], scope["headers"], authorization, secrets, session.name)
        at = session.clock.now() if self.timer is None else self.timer.began
        entry = scope[ENTRY] = Entry(at, sent, self.body, status, reply, stream, about)
        session.journal.add(entry)
        self.services.logbook.note(entry)
        return entry


Handler: TypeAlias = Callable[[Request], Awaitable[None]]


async def guarded(
    handler: Handler,
    services: Services,
    scope: Scope,
    receive: Receive,
    send: Send,
    prefix: str = "",
    worded: Callable[[ApiError], ApiError] | None = None,
) -> None:
    """Run a handler; whatever it refuses or breaks on is answered in the API's own envelope.

    `prefix` is the session that the path named; `worded` says a refusal in the words of another API than
    Responses.
    """
    request = Request(scope, receive, send, services)
    try:
        services.hosts.check(request.headers.get(b"host"), request.headers.get(b"origin"))
        if SESSION_HEADER in request.headers or prefix or services.sessions.keys:
            await _enter(request, prefix, hot=handler is create_response)
        await handler(request)
    except Disconnected:
        return
    except ApiError as error:
        await _refuse(request, worded(error) if worded else error)
    except Exception as error:  # noqa: BLE001 (the last resort: a defect of ours must not look like a hang)
        services.logbook.note(_defect(error))
        if request.started:
            scope["extensions"][CONNECTION].close()
            return
        defect = ApiError(500, "InternalError", "An internal error of the mock server.")
        await _refuse(request, worded(defect) if worded else defect)


async def _enter(request: Request, prefix: str, *, hot: bool) -> None:
    """Put a request into the session that it names; ApiError where it can not be called that.

    `hot`: it came to the server's own endpoint, and the session may play another age.
    """
    services, headers = request.services, request.headers
    try:
        name = services.sessions.name_of(headers, prefix, by_header=services.allows_header(headers))
    except ConfigurationError as error:
        where = "x-mock-session" if SESSION_HEADER in headers else f"{PREFIX}NAME/"
        raise Misdirected(400, "InvalidParameter", f"{where}: {error}") from None
    session = services.sessions.get(name)
    if session is None:
        if not services.is_admin(headers.get(ADMIN_HEADER, b"")):
            # Whoever has no key makes no session, and so drives out none.
            services.keys.check(headers.get(b"authorization"), services.session.profile.wrong_key)
        session = await services.sessions.open(name)
    request.session = session
    path, own = request.scope["path"], (session.profile.base_path, *session.profile.aliases)
    if hot and not any(path == f"{base}/responses" for base in own):
        message = f"{path} belongs to the profile {services.session.profile.name}."
        raise Misdirected(404, "NotFound", f"{message} The session {name} plays {session.profile.name}.")


def drawn_id(request: Request, outcome: str) -> str:
    """An id for an answer that is no response, from the request and what it came to.

    What was refused before its body was read is told apart by method, address, key and outcome alone.
    """
    scope = request.scope
    asked = f"{scope['method']} {scope['path']} {outcome}\n".encode(errors="replace")
    key = request.headers.get(b"authorization", b"")
    digest = request_digest(b"%b%b\n%b\n%b" % (asked, scope.get("query_string", b""), key, request.body))
    return uuid(request.session.ids.draw(digest, request.session.occurrence(digest), 1)[0])


Answering: TypeAlias = Callable[[Request], Awaitable[Answer]]


def creating(answering: Answering) -> Handler:
    """The handler of an endpoint that makes answers: who asks, how much, what is said, how it goes out."""

    async def create(request: Request) -> None:
        headers = request.headers
        request.services.keys.check(headers.get(b"authorization"), request.session.profile.wrong_key)
        require_json(headers.get(b"content-type"))
        request.body = await read_body(request.receive, headers.get(b"content-length"))
        limiter = request.session.limiter
        if limiter is None:
            await _send(request, await answering(request))
            return
        key = headers.get(b"authorization", b"")
        limiter.enter(key)
        try:
            await _send(request, await answering(request))
        finally:
            limiter.leave(key)

    return create


async def _send(request: Request, answer: Answer) -> None:
    services, session = request.services, request.session
    if services.mock_headers and _DELAY in request.headers:
        request.timer = timer = session.timer()
        await timer.pause(_delay(request.headers[_DELAY]))
    head = [
        _EVENTS if answer.stream else _JSON,
        (b"x-request-id", answer.about.request_id.encode()),
        (b"date", services.date(session)),
    ]
    if answer.fault:
        head.append((FAULT_HEADER, answer.fault.encode()))
    delivery = session.delivery if answer.delivery is PLAIN else answer.delivery.over(session.delivery)
    if delivery is not PLAIN and not delivery.is_plain:
        await _deliver(request, answer, head, delivery)
        return
    if answer.steps:
        own = [*answer.headers, *head[1:]] if answer.headers else head
        outgoing = Outgoing(answer.status, tuple(own), answer.steps, answer.stream)
        await _carry_out(request, outgoing, answer.pieces, answer.about)
        return
    request.note(answer.status, answer.pieces, answer.stream, answer.about)
    request.started = True
    if answer.stream:
        await send_pieces(request.send, 200, head, answer.pieces)
    else:
        await send_body(request.send, answer.status, head, answer.pieces[0])


async def _deliver(request: Request, answer: Answer, head: Headers, delivery: Delivery) -> None:
    """Send an answer otherwise than at once and whole; the journal has what is really sent."""
    about = answer.about
    own = [*answer.headers, *head[1:]] if answer.headers else head
    steps = answer.steps or tuple(SendStep(piece) for piece in answer.pieces)
    outgoing = Outgoing(answer.status, tuple(own), steps, answer.stream)
    if delivery.fault is not None:
        outgoing = _broken(request, outgoing, delivery.fault, about)
        about = about._replace(detail=f"fault {delivery.fault}")
    pieces = tuple(step.data for step in outgoing.steps if isinstance(step, SendStep | Raw))
    outgoing = timed(outgoing, delivery, about.request_id.encode())
    if not answer.stream and outgoing.is_whole:
        length = (b"content-length", b"%d" % sum(map(len, pieces)))
        outgoing = replace(outgoing, headers=(*outgoing.headers, length))
    await _carry_out(request, outgoing, pieces, about)


async def _carry_out(request: Request, outgoing: Outgoing, pieces: tuple[bytes, ...], about: About) -> None:
    """Send an answer step by step; the journal has when its bytes went out, and whether the client left."""
    timer = request.timer or request.session.timer()
    entry = request.note(outgoing.status, pieces, outgoing.stream, about)
    entry.times = None, None
    request.started = True
    scope, head = request.scope, list(outgoing.headers)
    try:
        whole = await send_steps(
            scope, request.receive, request.send, outgoing.status, head, outgoing.steps, timer
        )
        entry.left = entry.left or not whole
    finally:
        entry.times = timer.first, timer.now()


def _delay(header: bytes) -> float:
    """Seconds that an answer is to wait, of `x-mock-delay: MILLISECONDS`; ApiError 400."""
    if not header.isdigit() or int(header) > _LONGEST_DELAY_MS:
        shown = header.decode("latin-1")[:40]
        message = f"x-mock-delay: milliseconds from 0 to {_LONGEST_DELAY_MS}, not {shown!r}"
        raise ApiError(400, "InvalidParameter", message)
    return int(header) / 1000


def _broken(request: Request, outgoing: Outgoing, asked: AskedFault, about: About) -> Outgoing:
    """The answer with its fault; ApiError 400 where it has no place for it."""
    pick = int(about.request_id.replace("-", "")[:8], 16)
    try:
        return broken(outgoing, asked, request.session.profile, pick, _value_of(request.body))
    except ConfigurationError as error:
        if FAULT_HEADER not in request.headers and asked in request.session.faults:
            return outgoing  # in force for all requests: this one's answer has no place for it
        refusal = ApiError(400, "InvalidParameter", f"fault: {error}")
        refusal.exchange = about.exchange
        raise refusal from None


async def _answer(request: Request) -> Answer:
    services, session, path = request.services, request.session, request.scope["path"]
    fault = asked_fault(request) if services.mock_headers or session.faults else None
    if fault is not None and isinstance(fault.what, Fault):
        return fail(session, path, request.body, fault)
    cache = request.headers.get(_SESSION_CACHE) == b"enable"
    try:
        answer = await respond(
            session,
            services.store,
            path,
            request.body,
            cache=cache,
            headers=request.headers,
            scenario=asked_scenario(request),
        )
    except ApiError as error:
        if error.streamed and services.stream_errors == "inband":
            return in_band(session, path, request.body, error)
        raise
    planned = answer.delivery.fault
    if fault is None and (planned is None or session.struck_by(planned, path, request.body)):
        return answer
    return answer._replace(delivery=replace(answer.delivery, fault=fault))


create_response: Handler = creating(_answer)
"""`POST …/responses`."""


def asked_scenario(request: Request) -> str | None:
    """The exchange, the plan or the scenario that a request asks for by header."""
    named = request.headers.get(_SCENARIO) if request.services.mock_headers else None
    return None if named is None else named.decode("latin-1")


def asked_fault(request: Request) -> AskedFault | None:
    """The fault that a request asks for by header, or that one in force gives it.

    ApiError 400 where the header asks for one that there is not.
    """
    session, path = request.session, request.scope["path"]
    asked = request.headers.get(FAULT_HEADER) if request.services.mock_headers else None
    if asked is None:
        return session.struck(path, request.body) if session.faults else None
    try:
        fault = parse_fault(asked.decode("latin-1"))
    except ConfigurationError as error:
        raise ApiError(400, "InvalidParameter", f"x-mock-fault: {error}") from None
    return session.struck_by(fault, path, request.body)


def require_json(content_type: bytes | None) -> None:
    """ApiError 400 where a body is something else than JSON by its type."""
    if content_type == b"application/json":
        return
    kind = (content_type or b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        shown = kind.decode("latin-1")
        message = "Required body invalid, please check the request body format."
        raise Misdirected(
            400, "InvalidParameter", f"{message} The content type must be application/json, not {shown!r}."
        )


async def _refuse(request: Request, error: ApiError) -> None:
    """Answer with an error; its id is derived like any other, from the request and what it came to."""
    request_id = drawn_id(request, f"{error.status} {error.message}")
    if error.envelope.hex_id:
        request_id = request_id.replace("-", "")
    model, prompt = _glimpse(request.body)
    detail = error.detail or error.message
    refusal = "refused" if isinstance(error, Misdirected) else ""
    refusal = "unplanned" if isinstance(error, Unplanned) else refusal
    about = About(request_id, model, prompt, error.exchange, error.findings, detail=detail, refusal=refusal)
    authorization = request.headers.get(b"authorization", b"")
    error.message = redact(error.message, secrets_of(authorization, request.services.secrets))
    body = envelope(error, request_id, request.session.profile)
    head: Headers = [
        _JSON,
        (b"x-request-id", request_id.encode()),
        (b"date", request.services.date(request.session)),
    ]
    head += error.headers
    if error.delivery is not None:
        await _deliver(request, Answer(about, (body,), False, error.status), head, error.delivery)
        return
    request.note(error.status, (body,), False, about)
    await send_body(request.send, error.status, head, body)


def _value_of(body: bytes) -> dict[str, Any] | None:
    """The object in a body; None where there is none."""
    value = json.value_or_none(body)
    return value if isinstance(value, dict) else None


def _glimpse(body: bytes) -> tuple[str, str]:
    """(model, prompt) of a request that was refused, as far as they can be told."""
    value = _value_of(body) or {}
    model, content = value.get("model"), value.get("input")
    return model if isinstance(model, str) else "", content if isinstance(content, str) else ""


def _defect(error: Exception) -> str:
    """The traceback without the values of anything: type, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"internal error: {type(error).__name__} in {where}"
