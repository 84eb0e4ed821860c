"""The throughput of the mock server with everything on, compared with bare uvicorn and with other mock servers.

    .venv/bin/python benchmarks/throughput.py [--quick] [--peers] [--json FILE] [--write-table]

The minimal application reads the body and sends the same bytes as the mock server, streams event by event. It
parses, checks, stores and logs nothing. The mock server logs every request to a file.

All servers run at once, and slices of every kind of request alternate between them, so each ratio is of two slices
that are seconds apart. Which process one gets decides more than most changes, so every server is started several
times: a ratio is the median over the rounds of one process, then over the processes. The servers share one core,
and the load generator has another one.

Kinds: `reply` repeats one request; `distinct` sends 10,000 different ones (plain, chained, with two tools, with
20 items of history); `stream` is event by event, one system call each, `coalesced` by a server with
`--chunking coalesced`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import uvloop

from benchmarks.load_generator import measure_rate
from benchmarks.peers import (
    AIMOCK,
    AIMOCK_EVENT_BY_EVENT,
    MOCKOON,
    PEERS,
    PRISM,
    Peer,
    Sample,
    install_peers,
)
from benchmarks.workloads import (
    DISTINCT_KINDS,
    encode_request,
    path_of,
    post,
    request_body,
    save_sample,
)

_DISTINCT_COUNT = 10_000
_CHAINED_COUNT = 20
#: How many requests may continue the same earlier responses: a server keeps the latest 10,000.
_MAX_CHAINED_REQUESTS = 9_000
_PLACEHOLDER = "resp_placeholder"
_PORT_TIMEOUT_S = 60

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_TABLE = re.compile(r"(<!-- throughput -->\n).*?(<!-- /throughput -->)", re.DOTALL)


class Slice(NamedTuple):
    """The load of one kind on one server."""

    server: str
    kind: str


class Comparison(NamedTuple):
    """A ratio of two slices, what it must be and what it should be."""

    name: str
    ours: Slice
    other: Slice
    must: float | None = None
    aim: float | None = None
    of_cpu: bool = False
    """A ratio of CPU time per reply, where less is better, not of replies per second."""

    def outcome(self, ratio: float) -> str:
        """Whether the ratio is as it must be, in a word."""
        if self.must is None or self.aim is None:
            return ""
        sign = -1 if self.of_cpu else 1
        if sign * ratio >= sign * self.aim:
            return "aim reached"
        return "reached" if sign * ratio >= sign * self.must else "**missed**"


_REPLY, _STREAM = Slice("ours", "reply"), Slice("ours", "stream")
_BARE_REPLY, _BARE_STREAM = Slice("bare", "reply"), Slice("bare", "stream")
_COALESCED = Slice("coalesced", "stream")
_COMPARISONS = (
    Comparison("reply ÷ bare", _REPLY, _BARE_REPLY, 0.62, 0.75),
    Comparison("distinct ÷ bare", Slice("ours", "distinct"), Slice("bare", "distinct"), 0.45, 0.55),
    Comparison("stream ÷ bare", _STREAM, _BARE_STREAM, 0.80, 0.95),
    Comparison("stream, coalesced ÷ bare event by event", _COALESCED, _BARE_STREAM, 2.5, 3.5),
    Comparison("reply with coalesced ÷ without", Slice("coalesced", "reply"), _REPLY, 0.95, 1.0),
    Comparison("CPU per reply ÷ bare", _REPLY, _BARE_REPLY, 1.8, 1.4, of_cpu=True),
    Comparison("Chat Completions reply ÷ own Responses", Slice("ours", "chat"), _REPLY, 0.9, 1.0),
    Comparison("Chat Completions stream ÷ own Responses", Slice("ours", "chat-stream"), _STREAM, 0.9, 1.0),
)
_AIMOCK_STREAM = Slice(AIMOCK.name, "stream")
#: The goals are those of servers that write alike: each event with a system call of its own, or all events with one.
PEER_COMPARISONS = (
    Comparison(f"reply ÷ {AIMOCK.title}", _REPLY, Slice(AIMOCK.name, "reply"), 1.8, 2.5),
    # Its rate is partly that of its timers, so CPU decides.
    Comparison(
        f"CPU per stream, event by event ÷ {AIMOCK_EVENT_BY_EVENT.title}",
        _STREAM,
        Slice(AIMOCK_EVENT_BY_EVENT.name, "stream"),
        0.77,
        0.67,
        of_cpu=True,
    ),
    Comparison(
        f"stream, coalesced ÷ {AIMOCK.title}, all events at once", _COALESCED, _AIMOCK_STREAM, 3.0, 4.0
    ),
    Comparison(f"stream, event by event ÷ {AIMOCK.title}, all events at once", _STREAM, _AIMOCK_STREAM),
    Comparison(f"reply ÷ {MOCKOON.title}", _REPLY, Slice(MOCKOON.name, "reply")),
    Comparison(f"reply ÷ {PRISM.title}", _REPLY, Slice(PRISM.name, "reply")),
)


class Figures(NamedTuple):
    """The result of one slice."""

    rate: float
    """Replies per second."""
    cpu_us: float | None
    """CPU of the server's process per reply, in µs; None if the system does not tell."""


