"""What each operation of the admin API does, in the session that the request names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from mockserver.clock import SteppedClock
from mockserver.contract.operations import Operation
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.exchanges import parse_exchange
from mockserver.server.admin.judging import judged
from mockserver.server.admin.operations import EXCHANGE, OPERATIONS
from mockserver.server.admin.planning import plan_exchange
from mockserver.server.bodies import read_body
from mockserver.server.directory import PREFIX, Terms, require_name
from mockserver.server.endpoint import (
    ADMIN_TOKEN_HEADER,
    Handler,
    HttpRequest,
    derive_request_id,
    require_json_content_type,
)
from mockserver.server.envelopes import ApiError, NotAnApiRequest
from mockserver.server.faults import parse_fault
from mockserver.server.journal import Entry
from mockserver.server.sessions import FIRST, Session
from mockserver.server.transmit import send_body
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["ADMIN"]

#: Entries of a page of the journal, unless the query says otherwise, and at the most.
_PAGE, _LARGEST_PAGE = 100, 1_000

Work = Callable[[HttpRequest, Any], Awaitable[Any]]


async def _list_stubs(request: HttpRequest, _: Any) -> Any:
    stubs = request.session.stubs.all
    return {
        "stubs": [
            {
                "name": each.name,
                "times": each.plan.times,
                "given": each.given,
                "scenario": each.plan.scenario or None,
                "says": redact(str(each)),
            }
            for each in stubs
        ]
    }


async def _plan_reply(request: HttpRequest, _: Any) -> Any:
    return {"name": plan_exchange(request.session, parse_exchange(request.body, "body")).name}


async def _delete_stubs(request: HttpRequest, _: Any) -> Any:
    count = len(request.session.stubs)
    request.session.stubs.clear()
    return {"deleted": count}


async def _list_faults(request: HttpRequest, _: Any) -> Any:
    return {"faults": [each.said for each in request.session.faults]}


async def _set_faults(request: HttpRequest, given: Any) -> Any:
    request.session.faults = tuple(map(parse_fault, given))
    return await _list_faults(request, None)


async def _read_journal(request: HttpRequest, _: Any) -> Any:
    asked = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    after = _number(asked, "after", 0, (0, 1 << 53))
    limit = _number(asked, "limit", _PAGE, (1, _LARGEST_PAGE))
    journal = request.session.journal
    numbered = list(enumerate(journal, start=journal.dropped + 1))
    behind = [(number, entry) for number, entry in numbered if number > after]
    shown = behind[:limit]
    return {
        "entries": [_told(number, entry) for number, entry in shown],
        "first": shown[0][0] if shown else None,
        "last": shown[-1][0] if shown else None,
        "has_more": len(behind) > len(shown),
    }


def _number(asked: Mapping[str, list[str]], name: str, otherwise: int, bounds: tuple[int, int]) -> int:
    if name not in asked:
        return otherwise
    text, (least, most) = asked[name][-1], bounds
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise ConfigurationError(f"{name}: a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)


async def _read_clock(request: HttpRequest, _: Any) -> Any:
    return {"now": request.session.clock.now()}


async def _advance_clock(request: HttpRequest, given: Any) -> Any:
    clock = request.session.clock
    if not isinstance(clock, SteppedClock):
        raise ConfigurationError("without a seed the server has the system's clock, which nobody moves")
    clock.advance(given["advance"])
    return {"now": clock.now()}


async def _reset_session(request: HttpRequest, _: Any) -> Any:
    await request.services.sessions.reset(request.session)
    return {"reset": True}


async def _list_sessions(request: HttpRequest, _: Any) -> Any:
    return {"sessions": [_described(each) for each in request.services.sessions]}


async def _delete_sessions(request: HttpRequest, _: Any) -> Any:
    return {"deleted": await request.services.sessions.close_all()}


async def _read_session(request: HttpRequest, _: Any) -> Any:
    name = _name(request)
    session = request.services.sessions.get(name)
    if session is None:
        raise ApiError(404, "NotFound", f"There is no session {name!r} (any more).")
    return _described(session)


async def _open_session(request: HttpRequest, given: Any) -> Any:
    lists = {name: tuple(given[name]) for name in ("fault", "limit") if name in given}
    return _described(await request.services.sessions.open(_name(request), Terms(**{**given, **lists})))


async def _delete_session(request: HttpRequest, _: Any) -> Any:
    name = _name(request)
    if name == FIRST:
        raise ConfigurationError(f"the session {FIRST!r} can be reset, and not be deleted")
    return {"deleted": int(await request.services.sessions.close(name))}


def _name(request: HttpRequest) -> str:
    return require_name(request.scope["path_params"]["session"])


def _described(session: Session) -> dict[str, Any]:
    prefix = "" if session.name == FIRST else f"{PREFIX}{session.name}"
    return {
        "name": session.name,
        "profile": session.profile.name,
        "rendering": session.rendering,
        "strict": session.strict,
        "requests": len(session.journal),
        "planned": len(session.stubs),
        "now": session.clock.now(),
        "path": prefix + session.profile.base_path,
    }


def _told(number: int, entry: Entry) -> dict[str, Any]:
    """An entry without keys."""
    secrets = entry.secrets
    return {
        "number": number,
        "session": entry.session,
        "at": entry.at,
        "first_byte": entry.first_byte,
        "end": entry.end,
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": redact(entry.body.decode(errors="replace"), secrets),
        "status": entry.status,
        "stream": entry.stream,
        "reply": redact(b"".join(entry.reply).decode(errors="replace"), secrets),
        "left_out": entry.left_out,
        "request_id": entry.request_id,
        "model": redact(entry.model, secrets),
        "prompt": redact(entry.prompt, secrets),
        "exchange": entry.exchange,
        "ignored": [redact(name, secrets) for name in entry.ignored],
        "findings": [redact(str(each), secrets) for each in entry.findings] if entry.body else [],
        "refusal": entry.refusal,
        "detail": entry.detail,
        "left": entry.left,
    }


def _admitted(operation: Operation, work: Work) -> Handler:
    """The handler that asks for the token, and tells what can not be used in the API's envelope."""

    async def answer(request: HttpRequest) -> None:
        if not request.services.is_admin_token(request.headers.get(ADMIN_TOKEN_HEADER, b"")):
            raise NotAnApiRequest(401, "InvalidApiKey", "The admin API needs its token: x-mock-admin-token.")
        try:
            body = json.dumps(await work(request, await _sent(request, operation)))
        except MockServerError as error:
            request.body = b""  # a key may be in it, and is not to be noted
            raise ApiError(400, "InvalidParameter", str(error)) from None
        head = [
            (b"content-type", b"application/json"),
            (b"x-request-id", derive_request_id(request, "200").encode()),
            (b"date", request.services.date_header(request.session)),
        ]
        await send_body(request.send, 200, head, body)

    return answer


