"""Injectable clocks: the machine's, and one that moves only when a test advances it."""

from __future__ import annotations

import asyncio
import time
from threading import Lock
from typing import Protocol

from mockserver.errors import ConfigurationError

__all__ = ["MAX_TIME", "Clock", "SteppedClock", "SystemClock"]

#: How far a stepped clock can go, in the year 2283: `created_at` has ten digits, and each turn adds a second.
MAX_TIME = 9_900_000_000


class Clock(Protocol):
    """A source of time, in seconds since the epoch."""

    def now(self) -> float:
        """Return the current time."""

    def reply_timestamp(self, now: float, step: int) -> int:
        """Return the time, in whole seconds, to write at `now` into the reply to turn `step` of a conversation."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def reply_timestamp(self, now: float, step: int) -> int:
        return int(now)


class SteppedClock:
    """A clock that stands still until `advance` moves it.

    The time in a reply is the clock's plus one second for each turn of its conversation. It depends on
    the request, not on the order of arrival, so a seeded run gives the same bytes every time.
    """

    #: `created_at` of the first sample in the vendor's document (January 2026).
    START = 1769084048

    def __init__(self, start: float = START) -> None:
        self._start = self._now = float(start)
        self._waiters: list[tuple[float, asyncio.AbstractEventLoop, asyncio.Future[bool]]] = []
        self._lock = Lock()  # the test advances the clock in one thread, the server waits in another

    def now(self) -> float:
        return self._now

    def reply_timestamp(self, now: float, step: int) -> int:
        return int(now) + step

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises ConfigurationError for a negative number, or past `MAX_TIME`."""
        if seconds < 0:
            raise ConfigurationError(f"a clock cannot go back: {seconds}")
        with self._lock:
            if not self._now + seconds <= MAX_TIME:  # true of NaN, too
                raise ConfigurationError(f"a clock cannot go past the year 2283: {seconds} seconds")
            self._now += seconds
            due = [each for each in self._waiters if each[0] <= self._now]
            self._waiters = [each for each in self._waiters if each[0] > self._now]
        for _, loop, future in due:
            loop.call_soon_threadsafe(_resolve, future)

    @property
    def waiter_count(self) -> int:
        """How many pauses are waiting for the clock to advance."""
        return len(self._waiters)

    async def wait_until(self, moment: float) -> None:
        """Wait until the clock has reached a time, in seconds since the epoch."""
        await self.resolved_at(moment, asyncio.get_running_loop().create_future())

    async def resolved_at(self, moment: float, future: asyncio.Future[bool]) -> bool:
        """Wait until the clock has reached a time, or until a future has a result; return the result, else False."""
        with self._lock:
            if moment <= self._now:
                return False
            entry = (moment, future.get_loop(), future)
            self._waiters.append(entry)
        try:
            return await future
        finally:
            with self._lock:
                if entry in self._waiters:
                    self._waiters.remove(entry)

    def reset(self) -> None:
        """Set the clock back to its start."""
        self._now = self._start


def _resolve(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
