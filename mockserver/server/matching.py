"""Matching: which exchange answers a request.

Exchanges are looked up by prompt, so their number costs nothing; of several that match, the earlier
answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from mockserver.exchanges import Exchange, Match
from mockserver.profiles import Profile
from mockserver.server.asks import Ask

__all__ = ["Matcher"]


class Matcher:
    """The exchanges of a session, by prompt."""

    def __init__(self, exchanges: Iterable[Exchange], profile: Profile) -> None:
        self._profile = profile
        self._by_prompt: dict[str | None, list[tuple[int, Exchange]]] = {}
        for place, exchange in enumerate(exchanges):
            if exchange.profile in (None, profile.name):
                self._by_prompt.setdefault(exchange.match.prompt, []).append((place, exchange))

    def find(self, ask: Ask, previous_exchange: str | None) -> Exchange | None:
        """The exchange for a request; `previous_exchange` answered the turn before."""
        candidates = self._by_prompt.get(ask.prompt, ())
        if None in self._by_prompt:
            candidates = sorted((*candidates, *self._by_prompt[None]), key=lambda each: each[0])
        for _, exchange in candidates:
            if self._fits(exchange.match, ask, previous_exchange):
                return exchange
        return None

    def _fits(self, match: Match, ask: Ask, previous_exchange: str | None) -> bool:
        thinking = self._profile.thinking if match.thinking is None else match.thinking
        return (
            match.tools == ask.declared
            and thinking == ask.thinking
            and match.stream in (None, ask.stream)
            and match.after in (None, previous_exchange)
            and not ask.answered
        )
