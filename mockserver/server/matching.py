"""Matching: which exchange answers a request.

Exchanges are looked up by prompt, so their number costs nothing; of several that match, the earlier
answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from mockserver.exchanges import Exchange, Match
from mockserver.profiles import Profile
from mockserver.server.conditions import Condition, Incoming, condition

__all__ = ["CONDITIONS", "Matcher"]

#: Members of a match that a condition has too.
CONDITIONS = tuple(
    each.name for each in fields(Match) if each.name in {known.name for known in fields(Condition)}
)
#: Those that are looked at beside the others: the rest is looked up, or decided at once.
_MORE = tuple(name for name in CONDITIONS if name not in ("prompt", "stream", "after"))


class Matcher:
    """The exchanges of a session, by prompt."""

    def __init__(self, exchanges: Iterable[Exchange], profile: Profile) -> None:
        self._profile = profile
        self._by_prompt: dict[str | None, list[tuple[int, Exchange]]] = {}
        self._more: dict[str, Condition] = {}
        self._given: dict[str, int] = {}
        for place, exchange in enumerate(exchanges):
            creates = exchange.recorded is None or exchange.recorded.creates
            if exchange.profile in (None, profile.name) and creates:
                match = exchange.match
                prompt = None if match.ignore_case else match.prompt
                self._by_prompt.setdefault(prompt, []).append((place, exchange))
                if more := _further(match):
                    self._more[exchange.name] = more

    def find(self, request: Incoming) -> Exchange | None:
        """The exchange for a request, which counts for those that answer so many times."""
        candidates = self._by_prompt.get(request.ask.prompt, ())
        if None in self._by_prompt:
            candidates = sorted((*candidates, *self._by_prompt[None]), key=lambda each: each[0])
        for _, exchange in candidates:
            if self._fits(exchange, request) and self._has_left(exchange):
                return exchange
        return None

    def reset(self) -> None:
        """Begin to count anew."""
        self._given.clear()

    def _has_left(self, exchange: Exchange) -> bool:
        if exchange.times is None:
            return True
        given = self._given.get(exchange.name, 0)
        self._given[exchange.name] = given + 1
        return given < exchange.times

    def _fits(self, exchange: Exchange, request: Incoming) -> bool:
        match, ask = exchange.match, request.ask
        thinking = self._profile.thinking if match.thinking is None else match.thinking
        more = self._more.get(exchange.name)
        return (
            match.tools in (None, ask.declared)
            and thinking == ask.thinking
            and match.stream in (None, ask.stream)
            and match.after in (None, request.after)
            and ask.answered == (match.tool_output is not None)
            and (more is None or more.fits(request))
        )


def _further(match: Match) -> Condition | None:
    """What a match says beyond what is looked at anyhow."""
    said: Mapping[str, object] = {name: getattr(match, name) for name in _MORE}
    given = {name: value for name, value in said.items() if value not in (None, False)}
    if match.ignore_case and match.prompt is not None:
        given["prompt"] = match.prompt
    return condition(**given) if given else None
