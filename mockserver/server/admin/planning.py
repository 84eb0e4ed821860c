"""An exchange becomes a plan: what a file says, said of requests to come."""

from __future__ import annotations

from mockserver.errors import InvalidExchange
from mockserver.exchanges import Exchange
from mockserver.server.matching import MATCHER_FIELDS
from mockserver.server.saying import prepare_delivery, prepare_reply
from mockserver.server.sessions import Session
from mockserver.server.stubs.matchers import ANY_REQUEST, Matcher, build_matcher
from mockserver.server.stubs.stubs import Stub

__all__ = ["add_exchange_stub"]


def add_exchange_stub(session: Session, exchange: Exchange) -> Stub:
    """Plan what an exchange says, behind the others, once unless it says `times`.

    InvalidExchange, ConfigurationError where it can not be planned.
    """
    if exchange.profile not in (None, session.profile.name):
        raise InvalidExchange(exchange.location, "/profile", f"this session plays {session.profile.name}")
    reply = prepare_reply(exchange, session.profile, session.rendering)
    stub = session.stubs.add(
        reply,
        name=exchange.name,
        condition=ANY_REQUEST if exchange.scenario else _exchange_matcher(exchange),
        delivery=prepare_delivery(exchange),
        scenario=exchange.scenario or "",
    )
    return stub.always() if exchange.always else stub.times(exchange.times or 1)


def _exchange_matcher(exchange: Exchange) -> Matcher:
    match = exchange.match
    if match.tools or match.thinking is not None:
        pointer = "/match/tools" if match.tools else "/match/thinking"
        raise InvalidExchange(exchange.location, pointer, "a plan has `tool` for what is declared, and not this")
    said = {name: getattr(match, name) for name in MATCHER_FIELDS}
    given = {name: value for name, value in said.items() if value not in (None, False) or name == "stream"}
    return build_matcher(**given)
