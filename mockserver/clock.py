"""Time, injected: the system's clock, or one that moves only when told."""

from __future__ import annotations

import asyncio
import time
from threading import Lock
from typing import Protocol

__all__ = ["Clock", "SteppedClock", "SystemClock"]


class Clock(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float:
        """The present moment, in seconds since the epoch."""

    def reply_timestamp(self, step: int) -> int:
        """Whole seconds to write into a reply that is `step` steps into its conversation."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def reply_timestamp(self, step: int) -> int:
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
        self._waiters: list[tuple[float, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._lock = Lock()  # a test moves it in another thread than the server's, which waits

    def now(self) -> float:
        return self._now

    def reply_timestamp(self, step: int) -> int:
        return int(self._now) + step

    def advance(self, seconds: float) -> None:
        """Move the clock forward; ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"a clock can not go back: {seconds}")
        with self._lock:
            self._now += seconds
            due = [each for each in self._waiters if each[0] <= self._now]
            self._waiters = [each for each in self._waiters if each[0] > self._now]
        for _, loop, future in due:
            loop.call_soon_threadsafe(_resolve, future)

    @property
    def waiter_count(self) -> int:
        """How many pauses wait for it to move."""
        return len(self._waiters)

    async def wait_until(self, moment: float) -> None:
        """Wait until it has been moved to a moment, in seconds since the epoch."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if moment <= self._now:
                return
            entry = (moment, loop, future)
            self._waiters.append(entry)
        try:
            await future
        finally:
            with self._lock:
                if entry in self._waiters:
                    self._waiters.remove(entry)

    def reset(self) -> None:
        """Go back to the start."""
        self._now = self._start


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
