"""What workers and a shared store bring and cost, and how many paced streams a core carries, in one run.

    .venv/bin/python benchmarks/scale.py [--json FILE] [--write-tables] [--part PART …] [--mode MODE …]

It needs wrk, redis-server and nginx, and takes about five minutes. The exit status is 1 if a figure is not as it must
be.

Modes: each chained request continues a response that was stored before, so it reads one record from the store and
writes one. All servers run at once, and slices of each alternate; a ratio is the median over the rounds, of slices of
the same round. CPU is that of the processes that serve; Redis has a column of its own.

Each worker has the same number of connections, 128, so that a ratio of workers compares workers under the same load.
Requests at the same time share transactions and round trips: with fewer connections each of two workers would share
them among fewer requests than one worker does, and would have nothing to do while it waits for the store.

Each worker has one core, also for its threads: otherwise the thread that writes the checkpoints of SQLite would cost
nothing with one worker, whose other core is idle, and something with two.

The load generator is wrk. It has a core of its own as long as there are fewer workers than cores. Otherwise it takes
time from them: its CPU seconds, shared by all cores, are taken out of the length of the slice. What workers lose by
waiting for each other, for the store or for requests is not given back. The column "busy" says which part of their time
the workers used: that of the slice, without what wrk and Redis took from them. If it is near 100%, the CPU time of a
request decides the rate. Two workers may get different numbers of connections; the column "busiest worker" says which
part of the CPU time of both one of them used.

Replicas: 32 clients play conversations of five turns on two replicas without a shared store, behind nginx. A turn that
reaches the other replica is refused, so tests of replicas with a store can fail.

Redis: what a turn costs it, and what follows for 100,000 turns a second.

Streams: see paced_streams.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx

from benchmarks.paced_streams import MAX_GAP_ERROR_MS, PacedStreams, find_most_streams
from benchmarks.processes import MockServerProcess, cpu_seconds, running_mockserver, running_redis
from benchmarks.redis_turns import RedisTurns, calculation_table, measure_redis_turns, turns_table
from benchmarks.workloads import encode_request, request_body
from benchmarks.wrk import run_wrk
from tests.chains import Play, play_chains
from tests.nginx import PROGRAM, load_balancer

__all__ = ["TABLES", "Goal", "Slice"]

#: The tables in docs/scale.md.
TABLES = ("run", "modes", "replicas", "redis", "calculation", "streams", "goals")

_PARTS = ("modes", "replicas", "redis", "streams")
_CORES = len(os.sched_getaffinity(0))
_EARLIER_RESPONSES = 20
#: So many are prepared for a slice: more than a server answers, because a repeated one is cheaper.
_REQUESTS_PER_SECOND = 20_000
_STREAM_STEPS = [400, 500, 600, 700, 800, 900, 1000]

_PAGE = Path(__file__).parents[1] / "docs" / "scale.md"


class Mode(NamedTuple):
    """A way to run the server."""

    name: str
    store: str
    workers: int


_ONE = Mode("one process, memory", "memory", 1)
_SQLITE = [Mode("1 worker, SQLite", "sqlite", 1), Mode("2 workers, SQLite", "sqlite", 2)]
_REDIS = [Mode("1 worker, Redis", "redis", 1), Mode("2 workers, Redis", "redis", 2)]
_MODES = [_ONE, *_SQLITE, *_REDIS]


class Slice(NamedTuple):
    """The result of one slice of time."""

    replies: int
    seconds: float
    worker_seconds: list[float]
    """CPU time of each worker."""
    redis_seconds: float
    generator_seconds: float
    cores: int = _CORES

    def rate(self) -> float:
        """Replies a second, as measured."""
        return self.replies / self.seconds

    def cpu_us(self) -> float:
        """CPU time of a reply, in µs."""
        return sum(self.worker_seconds) / self.replies * 1e6

    def rate_without_generator(self) -> float:
        """Replies a second, had the load generator run elsewhere."""
        return self._rate_without(self.generator_seconds)

    def rate_without_redis(self) -> float:
        """Replies a second, had both the load generator and Redis run elsewhere."""
        return self._rate_without(self.generator_seconds + self.redis_seconds)

    def busy(self) -> float:
        """The part of their time that the workers used, without what the load generator and Redis took from it."""
        available = len(self.worker_seconds) * self._seconds_without(
            self.generator_seconds + self.redis_seconds
        )
        return sum(self.worker_seconds) / available

    def _rate_without(self, cpu: float) -> float:
        return self.replies / self._seconds_without(cpu)

    def _seconds_without(self, cpu: float) -> float:
        competes = len(self.worker_seconds) >= self.cores
        return self.seconds - cpu / self.cores * competes


@dataclass
class Server:
    """A server and the requests that it gets."""

    process: MockServerProcess
    redis_pid: int | None
    numbers: Iterator[int] = field(default_factory=count)

    def measure(self, connections: int, seconds: int) -> Slice:
        requests = [*self._requests(seconds * _REQUESTS_PER_SECOND)]
        workers, redis = self.process.worker_seconds(), self._redis_seconds()
        load = run_wrk(self.process.port, requests, connections, seconds)
        redis = self._redis_seconds() - redis
        used = [after - before for before, after in zip(workers, self.process.worker_seconds(), strict=True)]
        return Slice(load.replies, load.seconds, used, redis, load.cpu_seconds)

    def _redis_seconds(self) -> float:
        return cpu_seconds(self.redis_pid) if self.redis_pid else 0.0

    def _requests(self, size: int) -> Iterator[bytes]:
        url, port = self.process.base_url, self.process.port
        earlier = [request_body("plain", next(self.numbers)) for _ in range(_EARLIER_RESPONSES)]
        with httpx.Client(
            base_url=url, headers={"authorization": "Bearer sk-bench"}, trust_env=False
        ) as client:
            ids = cycle([client.post("/responses", json=body).json()["id"] for body in earlier])
        for _ in range(size):
            body = json.dumps(request_body("chained", next(self.numbers), next(ids))).encode()
            yield encode_request(self.process.responses_path, port, body)


@contextlib.contextmanager
def _running_servers(folder: Path, modes: Sequence[Mode]) -> Iterator[dict[tuple[str, int], Server]]:
    """A server for each store and number of workers."""
    with contextlib.ExitStack() as stack:
        redis, unix_socket = stack.enter_context(running_redis(folder))
        servers = {}
        for store, workers in sorted({(mode.store, mode.workers) for mode in modes}):
            url = {
                "memory": "memory",
                "sqlite": f"sqlite:{folder}/{workers}.sqlite",
                "redis": f"unix://{unix_socket}?db={workers}",
            }[store]
            # By default memory has room for fewer responses than a slice creates.
            size = ("--store-size", "50000") if store == "memory" else ()
            options = ("--store", url, "--workers", str(workers), *size)
            process = stack.enter_context(running_mockserver(folder, *options))
            process.pin_workers()
            servers[store, workers] = Server(process, redis.pid if store == "redis" else None)
        yield servers


def _measure_modes(
    folder: Path, modes: Sequence[Mode], rounds: int, connections: int, seconds: int
) -> dict[Mode, list[Slice]]:
    """All rounds; the first one warms up."""
    slices: dict[Mode, list[Slice]] = defaultdict(list)
    with _running_servers(folder, modes) as servers:
        for turn in range(rounds + 1):
            for mode in modes:
                measured = servers[mode.store, mode.workers].measure(connections * mode.workers, seconds)
                if turn:
                    slices[mode].append(measured)
    return slices


def _median_ratio(ours: list[Slice], others: list[Slice], figure: Callable[[Slice], float]) -> float:
    return median(figure(our) / figure(other) for our, other in zip(ours, others, strict=True))


def _modes_table(slices: dict[Mode, list[Slice]]) -> str:
    rates, cpu = "replies/s | ÷ one process | Redis elsewhere", "CPU, µs | ÷ one process | Redis, µs"
    lines = [
        f"| chained requests | {rates} | {cpu} | busy | busiest worker |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for mode, own in slices.items():
        base, uses_redis = slices[_ONE], mode.store == "redis"
        redis = median(each.redis_seconds / each.replies * 1e6 for each in own)
        busiest = median(max(each.worker_seconds) / sum(each.worker_seconds) for each in own)
        cells = [
            mode.name,
            f"{median(each.rate() for each in own):,.0f}",
            f"{_median_ratio(own, base, Slice.rate_without_generator):.2f}",
            f"{_median_ratio(own, base, Slice.rate_without_redis):.2f}" if uses_redis else "",
            f"{median(each.cpu_us() for each in own):.0f}",
            f"{_median_ratio(own, base, Slice.cpu_us):.2f}",
            f"{redis:.0f}" if uses_redis else "",
            f"{median(each.busy() for each in own):.0%}",
            f"{busiest:.0%}" if mode.workers > 1 else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class Goal(NamedTuple):
    """A figure that must be as it is."""

    name: str
    value: float
    must: float
    is_limit: bool = False
    """It must not be larger, not: smaller."""

    @property
    def is_reached(self) -> bool:
        return self.value <= self.must if self.is_limit else self.value >= self.must


def _mode_goals(slices: dict[Mode, list[Slice]]) -> list[Goal]:
    goals = [
        Goal(
            f"{two.name} ÷ {one.name}, without wrk's cost",
            _median_ratio(slices[two], slices[one], Slice.rate_without_generator),
            1.7,
        )
        for one, two in (_SQLITE, _REDIS)
        if one in slices and two in slices
    ]
    if _REDIS[0] in slices:
        cpu = _median_ratio(slices[_REDIS[0]], slices[_ONE], Slice.cpu_us)
        goals.append(Goal("CPU of a chained request, Redis ÷ memory", cpu, 2.0, is_limit=True))
    return goals


def _play_without_shared_store(folder: Path) -> Play:
    """Conversations on two replicas that share nothing."""
    play = Play([[] for _ in range(200)])
    with (
        running_mockserver(folder) as one,
        running_mockserver(folder) as two,
        load_balancer(folder, [one.port, two.port]) as port,
    ):
        base_url = one.base_url.replace(f":{one.port}/", f":{port}/")
        asyncio.run(play_chains(base_url, play, turns=5, clients=32))
    return play


def _replicas_text(play: Play) -> str:
    share = len(play.refused) / play.attempts
    refusal = play.refused[0]
    return (
        f"{len(play.refused)} of {play.attempts} turns that continue a response ({share:.0%}) were refused, with status"
        f" {refusal.status}: `{json.loads(refusal.body)['message']}`"
    )


def _streams_table(measured: list[PacedStreams]) -> str:
    lines = [
        "| streams | gap error p50, ms | gap error p99, ms | events/s | tokens an event | CPU of the server |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for each in measured:
        cells = [
            each.streams,
            each.gap_error_p50_ms,
            each.gap_error_p99_ms,
            each.events_per_second,
            each.tokens_per_event,
            f"{each.server_cpu:.0%} of a core",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _most_streams(measured: list[PacedStreams]) -> int:
    return max((each.streams for each in measured if each.gap_error_p99_ms <= MAX_GAP_ERROR_MS), default=0)


def _format_figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _goals_table(goals: list[Goal]) -> str:
    lines = ["| figure | measured | must be | |", "|---|---:|---:|---|"]
    for each in goals:
        outcome = "reached" if each.is_reached else "**missed**"
        sign = "≤" if each.is_limit else "≥"
        lines.append(
            f"| {each.name} | {_format_figure(each.value)} | {sign} {_format_figure(each.must)} | {outcome} |"
        )
    return "\n".join(lines)


@dataclass
class Report:
    """What a run has measured: tables for the page, goals, and all figures."""

    tables: dict[str, str] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add_modes(self, slices: dict[Mode, list[Slice]]) -> None:
        self.tables["modes"] = _modes_table(slices)
        self.goals += _mode_goals(slices)
        self.figures["modes"] = [
            {**mode._asdict(), "slices": [each._asdict() for each in own]} for mode, own in slices.items()
        ]

    def add_replicas(self, play: Play) -> None:
        self.tables["replicas"] = _replicas_text(play)
        share = len(play.refused) / play.attempts
        self.goals.append(Goal("refused turns of replicas without a shared store", share, 1 / 3))
        self.figures["replicas"] = {"attempts": play.attempts, "refused": len(play.refused)}

    def add_redis(self, turns: list[RedisTurns], worker_us: float | None) -> None:
        self.tables["redis"] = turns_table(turns)
        self.tables["calculation"] = calculation_table(turns[1], worker_us)
        self.figures["redis"] = [each._asdict() for each in turns]

    def add_streams(self, measured: list[PacedStreams]) -> None:
        self.tables["streams"] = _streams_table(measured)
        name = f"paced streams of a core, gap error p99 ≤ {MAX_GAP_ERROR_MS:.0f} ms"
        self.goals.append(Goal(name, _most_streams(measured), 700))
        self.figures["streams"] = [each._asdict() for each in measured]

    def write_to_page(self) -> None:
        """Replace the tables in docs/scale.md."""
        text = _PAGE.read_text()
        for name, table in self.tables.items():
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
            text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
        _PAGE.write_text(text)


def _describe_machine() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cpu = found[1] if found else platform.machine()
    return f"{_CORES} × {cpu}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def _run_parts(arguments: argparse.Namespace, report: Report) -> None:
    worker_us = None
    for part in arguments.part or _PARTS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if part == "modes":
                modes = [
                    each
                    for each in _MODES
                    if each is _ONE or not arguments.mode or each.name in arguments.mode
                ]
                slices = _measure_modes(
                    folder, modes, arguments.rounds, arguments.connections, arguments.seconds
                )
                worker_us = (
                    median(each.cpu_us() for each in slices[_REDIS[1]]) if _REDIS[1] in slices else None
                )
                report.add_modes(slices)
            elif part == "replicas":
                report.add_replicas(_play_without_shared_store(folder))
            elif part == "redis":
                report.add_redis(measure_redis_turns(folder), worker_us)
            else:
                report.add_streams(find_most_streams(folder, arguments.streams))
        print(f"{part}: done", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print the tables; exit with status 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2, help="length of a slice")
    parser.add_argument("--connections", type=int, default=128, help="of each worker")
    parser.add_argument(
        "--streams", type=int, nargs="+", default=_STREAM_STEPS, help="numbers of paced streams"
    )
    parser.add_argument("--part", choices=_PARTS, action="append", help="measure only this; can be repeated")
    parser.add_argument(
        "--mode",
        choices=[each.name for each in _MODES[1:]],
        action="append",
        help="measure only this mode, and one process; can be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")
    parser.add_argument("--write-tables", action="store_true", help="write the tables to docs/scale.md")
    arguments = parser.parse_args()
    for program in ("wrk", "redis-server", PROGRAM or "nginx"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    run = f"{time.strftime('%d %B %Y')}, {_describe_machine()}"
    report = Report(tables={"run": f"Measured by `benchmarks/scale.py`, {run}."})
    _run_parts(arguments, report)
    if report.goals:
        report.tables["goals"] = _goals_table(report.goals)
    print(*report.tables.values(), sep="\n\n")
    if arguments.json is not None:
        goals = [{**each._asdict(), "is_reached": each.is_reached} for each in report.goals]
        figures = {"run": run, "goals": goals, **report.figures}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.write_tables:
        report.write_to_page()
    raise SystemExit(not all(each.is_reached for each in report.goals))


if __name__ == "__main__":
    main()
