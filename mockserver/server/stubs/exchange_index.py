"""Matching: which exchange answers a request.

Exchanges are looked up by prompt, so their number costs nothing; of several that match, the earlier
answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import fields
from operator import itemgetter
from typing import NamedTuple

from mockserver.exchanges import Exchange, Match
from mockserver.profiles import Profile
from mockserver.server.stubs.matchers import IncomingRequest, Matcher, build_matcher

__all__ = ["MATCHER_FIELDS", "ExchangeIndex"]

#: Members of a match that a condition has too.
MATCHER_FIELDS = tuple(
    each.name for each in fields(Match) if each.name in {known.name for known in fields(Matcher)}
)
#: Those that are looked at beside the others: the rest is looked up, or decided at once.
_EXTRA_FIELDS = tuple(name for name in MATCHER_FIELDS if name not in ("prompt", "stream", "after"))

_NO_EXCHANGES: Sequence[_IndexedExchange] = ()


class _IndexedExchange(NamedTuple):
    """An exchange, and what a request must be like for it beside its prompt; None: anything."""

    position: int
    """Among all exchanges: the earlier answers."""
    exchange: Exchange
    thinking: bool
    has_function_output: bool
    """Whether a function's output is the last word."""
    tools: frozenset[str] | None
    stream: bool | None
    after: str | None
    extra_matcher: Matcher | None
    """What is seldom asked."""


class ExchangeIndex:
    """The exchanges of a session, by prompt."""

    def __init__(self, exchanges: Iterable[Exchange], profile: Profile) -> None:
        self.exchanges = tuple(exchanges)
        """All it was given, those of other ages too."""
        self._by_prompt: dict[str, list[_IndexedExchange]] = {}
        self._without_prompt: list[_IndexedExchange] = []
        self._reply_counts: dict[str, int] = {}
        self._by_name: dict[str, Exchange] = {}
        self._scenarios: dict[str, list[Exchange]] = {}
        for place, exchange in enumerate(self.exchanges):
            creates = exchange.recorded is None or exchange.recorded.is_create_request
            if exchange.profile in (None, profile.name) and creates:
                self._add(_index_exchange(place, exchange, profile))

    def _add(self, indexed: _IndexedExchange) -> None:
        exchange = indexed.exchange
        self._by_name[exchange.name] = exchange
        prompt = exchange.match.prompt
        if exchange.scenario is not None:
            self._scenarios.setdefault(exchange.scenario, []).append(exchange)
        elif prompt is None or exchange.match.ignore_case:
            self._without_prompt.append(indexed)
        else:
            self._by_prompt.setdefault(prompt, []).append(indexed)

    @property
    def selectable_names(self) -> set[str]:
        """Names that a request may ask for: of exchanges, and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Exchange | None:
        """The exchange of that name, or the scenario's next step, which counts it; None: none is left."""
        steps = self._scenarios.get(name) or ([self._by_name[name]] if name in self._by_name else [])
        return next((each for each in steps if self._take_scenario_step(each)), None)

    def take(self, request: IncomingRequest) -> Exchange | None:
        """The exchange for a request, which counts for those that answer so many times."""
        ask = request.facts
        candidates = self._by_prompt.get(ask.prompt, _NO_EXCHANGES)
        if self._without_prompt:
            candidates = sorted((*candidates, *self._without_prompt), key=itemgetter(0))
        for _, exchange, thinking, answered, tools, stream, after, more in candidates:
            if (
                thinking is ask.thinking
                and answered is ask.has_function_output
                and (tools is None or tools == ask.declared_tool_types)
                and (stream is None or stream is ask.stream)
                and (after is None or after == request.after)
                and (more is None or more.matches(request))
                and (exchange.times is None or self._count_reply(exchange.name, exchange.times))
            ):
                return exchange
        return None

    def for_new_session(self) -> ExchangeIndex:
        """The same exchanges for another session, with counts of their own."""
        other = copy(self)
        other._reply_counts = {}  # noqa: SLF001 (it is one of these)
        return other

    def reset(self) -> None:
        """Begin to count anew."""
        self._reply_counts.clear()

    def _take_scenario_step(self, exchange: Exchange) -> bool:
        # A scenario goes on: its steps come once unless told otherwise.
        once = exchange.scenario is not None and not exchange.always
        times = 1 if exchange.times is None and once else exchange.times
        return times is None or self._count_reply(exchange.name, times)

    def _count_reply(self, name: str, times: int) -> bool:
        given = self._reply_counts.get(name, 0)
        self._reply_counts[name] = given + 1
        return given < times


def _index_exchange(position: int, exchange: Exchange, profile: Profile) -> _IndexedExchange:
    match = exchange.match
    return _IndexedExchange(
        position,
        exchange,
        profile.thinking if match.thinking is None else match.thinking,
        match.tool_output is not None,
        match.tools,
        match.stream,
        match.after,
        _build_extra_matcher(match),
    )


def _build_extra_matcher(match: Match) -> Matcher | None:
    """What a match says beyond what is looked at anyhow."""
    said: Mapping[str, object] = {name: getattr(match, name) for name in _EXTRA_FIELDS}
    given = {name: value for name, value in said.items() if value not in (None, False)}
    if match.ignore_case and match.prompt is not None:
        given["prompt"] = match.prompt
    return build_matcher(**given) if given else None
