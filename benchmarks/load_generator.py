"""Load on a server: connections that send the next request as soon as a reply is complete."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

__all__ = ["measure_rate"]

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_LAST_CHUNK = b"0\r\n\r\n"


class _LoadConnection(asyncio.Protocol):
    """One connection. It parses no more of a reply than it takes to find its end."""

    def __init__(self, next_request: Callable[[], bytes | None], deadline: float) -> None:
        self._next_request = next_request
        self._deadline = deadline
        self._in_body = False
        self._head = b""
        self._missing: int | None = None
        self._tail = b""
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send_next()

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            head, _, data = self._head.partition(b"\r\n\r\n")
            self._begin_body(head + b"\r\n")
        if self._missing is None:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            is_complete = self._tail == _LAST_CHUNK
        else:
            self._missing -= len(data)
            is_complete = self._missing <= 0
        if is_complete:
            self._end_reply()

    def _begin_body(self, head: bytes) -> None:
        if b" 200 " not in head[:20]:
            self._fail(RuntimeError(f"the server refused a request: {head!r}"))
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else None
        self._head, self._tail, self._in_body = b"", b"", True

    def _end_reply(self) -> None:
        if self._missing is not None and self._missing < 0:
            self._fail(RuntimeError("a reply is longer than it says"))
        self._in_body = False
        self.answered += 1
        if self.done.done():
            return
        self._send_next()

    def _send_next(self) -> None:
        request = self._next_request() if time.perf_counter() < self._deadline else None
        if request is not None:
            self._transport.write(request)
        else:
            self.done.set_result(None)
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server closed a connection"))


async def measure_rate(
    port: int, next_request: Callable[[], bytes | None], connections: int, seconds: float
) -> tuple[int, float]:
    """Return how many replies came, and in how many seconds; `next_request` may end the run earlier by None."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    pairs = [
        await loop.create_connection(
            lambda: _LoadConnection(next_request, begin + seconds), "127.0.0.1", port
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
    return sum(worker.answered for worker in workers), time.perf_counter() - begin
