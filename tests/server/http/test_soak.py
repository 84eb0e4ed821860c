"""What runs for long: each test prints memory, open files and threads before and after (`make soak`)."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mockserver.testing.mock import MockServer
from tests.server.http.test_load_and_leaks import address, encode_request

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read in /proc"),
]

CHAIN_TURNS = 10_000
IDLE_STREAMS = 2_000
SILENT_CLIENTS = 20


def measure() -> tuple[int, int, int]:
    """(MiB of memory, open files, threads)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    return memory, len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@contextmanager
def resources_printed(capsys: pytest.CaptureFixture[str], name: str, growth_mib: int) -> Iterator[None]:
    """Print the resources before and after; what is open must be closed, and memory grow by less than this."""
    before = measure()
    yield
    after = measure()
    with capsys.disabled():
        for when, (memory, files, threads) in (("before", before), ("after", after)):
            print(f"\n{name}, {when}: {memory} MiB, {files} open files, {threads} threads", end="")
    assert after[0] - before[0] < growth_mib
    assert after[1:] <= before[1:]


def test_long_chain(capsys: pytest.CaptureFixture[str]) -> None:
    with MockServer(seed=1, strict=False) as server, server.httpx() as client:
        link: dict[str, str] = {}
        body = {"model": server.model, "input": "Go on."}
        client.post("/responses", json=body)
        with resources_printed(capsys, f"{CHAIN_TURNS} turns", 256):
            for _ in range(CHAIN_TURNS):
                reply = client.post("/responses", json={**body, **link})
                assert reply.status_code == 200
                link = {"previous_response_id": reply.json()["id"]}


def test_idle_streams_and_clients_that_do_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    async def main(server: MockServer) -> None:
        idle = [await asyncio.open_connection(*address(server)) for _ in range(IDLE_STREAMS)]
        for _, writer in idle:
            writer.write(encode_request("wait"))
        for reader, _ in idle:
            await reader.readuntil(b"\r\n\r\n")
        silent = [await asyncio.open_connection(*address(server)) for _ in range(SILENT_CLIENTS)]
        for reader, writer in silent:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(encode_request("big") * 100)
        reader, writer = await asyncio.open_connection(*address(server))
        writer.write(encode_request("hi", stream=False))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for each in (writer, *(writer for _, writer in (*idle, *silent))):
            each.transport.abort()

    with MockServer(seed=1, strict=False) as server:
        server.when(prompt="wait").reply("x", pace="fixed:60000").always()
        server.when(prompt="big").reply("x" * 100_000).always()
        with resources_printed(capsys, f"{IDLE_STREAMS} idle streams, {SILENT_CLIENTS} silent clients", 512):
            asyncio.run(main(server))
            server.reset()
