"""The threaded server: start, stop, and connections that misbehave."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest

from mockserver.errors import StartError
from mockserver.server.http import uvicorn_runner
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.testing.mock import MockServer


def address(server: MockServer) -> tuple[str, int]:
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    return host, int(port)


def test_it_starts_and_stops_without_a_trace() -> None:
    before = threading.active_count()
    for _ in range(5):
        with MockServer(seed=1) as server:
            where = address(server)
            socket.create_connection(where, timeout=1).close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(where, timeout=1)
    assert threading.active_count() == before


def test_a_port_in_use_is_told_at_once() -> None:
    taken = uvicorn_runner.bind_socket("127.0.0.1", 0)
    port = taken.getsockname()[1]

    async def application(*_: object) -> None: ...

    with pytest.raises(StartError, match=str(port)):
        ThreadedServer(application, port=port).start()
    taken.close()


def test_stopping_twice_or_unstarted_is_harmless() -> None:
    server = MockServer()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(StartError, match="not running"):
        server.reset()


def test_it_can_be_started_again() -> None:
    server = MockServer(seed=1)
    for _ in range(2):
        with server:
            connection = http.client.HTTPConnection(*address(server), timeout=5)
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
            connection.close()


def test_an_idle_connection_does_not_hold_the_stop() -> None:
    server = MockServer().start()
    with socket.create_connection(address(server), timeout=5) as idle:
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 1
        assert idle.recv(1) == b""


def test_what_is_not_http_gets_the_envelope() -> None:
    with MockServer() as server, socket.create_connection(address(server), timeout=5) as client:
        client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        data = b""
        while piece := client.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "InvalidParameter"


def test_a_body_that_does_not_end_is_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_runner, "BODY_TIMEOUT_SECONDS", 0.2)
    with MockServer() as server, socket.create_connection(address(server), timeout=5) as client:
        client.sendall(
            b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
            b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        )
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 408
        assert json.loads(response.read())["code"] == "RequestTimeOut"
        assert client.recv(1) == b""


def test_a_head_that_does_not_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_runner, "BODY_TIMEOUT_SECONDS", 0.2)
    with MockServer() as server, socket.create_connection(address(server), timeout=5) as client:
        client.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: local")
        assert client.recv(1) == b""


def test_a_kept_connection_outlives_the_time_for_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_runner, "BODY_TIMEOUT_SECONDS", 0.2)
    with MockServer() as server:
        connection = http.client.HTTPConnection(*address(server), timeout=5)
        for _ in range(2):
            connection.request("GET", "/health")
            assert connection.getresponse().read()
            time.sleep(0.3)
        connection.close()
