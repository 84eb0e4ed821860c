"""Steps, carried out on real sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

import pytest
from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from mockserver.server.delivery.steps import Close, Raw, Reset, Send, Step, Wait
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.transmission import send_steps


@contextlib.contextmanager
def connected(steps: Sequence[Step]) -> Iterator[socket.socket]:
    """A connection on which a request has been made that is answered by the steps."""

    async def application(scope: Scope, receive: Receive, send: AsgiSend) -> None:
        await receive()
        await send_steps(scope, receive, send, 200, [(b"content-type", b"text/plain")], steps)

    server = ThreadedServer(application)
    server.start()
    try:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            yield client
    finally:
        server.stop()


def everything(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def test_pieces_then_close_leaves_the_body_unfinished() -> None:
    with connected([Send(b"one"), Send(b"two"), Close()]) as client:
        data = everything(client)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"3\r\none\r\n3\r\ntwo\r\n")


def test_raw_bytes_are_outside_of_the_framing() -> None:
    with connected([Send(b"one"), Raw(b"zz\r\n"), Close()]) as client:
        assert everything(client).endswith(b"3\r\none\r\nzz\r\n")


def test_reset() -> None:
    with connected([Send(b"one"), Wait(0.05), Reset()]) as client, pytest.raises(ConnectionResetError):
        everything(client)


def test_a_pause_is_kept_and_the_head_does_not_wait_for_it() -> None:
    with connected([Wait(0.2), Send(b"late"), Close()]) as client:
        begin = time.monotonic()
        head = client.recv(65536)
        assert head.endswith(b"\r\n\r\n")
        everything(client)
        assert time.monotonic() - begin >= 0.15


def test_a_client_that_leaves_ends_the_steps() -> None:
    begin = time.monotonic()
    with connected([Send(b"one"), Wait(60)]) as client:
        client.recv(65536)
        client.close()
    assert time.monotonic() - begin < 5
