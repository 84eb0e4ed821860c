"""The timer of a reply: its pauses, in real time or by the session's clock, and when its bytes were sent.

With `pauses="clock"` a pause ends when a test advances the session's clock, so nothing sleeps and the test
decides when each piece arrives.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive

from mockserver.clock import Clock, SteppedClock

__all__ = ["Timer"]


class Timer:
    """Times one reply."""

    def __init__(self, clock: Clock, *, by_clock: bool = False) -> None:
        """With `by_clock`, pauses wait for `clock`, if it is a SteppedClock."""
        self._clock = clock
        self._stepped_clock = clock if by_clock and isinstance(clock, SteppedClock) else None
        self.started_at = self._pause_ends_at = clock.now()
        """When the request arrived, by the clock."""
        self.first_byte_at: float | None = None
        """When the first byte of the body was sent, by the clock."""
        self.piece_times: list[float] | None = None
        """When each piece of the body was sent, by the clock; None: not recorded."""

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock.now()

    def mark_sent(self) -> None:
        """Record that bytes of the body were sent."""
        if self.first_byte_at is None:
            self.first_byte_at = self._clock.now()
        if self.piece_times is not None:
            self.piece_times.append(self._clock.now())

    async def disconnected_within(self, receive: Receive, seconds: float) -> bool:
        """Wait, but at most until the client disconnects; return whether it did."""
        if self._stepped_clock is None:
            try:
                async with asyncio.timeout(seconds):
                    await _wait_for_disconnect(receive)
            except TimeoutError:
                return False
            return True
        pause, disconnect = (
            asyncio.ensure_future(self.pause(seconds)),
            asyncio.ensure_future(_wait_for_disconnect(receive)),
        )
        try:
            await asyncio.wait((pause, disconnect), return_when=asyncio.FIRST_COMPLETED)
            return not pause.done()
        finally:
            for each in (pause, disconnect):
                each.cancel()
            await asyncio.gather(pause, disconnect, return_exceptions=True)

    async def pause(self, seconds: float) -> None:
        """Wait, even if the client disconnects."""
        if self._stepped_clock is None:
            await asyncio.sleep(seconds)
            return
        # Pauses add up, so advancing the clock far enough ends all of them.
        self._pause_ends_at += seconds
        await self._stepped_clock.wait_until(self._pause_ends_at)


async def _wait_for_disconnect(receive: Receive) -> None:
    while True:
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            return
