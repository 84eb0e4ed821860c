"""The timer of a reply: its pauses, in real time or by the session's clock, and when its bytes were sent.

With `pauses="clock"` a pause ends when a test advances the session's clock, so nothing sleeps and the test
decides when each piece arrives.
"""

from __future__ import annotations

import asyncio

from mockserver.clock import Clock, SteppedClock

__all__ = ["Timer"]


class Timer:
    """Times one reply."""

    __slots__ = (
        "_clock",
        "_loop",
        "_pause_ends_at",
        "_stepped_clock",
        "first_byte_at",
        "piece_times",
        "sent_bytes",
        "started_at",
    )

    def __init__(self, clock: Clock, *, by_clock: bool = False, arrived_at: float | None = None) -> None:
        """With `by_clock`, pauses wait for `clock`, if it is a SteppedClock.

        `arrived_at`: when the request arrived, by the running loop's clock; None: now.
        """
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stepped_clock = clock if by_clock and isinstance(clock, SteppedClock) else None
        self.started_at = clock.now()
        """When the request arrived, by the clock."""
        if self._stepped_clock is not None:
            self._pause_ends_at = self.started_at
        else:
            self._pause_ends_at = self._loop.time() if arrived_at is None else arrived_at
        self.first_byte_at: float | None = None
        """When the first byte of the body was sent, by the clock."""
        self.piece_times: list[float] | None = None
        """When each piece of the body was sent, by the clock; None: not recorded."""

        self.sent_bytes = 0
        """Bytes of the body that were sent."""

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock.now()

    def mark_sent(self, at: float, size: int) -> None:
        """Record that a piece of the body, of this number of bytes, was sent."""
        self.sent_bytes += size
        if self.first_byte_at is None:
            self.first_byte_at = at
        if self.piece_times is not None:
            self.piece_times.append(at)

    def restart(self) -> None:
        """Begin the next pause now, not when the previous one was due to end."""
        now = self._loop.time() if self._stepped_clock is None else self._clock.now()
        self._pause_ends_at = max(self._pause_ends_at, now)

    async def disconnected_within(
        self, disconnect: asyncio.Future[bool], seconds: float, *, from_now: bool = False
    ) -> bool:
        """Wait, but at most until the client disconnects; return whether it did.

        `disconnect` gets True when the client disconnects, and is resolved at the end of the pause. The pause
        begins when the previous one was due to end or, with `from_now`, not earlier than now.
        """
        now = self._loop.time
        if from_now and self._stepped_clock is None:
            self._pause_ends_at = max(self._pause_ends_at, now())
        # Pauses add up, so that streams keep their rate, and advancing the clock far enough ends all of them.
        self._pause_ends_at += seconds
        if disconnect.done():
            return disconnect.result()
        if self._stepped_clock is not None:
            return await self._stepped_clock.resolved_at(self._pause_ends_at, disconnect)
        if self._pause_ends_at <= now():
            return False
        handle = self._loop.call_at(self._pause_ends_at, _end_pause, disconnect)
        try:
            return await disconnect
        finally:
            handle.cancel()

    async def pause(self, seconds: float) -> None:
        """Wait, even if the client disconnects."""
        await self.disconnected_within(self._loop.create_future(), seconds)


def _end_pause(disconnect: asyncio.Future[bool]) -> None:
    if not disconnect.done():
        disconnect.set_result(False)
