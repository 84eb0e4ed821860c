"""Clients that disconnect: what the journal records, and what no server can know."""

from __future__ import annotations

import json
import socket
import struct

import httpx
import pytest

from mockserver.testing.mock import MockServer
from tests.api_client import wait_until

LINGER = struct.pack("ii", 1, 0)


def send_request(server: MockServer, *, buffer_size: int = 0, **members: object) -> socket.socket:
    """A connection on which a request was sent; it receives `buffer_size` bytes before they are read."""
    url = httpx.URL(server.base_url)
    body = json.dumps({"model": server.model, "input": "x", **members}).encode()
    head = f"POST {url.path}/responses HTTP/1.1\r\nhost: {url.host}\r\n"
    head += f"authorization: Bearer {server.api_key}\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    client = socket.socket()
    client.settimeout(10)
    if buffer_size:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
    client.connect((url.host, url.port))
    client.sendall(head.encode() + body)
    return client


@pytest.mark.parametrize("stream", [False, True])
def test_reset_after_a_whole_reply_is_recorded(stream: bool) -> None:
    with MockServer(strict=False) as server:
        client = send_request(server, stream=stream)
        wait_until(lambda: len(server.journal) == 1)
        assert not server.journal.last.left
        server.clock.advance(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        client.close()
        wait_until(lambda: server.journal.last.left)
        assert server.journal.last.status == 200
        assert server.journal.last.left_at == server.journal.last.at + 5


def test_close_before_the_reply_is_sent_is_recorded() -> None:
    with MockServer() as server:
        server.reply(chunks=["x" * 900_000])
        client = send_request(server, stream=True)
        received = client.recv(100)
        wait_until(lambda: len(server.journal) == 1)
        assert not server.journal.last.left
        client.close()
        wait_until(lambda: server.journal.last.left)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert sum(map(len, server.journal.last.reply)) > 900_000  # more than was read


@pytest.mark.slow
def test_what_was_sent_before_the_client_left_is_recorded() -> None:
    with MockServer() as server:
        server.reply(chunks=["x" * 20] * 20_000)
        client = send_request(server, stream=True, buffer_size=4096)
        client.recv(100)
        entry = server.journal.last
        with server.httpx() as other:  # the server answers again when it waits for the client to read
            assert other.get(httpx.URL(server.base_url).join("/health")).status_code == 200
        client.close()
        wait_until(lambda: entry.left and entry.sent_bytes is not None)
        assert entry.sent_bytes is not None
        assert 100_000 < entry.sent_bytes < sum(map(len, entry.reply))
        assert b"".join(entry.sent_reply) == b"".join(entry.reply)[: entry.sent_bytes]


def test_close_after_reading_the_reply_is_not_recorded() -> None:
    with MockServer(strict=False) as server:
        with server.httpx() as client:
            for _ in range(2):
                client.post("/responses", json={"model": server.model, "input": "x"})
        with server.httpx() as client:
            client.post("/responses", json={"model": server.model, "input": "y"})
        assert [entry.left for entry in server.journal] == [False, False, False]


@pytest.mark.parametrize("fault", ["cut-body", "reset-midway", "close-midway", "empty"])
def test_reply_that_the_server_breaks_off_is_not_recorded_as_left(fault: str) -> None:
    with MockServer() as server:
        server.fault(fault)
        client = send_request(server, stream=True)
        received = b""
        try:
            while piece := client.recv(65536):
                received += piece
        except ConnectionResetError:
            assert fault == "reset-midway"
        client.close()
        wait_until(lambda: server.journal.last.end is not None)
        assert not server.journal.last.left
