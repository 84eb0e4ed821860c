"""The system clock and the stepped clock."""

from __future__ import annotations

import time

import pytest

from mockserver.clock import SteppedClock, SystemClock
from mockserver.errors import ConfigurationError


def test_a_stepped_clock_moves_only_when_advanced() -> None:
    clock = SteppedClock()
    start = clock.now()
    assert (clock.reply_timestamp(clock.now(), 0), clock.reply_timestamp(clock.now(), 3)) == (
        start,
        start + 3,
    )
    clock.advance(60)
    assert clock.now() == start + 60
    clock.reset()
    assert clock.now() == start
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)


def test_the_system_clock_returns_the_machine_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()
    assert SystemClock().reply_timestamp(before, 5) == int(before)


@pytest.mark.parametrize("seconds", [1e12, float("inf"), float("nan")])
def test_a_stepped_clock_cannot_leave_the_calendar(seconds: float) -> None:
    clock = SteppedClock()
    with pytest.raises(ConfigurationError, match="2283"):
        clock.advance(seconds)
    assert clock.now() == SteppedClock.START
