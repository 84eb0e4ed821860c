"""Stubs from JSON: one exchange or a list of them becomes stubs of a session, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mockserver.documents.short_forms import DELIVERY_MEMBERS
from mockserver.errors import ConfigurationError, InvalidExchange, InvalidJSON
from mockserver.exchanges import Exchange, parse_exchange_object
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.exchange_index import exchange_matcher
from mockserver.server.stubs.exchange_replies import parse_delivery, prepare_delivery, prepare_reply
from mockserver.server.stubs.matchers import ANY_REQUEST
from mockserver.server.stubs.spellings import JSON
from mockserver.server.stubs.stubs import Stub, StubDefinition, StubRegistry
from mockserver.wire import json

__all__ = ["StubDocuments", "add_stubs", "parse_stub", "parse_stubs", "read_stubs"]

#: What error messages call the document.
_PLACE = "body"


class StubDocuments(NamedTuple):
    """A parsed document."""

    parts: Sequence[tuple[Mapping[str, Any], Exchange]]
    """Each stub as it was written, and what it says."""
    errors: Sequence[InvalidExchange]
    """The problems of those that are invalid."""
    is_list: bool

    def with_default_name(self, name: str) -> StubDocuments:
        """The same stubs, with a name for those that have none."""
        parts = [(each, replace(exchange, name=exchange.name or name)) for each, exchange in self.parts]
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
    is_list = isinstance(value, list)
    parts: list[tuple[Mapping[str, Any], Exchange]] = []
    errors: list[InvalidExchange] = []
    for number, each in enumerate(value if is_list else [value]):
        pointer = f"/{number}" if is_list else ""
        try:
            parts.append((each, parse_exchange_object(each, _PLACE, pointer)))
        except InvalidExchange as error:
            errors += [error, *_delivery_errors(each, pointer, error)]
    return StubDocuments(parts, errors, is_list)


def _delivery_errors(value: Any, pointer: str, known: InvalidExchange) -> Iterator[InvalidExchange]:
    """What is wrong with the delivery of a stub that the schema refuses, beside what the schema says."""
    known_pointers = {each.pointer for each in known.problems}
    for place in ("reply", "delivery"):
        options: Any = value.get(place) if isinstance(value, dict) else None
        for name in DELIVERY_MEMBERS if isinstance(options, dict) else ():
            where = f"{pointer}/{place}/{name}"
            if name not in options or where in known_pointers:
                continue
            try:
                parse_delivery({name: options[name]}, JSON)
            except ConfigurationError as error:
                yield InvalidExchange(_PLACE, where, str(error))


def parse_stub(data: bytes) -> StubDocuments:
    """Parse one exchange. Raises InvalidExchange."""
    documents = parse_stubs(data)
    if documents.is_list:
        raise InvalidExchange(_PLACE, "", 'expected one stub, not a list; example: {"reply": "Hello"}')
    return documents


def add_stubs(session: Session, documents: StubDocuments, registry: StubRegistry | None = None) -> list[Stub]:
    """Add stubs, each for one request unless it says more. Raises InvalidExchange with every problem of all.

    `registry` is by default the session's.
    """
    registry = session.stubs if registry is None else registry
    errors = [*documents.errors]
    definitions: list[StubDefinition] = []
    names: set[str] = set()
    for document, exchange in documents.parts:
        try:
            definitions.append(_define_stub(session, exchange, document))
        except InvalidExchange as error:
            errors.append(error)
        if exchange.name in names or registry.get(exchange.name) is not None:
            reason = f"another stub has the name {exchange.name!r}"
            errors.append(InvalidExchange(exchange.location, f"{exchange.pointer}/name", reason))
        names.update([exchange.name] if exchange.name else [])
    if errors:
        raise InvalidExchange.combine(errors)
    return registry.add_all(definitions)


def _define_stub(session: Session, exchange: Exchange, document: Mapping[str, Any]) -> StubDefinition:
    prepared: list[Any] = []
    errors: list[InvalidExchange] = []
    for prepare in (
        lambda: _require_profile(exchange, session),
        lambda: prepare_reply(exchange, session.profile, session.rendering),
        lambda: prepare_delivery(exchange),
    ):
        try:
            prepared.append(prepare())
        except InvalidExchange as error:
            errors.append(error)
    if errors:
        raise InvalidExchange.combine(errors)
    _, reply, delivery = prepared
    return StubDefinition(
        reply,
        None if exchange.always else exchange.times or 1,
        ANY_REQUEST if exchange.scenario else exchange_matcher(exchange.match),
        delivery,
        exchange.name,
        exchange.scenario or "",
        document,
    )


def _require_profile(exchange: Exchange, session: Session) -> None:
    if exchange.profile not in (None, session.profile.name):
        reason = f"this session uses {session.profile.name}"
        raise InvalidExchange(exchange.location, f"{exchange.pointer}/profile", reason)
