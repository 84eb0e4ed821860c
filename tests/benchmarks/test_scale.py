"""What the benchmark of workers and stores takes out of a slice of time, and where its tables go."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.processes import cpu_seconds
from benchmarks.scale import TABLES, Goal, Slice

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_wrk_costs_nothing_while_it_has_a_core_of_its_own() -> None:
    one = Slice(1000, 2.0, [1.8], redis_seconds=0.1, generator_seconds=0.2, cores=2)
    assert one.rate() == one.rate_without_generator() == one.rate_without_redis() == 500
    assert one.cpu_us() == pytest.approx(1800)


def test_what_wrk_and_redis_take_from_workers_is_taken_out_once_for_all_cores() -> None:
    two = Slice(1800, 2.0, [1.6, 1.6], redis_seconds=0.2, generator_seconds=0.4, cores=2)
    assert two.rate() == 900
    assert two.rate_without_generator() == pytest.approx(1000)
    assert two.rate_without_redis() == pytest.approx(1800 / 1.7)


def test_a_worker_that_waits_for_nothing_is_busy_all_the_time() -> None:
    one = Slice(1000, 2.0, [2.0], redis_seconds=0.1, generator_seconds=0.2, cores=2)
    assert one.busy() == pytest.approx(1)
    two = Slice(1800, 2.0, [1.8, 1.6], redis_seconds=0.2, generator_seconds=0.4, cores=2)
    assert two.busy() == pytest.approx(1)


def test_what_a_worker_waits_counts_as_time_that_it_has() -> None:
    assert Slice(1000, 2.0, [1.5], 0.0, 0.2, cores=2).busy() == pytest.approx(0.75)
    two = Slice(1800, 2.0, [0.9, 0.9], redis_seconds=0.0, generator_seconds=0.4, cores=2)
    assert two.busy() == pytest.approx(0.5)


def test_a_goal_is_reached_from_its_own_side() -> None:
    assert Goal("rate", 1.7, 1.7).is_reached
    assert not Goal("rate", 1.69, 1.7).is_reached
    assert Goal("cost", 2.0, 2.0, is_limit=True).is_reached
    assert not Goal("cost", 2.01, 2.0, is_limit=True).is_reached


@pytest.mark.parametrize("table", TABLES)
def test_the_page_has_a_place_for_each_table(table: str) -> None:
    text = PAGE.read_text()
    assert 0 < text.find(f"<!-- {table} -->\n") < text.find(f"\n<!-- /{table} -->")


@pytest.mark.skipif(
    sys.platform != "linux", reason="benchmarks read the CPU time of other processes on Linux only"
)
def test_the_cpu_time_of_a_process_contains_that_of_threads_that_have_ended() -> None:
    used: list[float] = []

    def work() -> None:
        while time.thread_time() < 0.05:
            sum(range(1000))
        used.append(time.thread_time())

    before = cpu_seconds(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert cpu_seconds(os.getpid()) - before >= used[0]
