"""Select the exchange that answers a request.

The index looks exchanges up by prompt, so their number does not matter. If several match, the first answers.
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

#: Members of `Match` that a `Matcher` has too.
MATCHER_FIELDS = tuple(
    each.name for each in fields(Match) if each.name in {known.name for known in fields(Matcher)}
)
#: Those that `_IndexedExchange` does not cover itself.
_INDEXED_FIELDS = ("prompt", "stream", "after", "tools", "thinking")
_EXTRA_FIELDS = tuple(name for name in MATCHER_FIELDS if name not in _INDEXED_FIELDS)

_NO_EXCHANGES: Sequence[_IndexedExchange] = ()


class _IndexedExchange(NamedTuple):
    """An exchange and its conditions beside the prompt; None: no condition."""

    position: int
    """Among all exchanges: the first that matches answers."""
    exchange: Exchange
    thinking: bool | None
    """None: as the requested model does by default."""
    has_function_output: bool | None
    """Whether the input ends with a function's output; None: thinking and outputs do not matter."""
    tools: frozenset[str] | None
    stream: bool | None
    after: str | None
    extra_matcher: Matcher | None
    """The less common conditions."""


class ExchangeIndex:
    """The exchanges of a session, by prompt."""

    def __init__(self, exchanges: Iterable[Exchange], profile: Profile) -> None:
        self.exchanges = tuple(exchanges)
        """All exchanges, including those of other profiles."""
        self._profile = profile
        self._by_prompt: dict[str, list[_IndexedExchange]] = {}
        self._without_prompt: list[_IndexedExchange] = []
        self._reply_counts: dict[str, int] = {}
        self._by_name: dict[str, Exchange] = {}
        self._scenarios: dict[str, list[Exchange]] = {}
        for position, exchange in enumerate(self.exchanges):
            is_create_request = exchange.recorded is None or exchange.recorded.is_create_request
            if exchange.profile in (None, profile.name) and is_create_request:
                self._add(_index_exchange(position, exchange))
        self.is_stateless = not self._scenarios and all(each.times is None for each in self._by_name.values())
        """Whether no exchange answers a limited number of times, so that equal requests get the same one."""

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
        """Names that `x-mock-scenario` can select: of exchanges and of scenarios."""
        return {*self._by_name, *self._scenarios}

    def take_by_name(self, name: str) -> Exchange | None:
        """Take the exchange of this name, or the next step of the scenario; None if it is exhausted."""
        steps = self._scenarios.get(name) or ([self._by_name[name]] if name in self._by_name else [])
        return next((each for each in steps if self._take_scenario_step(each)), None)

    def take(self, request: IncomingRequest) -> Exchange | None:
        """Take the exchange that answers a request, and count the reply if `times` is limited."""
        facts = request.facts
        candidates = self._by_prompt.get(facts.prompt, _NO_EXCHANGES)
        if self._without_prompt:
            candidates = sorted((*candidates, *self._without_prompt), key=itemgetter(0))
        by_default = bool(candidates) and self._profile.thinking[facts.model] != "off"
        for _, exchange, thinking, has_function_output, tools, stream, after, extra_matcher in candidates:
            if (
                (
                    has_function_output is None
                    or (
                        (by_default if thinking is None else thinking) is facts.thinking
                        and has_function_output is facts.has_function_output
                    )
                )
                and (tools is None or tools == facts.declared_tool_types)
                and (stream is None or stream is facts.stream)
                and (after is None or after == request.after)
                and (extra_matcher is None or extra_matcher.matches(request))
                and (exchange.times is None or self._count_reply(exchange.name, exchange.times))
            ):
                return exchange
        return None

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
        return times is None or self._count_reply(exchange.name, times)

    def _count_reply(self, name: str, times: int) -> bool:
        count = self._reply_counts.get(name, 0)
        self._reply_counts[name] = count + 1
        return count < times


def _index_exchange(position: int, exchange: Exchange) -> _IndexedExchange:
    match = exchange.match
    return _IndexedExchange(
        position,
        exchange,
        match.thinking,
        None if match.unrestricted else match.tool_output is not None,
        _required_tool_types(match),
        match.stream,
        match.after,
        _build_extra_matcher(match),
    )


def _required_tool_types(match: Match) -> frozenset[str] | None:
    """The tools that a request must declare, by default none; None: any."""
    if match.tools is not None:
        return match.tools
    says_enough = match.unrestricted or any((match.tool, match.tool_output, match.json_subset))
    return None if says_enough else frozenset()


def _build_extra_matcher(match: Match) -> Matcher | None:
    members: Mapping[str, object] = {name: getattr(match, name) for name in _EXTRA_FIELDS}
    conditions = {name: value for name, value in members.items() if value not in (None, False)}
    if match.ignore_case and match.prompt is not None:
        conditions["prompt"] = match.prompt
    return build_matcher(**conditions) if conditions else None