@dataclass
class Server:
    """A running server."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: Callable[[str], str]
    """The path for requests of a kind."""
    requests: dict[str, Iterator[bytes]] = field(default_factory=dict)

    def next_request(self, kind: str) -> Callable[[], bytes]:
        if kind not in self.requests:
            kinds = DISTINCT_KINDS if kind == "distinct" else (kind,)
            count = _DISTINCT_COUNT if kind == "distinct" else 1
            self.requests[kind] = cycle(
                [self._encode(kinds[number % len(kinds)], number) for number in range(count)]
            )
        return self.requests[kind].__next__

    def _encode(self, kind: str, number: int) -> bytes:
        body = json.dumps(request_body(kind, number, _PLACEHOLDER)).encode()
        return encode_request(self.path(kind), self.port, body)

    def cpu_seconds(self) -> float | None:
        """CPU time of all threads so far."""
        try:
            tasks = [*Path(f"/proc/{self.process.pid}/task").iterdir()]
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except (OSError, ValueError):
            return None


class ChainedRequests:
    """Fills the id of an earlier response into requests. Servers keep a limited number, so it changes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._next_request = server.next_request("distinct")
        self._number = 0

    def refresh(self) -> Callable[[], bytes | None]:
        """Create earlier responses; return what gives the next request."""
        ids = []
        for _ in range(_CHAINED_COUNT):
            self._number -= 1
            ids.append(post(self._server.port, "plain", self._number).json()["id"])
        return self.with_ids(ids)

    def with_ids(self, ids: list[str]) -> Callable[[], bytes | None]:
        more = len(ids[0]) - len(_PLACEHOLDER)
        turn, placeholder = cycle(each.encode() for each in ids), _PLACEHOLDER.encode()
        following = (self._next_request() for _ in range(_MAX_CHAINED_REQUESTS))

        def next_request() -> bytes | None:
            request = next(following, None)
            if request is None or placeholder not in request:
                return request
            head, _, body = request.partition(b"\r\n\r\n")
            length = b"content-length: %d" % len(body)
            head = head.replace(length, b"content-length: %d" % (len(body) + more))
            return head + b"\r\n\r\n" + body.replace(placeholder, next(turn))

        return next_request


def _pin(core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def _running_process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            cwd=log.parent,
            preexec_fn=lambda: _pin(0),  # noqa: PLW1509 (this process has one thread)
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await_answer(port: int, path: str, process: subprocess.Popen[bytes], log: Path) -> httpx.Response:
    deadline = time.monotonic() + _PORT_TIMEOUT_S
    while True:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.post(f"http://127.0.0.1:{port}{path}", json=request_body("reply")).raise_for_status()
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"no server answers {path}: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def _await_url(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _PORT_TIMEOUT_S
    while not (file.exists() and (found := re.search(r"//[^/]*:([0-9]+)", file.read_text()))):
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"no server appeared: {file.with_suffix('.log').read_text()[-2000:]}")
        time.sleep(0.02)
    return int(found[1])


def _start_ours(stack: contextlib.ExitStack, folder: Path, name: str, *options: str) -> Server:
    file = folder / name
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--url-file", str(file), *options]
    process = stack.enter_context(_running_process(command, file.with_suffix(".log")))
    return Server(name, process, _await_url(file, process), path_of)


def _start_bare(stack: contextlib.ExitStack, folder: Path) -> Server:
    command = [sys.executable, str(Path(__file__).with_name("bare_uvicorn.py")), str(folder)]
    process = stack.enter_context(_running_process(command, folder / "bare.log"))
    return Server("bare", process, _await_url(folder / "bare", process), lambda kind: f"/{kind}/responses")


