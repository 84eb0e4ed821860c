"""An upstream of a relay that shows what reached it, and which requests are still open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope, Send

from mockserver.server.http.threaded_server import ThreadedServer

__all__ = ["Upstream", "running_upstream", "wait_until"]

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


class Upstream:
    """Keeps every request open until the client leaves; it may send the head and a first chunk before."""

    def __init__(self, first_chunk: bytes | None) -> None:
        """Without a first chunk, it does not even send a head."""
        self._first_chunk = first_chunk
        self.url = ""
        self.targets: list[str] = []
        """Paths of the requests, escaped as received."""
        self.open_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.targets.append(scope["raw_path"].decode("latin-1"))
        self.open_count += 1
        try:
            if self._first_chunk is not None:
                await send(_HEAD)
                await send({"type": "http.response.body", "body": self._first_chunk, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self.open_count -= 1


@contextmanager
def running_upstream(first_chunk: bytes | None = b": open\n\n") -> Iterator[Upstream]:
    """Run an upstream until the block ends."""
    upstream = Upstream(first_chunk)
    server = ThreadedServer(upstream, grace_seconds=0.1)
    server.start()
    upstream.url = server.url
    try:
        yield upstream
    finally:
        server.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the limit only stops a hang."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
