"""What a turn costs Redis: commands, bytes, memory and CPU, and what follows for 100,000 turns a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from benchmarks.processes import MockServerProcess, cpu_seconds, running_mockserver, running_redis
from benchmarks.workloads import encode_request, request_body
from benchmarks.wrk import run_wrk

if TYPE_CHECKING:
    import redis

__all__ = ["RedisTurns", "calculation_table", "measure_redis_turns", "turns_table"]

_KINDS = (
    ("qwen-2026-01", "chained"),
    ("qwen-2026-05", "chained"),
    ("qwen-2026-05", "conversation"),
)
_EARLIER = 100
_CONNECTIONS = 32
_SECONDS = 2
_MOST_REQUESTS = 20_000

_TARGET = 100_000
_DAYS = 7


class Command(NamedTuple):
    """A command of Redis in a turn."""

    name: str
    calls: float
    us: float
    """Time of a call, for a script with the commands that it calls."""


class RedisTurns(NamedTuple):
    """The figures of one kind of turn, each for one turn."""

    profile: str
    kind: str
    turns: int
    commands: list[Command]
    """Those in scripts too."""
    cpu_us: float
    """CPU time of the Redis process: commands and network."""
    bytes_in: float
    bytes_out: float
    keys: float
    memory: float
    """Bytes by which `used_memory` grows."""
    response_bytes: int
    """`MEMORY USAGE` of a response, on average."""


def measure_redis_turns(folder: Path) -> list[RedisTurns]:
    """Measure each kind with a Redis that holds nothing else."""
    return [_measure(folder, profile, kind) for profile, kind in _KINDS]


def _measure(folder: Path, profile: str, kind: str) -> RedisTurns:
    import redis

    own_folder = folder / f"{profile}-{kind}"
    own_folder.mkdir()
    with (
        running_redis(own_folder) as (process, unix_socket),
        running_mockserver(
            own_folder, "--profile", profile, "--store", f"unix://{unix_socket}?db=0"
        ) as server,
        redis.Redis(unix_socket_path=str(unix_socket), decode_responses=True) as client,
    ):
        requests = [*islice(_requests(server, kind), _MOST_REQUESTS)]
        run_wrk(server.port, requests[:100], 1, 1)  # the first requests of a server are slower
        client.config_resetstat()
        before, cpu = _state(client), cpu_seconds(process.pid)
        turns = run_wrk(server.port, requests, _CONNECTIONS, _SECONDS).replies
        cpu = cpu_seconds(process.pid) - cpu
        after = _state(client)
        commands: dict[str, Any] = client.info("commandstats")
        keys = [*islice(client.scan_iter("mockserver:*:response:*"), 500)]
        response_bytes = round(mean(int(client.memory_usage(key) or 0) for key in keys))
    change = {name: (after[name] - before[name]) / turns for name in after}
    return RedisTurns(
        profile,
        kind,
        turns,
        commands=[
            Command(
                name.removeprefix("cmdstat_").upper(), each["calls"] / turns, each["usec"] / each["calls"]
            )
            for name, each in sorted(commands.items())
            if each["calls"] >= turns / 100
        ],
        cpu_us=cpu / turns * 1e6,
        bytes_in=change["total_net_input_bytes"],
        bytes_out=change["total_net_output_bytes"],
        keys=change["keys"],
        memory=change["used_memory"],
        response_bytes=response_bytes,
    )


def _requests(server: MockServerProcess, kind: str) -> Iterator[bytes]:
    """Requests that continue what is created first."""
    path = "/conversations" if kind == "conversation" else "/responses"
    bodies = [
        {"items": []} if kind == "conversation" else request_body("plain", number)
        for number in range(_EARLIER)
    ]
    headers = {"authorization": "Bearer sk-bench"}
    with httpx.Client(base_url=server.base_url, headers=headers, trust_env=False) as client:
        created = [client.post(path, json=body).raise_for_status() for body in bodies]
    ids = cycle([each.json()["id"] for each in created])
    for number, earlier_id in zip(count(_EARLIER), ids, strict=False):
        body = json.dumps(request_body(kind, number, earlier_id)).encode()
        yield encode_request(server.responses_path, server.port, body)


def _state(client: redis.Redis) -> dict[str, int]:
    """What grows with each turn."""
    found = {**client.info("stats"), **client.info("memory"), "keys": client.dbsize()}
    return {
        name: found[name]
        for name in ("total_net_input_bytes", "total_net_output_bytes", "used_memory", "keys")
    }


def turns_table(measured: list[RedisTurns]) -> str:
    """The figures as Markdown."""
    rows = {
        "commands, and µs of each": [
            ", ".join(f"{each.calls:.2g} {each.name} ({each.us:.1f})" for each in turns.commands)
            for turns in measured
        ],
        "CPU of Redis, µs": [f"{turns.cpu_us:.0f}" for turns in measured],
        "bytes to Redis": [f"{turns.bytes_in:,.0f}" for turns in measured],
        "bytes from Redis": [f"{turns.bytes_out:,.0f}" for turns in measured],
        "new keys": [f"{turns.keys:.1f}" for turns in measured],
        "memory in Redis, bytes": [f"{turns.memory:,.0f}" for turns in measured],
        "of these the response's key (`MEMORY USAGE`)": [f"{turns.response_bytes:,}" for turns in measured],
    }
    heads = [f"{turns.kind}, `{turns.profile}`" for turns in measured]
    lines = [["of each turn", *heads], ["---", *["---:"] * len(heads)]]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def calculation_table(turns: RedisTurns, worker_us: float | None) -> str:
    """What 100,000 turns a second need, as Markdown; workers take `worker_us` of CPU a turn, if that was measured."""
    thread, most = turns.cpu_us * _TARGET / 1e6, 1e6 / turns.cpu_us
    memory = turns.memory * _TARGET
    rows = [
        (
            "thread of Redis",
            f"{turns.cpu_us:.0f} µs × {_TARGET:,}",
            f"{thread:.1f} cores, and it has one: {most:,.0f} turns a second at most",
        ),
        (
            "memory",
            f"{turns.memory:,.0f} bytes × {_TARGET:,}",
            f"{memory / 1e6:,.0f} MB a second: 64 GB are full after {64e9 / memory / 60:.1f} minutes",
        ),
        (
            "network",
            f"{turns.bytes_in:,.0f} and {turns.bytes_out:,.0f} bytes × {_TARGET:,}",
            f"{turns.bytes_in * _TARGET * 8 / 1e9:.1f} Gbit/s in, {turns.bytes_out * _TARGET * 8 / 1e9:.1f} Gbit/s out",
        ),
        (
            "keys",
            f"{turns.keys:.0f} × {_TARGET:,} × {_DAYS} days",
            f"{turns.keys * _TARGET * 86400 * _DAYS / 1e9:,.0f} billion, if all of them had room",
        ),
    ]
    if worker_us is not None:
        cores = f"{worker_us * _TARGET / 1e6:.0f} cores, on any number of machines"
        rows.append(("workers", f"{worker_us:.0f} µs × {_TARGET:,}", cores))
    lines = ["| of 100,000 turns a second | calculation | result |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
