"""Many requests at once and for long: replies do not mix, and nothing leaks or keeps running."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockserver.contract.check import check_stream
from mockserver.exchanges import Exchange, Match
from mockserver.testing.mock import MockServer
from mockserver.wire.sse import Decoder

MODEL = "qwen3-max-2026-01-23"
HEAD = (
    b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
PAUSE_SECONDS = 60


def encode_request(content: str, *, stream: bool = True) -> bytes:
    body = json.dumps({"model": MODEL, "input": content, "stream": stream}).encode()
    return HEAD % len(body) + body


def address(server: MockServer) -> tuple[str, int]:
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    return host, int(port)


@pytest.fixture(scope="module")
def slow() -> Exchange:
    """A recorded stream with a pause after its first events."""
    with MockServer(seed=1) as server, socket.create_connection(address(server), timeout=60) as client:
        client.sendall(encode_request("hi"))
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += client.recv(65536)
        frames = [frame.decode() for frame in server.journal.last.reply]
    chunks = [{"text": "".join(frames[:3])}, {"at_ms": PAUSE_SECONDS * 1000, "text": "".join(frames[3:])}]
    headers = {"content-type": "text/event-stream"}
    return Exchange(
        "slow", Match(prompt="slowly"), {"http": {"status": 200, "headers": headers, "chunks": chunks}}
    )


@pytest.fixture(scope="module")
def server(slow: Exchange) -> Iterator[MockServer]:
    with MockServer(seed=1, exchanges=[slow], pauses="clock") as server:
        yield server


async def read_chunked_body(reader: asyncio.StreamReader) -> bytes:
    await reader.readuntil(b"\r\n\r\n")
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def test_a_hundred_concurrent_streams_do_not_mix(server: MockServer) -> None:
    async def ask(number: int) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(*address(server))
        body = json.dumps(
            {
                "model": MODEL,
                "input": f"call f{number}",
                "stream": True,
                "tools": [{"type": "function", "name": f"f{number}", "description": "x"}],
            }
        ).encode()
        writer.write(HEAD % len(body) + body)
        body = await read_chunked_body(reader)
        writer.close()
        return number, body

    async def main() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*[ask(number) for number in range(100)])

    for number, body in asyncio.run(main()):
        assert check_stream(body) == []
        events = [json.loads(frame.data or "") for frame in Decoder().feed(body)]
        assert events[-1]["response"]["output"][0]["name"] == f"f{number}"


@pytest.mark.slow
def test_a_thousand_streams_stay_open_together(server: MockServer) -> None:
    opened = 0

    async def ask() -> bytes:
        nonlocal opened
        reader, writer = await asyncio.open_connection(*address(server))
        writer.write(encode_request("slowly"))
        await reader.readuntil(b"event:response.output_item.added")
        opened += 1
        if opened == 1000:
            server.clock.advance(PAUSE_SECONDS)
        rest = await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        return rest

    async def main() -> list[bytes]:
        return await asyncio.gather(*[ask() for _ in range(1000)])

    streams = asyncio.run(main())
    assert len(streams) == 1000
    assert all(b"event:response.completed" in stream for stream in streams)


def test_disconnects_end_their_tasks_silently(
    slow: Exchange, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with MockServer(seed=1, exchanges=[slow]) as server:
        for content in ("slowly", "hi") * 25:
            with socket.create_connection(address(server), timeout=60) as client:
                client.sendall(encode_request(content))
                client.recv(100)
        with socket.create_connection(address(server), timeout=60) as client:
            client.sendall(encode_request("hi")[:-5])
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.exc_info]


def test_empty_recording_is_an_empty_reply() -> None:
    http = {"status": 503, "headers": {"retry-after": "1"}, "chunks": []}
    empty = Exchange("empty", Match(), {"http": http})
    with MockServer(exchanges=[empty]) as server, socket.create_connection(address(server), 60) as client:
        client.sendall(encode_request("hi").replace(b"\r\nhost", b"\r\nconnection: close\r\nhost", 1))
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in received
    assert received.endswith(b"\r\n\r\n0\r\n\r\n")


def open_file_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_fifty_servers_leave_no_threads_and_files() -> None:
    def run_server() -> None:
        with MockServer(seed=1) as server, socket.create_connection(address(server), timeout=60) as client:
            client.sendall(encode_request("hi"))
            client.recv(100)

    run_server()
    gc.collect()
    threads, files = threading.active_count(), open_file_count()
    for _ in range(50):
        run_server()
    gc.collect()
    assert threading.active_count() == threads
    assert open_file_count() <= files


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def send_requests(where: tuple[str, int], count: int, offset: int) -> None:
    """Send distinct requests over eight kept connections."""

    async def work(numbers: range) -> None:
        reader, writer = await asyncio.open_connection(*where)
        for number in numbers:
            writer.write(encode_request(f"number {number}", stream=False))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()

    share = count // 8
    await asyncio.gather(*[work(range(offset + at * share, offset + (at + 1) * share)) for at in range(8)])


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read in /proc")
def test_memory_does_not_grow() -> None:
    """Once store, journal and counts are full, requests need no more memory; `make soak` sends more."""
    with MockServer(seed=1) as server:
        asyncio.run(send_requests(address(server), 24_000, 0))
        gc.collect()
        before = resident_bytes()
        asyncio.run(send_requests(address(server), 16_000, 24_000))
        gc.collect()
        growth = resident_bytes() - before
    assert growth < 20 << 20
