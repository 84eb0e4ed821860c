"""What workers and a shared store cost and bring: one and two workers, in memory, SQLite and Redis.

    .venv/bin/python benchmarks/scale.py [--rounds 5] [--seconds 3] [--connections 32]

Every request continues a response that was stored before, so each reads one record from the store and writes one. All
servers run at once, and slices of each alternate; a figure is the median over the rounds, as a ratio to one process
with its store in memory in the same round. CPU is that of all processes of a server; that of Redis has a column of its
own. Rates mean something only if the machine has a core for each worker, one for Redis and one for the load generator.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

import uvloop

from benchmarks.load_generator import measure_rate
from benchmarks.workloads import encode_request, path_of, post, request_body

_EARLIER_RESPONSES = 100
_START_TIMEOUT_S = 60
_TICKS = os.sysconf("SC_CLK_TCK")


class Figures(NamedTuple):
    """The result of one slice."""

    rate: float
    """Replies per second."""
    cpu_us: float
    """CPU time of the server's processes per reply, in µs."""
    redis_us: float
    """CPU time of Redis per reply, in µs."""


@dataclass
class Server:
    """A running server: its first process, its port, and the process of its Redis."""

    process: subprocess.Popen[bytes]
    port: int
    redis: subprocess.Popen[bytes] | None

    def cpu_seconds(self) -> float:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(map(_cpu_seconds, [self.process.pid, *map(int, children)]))

    def redis_seconds(self) -> float:
        return _cpu_seconds(self.redis.pid) if self.redis else 0.0

    def chained_requests(self) -> Callable[[], bytes]:
        """What gives the next request; each continues a stored response."""
        ids = cycle(post(self.port, "plain", number).json()["id"] for number in range(_EARLIER_RESPONSES))
        numbers = count()

        def next_request() -> bytes:
            body = json.dumps(request_body("chained", next(numbers), next(ids))).encode()
            return encode_request(path_of("chained"), self.port, body)

        return next_request


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _await_file(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not file.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"{file} did not appear")
        time.sleep(0.02)


@contextlib.contextmanager
def _running(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([*command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def _running_servers(folder: Path) -> Iterator[dict[str, Server]]:
    with contextlib.ExitStack() as stack:
        redis_socket = folder / "redis.sock"
        options = ("--port", "0", "--save", "", "--dir", folder, "--unixsocket", redis_socket)
        redis = stack.enter_context(_running("redis-server", *options))
        _await_file(redis_socket, redis)

        def start(name: str, store: str, workers: int) -> Server:
            url_file = folder / name.replace(" ", "-")
            serve = (
                sys.executable,
                "-m",
                "mockserver",
                "serve",
                "--port",
                "0",
                "--quiet",
                "--url-file",
                url_file,
            )
            options = ("--workers", str(workers), "--store", store)
            process = stack.enter_context(_running(*serve, *options))
            _await_file(url_file, process)
            port = re.search(r":([0-9]+)/", url_file.read_text())
            assert port is not None
            return Server(process, int(port[1]), redis if "unix:" in store else None)

        stores = {
            "SQLite": "sqlite:{folder}/{workers}.sqlite",
            "Redis": "unix://{folder}/redis.sock?db={workers}",
        }
        servers = {"memory, 1 process": start("memory", "memory", 1)}
        for store, url in stores.items():
            for workers in (1, 2):
                name = f"{store}, {workers} worker{'s' if workers > 1 else ''}"
                servers[name] = start(
                    f"{store}-{workers}", url.format(folder=folder, workers=workers), workers
                )
        yield servers


async def _measure_slice(server: Server, connections: int, seconds: float) -> Figures:
    next_request = server.chained_requests()
    cpu, redis = server.cpu_seconds(), server.redis_seconds()
    replies, elapsed = await measure_rate(server.port, next_request, connections, seconds)
    cpu, redis = server.cpu_seconds() - cpu, server.redis_seconds() - redis
    return Figures(replies / elapsed, cpu / replies * 1e6, redis / replies * 1e6)


async def _measure(servers: dict[str, Server], arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """All rounds; the first one warms up."""
    figures: dict[str, list[Figures]] = defaultdict(list)
    for turn in range(arguments.rounds + 1):
        for name, server in servers.items():
            measured = await _measure_slice(server, arguments.connections, arguments.seconds)
            if turn:
                figures[name].append(measured)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _running_servers(Path(name)) as servers:
        figures = uvloop.run(_measure(servers, arguments))
    base = figures["memory, 1 process"]
    print(
        "| chained requests | rate ÷ memory | CPU per reply ÷ memory | CPU, µs | Redis, µs |\n|---|---|---|---|---|"
    )
    for server_name, own in figures.items():
        rate = median(each.rate / other.rate for each, other in zip(own, base, strict=True))
        ratio = median(each.cpu_us / other.cpu_us for each, other in zip(own, base, strict=True))
        cpu, redis = median(each.cpu_us for each in own), median(each.redis_us for each in own)
        print(f"| {server_name} | {rate:.2f} | {ratio:.2f} | {cpu:.0f} | {redis:.0f} |")


if __name__ == "__main__":
    main()
