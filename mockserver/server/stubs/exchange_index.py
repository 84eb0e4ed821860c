"""Select the exchange that answers a request. If several match, the first answers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from copy import copy
from itertools import islice, takewhile
from typing import Any

from mockserver.exchanges import Exchange, Match
from mockserver.ids import digest_pieces
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.server.request_facts import RequestFacts
from mockserver.server.stubs.matcher_index import MatcherIndex
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher
from mockserver.wire import json

__all__ = ["ExchangeChoice", "ExchangeIndex", "exchange_matcher"]

#: Members of `Match` that a `Matcher` has too.
_MATCHER_FIELDS = tuple(name for name in Match._fields if name in Matcher._fields)

#: Exchanges that are compared with a request that none of them answers.
_MAX_COMPARED = 200


class ExchangeChoice(NamedTuple):
    """The exchanges that may answer a request; how often they answered, which several servers count, decides."""

    limited: tuple[Exchange, ...]
    """The first of them with replies left answers."""
    counts: tuple[tuple[bytes, int], ...]
    """For each of them the name under which its replies are counted, and how many it has."""
    otherwise: Exchange | None
    """Answers if they have none left."""


class _IndexedExchange(NamedTuple):
    """An exchange and its conditions that a matcher does not have: those that are not given, but follow."""

    position: int
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
        self.counts_for_itself = True
        """Whether replies are counted here, and not in the store of several servers."""
        self._count_names: dict[str, bytes] = {}

    def _add(self, position: int, exchange: Exchange) -> None:
        self._by_name[exchange.name] = exchange
        if exchange.scenario is not None:
            self._scenarios.setdefault(exchange.scenario, []).append(exchange)
        else:
            self._index.add(position, exchange_matcher(exchange.match), _index_exchange(position, exchange))

    @property
    def selectable_names(self) -> set[str]:
        """Names that `x-mock-scenario` can select: of exchanges and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Exchange | ExchangeChoice | None:
        """Take the exchange of this name, or the next step of the scenario; None if it is exhausted."""
        steps = self._scenarios.get(name) or ([self._by_name[name]] if name in self._by_name else [])
        if self.counts_for_itself:
            return next((each for each in steps if self._take_scenario_step(each)), None)
        limited = tuple(takewhile(lambda step: _step_times(step) is not None, steps))
        otherwise = next(islice(steps, len(limited), None), None)
        return self._choice(limited, otherwise) if limited else otherwise

    def take(self, request: IncomingRequest) -> Exchange | ExchangeChoice | None:
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
            if not self.counts_for_itself:
                return self._choose(request)
            self._count_reply(indexed.exchange.name)
        return indexed.exchange

    def _choose(self, request: IncomingRequest) -> ExchangeChoice:
        """The limited exchanges that match a request, up to the first that always answers, and that one."""
        facts, limited = request.facts, list[_IndexedExchange]()

        def is_unlimited(indexed: _IndexedExchange) -> bool:
            default_thinking = self._profile.thinking[facts.model] != "off"
            if not indexed.accepts(facts, default_thinking=default_thinking):
                return False
            if indexed.exchange.times is not None:
                limited.append(indexed)
            return indexed.exchange.times is None

        last = self._index.first_match(request, is_unlimited)
        before = sorted(each for each in limited if last is None or each.position < last.position)
        return self._choice(tuple(each.exchange for each in before), None if last is None else last.exchange)

    def _choice(self, limited: tuple[Exchange, ...], otherwise: Exchange | None) -> ExchangeChoice:
        counts = tuple((self._count_name(each), _step_times(each) or 0) for each in limited)
        return ExchangeChoice(limited, counts, otherwise)

    def _count_name(self, exchange: Exchange) -> bytes:
        """The name of an exchange's count, of 16 bytes: another one as soon as an exchange that counts changes.

        So servers with the same files count together, and a reload starts anew on all of them, as it does on one.
        """
        if not self._count_names:
            counting = [each for each in self._by_name.values() if _step_times(each) is not None]
            documents = digest_pieces(json.canonical([each.name, each.document]) for each in counting)
            self._count_names |= {
                each.name: digest_pieces((documents, each.name.encode())) for each in counting
            }
        return self._count_names[exchange.name]

    def limited_counts(self) -> list[tuple[str, bytes, int]]:
        """Of each limited exchange that `near_misses` compares: its name, that of its count, and its `times`."""
        return [
            (each.name, self._count_name(each), each.times)
            for each in islice(self._compared(), _MAX_COMPARED)
            if each.times is not None
        ]

    def _compared(self) -> Iterator[Exchange]:
        return (each for each in self._by_name.values() if each.scenario is None)

    def near_misses(
        self, request: IncomingRequest, exhausted: Container[str] = ()
    ) -> list[tuple[Exchange, list[str]]]:
        """What each exchange lacks to answer a request: the first ones, without those of scenarios.

        `exhausted` has names of those that have no replies left, beside what is counted here.
        """
        default_thinking = self._profile.thinking[request.facts.model] != "off"
        return [
            (
                each,
                [
                    *(
                        ["it is used up"]
                        if each.name in exhausted or self._is_exhausted(each.name, each.times)
                        else []
                    ),
                    *_index_exchange(0, each).differences(request, default_thinking=default_thinking),
                ],
            )
            for each in islice(self._compared(), _MAX_COMPARED)
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
        times = _step_times(exchange)
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


def _step_times(exchange: Exchange) -> int | None:
    """How often an exchange that is named answers; None: always."""
    # A scenario moves on: by default each step answers once.
    once = exchange.scenario is not None and not exchange.always
    return 1 if exchange.times is None and once else exchange.times


def _index_exchange(position: int, exchange: Exchange) -> _IndexedExchange:
    match = exchange.match
    given = (match.tool, match.tool_output, match.json_subset, match.json_path)
    needs_tools = any(each is not None for each in given)
    return _IndexedExchange(
        position,
        exchange,
        has_function_output=None if match.unrestricted else match.tool_output is not None,
        is_default_thinking=match.thinking is None,
        forbids_tools=match.tools is None and not needs_tools,
    )
