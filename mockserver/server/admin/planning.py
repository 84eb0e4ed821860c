"""An exchange becomes a plan: what a file says, said of requests to come."""

from __future__ import annotations

from mockserver.errors import InvalidExchange
from mockserver.exchanges import Exchange
from mockserver.server.conditions import ANY_REQUEST, Matcher, build_matcher
from mockserver.server.matching import CONDITIONS
from mockserver.server.saying import ready_delivery, ready_reply
from mockserver.server.sessions import Session
from mockserver.server.stubs import Stub

__all__ = ["plan_exchange"]


def plan_exchange(session: Session, exchange: Exchange) -> Stub:
    """Plan what an exchange says, behind the others, once unless it says `times`.

    InvalidExchange, ConfigurationError where it can not be planned.
    """
    if exchange.profile not in (None, session.profile.name):
        raise InvalidExchange(exchange.where, "/profile", f"this session plays {session.profile.name}")
    reply = ready_reply(exchange, session.profile, session.rendering)
    stub = session.stubs.add(
        reply,
        name=exchange.name,
        condition=ANY_REQUEST if exchange.scenario else _condition(exchange),
        delivery=ready_delivery(exchange),
        scenario=exchange.scenario or "",
    )
    return stub.always() if exchange.always else stub.times(exchange.times or 1)


def _condition(exchange: Exchange) -> Matcher:
    match = exchange.match
    if match.tools or match.thinking is not None:
        pointer = "/match/tools" if match.tools else "/match/thinking"
        raise InvalidExchange(exchange.where, pointer, "a plan has `tool` for what is declared, and not this")
    said = {name: getattr(match, name) for name in CONDITIONS}
    given = {name: value for name, value in said.items() if value not in (None, False) or name == "stream"}
    return build_matcher(**given)
