"""Select the exchange that answers a request. If several match, the first answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import fields
from itertools import islice
from typing import Any, NamedTuple

from mockserver.exchanges import Exchange, Match
from mockserver.profiles import Profile
from mockserver.server.request_facts import RequestFacts
from mockserver.server.stubs.matcher_index import MatcherIndex
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher

__all__ = ["ExchangeIndex", "exchange_matcher"]

#: Members of `Match` that a `Matcher` has too.
_MATCHER_FIELDS = tuple(
    each.name for each in fields(Match) if each.name in {known.name for known in fields(Matcher)}
)

#: Exchanges that are compared with a request that none of them answers.
_MAX_COMPARED = 200


class _IndexedExchange(NamedTuple):
    """An exchange and its conditions that a matcher does not have: those that are not given, but follow."""

    exchange: Exchange
    has_function_output: bool | None
    """Whether the input ends with a function's output; None: thinking, tools and outputs do not matter."""
    is_default_thinking: bool
    """Whether thinking must be as the requested model does by default."""
    forbids_tools: bool

    def accepts(self, facts: RequestFacts, *, default_thinking: bool) -> bool:
        return self.has_function_output is None or (
            self.has_function_output is facts.has_function_output
            and not (self.is_default_thinking and facts.thinking is not default_thinking)
            and not (self.forbids_tools and facts.declared_tool_types)
        )

    def differences(self, request: IncomingRequest, *, default_thinking: bool) -> Iterator[str]:
        """Describe each condition that does not hold."""
        facts = request.facts
        yield from exchange_matcher(self.exchange.match).differences(request)
        if self.is_default_thinking and self.has_function_output is not None:
            yield from _difference("thinking", default_thinking, facts.thinking)
        if self.forbids_tools and self.has_function_output is not None:
            yield from _difference("tools", [], [*facts.declared_tool_types])
        if self.has_function_output is False and facts.has_function_output:
            yield "tool_output: expected no function output after the last user message"


def _difference(name: str, expected: Any, actual: Any) -> Iterator[str]:
    if actual != expected:
        yield f"{name}: expected {expected!r}, as match does not name it, got {actual!r}"


class ExchangeIndex:
    """The exchanges of a session."""

    def __init__(self, exchanges: Iterable[Exchange], profile: Profile) -> None:
        self.exchanges = tuple(exchanges)
        """All exchanges, including those of other profiles."""
        self._profile = profile
        self._index: MatcherIndex[_IndexedExchange] = MatcherIndex()
        self._reply_counts: dict[str, int] = {}
        self._by_name: dict[str, Exchange] = {}
        self._scenarios: dict[str, list[Exchange]] = {}
        for position, exchange in enumerate(self.exchanges):
            is_create_request = exchange.recorded is None or exchange.recorded.is_create_request
            if exchange.profile in (None, profile.name) and is_create_request:
                self._add(position, exchange)
        self.is_stateless = not self._scenarios and all(
            each.times is None and not each.match.header and not (each.delivery or {}).get("template")
            for each in self._by_name.values()
        )
        """Whether equal bodies get the same reply: none is limited in number, asks for a header or is a template."""

    def _add(self, position: int, exchange: Exchange) -> None:
        self._by_name[exchange.name] = exchange
        if exchange.scenario is not None:
            self._scenarios.setdefault(exchange.scenario, []).append(exchange)
        else:
            self._index.add(position, exchange_matcher(exchange.match), _index_exchange(exchange))

    @property
    def selectable_names(self) -> set[str]:
        """Names that `x-mock-scenario` can select: of exchanges and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Exchange | None:
        """Take the exchange of this name, or the next step of the scenario; None if it is exhausted."""
        steps = self._scenarios.get(name) or ([self._by_name[name]] if name in self._by_name else [])
        return next((each for each in steps if self._take_scenario_step(each)), None)

    def take(self, request: IncomingRequest) -> Exchange | None:
        """Take the exchange that answers a request, and count the reply if `times` is limited."""
        facts = request.facts

        def is_accepted(indexed: _IndexedExchange) -> bool:
            default_thinking = self._profile.thinking[facts.model] != "off"
            return indexed.accepts(facts, default_thinking=default_thinking) and not self._is_exhausted(
                indexed.exchange.name, indexed.exchange.times
            )

        indexed = self._index.first_match(request, is_accepted)
        if indexed is None:
            return None
        if indexed.exchange.times is not None:
            self._count_reply(indexed.exchange.name)
        return indexed.exchange

    def near_misses(self, request: IncomingRequest) -> list[tuple[Exchange, list[str]]]:
        """What each exchange lacks to answer a request: the first ones, without those of scenarios."""
        default_thinking = self._profile.thinking[request.facts.model] != "off"
        candidates = (each for each in self._by_name.values() if each.scenario is None)
        return [
            (
                each,
                [
                    *(["it is used up"] if self._is_exhausted(each.name, each.times) else []),
                    *_index_exchange(each).differences(request, default_thinking=default_thinking),
                ],
            )
            for each in islice(candidates, _MAX_COMPARED)
        ]

    def for_new_session(self) -> ExchangeIndex:
        """Return the same index for another session, with its own counts."""
        other = copy(self)
        other._reply_counts = {}  # noqa: SLF001 (the same class)
        return other

    def reset(self) -> None:
        """Reset the counts."""
        self._reply_counts.clear()

    def _take_scenario_step(self, exchange: Exchange) -> bool:
        # A scenario moves on: by default each step answers once.
        once = exchange.scenario is not None and not exchange.always
        times = 1 if exchange.times is None and once else exchange.times
        if self._is_exhausted(exchange.name, times):
            return False
        if times is not None:
            self._count_reply(exchange.name)
        return True

    def _is_exhausted(self, name: str, times: int | None) -> bool:
        return times is not None and self._reply_counts.get(name, 0) >= times

    def _count_reply(self, name: str) -> None:
        self._reply_counts[name] = self._reply_counts.get(name, 0) + 1


def exchange_matcher(match: Match) -> Matcher:
    """The matcher with the conditions that an exchange gives."""
    members = {name: getattr(match, name) for name in _MATCHER_FIELDS}
    return build_matcher(**{**members, "ignore_case": members["ignore_case"] or None})


def _index_exchange(exchange: Exchange) -> _IndexedExchange:
    match = exchange.match
    given = (match.tool, match.tool_output, match.json_subset, match.json_path)
    needs_tools = any(each is not None for each in given)
    return _IndexedExchange(
        exchange,
        has_function_output=None if match.unrestricted else match.tool_output is not None,
        is_default_thinking=match.thinking is None,
        forbids_tools=match.tools is None and not needs_tools,
    )