async def _sent(request: HttpRequest, operation: Operation) -> Any:
    """The value that a request sends, which its schema is for."""
    if operation.request_schema is None:
        return None
    require_json_content_type(request.headers.get(b"content-type"))
    request.body = await read_body(request.receive, request.headers.get(b"content-length"))
    if operation.request_schema == "nothing" and not request.body:
        return {}
    return None if operation.request_schema == EXCHANGE else judged(request.body, operation.request_schema)


_WORK: Mapping[str, Work] = {
    "listStubs": _list_stubs,
    "planReply": _plan_reply,
    "deleteStubs": _delete_stubs,
    "listFaults": _list_faults,
    "setFaults": _set_faults,
    "readJournal": _read_journal,
    "readClock": _read_clock,
    "advanceClock": _advance_clock,
    "resetSession": _reset_session,
    "listSessions": _list_sessions,
    "deleteSessions": _delete_sessions,
    "readSession": _read_session,
    "openSession": _open_session,
    "deleteSession": _delete_session,
}


def _by_path() -> Mapping[str, Mapping[str, Handler]]:
    found: dict[str, dict[str, Handler]] = {}
    for each in OPERATIONS:
        found.setdefault(each.path, {})[each.method] = _admitted(each, _WORK[each.name])
    return found


ADMIN: Mapping[str, Mapping[str, Handler]] = MappingProxyType(dict(_by_path()))
"""Handlers by path and method."""
