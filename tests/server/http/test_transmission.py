"""Sending steps on real sockets."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from mockserver.clock import SteppedClock
from mockserver.server.delivery.steps import Close, Raw, Reset, Send, Step, Wait
from mockserver.server.delivery.timer import Timer
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.transmission import send_steps
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
        completed.append(await send_steps(scope, receive, send, 200, headers, steps, timer))

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
