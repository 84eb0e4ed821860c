"""The system clock and the stepped clock."""

from __future__ import annotations

import time

import pytest

from mockserver.clock import SteppedClock, SystemClock


def test_a_stepped_clock_moves_only_when_advanced() -> None:
    clock = SteppedClock()
    start = clock.now()
    assert (clock.reply_timestamp(0), clock.reply_timestamp(3)) == (start, start + 3)
    clock.advance(60)
    assert clock.now() == start + 60
    clock.reset()
    assert clock.now() == start
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)


def test_the_system_clock_returns_the_machine_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()
    assert int(before) <= SystemClock().reply_timestamp(5) <= time.time()
