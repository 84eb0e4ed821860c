"""The paths of the console.

All need the cookie, but for the page, its files and the rules; what changes something also needs the header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from mockserver import __version__
from mockserver.contract.rules import load_all_rules
from mockserver.errors import InvalidExchange, MockServerError
from mockserver.profiles import load_profile, profile_names
from mockserver.reports.rule_page import render_rule_page
from mockserver.server.admin import define_stubs, read_stubs, require_parts
from mockserver.server.console.access import CHANGE_HEADER, CONSOLE_PATH, RULES_PATH, ConsoleAccess
from mockserver.server.console.copied_requests import read_request
from mockserver.server.console.exchange_pages import render_entry_page, render_missing_page
from mockserver.server.console.feed import send_feed
from mockserver.server.console.snippets import SNIPPETS
from mockserver.server.delivery.chunking import parse_chunking
from mockserver.server.delivery.faults.catalogue import catalogue
from mockserver.server.delivery.options import Delivery
from mockserver.server.delivery.pacing import parse_pace
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.http.dispatch import run_handler
from mockserver.server.http.reply_delivery import send_json
from mockserver.server.http.request_body import read_body
from mockserver.server.http.requests import Handler, HttpRequest
from mockserver.server.http.responses_endpoint import create_response
from mockserver.server.http.transmission import send_body
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.state.journal import Entry
from mockserver.server.state.rate_limits import RateLimiter, parse_limits
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.stubs import StubRegistry
from mockserver.suggestions import did_you_mean
from mockserver.wire import json

__all__ = ["CONSOLE_HANDLERS"]

_CONTENT_TYPES = {"html": b"text/html; charset=utf-8", "js": b"text/javascript", "css": b"text/css"}
_STATIC_FILES = ("console.js", "console.css", "preact.js")
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: The report's page brings its own policy, by hashes, in its head.
_FRAME_POLICY = b"sandbox allow-scripts; frame-ancestors 'self'"
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_EXPIRED = (
    "This link works once, and it was used or replaced. Restart the server to get another one, "
    "or go back to the browser in which you opened it."
)


def _signed_in(function: Callable[[HttpRequest], Awaitable[None]]) -> Handler:
    """A handler that only the console's browser may use."""

    async def handle(request: HttpRequest) -> None:
        if not _access(request).is_signed_in(request.headers):
            raise NotAnApiRequest(
                401, "AccessDenied", "Open the console by the link that the server printed."
            )
        await function(request)

    return handle


def _changes(function: Callable[[HttpRequest, Any], Awaitable[None]]) -> Handler:
    """A handler that changes something, with the JSON value of the body."""

    async def handle(request: HttpRequest) -> None:
        if not _access(request).can_change:
            raise NotAnApiRequest(404, "NotFound", "This console shows the server, and changes nothing.")
        if not _access(request).may_change(request.headers):
            raise NotAnApiRequest(
                403,
                "AccessDenied",
                f"This request needs the console's cookie and {CHANGE_HEADER.decode()}: 1.",
            )
        body = await read_body(request.scope, request.receive, request.headers, request.services.max_body)
        try:
            await function(request, json.loads(body))
        except MockServerError as error:
            raise ApiError(400, "InvalidParameter", str(error)) from None

    return handle


def _access(request: HttpRequest) -> ConsoleAccess:
    access = request.services.console
    if access is None:  # a request to another server's application
        raise NotAnApiRequest(404, "NotFound", "This server has no console.")
    return access


async def _page(request: HttpRequest) -> None:
    """`GET /_mock/console`: the page, or the exchange of the link's token for the cookie."""
    access = _access(request)
    query = parse_qs(request.scope["query_string"].decode("latin-1"))
    if "token" in query and request.scope["method"] == "GET":  # a preview of the link must not use it up
        cookie = access.redeem(query["token"][-1])
        if cookie is not None:
            head = [
                (b"location", CONSOLE_PATH.encode()),
                (b"set-cookie", cookie.encode()),
                *_SECURITY_HEADERS,
            ]
            await send_body(request.send, 303, head, b"")
            return
    if not access.is_signed_in(request.headers):
        await _send_text(request, 403, b"text/plain; charset=utf-8", _EXPIRED.encode())
        return
    await _send_text(request, 200, _CONTENT_TYPES["html"], _read_static("console.html"))


