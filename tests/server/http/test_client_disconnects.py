"""Clients that go away: what the journal knows of it, and what nobody can know."""

from __future__ import annotations

import json
import socket
import struct

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import wait_until

LINGER = struct.pack("ii", 1, 0)


def connected(server: MockServer, **members: object) -> socket.socket:
    """A connection over which a request was sent."""
    url = httpx.URL(server.base_url)
    body = json.dumps({"model": server.model, "input": "x", **members}).encode()
    head = f"POST {url.path}/responses HTTP/1.1\r\nhost: {url.host}\r\n"
    head += f"authorization: Bearer {server.api_key}\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    client = socket.create_connection((url.host, url.port), timeout=10)
    client.sendall(head.encode() + body)
    return client


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_behind_an_answer_that_was_sent_at_once(stream: bool) -> None:
    with MockServer(strict=False) as server:
        client = connected(server, stream=stream)
        wait_until(lambda: len(server.journal) == 1)
        assert not server.journal.last.left
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        client.close()
        wait_until(lambda: server.journal.last.left)
        assert server.journal.last.status == 200


def test_a_close_before_all_could_be_sent() -> None:
    with MockServer() as server:
        server.reply(chunks=["x" * 900_000])
        client = connected(server, stream=True)
        received = client.recv(100)
        wait_until(lambda: len(server.journal) == 1)
        assert not server.journal.last.left
        client.close()
        wait_until(lambda: server.journal.last.left)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert sum(map(len, server.journal.last.reply)) > 900_000  # more than was read


def test_a_close_in_order_behind_an_answer_that_was_read() -> None:
    with MockServer(strict=False) as server:
        with server.httpx() as client:
            for _ in range(2):
                client.post("/responses", json={"model": server.model, "input": "x"})
        with server.httpx() as client:
            client.post("/responses", json={"model": server.model, "input": "y"})
        assert [entry.left for entry in server.journal] == [False, False, False]


@pytest.mark.parametrize("fault", ["cut-body", "reset-midway", "close-midway", "empty"])
def test_an_answer_that_the_server_breaks_off(fault: str) -> None:
    with MockServer() as server:
        server.fault(fault)
        client = connected(server, stream=True)
        received = b""
        try:
            while piece := client.recv(65536):
                received += piece
        except ConnectionResetError:
            assert fault == "reset-midway"
        client.close()
        wait_until(lambda: server.journal.last.end is not None)
        assert not server.journal.last.left
