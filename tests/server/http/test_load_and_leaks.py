"""Many at once, and for long: nothing crosses, nothing leaks, nothing is left running."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import threading
import time
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
PAUSE_MS = 4000


def request(content: str, *, stream: bool = True) -> bytes:
    body = json.dumps({"model": MODEL, "input": content, "stream": stream}).encode()
    return HEAD % len(body) + body


def address(server: MockServer) -> tuple[str, int]:
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    return host, int(port)


@pytest.fixture(scope="module")
def slow() -> Exchange:
    """A recorded stream with a pause behind its first events."""
    with MockServer(seed=1) as server, socket.create_connection(address(server), timeout=5) as client:
        client.sendall(request("hi"))
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            answer += client.recv(65536)
        frames = [frame.decode() for frame in server.journal.last.reply]
    chunks = [{"text": "".join(frames[:3])}, {"at_ms": PAUSE_MS, "text": "".join(frames[3:])}]
    headers = {"content-type": "text/event-stream"}
    return Exchange(
        "slow", Match(prompt="slowly"), {"http": {"status": 200, "headers": headers, "chunks": chunks}}
    )


@pytest.fixture(scope="module")
def server(slow: Exchange) -> Iterator[MockServer]:
    with MockServer(seed=1, exchanges=[slow]) as server:
        yield server


async def unchunked(reader: asyncio.StreamReader) -> bytes:
    """The body of one answer in chunks."""
    await reader.readuntil(b"\r\n\r\n")
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def test_a_hundred_streams_at_once_are_each_whole_and_their_own(server: MockServer) -> None:
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
        answer = await unchunked(reader)
        writer.close()
        return number, answer

    async def main() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*[ask(number) for number in range(100)])

    for number, body in asyncio.run(main()):
        assert check_stream(body) == []
        events = [json.loads(frame.data or "") for frame in Decoder().feed(body)]
        assert events[-1]["response"]["output"][0]["name"] == f"f{number}"


def test_a_thousand_streams_stay_open_together(server: MockServer) -> None:
    opened = 0

    async def ask() -> bytes:
        nonlocal opened
        reader, writer = await asyncio.open_connection(*address(server))
        writer.write(request("slowly"))
        await reader.readuntil(b"event:response.output_item.added")
        opened += 1
        rest = await reader.readuntil(b"event:response.content_part.added")
        assert opened == 1000, "a stream went on before all were open"
        rest += await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        return rest

    async def main() -> list[bytes]:
        return await asyncio.gather(*[ask() for _ in range(1000)])

    answers = asyncio.run(main())
    assert len(answers) == 1000
    assert all(b"event:response.completed" in answer for answer in answers)


def test_clients_that_leave_end_their_tasks_without_a_word(
    slow: Exchange, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with MockServer(seed=1, exchanges=[slow]) as server:
        for content in ("slowly", "hi") * 25:
            with socket.create_connection(address(server), timeout=5) as client:
                client.sendall(request(content))
                client.recv(100)
        with socket.create_connection(address(server), timeout=5) as client:
            client.sendall(request("hi")[:-5])
        begin = time.monotonic()
    assert time.monotonic() - begin < 1
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.exc_info]


def test_a_recording_of_nothing_is_an_empty_answer() -> None:
    http = {"status": 503, "headers": {"retry-after": "1"}, "chunks": []}
    nothing = Exchange("nothing", Match(), {"http": http})
    with MockServer(exchanges=[nothing]) as server, socket.create_connection(address(server), 5) as client:
        client.sendall(request("hi").replace(b"\r\nhost", b"\r\nconnection: close\r\nhost", 1))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    assert answer.endswith(b"\r\n\r\n0\r\n\r\n")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_fifty_lives_leave_nothing_behind() -> None:
    def live() -> None:
        with MockServer(seed=1) as server, socket.create_connection(address(server), timeout=5) as client:
            client.sendall(request("hi"))
            client.recv(100)

    live()
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(50):
        live()
    gc.collect()
    assert threading.active_count() == threads
    assert open_files() <= files


def resident() -> int:
    """Bytes of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _many(where: tuple[str, int], count: int, offset: int) -> None:
    """Requests that are all different, over eight kept connections."""

    async def work(numbers: range) -> None:
        reader, writer = await asyncio.open_connection(*where)
        for number in numbers:
            writer.write(request(f"number {number}", stream=False))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()

    share = count // 8
    await asyncio.gather(*[work(range(offset + at * share, offset + (at + 1) * share)) for at in range(8)])


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read in /proc")
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(16_000, id="short"),
        pytest.param(100_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_memory_stays(count: int) -> None:
    """Once store, journal and counts are full, requests leave nothing behind."""
    with MockServer(seed=1) as server:
        asyncio.run(_many(address(server), 24_000, 0))
        gc.collect()
        before = resident()
        asyncio.run(_many(address(server), count, 24_000))
        gc.collect()
        grown = resident() - before
    assert grown < 20 << 20