async def _static(request: HttpRequest) -> None:
    name = request.scope["path_params"]["file"]
    if name not in _STATIC_FILES:
        raise NotAnApiRequest(404, "NotFound", f"The console has no file {name!r}.")
    await _send_text(request, 200, _CONTENT_TYPES[name.rpartition(".")[2]], _read_static(name))


@cache
def _read_static(name: str) -> bytes:
    return (files("mockserver.server.console") / "static" / name).read_bytes()


async def _send_text(
    request: HttpRequest, status: int, content_type: bytes, body: bytes, policy: bytes = _POLICY
) -> None:
    head = [(b"content-type", content_type), (b"content-security-policy", policy), *_SECURITY_HEADERS]
    await send_body(request.send, status, head, body)


async def _exchange_page(request: HttpRequest) -> None:
    try:
        session, number, entry = _find_entry(request)
    except NotAnApiRequest as error:  # a row that the page still lists
        missing = render_missing_page(error.message).encode()
        await _send_text(request, error.status, _CONTENT_TYPES["html"], missing, _FRAME_POLICY)
        return
    page = await run_in_worker(render_entry_page, session, number, entry)
    await _send_text(request, 200, _CONTENT_TYPES["html"], page, _FRAME_POLICY)


async def _rule_page(request: HttpRequest) -> None:
    """A rule of the contract. It needs no cookie: a link in a sandboxed frame does not send it."""
    name, known = request.scope["path_params"]["rule"], load_all_rules()
    if name not in known:
        raise NotAnApiRequest(404, "NotFound", f"There is no rule {name!r}{did_you_mean(name, known) or '.'}")
    page = await run_in_worker(render_rule_page, known[name])
    await _send_text(request, 200, _CONTENT_TYPES["html"], page.encode(), _FRAME_POLICY)


async def _snippet(request: HttpRequest) -> None:
    session, number, entry = _find_entry(request)
    form = request.scope["path_params"]["form"]
    host = request.headers.get(b"host", b"").decode("latin-1")
    if form not in SNIPPETS:
        raise NotAnApiRequest(
            404, "NotFound", f"There is no snippet {form!r}; choose from {', '.join(SNIPPETS)}."
        )
    text = await run_in_worker(
        _render_snippet, form, session, number, entry, f"{request.scope['scheme']}://{host}"
    )
    if text is None:
        raise ApiError(400, "InvalidParameter", "The body of this request is not a JSON object.")
    await _send_text(request, 200, b"text/plain; charset=utf-8", text)


def _render_snippet(form: str, session: Session, number: int, entry: Entry, server_url: str) -> bytes | None:
    copied = read_request(session, number, entry, server_url)
    return None if copied is None else SNIPPETS[form](copied).encode()


def _find_session(request: HttpRequest) -> Session:
    name = request.scope["path_params"]["session"]
    session = request.services.sessions.get(name)
    if session is None:
        raise NotAnApiRequest(404, "NotFound", f"The session {name!r} does not exist any more.")
    return session


def _find_entry(request: HttpRequest) -> tuple[Session, int, Entry]:
    session, text = _find_session(request), request.scope["path_params"]["number"]
    number = int(text) if text.isdecimal() and len(text) < 16 else 0
    index = number - session.journal.dropped_count - 1
    if not 0 <= index < len(session.journal):
        raise NotAnApiRequest(404, "NotFound", _missing(text, session))
    return session, number, session.journal[index]


def _missing(number: str, session: Session) -> str:
    kept = session.journal.MAX_ENTRIES
    return (
        f"The journal does not have request {number[:20]}: it keeps the last {kept:,} requests of a session."
    )


