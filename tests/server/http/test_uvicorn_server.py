"""The runner and the threaded server: start, stop, and connections that misbehave."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mockserver.errors import StartError
from mockserver.server.http.app import App
from mockserver.server.http.listeners import bind_socket
from mockserver.server.http.request_body import BODY_TIMEOUT_SECONDS
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.http.uvicorn_server.connection import IDLE_TIMEOUT_SECONDS
from mockserver.server.state.sessions import open_session
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until


def address(server: MockServer) -> tuple[str, int]:
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    return host, int(port)


def test_start_and_stop_leave_no_thread_and_no_listener() -> None:
    before = threading.active_count()
    for _ in range(5):
        with MockServer(seed=1) as server:
            where = address(server)
            socket.create_connection(where, timeout=30).close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(where, timeout=30)
    assert threading.active_count() == before


def test_port_in_use_is_reported() -> None:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]

    async def application(*_: object) -> None: ...

    with pytest.raises(StartError, match=str(port)):
        ThreadedServer(application, port=port).start()
    listener.close()


def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    server = MockServer()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(StartError, match="not running"):
        server.reset()


def test_server_can_be_restarted() -> None:
    server = MockServer(seed=1)
    for _ in range(2):
        with server:
            connection = http.client.HTTPConnection(*address(server), timeout=60)
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
            connection.close()


def test_idle_connection_does_not_delay_the_stop() -> None:
    server = ThreadedServer(App(Services(open_session(profile="qwen-2026-01"))), grace_seconds=3600)
    server.start()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as idle:
        server.stop()
        assert idle.recv(1) == b""


def test_bytes_that_are_not_http_get_the_error_envelope() -> None:
    with MockServer() as server, socket.create_connection(address(server), timeout=60) as client:
        client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        data = b""
        while piece := client.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "InvalidParameter"


HEAD = (
    b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
    b"content-type: application/json\r\ncontent-length: 100\r\n\r\n"
)


class LimitedServer:
    """A running server whose time limits a test enforces itself."""

    def __init__(self, server: ThreadedServer) -> None:
        self._server = server
        host, port = server.url.removeprefix("http://").split(":")
        self.address = host, int(port)

    @property
    def connections(self) -> list[Any]:
        assert self._server._server is not None
        return list(self._server._server.server_state.connections)

    def enforce_timeouts(self, seconds: float) -> None:
        """Enforce the time limits as if so many seconds had passed."""

        async def enforce() -> None:
            for connection in self.connections:
                connection.enforce_timeouts(asyncio.get_running_loop().time() + seconds)

        self._server.run(enforce())


@pytest.fixture
def limited() -> Iterator[LimitedServer]:
    server = ThreadedServer(App(Services(open_session(profile="qwen-2026-01"))))
    server.start()
    yield LimitedServer(server)
    server.stop()


def test_body_that_does_not_end_times_out(limited: LimitedServer) -> None:
    with socket.create_connection(limited.address, timeout=60) as client:
        client.sendall(HEAD + b"{")
        wait_until(lambda: [each for each in limited.connections if each.cycle is not None])
        limited.enforce_timeouts(BODY_TIMEOUT_SECONDS + 1)
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 408
        assert json.loads(response.read())["code"] == "RequestTimeOut"
        assert client.recv(1) == b""


def test_connection_on_which_nothing_is_sent_is_closed(limited: LimitedServer) -> None:
    with socket.create_connection(limited.address, timeout=60) as client:
        wait_until(lambda: limited.connections)
        limited.enforce_timeouts(BODY_TIMEOUT_SECONDS - 1)
        assert limited.connections
        limited.enforce_timeouts(BODY_TIMEOUT_SECONDS + 1)
        assert client.recv(1) == b""
    wait_until(lambda: not limited.connections)


def test_connection_with_an_unfinished_head_is_closed(limited: LimitedServer) -> None:
    with socket.create_connection(limited.address, timeout=60) as client:
        client.sendall(HEAD[:40])
        wait_until(lambda: limited.connections)
        limited.enforce_timeouts(BODY_TIMEOUT_SECONDS + 1)
        assert client.recv(1) == b""


def test_idle_connection_outlives_the_time_limit_of_bodies(limited: LimitedServer) -> None:
    connection = http.client.HTTPConnection(*limited.address, timeout=60)
    for _ in range(2):
        connection.request("GET", "/health", headers={"host": "localhost"})
        assert connection.getresponse().read()
        limited.enforce_timeouts(BODY_TIMEOUT_SECONDS + 1)
    limited.enforce_timeouts(IDLE_TIMEOUT_SECONDS + 1)
    wait_until(lambda: not limited.connections)
    connection.close()
