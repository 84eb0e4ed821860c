"""The hot endpoint, `POST …/responses`: from the connection to the engine and back.

`guarded` is what every path shares, hot or not: host check, request id, the envelope for refusals, and
the last resort for a defect of our own.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest, uuid
from mockserver.server.access import Hosts, Keys
from mockserver.server.bodies import Disconnected, read_body
from mockserver.server.engine import Answer, respond
from mockserver.server.envelopes import ApiError, envelope
from mockserver.server.journal import Entry
from mockserver.server.logbook import Logbook
from mockserver.server.sessions import Session
from mockserver.server.store import MemoryStore, Store
from mockserver.server.transmit import CONNECTION, Headers, send_body, send_pieces, send_steps
from mockserver.wire import json
from mockserver.wire.redaction import SAFE_HEADERS, redact

__all__ = ["Handler", "Request", "Services", "create_response", "drawn_id", "guarded"]

_SAFE = frozenset(name.encode() for name in SAFE_HEADERS)
_JSON = (b"content-type", b"application/json")
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
    secrets: tuple[str, ...] = ()
    """The accepted keys, for redaction."""
    _date: tuple[int, bytes] = (0, b"")

    def __post_init__(self) -> None:
        self.secrets = self.keys.secrets

    def date(self) -> bytes:
        """The `Date` header, by the session's clock."""
        now = int(self.session.clock.now())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]


@dataclass(slots=True)
class Request:
    """One request on its way."""

    scope: Scope
    receive: Receive
    send: Send
    services: Services
    headers: dict[bytes, bytes]
    session: Session
    secrets: tuple[str, ...]
    """What must not be written down: the keys that are accepted, and whatever was presented as one."""
    body: bytes = b""
    started: bool = False
    """Whether an answer has begun."""

    def note(self, entry: Entry, prompt: str = "") -> None:
        """Into the journal and the log."""
        self.session.journal.add(entry)
        if not self.services.logbook.quiet:
            self.services.logbook.note(entry, prompt, self.secrets)


Handler: TypeAlias = Callable[[Request], Awaitable[None]]


async def guarded(handler: Handler, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a handler; whatever it refuses or breaks on is answered in the API's own envelope."""
    headers = dict(scope["headers"])
    request = Request(scope, receive, send, services, headers, services.session, _secrets(headers, services))
    try:
        services.hosts.check(request.headers.get(b"host"), request.headers.get(b"origin"))
        await handler(request)
    except Disconnected:
        return
    except ApiError as error:
        await _refuse(request, error)
    except Exception as error:  # noqa: BLE001 (the last resort: a defect of ours must not look like a hang)
        services.logbook.write(_defect(error))
        if request.started:
            scope["extensions"][CONNECTION].close()
            return
        await _refuse(request, ApiError(500, "InternalError", "An internal error of the mock server."))


def drawn_id(request: Request, outcome: str) -> str:
    """An id for an answer that is no response, from the request and what it came to.

    What was refused before its body was read is told apart by method, address, key and outcome alone.
    """
    scope = request.scope
    asked = f"{scope['method']} {scope['path']} {outcome}\n".encode(errors="replace")
    key = request.headers.get(b"authorization", b"")
    digest = request_digest(b"%b%b\n%b\n%b" % (asked, scope.get("query_string", b""), key, request.body))
    return uuid(request.session.ids.draw(digest, request.session.occurrence(digest), 1)[0])


async def create_response(request: Request) -> None:
    """`POST …/responses`."""
    headers = request.headers
    request.services.keys.check(headers.get(b"authorization"))
    _require_json(headers.get(b"content-type"))
    request.body = await read_body(request.receive, headers.get(b"content-length"))
    answer = await respond(request.session, request.services.store, request.scope["path"], request.body)
    head = [
        _EVENTS if answer.stream else _JSON,
        (b"x-request-id", answer.about.request_id.encode()),
        (b"date", request.services.date()),
    ]
    request.note(_entry(request, answer), answer.about.prompt)
    request.started = True
    if answer.stream:
        await send_pieces(request.send, 200, head, answer.pieces)
    elif answer.steps:
        own = [*answer.headers, *head[1:]] if answer.headers else head
        await send_steps(request.scope, request.receive, request.send, answer.status, own, answer.steps)
    else:
        await send_body(request.send, answer.status, head, answer.pieces[0])


def _require_json(content_type: bytes | None) -> None:
    kind = (content_type or b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        shown = kind.decode("latin-1")
        message = "Required body invalid, please check the request body format."
        raise ApiError(
            400, "InvalidParameter", f"{message} The content type must be application/json, not {shown!r}."
        )


def _entry(request: Request, answer: Answer) -> Entry:
    about = answer.about
    return Entry(
        at=request.session.clock.now(),
        method=request.scope["method"],
        path=redact(request.scope["path"], request.secrets),
        raw_headers=_kept_headers(request),
        body=request.body,
        status=answer.status,
        request_id=about.request_id,
        reply=answer.pieces,
        stream=answer.stream,
        model=about.model,
        exchange=about.exchange,
        judged=about.findings,
        ignored=about.ignored,
    )


def _kept_headers(request: Request) -> tuple[tuple[bytes, bytes], ...]:
    kept = [header for header in request.scope["headers"] if header[0] in _SAFE]
    for secret in request.secrets:
        hidden = secret.encode("latin-1")
        kept = [header for header in kept if hidden not in header[1]]
    return tuple(kept)


def _secrets(headers: dict[bytes, bytes], services: Services) -> tuple[str, ...]:
    """A presented key may be wrong, or of another scheme: it is a key to something all the same."""
    presented = headers.get(b"authorization", b"").decode("latin-1").rpartition(" ")[2]
    known = services.secrets
    return (*known, presented) if presented and presented not in known else known


async def _refuse(request: Request, error: ApiError) -> None:
    """Answer with an error; its id is derived like any other, from the request and what it came to."""
    scope, session = request.scope, request.session
    request_id = drawn_id(request, f"{error.status} {error.message}")
    error.message = redact(error.message, request.secrets)
    body = envelope(error, request_id)
    head: Headers = [_JSON, (b"x-request-id", request_id.encode()), (b"date", request.services.date())]
    model, prompt = _glimpse(request.body)
    request.note(
        Entry(
            at=session.clock.now(),
            method=scope["method"],
            path=redact(scope["path"], request.secrets),
            raw_headers=_kept_headers(request),
            body=request.body,
            status=error.status,
            request_id=request_id,
            reply=(body,),
            judged=error.findings,
            model=model,
            detail=error.detail or error.message,
        ),
        prompt,
    )
    await send_body(request.send, error.status, [*head, *error.headers], body)


def _glimpse(body: bytes) -> tuple[str, str]:
    """(model, prompt) of a request that was refused, as far as they can be told."""
    try:
        value = json.loads(body)
    except InvalidJSON:
        return "", ""
    model, content = (value.get("model"), value.get("input")) if isinstance(value, dict) else ("", "")
    return model if isinstance(model, str) else "", content if isinstance(content, str) else ""


def _defect(error: Exception) -> str:
    """The traceback without the values of anything: type, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"internal error: {type(error).__name__} in {where}"