async def _state(request: HttpRequest) -> None:
    """What the panels show of a session, and the choices of their fields."""
    session = _find_session(request)
    limits = session.limiter.limits if session.limiter else None
    await send_json(
        request,
        {
            "version": __version__,
            "can_change": _access(request).can_change,
            "sessions": [each.name for each in request.services.sessions],
            "session": session.name,
            "profile": session.profile.name,
            "profiles": profile_names(),
            "path": session.profile.base_path,
            "models": load_profile(session.profile.name).models[:20],
            "pace": session.delivery.pace or "none",
            "chunking": session.delivery.chunking or "event",
            "limits": limits.texts if limits else [],
            "faults": [each.spec for each in session.faults],
            "fault_names": await run_in_worker(_fault_names),
            "now": session.clock.now(),
            "has_stepped_clock": hasattr(session.clock, "advance"),
        },
    )


def _fault_names() -> list[dict[str, str]]:
    return [{"name": each.name, "summary": each.summary} for each in catalogue()]


async def _change_settings(request: HttpRequest, value: Any) -> None:
    """Set pace, chunking and limits of a session; all or nothing."""
    session = _find_session(request)
    pace, chunking, texts = (_member(value, name, kind) for name, kind in _SETTINGS)
    require_parts(
        [
            ("/pace", parse_pace, pace),
            ("/chunking", parse_chunking, chunking),
            ("/limits", parse_limits, texts),
        ]
    )
    delivery, limits = Delivery(session.delivery.fault, pace, chunking), parse_limits(texts)
    session.delivery, session.limiter = delivery, RateLimiter(limits) if limits else None
    await _state(request)


_SETTINGS: tuple[tuple[str, type], ...] = (("pace", str), ("chunking", str), ("limits", list))


def _member(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise InvalidExchange("body", f"/{name}", f"must be a {'text' if kind is str else 'list of texts'}")
    if kind is list and not all(isinstance(each, str) for each in value[name]):
        raise InvalidExchange("body", f"/{name}", "must be a list of texts")
    return value[name]


async def _check_stub(request: HttpRequest, value: Any) -> None:
    """Say whether a stub, or a list of them, could be added, without adding it."""
    session = _find_session(request)
    try:
        description = await run_in_worker(_describe_stubs, session, value)
    except MockServerError as error:
        await send_json(request, {"problem": str(error)})
        return
    await send_json(request, {"problem": None, "says": description})


def _describe_stubs(session: Session, value: Any) -> str:
    registry = StubRegistry()
    return "\n".join(map(str, registry.add_all(define_stubs(session, read_stubs(value), registry))))


async def _send_request(request: HttpRequest, value: Any) -> None:
    """Send a request to the session, as a client with a valid key would."""
    session, services = _find_session(request), request.services
    body = json.dumps(value)
    key = (services.keys.secrets or ("sk-console",))[0].encode()
    names = {b"host", b"user-agent"}
    headers = [(name, each) for name, each in request.scope["headers"] if name in names]
    headers += [
        (b"authorization", b"Bearer " + key),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    path = f"{session.profile.base_path}/responses"
    scope = {**request.scope, "path": path, "headers": headers, "query_string": b""}
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await request.receive()

    name = "" if session is services.default_session else session.name
    await run_handler(create_response, services, scope, receive, request.send, name)


CONSOLE_HANDLERS: Mapping[str, Mapping[str, Handler]] = MappingProxyType(
    {
        CONSOLE_PATH: {"GET": _page},
        f"{CONSOLE_PATH}/static/{{file}}": {"GET": _static},
        f"{CONSOLE_PATH}/feed": {"GET": _signed_in(send_feed)},
        f"{CONSOLE_PATH}/exchanges/{{session}}/{{number}}": {"GET": _signed_in(_exchange_page)},
        f"{CONSOLE_PATH}/exchanges/{{session}}/{{number}}/{{form}}": {"GET": _signed_in(_snippet)},
        f"{RULES_PATH}/{{rule}}": {"GET": _rule_page},
        f"{CONSOLE_PATH}/sessions/{{session}}": {
            "GET": _signed_in(_state),
            "PUT": _changes(_change_settings),
        },
        f"{CONSOLE_PATH}/sessions/{{session}}/stub-check": {"POST": _changes(_check_stub)},
        f"{CONSOLE_PATH}/sessions/{{session}}/requests": {"POST": _changes(_send_request)},
    }
)
"""Handlers by path and method."""
