"""Stubs from JSON: one exchange or a list of them becomes stubs of a session, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from mockserver.documents.problems import Problem
from mockserver.errors import ConfigurationError, InvalidExchange, InvalidJSON
from mockserver.exchanges import Exchange, parse_exchange_object
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.document_problems import find_serving_problems
from mockserver.server.stubs.exchange_index import exchange_matcher
from mockserver.server.stubs.exchange_replies import prepare_delivery, prepare_reply
from mockserver.server.stubs.matchers import ANY_REQUEST
from mockserver.server.stubs.stubs import Stub, StubDefinition, StubRegistry
from mockserver.wire import json

__all__ = [
    "StubDocuments",
    "add_stubs",
    "define_stubs",
    "parse_stub",
    "parse_stubs",
    "read_stubs",
]

#: What error messages call the document.
_PLACE = "body"

#: Stubs that are added at once, which takes up to 10 ms.
_STUBS_PER_TURN = 250


class StubDocument(NamedTuple):
    """One stub of a document."""

    value: Any
    """As it was written."""
    pointer: str
    parsed: Exchange | InvalidExchange
    """What it says, or what is wrong with it by its schema."""


class StubDocuments(NamedTuple):
    """A parsed document."""

    parts: Sequence[StubDocument]
    is_list: bool

    def with_default_name(self, name: str) -> StubDocuments:
        """The same stubs, with a name for those that have none."""
        parts = [
            part._replace(parsed=part.parsed._replace(name=part.parsed.name or name))
            if isinstance(part.parsed, Exchange)
            else part
            for part in self.parts
        ]
        return self._replace(parts=parts)


def parse_stubs(data: bytes) -> StubDocuments:
    """Parse an exchange or a list of them. Raises InvalidExchange only if the document is neither."""
    try:
        value = json.loads(data)
    except InvalidJSON as error:
        reason = f'not JSON: {error}; example: {{"reply": "Hello"}}'
        raise InvalidExchange(_PLACE, "", reason) from None
    return read_stubs(value)


def read_stubs(value: Any) -> StubDocuments:
    """As `parse_stubs`, for a JSON value."""
    if value == []:
        raise InvalidExchange(_PLACE, "", 'expected a list with stubs; example: [{"reply": "Hello"}]')
    if not isinstance(value, list):
        return StubDocuments([_read_stub(value, "")], is_list=False)
    return StubDocuments([_read_stub(each, f"/{number}") for number, each in enumerate(value)], is_list=True)


def _read_stub(value: Any, pointer: str) -> StubDocument:
    try:
        return StubDocument(value, pointer, parse_exchange_object(value, _PLACE, pointer))
    except InvalidExchange as error:
        return StubDocument(value, pointer, error)


def parse_stub(data: bytes) -> StubDocuments:
    """Parse one exchange. Raises InvalidExchange if the document is none, or a list."""
    documents = parse_stubs(data)
    if documents.is_list:
        raise InvalidExchange(_PLACE, "", 'expected one stub, not a list; example: {"reply": "Hello"}')
    return documents


def define_stubs(
    session: Session, documents: StubDocuments, registry: StubRegistry | None = None
) -> list[StubDefinition]:
    """Define stubs, each for one request unless it says more. Raises InvalidExchange with every problem of all.

    `registry`, by default the session's, is to have them. It changes no state, so that it can run in any thread.
    """
    registry = session.stubs if registry is None else registry
    errors: list[InvalidExchange] = []
    definitions: list[StubDefinition] = []
    names: set[str] = set()
    for part in documents.parts:
        try:
            definitions.append(_define_stub(session, part))
        except InvalidExchange as error:
            errors += _every_problem(error, part, session)
        name = part.parsed.name if isinstance(part.parsed, Exchange) else ""
        if name in names or registry.get(name) is not None:
            reason = f"another stub has the name {name!r}"
            errors.append(InvalidExchange(_PLACE, f"{part.pointer}/name", reason))
        names.update([name] if name else [])
    if errors:
        raise InvalidExchange.combine(errors)
    return definitions


async def add_stubs(registry: StubRegistry, definitions: Sequence[StubDefinition]) -> list[Stub]:
    """Add stubs, all or none; between a few hundred of them the server answers others.

    Raises ConfigurationError if another client adds one of the same name meanwhile.
    """
    names = {each.name for each in definitions}
    added: list[Stub] = []
    try:
        for start in range(0, len(definitions), _STUBS_PER_TURN):
            if start:
                await asyncio.sleep(0)
            added += registry.add_all(definitions[start : start + _STUBS_PER_TURN], names)
    except ConfigurationError:
        for stub in added:
            if registry.get(stub.name) is stub:
                registry.remove(stub.name)
        raise
    return added


def _define_stub(session: Session, part: StubDocument) -> StubDefinition:
    """Raises InvalidExchange with the first problem."""
    exchange = part.parsed
    if isinstance(exchange, InvalidExchange):
        raise exchange
    if reason := _wrong_profile(exchange.profile, session):
        raise InvalidExchange(_PLACE, f"{part.pointer}/profile", reason)
    return StubDefinition(
        prepare_reply(exchange, session.profile, session.rendering),
        None if exchange.always else exchange.times or 1,
        ANY_REQUEST if exchange.scenario else exchange_matcher(exchange.match),
        prepare_delivery(exchange),
        exchange.name,
        exchange.scenario or "",
        part.value,
    )


def _every_problem(error: InvalidExchange, part: StubDocument, session: Session) -> list[InvalidExchange]:
    """The problems of a stub, of which `error` is the first."""
    found = find_serving_problems(part.value, session.profile, session.rendering)
    profile = part.value.get("profile") if isinstance(part.value, dict) else None
    if isinstance(profile, str) and (reason := _wrong_profile(profile, session)):
        found = [Problem("/profile", reason), *(each for each in found if each.pointer != "/profile")]
    errors = [InvalidExchange(_PLACE, part.pointer + pointer, reason) for pointer, reason in found]
    return [part.parsed, *errors] if isinstance(part.parsed, InvalidExchange) else errors or [error]


def _wrong_profile(profile: str | None, session: Session) -> str:
    """Why a stub for this profile cannot answer requests of the session; "": it can."""
    return "" if profile in (None, session.profile.name) else f"this session uses {session.profile.name}"
