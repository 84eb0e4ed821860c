"""Time, injected: the system's clock, or one that moves only when told."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SteppedClock", "SystemClock"]


class Clock(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float:
        """The present moment, in seconds since the epoch."""

    def stamp(self, step: int) -> int:
        """Whole seconds to write into a reply that is `step` steps into its conversation."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def stamp(self, step: int) -> int:
        return int(time.time())


class SteppedClock:
    """A clock that stands still until `advance` moves it.

    A reply's time is the clock's plus one second for each step of its conversation: it depends on
    what was asked, never on when, so a seeded run repeats to the byte whatever the order of arrival.
    """

    #: `created_at` of the first sample of the vendor's document (January 2026).
    START = 1769084048

    def __init__(self, start: float = START) -> None:
        self._start = self._now = float(start)

    def now(self) -> float:
        return self._now

    def stamp(self, step: int) -> int:
        return int(self._now) + step

    def advance(self, seconds: float) -> None:
        """Move the clock forward; ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"a clock can not go back: {seconds}")
        self._now += seconds

    def reset(self) -> None:
        """Go back to the start."""
        self._now = self._start
