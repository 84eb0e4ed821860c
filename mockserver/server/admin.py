"""The admin API: what a test in another language does with a server, over HTTP and behind a token.

    POST /_mock/stubs    plan a reply: an exchange as in a file, once unless it says `times`
    GET  /_mock/stubs    what is planned, and how often each was given
    PUT  /_mock/faults   the faults in force: ["stall,after=2:0.1", …]
    GET  /_mock/journal  what was asked and answered, without keys
    POST /_mock/clock    {"advance": SECONDS}, where a seed gave the server a clock of its own
    POST /_mock/reset    forget everything that happened

Nothing of it is there without a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from types import MappingProxyType
from typing import Any

from mockserver.clock import SteppedClock
from mockserver.errors import ConfigurationError, InvalidExchange, InvalidJSON
from mockserver.exchanges import Exchange, parse_exchange
from mockserver.replies.script import require_servable, script_from
from mockserver.server.bodies import read_body
from mockserver.server.conditions import condition
from mockserver.server.delivery import PLAIN
from mockserver.server.endpoint import Handler, Request, drawn_id, require_json
from mockserver.server.envelopes import ApiError, Misdirected
from mockserver.server.faults import parse_fault
from mockserver.server.journal import Entry
from mockserver.server.matching import CONDITIONS
from mockserver.server.sessions import Session, delivery_from
from mockserver.server.stubs import Stub
from mockserver.server.transmit import send_body
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["ADMIN", "TOKEN_HEADER", "plan_exchange"]

TOKEN_HEADER = b"x-mock-admin-token"

Handle = Callable[[Request], Awaitable[Any]]


def plan_exchange(session: Session, exchange: Exchange) -> Stub:
    """Plan what an exchange says, behind the others; ConfigurationError where it can not be planned."""
    match = exchange.match
    if match.tools or match.thinking is not None:
        raise ConfigurationError(
            "/match: a plan has `tool` for what is declared, and no `tools` or `thinking`"
        )
    said = {name: getattr(match, name) for name in CONDITIONS}
    given = {name: value for name, value in said.items() if value not in (None, False) or name == "stream"}
    reply: Any = exchange.reply
    if "script" in reply:
        reply = script_from(reply["script"])
        require_servable(reply, session.profile)
    delivery = delivery_from(exchange.delivery) if exchange.delivery else PLAIN
    stub = session.stubs.add(reply, name=exchange.name, condition=condition(**given), delivery=delivery)
    return stub.times(exchange.times or 1)


async def _plan(request: Request) -> Any:
    exchange = parse_exchange(request.body, "body")
    if exchange.profile not in (None, request.session.profile.name):
        raise ConfigurationError(f"/profile: this server plays {request.session.profile.name}")
    return {"name": plan_exchange(request.session, exchange).name}


async def _planned(request: Request) -> Any:
    stubs = request.session.stubs.all
    return {
        "stubs": [
            {"name": each.name, "times": each.plan.times, "given": each.given, "says": redact(str(each))}
            for each in stubs
        ]
    }


async def _faults(request: Request) -> Any:
    given = json.loads(request.body)
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ConfigurationError("the faults in force are a list of texts")
    request.session.faults = tuple(parse_fault(each) for each in given)
    return {"faults": given}


async def _journal(request: Request) -> Any:
    return {"entries": [_told(each) for each in request.session.journal]}


async def _clock(request: Request) -> Any:
    given, clock = json.loads(request.body), request.session.clock
    seconds = given.get("advance") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise ConfigurationError('the clock is moved by {"advance": SECONDS}')
    if not isinstance(clock, SteppedClock):
        raise ConfigurationError("without a seed the server has the system's clock, which nobody moves")
    clock.advance(seconds)
    return {"now": clock.now()}


async def _reset(request: Request) -> Any:
    request.session.reset()
    await request.services.store.clear(request.session.name)
    return {"reset": True}


def _told(entry: Entry) -> dict[str, Any]:
    """An entry without keys."""
    secrets = entry.secrets
    return {
        "at": entry.at,
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": redact(entry.body.decode(errors="replace"), secrets),
        "status": entry.status,
        "stream": entry.stream,
        "reply": redact(b"".join(entry.reply).decode(errors="replace"), secrets),
        "request_id": entry.request_id,
        "exchange": entry.exchange,
        "ignored": [redact(name, secrets) for name in entry.ignored],
        "findings": [redact(str(each), secrets) for each in entry.findings] if entry.body else [],
        "detail": entry.detail,
        "left": entry.left,
    }


def _admitted(handle: Handle) -> Handler:
    """The handler that asks for the token, and tells what can not be used in the API's envelope."""

    async def answer(request: Request) -> None:
        token = request.headers.get(TOKEN_HEADER, b"")
        if not compare_digest(token, request.services.admin_token.encode()):
            raise Misdirected(401, "InvalidApiKey", "The admin API needs its token: x-mock-admin-token.")
        if request.scope["method"] not in ("GET", "HEAD"):
            require_json(request.headers.get(b"content-type"))
            request.body = await read_body(request.receive, request.headers.get(b"content-length"))
        try:
            body = json.dumps(await handle(request))
        except (ConfigurationError, InvalidExchange, InvalidJSON) as error:
            raise ApiError(400, "InvalidParameter", str(error)) from None
        head = [
            (b"content-type", b"application/json"),
            (b"x-request-id", drawn_id(request, "200").encode()),
            (b"date", request.services.date()),
        ]
        await send_body(request.send, 200, head, body)

    return answer


ADMIN: Mapping[str, Mapping[str, Handler]] = MappingProxyType(
    {
        "/_mock/stubs": {"GET": _admitted(_planned), "POST": _admitted(_plan)},
        "/_mock/faults": {"PUT": _admitted(_faults)},
        "/_mock/journal": {"GET": _admitted(_journal)},
        "/_mock/clock": {"POST": _admitted(_clock)},
        "/_mock/reset": {"POST": _admitted(_reset)},
    }
)
"""Handlers by path and method."""
