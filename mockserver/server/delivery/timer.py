"""Timing: the pauses of an answer, by the machine's clock or by a session's own, and when its bytes went out.

By a session's own clock a pause ends when the clock is moved (`pauses="clock"`): nobody sleeps, and a test
says when each piece comes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive

from mockserver.clock import Clock, SteppedClock

__all__ = ["Timer"]


class Timer:
    """Keeps the time of one answer."""

    def __init__(self, clock: Clock, *, by_clock: bool = False) -> None:
        """`by_clock`: pauses are the clock's, which has to be one that can be moved."""
        self._clock = clock
        self._stepped_clock = clock if by_clock and isinstance(clock, SteppedClock) else None
        self.started_at = self._pause_ends_at = clock.now()
        """When the request came, by the clock."""
        self.first_byte_at: float | None = None
        """When the first byte of the body was sent, by the clock."""

    def now(self) -> float:
        """The clock's time."""
        return self._clock.now()

    def mark_sent(self) -> None:
        """Bytes of the body are sent."""
        if self.first_byte_at is None:
            self.first_byte_at = self._clock.now()

    async def disconnected_within(self, receive: Receive, seconds: float) -> bool:
        """Wait so many seconds; whether the client has gone meanwhile, which ends it."""
        if self._stepped_clock is None:
            try:
                async with asyncio.timeout(seconds):
                    await _wait_for_disconnect(receive)
            except TimeoutError:
                return False
            return True
        reached, gone = (
            asyncio.ensure_future(self.pause(seconds)),
            asyncio.ensure_future(_wait_for_disconnect(receive)),
        )
        try:
            await asyncio.wait((reached, gone), return_when=asyncio.FIRST_COMPLETED)
            return not reached.done()
        finally:
            for each in (reached, gone):
                each.cancel()
            await asyncio.gather(reached, gone, return_exceptions=True)

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, whatever the client does."""
        if self._stepped_clock is None:
            await asyncio.sleep(seconds)
            return
        # Pauses add up from the first: a clock that is moved far ahead lets all pass that lie before.
        self._pause_ends_at += seconds
        await self._stepped_clock.wait_until(self._pause_ends_at)


async def _wait_for_disconnect(receive: Receive) -> None:
    while True:
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            return
