"""What runs for long: each test prints memory, open files and threads before and after (`make soak`)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from tests.acceptance.conftest import ROOT, ServerProcess, StartServer, wait_until
from tests.server.http.test_load_and_leaks import encode_request, send_requests

resource = pytest.importorskip("resource", reason="Windows has no limit of open files")

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read in /proc"),
]

REQUESTS = 100_000
WARM_UP_REQUESTS = 24_000  # after them, store, journal and counts are full
CHAIN_TURNS = 10_000
IDLE_STREAMS = 2_000
SILENT_CLIENTS = 2_000
WAVE = 200
"""Clients that connect before the next ones do."""

STUBS = [
    {"match": "wait", "reply": {"text": "x", "pace": "fixed:60000"}},
    {"match": "big", "reply": "x" * 10_000},
]

Measured: TypeAlias = "Callable[[str], AbstractContextManager[Growth]]"


@pytest.fixture(autouse=True)
def _many_open_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max(IDLE_STREAMS, SILENT_CLIENTS) + 500
    if limits[1] != resource.RLIM_INFINITY and limits[1] < needed:
        pytest.skip(f"needs {needed} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], needed), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def unrecorded(start_server: StartServer, tmp_path: Path, _many_open_files: None) -> ServerProcess:
    """A server process whose memory is its own: without the traffic recorder."""
    exchanges = tmp_path / "exchanges"
    exchanges.mkdir()
    (exchanges / "stubs.json").write_text(json.dumps(STUBS))
    options = ("--seed", "1", "--quiet", "--exchanges", exchanges)
    server = start_server(*options, env={"PYTHONPATH": str(ROOT)})
    wait_until(lambda: measure(server.process.pid).threads > 1, "the thread that looks for changed exchanges")
    server.create("Go on.")  # its connection stays open
    return server


class Resources(NamedTuple):
    """What a process uses."""

    memory_mib: int
    files: int
    threads: int


def measure(process: int) -> Resources:
    folder = Path("/proc") / str(process)
    memory = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    return Resources(memory, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())))


class Growth:
    """By how much the resources of a server have grown."""

    def __init__(self, before: Resources) -> None:
        self.before = self.after = before

    @property
    def memory_mib(self) -> int:
        return self.after.memory_mib - self.before.memory_mib

    @property
    def files(self) -> int:
        return self.after.files - self.before.files

    @property
    def threads(self) -> int:
        return self.after.threads - self.before.threads

    def __str__(self) -> str:
        pairs = zip(self.before, self.after, strict=True)
        memory, files, threads = (f"{old} -> {new}" for old, new in pairs)
        return f"RSS {memory} MiB, files {files}, threads {threads}"


@pytest.fixture
def measured(unrecorded: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Measured:
    """Measure the growth of the server, and print it in one line, also without `-s`."""
    process = unrecorded.process.pid
    files = measure(process).files

    def measure_without_connections() -> Resources:
        """Give the server a minute to close connections."""
        deadline = time.monotonic() + 60
        while measure(process).files > files and time.monotonic() < deadline:
            time.sleep(0.05)
        return measure(process)

    @contextmanager
    def run(name: str) -> Iterator[Growth]:
        growth = Growth(measure_without_connections())
        yield growth
        growth.after = measure_without_connections()
        with capsys.disabled():
            print(f"\n{name}: {growth}")

    return run


def test_many_requests_leave_nothing(unrecorded: ServerProcess, measured: Measured) -> None:
    asyncio.run(send_requests(unrecorded.address, WARM_UP_REQUESTS, 0))
    with measured(f"{REQUESTS:,} requests") as growth:
        asyncio.run(send_requests(unrecorded.address, REQUESTS, WARM_UP_REQUESTS))
    assert growth.memory_mib < 20
    assert growth.files <= 0
    assert growth.threads <= 1  # one for large bodies and changed files may have begun


def test_a_long_chain_keeps_its_responses_alone(unrecorded: ServerProcess, measured: Measured) -> None:
    """The first turns import what later ones need; then each one keeps its response and its context."""
    link = {"previous_response_id": unrecorded.create("Go on.").json()["id"]}
    with measured(f"chain of {CHAIN_TURNS:,} turns") as growth:
        for _ in range(CHAIN_TURNS):
            reply = unrecorded.create("Go on.", **link)
            assert reply.status_code == 200
            link = {"previous_response_id": reply.json()["id"]}
    assert growth.memory_mib < 256
    assert growth.files <= 0
    assert growth.threads <= 1


async def connect(server: ServerProcess, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request on a connection that takes few bytes until they are read."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(client, server.address)
    reader, writer = await asyncio.open_connection(sock=client, limit=4096)
    writer.write(request)
    return reader, writer


async def assert_serves(server: ServerProcess) -> None:
    reader, writer = await connect(server, encode_request("hi", stream=False))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.transport.abort()


async def hold(server: ServerProcess, count: int, request: bytes, *, reads: bool) -> None:
    """Keep so many requests open, of clients that read the head alone or nothing; then break all off."""
    held: list[asyncio.StreamWriter] = []
    for _ in range(0, count, WAVE):
        wave = await asyncio.gather(*[connect(server, request) for _ in range(WAVE)])
        for reader, writer in wave:
            if reads:
                await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        held += [writer for _, writer in wave]
        await assert_serves(server)
    for writer in held:
        writer.transport.abort()


def test_idle_streams_end_with_their_clients(unrecorded: ServerProcess, measured: Measured) -> None:
    asyncio.run(hold(unrecorded, WAVE, encode_request("wait"), reads=True))
    with measured(f"{IDLE_STREAMS:,} idle streams") as growth:
        asyncio.run(hold(unrecorded, IDLE_STREAMS, encode_request("wait"), reads=True))
    assert growth.memory_mib < 128
    assert growth.files <= 0
    assert growth.threads <= 1


def test_clients_that_do_not_read_leave_nothing(unrecorded: ServerProcess, measured: Measured) -> None:
    # What they need at the same time is not all given back to the system, but serves the next ones.
    asyncio.run(hold(unrecorded, SILENT_CLIENTS, encode_request("big") * 100, reads=False))
    with measured(f"{SILENT_CLIENTS:,} clients that do not read") as growth:
        asyncio.run(hold(unrecorded, SILENT_CLIENTS, encode_request("big") * 100, reads=False))
    assert growth.memory_mib < 128
    assert growth.files <= 0
    assert growth.threads <= 1
