"""Sending steps on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from mockserver.clock import SteppedClock
from mockserver.server.delivery.steps import Close, Raw, Reset, Send, Step, Wait
from mockserver.server.delivery.timer import Timer
from mockserver.server.http.reply_steps import send_steps
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.transmission import CONNECTION_EXTENSION
from tests.api_client import wait_until


@dataclass
class SteppedReply:
    """A connection whose request is answered by steps."""

    client: socket.socket
    clock: SteppedClock
    completed: list[bool]
    """What `send_steps` returned, once it has."""


@contextlib.contextmanager
def replying_with(steps: Sequence[Step]) -> Iterator[SteppedReply]:
    """Send a request that the steps answer; their pauses end when the clock is advanced."""
    clock, completed = SteppedClock(), list[bool]()

    async def application(scope: Scope, receive: Receive, send: AsgiSend) -> None:
        await receive()
        timer = Timer(clock, by_clock=True)
        headers = [(b"content-type", b"text/plain")]
        completed.append(await send_steps(scope, send, 200, headers, steps, timer))

    server = ThreadedServer(application)
    server.start()
    try:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            yield SteppedReply(client, clock, completed)
    finally:
        server.stop()


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def test_close_leaves_the_body_unfinished() -> None:
    with replying_with([Send(b"one"), Send(b"two"), Close()]) as reply:
        data = read_all(reply.client)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"3\r\none\r\n3\r\ntwo\r\n")


def test_raw_bytes_have_no_framing() -> None:
    with replying_with([Send(b"one"), Raw(b"zz\r\n"), Close()]) as reply:
        assert read_all(reply.client).endswith(b"3\r\none\r\nzz\r\n")


def test_reset() -> None:
    with replying_with([Send(b"one"), Wait(1), Reset()]) as reply:
        assert b"one" in reply.client.recv(65536)
        reply.clock.advance(1)
        with pytest.raises(ConnectionResetError):
            read_all(reply.client)


def test_head_is_sent_before_a_pause_and_the_body_after_it() -> None:
    with replying_with([Wait(0.2), Send(b"late"), Close()]) as reply:
        assert reply.client.recv(65536).endswith(b"\r\n\r\n")
        wait_until(lambda: reply.clock.waiter_count == 1)
        reply.clock.advance(0.2)
        assert b"late" in read_all(reply.client)


def test_disconnect_ends_the_steps() -> None:
    with replying_with([Send(b"one"), Wait(60)]) as reply:
        reply.client.recv(65536)
        reply.client.close()
        wait_until(lambda: bool(reply.completed))
        assert reply.completed == [False]


class InstantLoop(asyncio.SelectorEventLoop):
    """A loop that does not sleep, but moves its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__(InstantSelector(self))

    def time(self) -> float:
        return self.now


class InstantSelector(selectors.SelectSelector):
    def __init__(self, loop: InstantLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self.loop.now += timeout or 0
        return super().select(0)


class Connection:
    """A connection whose client stays."""

    def __init__(self, loop: InstantLoop) -> None:
        self.loop, self.request_arrived_at = loop, loop.now

    def watch_disconnect(self) -> asyncio.Future[bool]:
        return self.loop.create_future()

    def close(self) -> None: ...

    reset = close


def send_times(steps: Sequence[Step], *, late_by: float, cost: float) -> list[tuple[float, bytes | None]]:
    """When each message is sent, in seconds since the request arrived, and its bytes.

    The steps begin late, and each message takes its time.
    """
    sent = []
    with contextlib.closing(InstantLoop()) as loop:
        connection = Connection(loop)

        async def send(message: Any) -> None:
            sent.append((round(loop.now - 100, 6), message.get("body")))
            loop.now += cost

        loop.now += late_by
        scope = {"extensions": {CONNECTION_EXTENSION: connection}}
        loop.run_until_complete(send_steps(scope, send, 200, [], steps))
    return sent


def test_pauses_count_from_the_request_and_costs_do_not_add_up() -> None:
    steps: list[Step] = [
        Wait(0.3),
        Send(b"a"),
        Wait(0.02),
        Send(b"b"),
        Wait(0.02),
        Send(b"c"),
        Wait(0.02),
        Send(b"d"),
    ]
    assert send_times(steps, late_by=0.1, cost=0.01) == [
        (0.1, None),
        (0.11, b""),
        (0.3, b"a"),
        (0.32, b"b"),
        (0.34, b"c"),
        (0.36, b"d"),
        (0.37, b""),
    ]


def test_a_reply_that_is_late_catches_up() -> None:
    steps: list[Step] = [Wait(0.1), Send(b"a"), Wait(0.1), Send(b"b"), Wait(0.5), Send(b"c")]
    assert send_times(steps, late_by=0.4, cost=0)[2:5] == [(0.4, b"a"), (0.4, b"b"), (0.7, b"c")]


def test_a_pause_before_a_break_lasts_however_late_the_reply_is() -> None:
    steps: list[Step] = [Wait(0.1), Send(b"a"), Wait(0.05, from_now=True), Send(b"b"), Reset()]
    assert send_times(steps, late_by=0.4, cost=0)[2:] == [(0.4, b"a"), (0.45, b"b")]