def _start_peer(stack: contextlib.ExitStack, folder: Path, peer: Peer, samples: dict[str, Sample]) -> Server:
    port, log = _free_port(), folder / f"{peer.name}.log"
    command = [*peer.command(folder, port, samples), *peer.options]
    process = stack.enter_context(_running_process(command, log))
    answer = _await_answer(port, "/v1/responses", process, log)
    if samples["reply"].text not in json.dumps(answer.json(), ensure_ascii=False):
        raise SystemExit(f"{peer.package} answers with another text: {answer.text[:500]}")
    return Server(peer.name, process, port, lambda _: "/v1/responses")


@contextlib.contextmanager
def _running_servers(peers: list[Peer]) -> Iterator[dict[str, Server]]:
    """Fresh processes of all servers."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        samples_folder = folder / "samples"
        samples_folder.mkdir()
        ours = _start_ours(stack, folder, "ours")
        for kind in ("reply", "stream", *DISTINCT_KINDS):
            save_sample(ours.port, kind, samples_folder)
        servers = [
            ours,
            _start_bare(stack, samples_folder),
            _start_ours(stack, folder, "coalesced", "--chunking", "coalesced"),
            *(_start_peer(stack, folder, peer, _peer_samples(samples_folder)) for peer in peers),
        ]
        yield {each.name: each for each in servers}


def _peer_samples(folder: Path) -> dict[str, Sample]:
    samples = {}
    for kind in ("reply", "stream"):
        pieces = json.loads((folder / f"{kind}.json").read_text())["pieces"]
        deltas = [piece for piece in pieces if "output_text.delta" in piece]
        reply = json.loads(pieces[0] if kind == "reply" else pieces[-1].partition("data:")[2])
        response = reply if kind == "reply" else reply["response"]
        text = "".join(
            part["text"]
            for item in response["output"]
            for part in item.get("content") or []
            if "text" in part
        )
        samples[kind] = Sample(request_body(kind)["input"], text, len(deltas), response)
    return samples


async def _measure_slice(
    server: Server, next_request: Callable[[], bytes | None], connections: int, seconds: float
) -> Figures:
    before = server.cpu_seconds()
    count, elapsed = await measure_rate(server.port, next_request, connections, seconds)
    after = server.cpu_seconds()
    cpu = None if before is None or after is None else (after - before) / count * 1e6
    return Figures(count / elapsed, cpu)


async def _measure_process(
    servers: dict[str, Server], slices: list[Slice], arguments: argparse.Namespace
) -> dict[Slice, list[Figures]]:
    """All rounds of one set of processes. The first round warms up."""
    figures: dict[Slice, list[Figures]] = defaultdict(list)
    chained = {name: ChainedRequests(servers[name]) for name in ("ours", "bare")}
    ids = ["resp_" + "0" * 36]
    for turn in range(arguments.rounds + 1):
        by_kind = sorted(slices, key=lambda each: (each.kind, each.server), reverse=bool(turn % 2))
        for each in by_kind:
            server = servers[each.server]
            next_request: Callable[[], bytes | None]
            if each.kind != "distinct":
                next_request = server.next_request(each.kind)
            elif each.server == "ours":
                next_request = chained["ours"].refresh()
            else:
                next_request = chained["bare"].with_ids(ids)
            measured = await _measure_slice(server, next_request, arguments.connections, arguments.seconds)
            if turn:
                figures[each].append(measured)
    return figures


class Result(NamedTuple):
    """A comparison and its ratios, one of each set of processes."""

    comparison: Comparison
    rate_ratios: list[float]
    cpu_ratios: list[float]

    @property
    def ratio(self) -> float:
        return median(self.cpu_ratios if self.comparison.of_cpu else self.rate_ratios)

    @property
    def outcome(self) -> str:
        """Whether the ratio is as it must be; empty if it could not be measured."""
        has_ratio = self.cpu_ratios or not self.comparison.of_cpu
        return self.comparison.outcome(self.ratio) if has_ratio else ""


def _compare(comparison: Comparison, processes: list[dict[Slice, list[Figures]]]) -> Result:
    rates, cpus = [], []
    for figures in processes:
        pairs = [*zip(figures[comparison.ours], figures[comparison.other], strict=True)]
        rates.append(median(ours.rate / other.rate for ours, other in pairs))
        if all(ours.cpu_us and other.cpu_us for ours, other in pairs):
            cpus.append(median((ours.cpu_us or 0) / (other.cpu_us or 1) for ours, other in pairs))
    return Result(comparison, rates, cpus)


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def render_table(results: list[Result], rates: dict[Slice, float], lacking: list[Peer], heading: str) -> str:
    """The results as Markdown."""
    lines = [
        heading,
        "",
        "| | replies/s | replies/s of the other | ratio | CPU ratio | must | aim | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for each in results:
        name, ours, other, must, aim, of_cpu = each.comparison
        sign = "≤" if of_cpu else "≥"
        goals = [f"{sign} {goal}" if goal is not None else "" for goal in (must, aim)]
        cells = [
            name,
            f"{rates[ours]:,.0f}",
            f"{rates[other]:,.0f}",
            _spread(each.rate_ratios),
            _spread(each.cpu_ratios),
            *goals,
            each.outcome,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for peer in lacking:
        lines += ["", f"{peer.package} {peer.version}: {peer.lacks}."]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    found = None
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cpu = found[1] if found else platform.processor() or platform.machine()
    return f"{os.cpu_count()} × {cpu}, Python {platform.python_version()}"


def main() -> None:
    """Run the comparison; exit with status 1 if a ratio is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of one set of processes")
    parser.add_argument("--processes", type=int, default=3, help="how often every server is started")
    parser.add_argument("--seconds", type=float, default=0.6, help="length of one slice")
    parser.add_argument(
        "--quick", action="store_true", help="2 rounds of one set of processes, for development"
    )
    parser.add_argument("--peers", action="store_true", help="also install and compare other mock servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to a file")
    parser.add_argument("--write-table", action="store_true", help="write the table to docs/performance.md")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.processes, arguments.seconds = 2, 1, 0.3
    if arguments.peers:
        install_peers()
    peers = [peer for peer in PEERS if arguments.peers and peer.kinds]
    comparisons = [*_COMPARISONS, *(PEER_COMPARISONS if arguments.peers else ())]
    slices = sorted({side for each in comparisons for side in (each.ours, each.other)})
    processes = _measure_all(peers, slices, arguments)
    results = [_compare(each, processes) for each in comparisons]
    rates = {each: median(one.rate for run in processes for one in run[each]) for each in slices}
    heading = (
        f"{time.strftime('%d %B %Y')}, {_machine()}: {arguments.connections} connections, "
        f"{arguments.processes} processes of each server, {arguments.rounds} rounds of {arguments.seconds} s, "
        f"load {os.getloadavg()[0]:.1f}. In parentheses: the smallest and largest ratio of a process."
    )
    heading += "".join(dict.fromkeys(f" {peer.package} {peer.version}." for peer in peers))
    lacking = [peer for peer in PEERS if arguments.peers and peer.lacks]
    table = render_table(results, rates, lacking, heading)
    print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_as_json(results, processes, heading), indent=1) + "\n")
    if arguments.write_table:
        text = _TABLE.sub(lambda match: f"{match[1]}{table}{match[2]}", _PAGE.read_text())
        _PAGE.write_text(text)
    raise SystemExit(any("missed" in each.outcome for each in results))


def _measure_all(
    peers: list[Peer], slices: list[Slice], arguments: argparse.Namespace
) -> list[dict[Slice, list[Figures]]]:
    processes = []
    for number in range(arguments.processes):
        with _running_servers(peers) as servers:
            _pin(1)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                processes.append(runner.run(_measure_process(servers, slices, arguments)))
        print(f"processes {number + 1} of {arguments.processes}: done", file=sys.stderr, flush=True)
    return processes


def _as_json(
    results: list[Result], processes: list[dict[Slice, list[Figures]]], heading: str
) -> dict[str, object]:
    """Everything that was measured."""
    return {
        "run": heading,
        "ratios": [
            {
                "name": each.comparison.name,
                "rate": each.rate_ratios,
                "cpu": each.cpu_ratios,
                "must": each.comparison.must,
                "aim": each.comparison.aim,
                "outcome": each.outcome,
            }
            for each in results
        ],
        "slices": [
            {
                "process": number,
                "server": each.server,
                "kind": each.kind,
                "replies_per_second": [one.rate for one in figures],
                "cpu_us": [one.cpu_us for one in figures],
            }
            for number, run in enumerate(processes)
            for each, figures in run.items()
        ],
    }


if __name__ == "__main__":
    main()
