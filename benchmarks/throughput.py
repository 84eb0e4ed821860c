"""The throughput of the mock server with everything on, compared with a minimal application on uvicorn.

    .venv/bin/python benchmarks/throughput.py

Rounds alternate between two server processes with one load generator; compare the ratio. The minimal
application reads the body and sends the same bytes as the mock server, streams event by event. It parses,
checks, stores and logs nothing. The mock server logs every request to a file.

Goals at 32 connections: reply ≥ 0.50, stream event by event ≥ 0.65 of bare uvicorn.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import uvloop

GOALS = {"reply": 0.50, "stream": 0.65}

_BODIES = {
    "reply": {"model": "qwen3-max-2026-01-23", "input": "Hello, please introduce yourself in one sentence."},
    "stream": {
        "model": "qwen3-max-2026-01-23",
        "input": "Please briefly introduce artificial intelligence.",
        "stream": True,
    },
}


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load."""

    name: str
    host: str
    port: int
    path: str

    def request(self, body: bytes) -> bytes:
        """The request as bytes, with the headers an SDK sends."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\naccept: application/json\r\n"
            f"content-type: application/json\r\nauthorization: Bearer sk-bench\r\nuser-agent: bench\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class _LoadConnection(asyncio.Protocol):
    """One connection that sends the next request when a reply of the expected length is complete."""

    def __init__(self, request: bytes, expected: int, deadline: float) -> None:
        self._request = request
        self._expected = expected
        self._until = deadline
        self._received = 0
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received < self._expected:
            return
        if self._received > self._expected:
            self.done.set_exception(RuntimeError("an answer was longer than the first one"))
            self._transport.abort()
            return
        self._received = 0
        self.answered += 1
        if time.perf_counter() < self._until:
            self._transport.write(self._request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server closed a connection"))


async def _measure_rate(
    target: Target, body: bytes, expected: int, connections: int, seconds: float
) -> float:
    """Replies per second."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    request = target.request(body)
    pairs = [
        await loop.create_connection(
            lambda: _LoadConnection(request, expected, begin + seconds), target.host, target.port
        )
        for _ in range(connections)
    ]
    workers = [worker for _, worker in pairs]
    whole = asyncio.gather(*[worker.done for worker in workers])
    # The generator never sleeps: waking it up costs only the slower server tens of µs per request on a virtual
    # machine, and would hide the difference.
    while not whole.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    await whole
    return sum(worker.answered for worker in workers) / (time.perf_counter() - begin)


async def _response_length(target: Target, body: bytes) -> int:
    """Bytes of one complete reply on the wire."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(target.request(body))
    data = b""
    with contextlib.suppress(TimeoutError):
        while True:
            data += await asyncio.wait_for(reader.read(1 << 20), 0.5)
    writer.close()
    return len(data)


@contextlib.contextmanager
def _running_process(arguments: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(arguments, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def _await_file(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"no server appeared: {path.with_suffix('.log').read_text()}")
        time.sleep(0.02)
    return path.read_text()


def _target(name: str, url: str) -> Target:
    parts = httpx.URL(url)
    return Target(name, parts.host, parts.port or 80, f"{parts.path.rstrip('/')}/responses")


def _save_samples(url: str, folder: Path) -> None:
    """The bytes that the mock server sends, for the minimal application to send."""
    for kind, body in _BODIES.items():
        reply = httpx.post(f"{url}/responses", json=body, headers={"authorization": "Bearer sk-bench"})
        pieces = (
            [piece + "\n\n" for piece in reply.text.split("\n\n")[:-1]] if kind == "stream" else [reply.text]
        )
        wanted = ("content-type", "x-request-id", "date")
        headers = [[name, reply.headers[name]] for name in wanted]
        (folder / f"{kind}.json").write_text(json.dumps({"headers": headers, "pieces": pieces}))


async def _compare(ours: Target, bare: Target, arguments: argparse.Namespace) -> dict[str, float]:
    ratios: dict[str, float] = {}
    for kind, value in _BODIES.items():
        body = json.dumps(value).encode()
        rates: dict[str, list[float]] = {"ours": [], "bare": []}
        lengths = {target.name: await _response_length(target, body) for target in (ours, bare)}
        for turn in range(arguments.rounds + 1):
            for target in (ours, bare) if turn % 2 else (bare, ours):
                rate = await _measure_rate(
                    target, body, lengths[target.name], arguments.connections, arguments.seconds
                )
                if turn:  # the first round warms up
                    rates[target.name].append(rate)
        pairs = zip(rates["ours"], rates["bare"], strict=True)
        ratios[kind] = median(mine / theirs for mine, theirs in pairs)
        print(
            f"{kind:7} ours {median(rates['ours']):8.0f}/s   bare {median(rates['bare']):8.0f}/s   "
            f"ratio {ratios[kind]:.2f}   goal {GOALS[kind]:.2f}",
            flush=True,
        )
    return ratios


def main() -> None:
    """Run the comparison; exit status 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        serve = [
            sys.executable,
            "-m",
            "mockserver",
            "serve",
            "--port",
            "0",
            "--url-file",
            str(folder / "ours"),
        ]
        stack.enter_context(_running_process(serve, folder / "ours.log"))
        url = _await_file(folder / "ours")
        _save_samples(url, folder)
        bare = [sys.executable, str(Path(__file__).with_name("bare_uvicorn.py")), str(folder)]
        stack.enter_context(_running_process(bare, folder / "bare.log"))
        targets = _target("ours", url), _target("bare", _await_file(folder / "bare"))
        print(f"{arguments.connections} connections, {arguments.rounds} rounds, {os.cpu_count()} cores")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ratios = runner.run(_compare(*targets, arguments))
    raise SystemExit(any(ratios[kind] < goal for kind, goal in GOALS.items()))


if __name__ == "__main__":
    main()
