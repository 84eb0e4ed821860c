"""Connections that are used against the server: what they may send, and what they may keep in memory."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest

from mockserver.server.http.uvicorn_server.connection import MAX_HEAD_BYTES
from mockserver.testing.mock import MockServer
from tests.api_client import wait_until
from tests.marks import slow_except

HEAD = (
    b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
    b"content-type: application/json\r\n"
)
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(profile="qwen-2026-09", strict=False, max_body=200_000) as server:
        yield server


def connect(server: MockServer) -> socket.socket:
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def encode_body(server: MockServer, content: str = "hi", **members: Any) -> bytes:
    return json.dumps({"model": server.model, "input": content, **members}).encode()


def encode_request(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def encode_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_reply(received: BinaryIO) -> tuple[int, bytes] | None:
    """(status, body) of the next reply with a length; None at the end of the connection."""
    try:
        status_line = received.readline()
        head = http.client.parse_headers(received)
        return int(status_line.split()[1]), received.read(int(head["content-length"]))
    except (ConnectionError, IndexError):
        return None


def read_statuses(client: socket.socket) -> list[int]:
    """The status of every reply until the server closes the connection."""
    with client.makefile("rb") as received:
        return [status for status, _ in iter(lambda: read_reply(received), None)]


def flood(client: socket.socket, piece: bytes, limit: int) -> int:
    """Send `piece` again and again until the server closes the connection or `limit` is reached."""
    sent = 0
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):
        while sent < limit:
            client.sendall(piece)
            sent += len(piece)
    return sent


FLOODS = {
    "trailers": (b"0\r\n", b"x-trailer: 1\r\n" * 100),
    "one long trailer": (b"0\r\nx-trailer: ", b"x" * 1000),
    "one long trailer name": (b"0\r\nx", b"x" * 1000),
    "chunk extension": (b"5;name=", b"x" * 1000),
    "chunk size": (b"", b"0" * 1000),
}


@pytest.mark.parametrize(("begin", "piece"), FLOODS.values(), ids=FLOODS)
def test_what_surrounds_a_body_is_limited_as_the_head_is(
    server: MockServer, begin: bytes, piece: bytes
) -> None:
    limit = 256 * MAX_HEAD_BYTES
    with connect(server) as client:
        client.sendall(CHUNKED + encode_chunk(encode_body(server)) + begin)
        assert flood(client, piece, limit) < limit
        # A connection that is reset may lose its reply.
        assert read_statuses(client) in ([431], [])
    assert len(server.journal) == 0


def test_trailers_are_no_headers(server: MockServer) -> None:
    body = encode_body(server)
    trailers = b"authorization: Basic eA==\r\nx-mock-fault: reset\r\nhost: evil.example\r\nx-extra: 1\r\n"
    with connect(server) as client:
        client.sendall(CHUNKED + encode_chunk(body) + b"0\r\n\r\n")
        client.sendall(CHUNKED + encode_chunk(body) + b"0\r\n" + trailers + b"\r\n")
        client.sendall(encode_request(body, HEAD + b"connection: close\r\n"))
        assert read_statuses(client) == [200, 200, 200]
    plain, with_trailers, _ = server.journal
    assert with_trailers.headers == plain.headers


def test_body_of_small_chunks_is_accepted(server: MockServer) -> None:
    body = encode_body(server, "x" * 30_000)  # takes more bytes for the chunks than a head may have
    chunks = b"".join(encode_chunk(body[at : at + 1]) for at in range(len(body)))
    with connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        for at in range(0, len(message), 10_000):
            client.sendall(message[at : at + 10_000])
        assert read_statuses(client) == [200]


def test_request_that_has_its_reply_gets_no_second_one(server: MockServer) -> None:
    """The key is refused while the body still arrives."""
    with connect(server) as client:
        client.sendall(CHUNKED.replace(b"Bearer sk-mock", b"Basic eA==") + b"1\r\n{\r\n")
        response = http.client.HTTPResponse(client)
        response.begin()
        assert (response.status, bool(response.read())) == (401, True)
        flood(client, b"not a chunk\r\n", 1 << 20)
        assert read_statuses(client) == []


def live_objects(name: str) -> int:
    return sum(type(each).__name__ == name for each in gc.get_objects())


REQUESTS: dict[str, tuple[int, dict[str, Any]]] = {
    "reply": (200, {}),
    "stream": (200, {"stream": True}),
    "invalid": (400, {"temperature": "hot"}),
    "fault": (400, {}),
    "wrong key": (401, {}),
    "wrong path": (404, {}),
    "wrong method": (405, {}),
    "too large": (413, {}),
}


@pytest.mark.parametrize("name", slow_except({"reply", "stream"}, REQUESTS))
def test_closed_connection_leaves_nothing_to_the_garbage_collector(server: MockServer, name: str) -> None:
    status, members = REQUESTS[name]
    body = encode_body(server, "x" * (300_000 if name == "too large" else 100_000), **members)
    message = encode_request(body)
    if name == "wrong key":
        message = message.replace(b"Bearer", b"Basic", 1)
    elif name == "wrong path":
        message = message.replace(b"/v1/responses", b"/v1/nothing", 1)
    elif name == "wrong method":
        message = b"PUT" + message.removeprefix(b"POST")
    elif name == "fault":
        message = message.replace(b"\r\n", b"\r\nx-mock-fault: comment-storm\r\n", 1)  # only for streams

    def send(count: int) -> None:
        for _ in range(count):
            with connect(server) as client:
                client.sendall(message)
                assert client.recv(100).startswith(b"HTTP/1.1 %d " % status)

    def live_count() -> int:
        return live_objects("_HttpConnection") + live_objects("_ResponseCycle")

    send(1)
    gc.collect()
    others = live_count()  # of other servers in this process
    gc.disable()
    try:
        send(10)
        # Locals of the server's loop may name one more of each.
        wait_until(lambda: live_count() <= others + 2)
    finally:
        gc.enable()


def test_client_that_reads_no_replies_has_to_wait(server: MockServer) -> None:
    """Its requests stay in the buffers of the sockets, and each gets its reply once the client reads."""
    server.reply("x" * 300_000).always()
    request = encode_request(encode_body(server, "y" * 60_000))
    others = live_objects("_ResponseCycle")  # of other servers in this process
    with connect(server) as client, connect(server) as other:
        client.settimeout(2)  # nothing more is sent; a server that reads on is stopped by `limit`
        complete, limit = 0, 128 << 20
        rest = request
        with contextlib.suppress(TimeoutError):
            while complete * len(request) < limit:
                rest = rest[client.send(rest) :]
                if not rest:
                    complete, rest = complete + 1, request
        assert complete * len(request) < limit
        assert live_objects("_ResponseCycle") < others + 50
        other.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
        client.settimeout(60)
        with client.makefile("rb") as received:
            replies = [read_reply(received) for _ in range(complete)]
        assert all(reply is not None and reply[0] == 200 and len(reply[1]) > 300_000 for reply in replies)


def test_requests_that_wait_for_their_turn_are_not_read(server: MockServer) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with connect(server) as client, connect(server) as other:
        client.sendall(request * 40_000)
        for _ in range(20):
            other.sendall(request)
            assert other.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert live_objects("RequestResponseCycle") < 100


def test_many_requests_in_one_packet_are_answered_in_order(server: MockServer) -> None:
    server.reply(lambda request: request.prompt).always()
    requests = [encode_request(encode_body(server, f"question {number}")) for number in range(300)]
    with connect(server) as client:
        client.sendall(b"".join(requests))
        received = b""
        while received.count(b"HTTP/1.1 200 ") < 300 or not received.endswith(b"}"):
            received += client.recv(65536)
    assert [int(each) for each in re.findall(rb'"text":"question ([0-9]+)"', received)] == list(range(300))


def test_pipelined_requests_learn_that_the_client_left(server: MockServer) -> None:
    server.fault("no-answer")
    first, second = (
        encode_request(encode_body(server, "first")),
        encode_request(encode_body(server, "second")),
    )
    with connect(server) as client:
        client.sendall(first + second)
        wait_until(lambda: len(server.journal) == 1)
        assert not server.journal.last.left
    wait_until(lambda: server.journal.last.left)
    wait_until(lambda: live_objects("_ResponseCycle") == 0)
    assert len(server.journal) == 1


def test_fault_of_a_pipelined_request_breaks_its_own_reply(server: MockServer) -> None:
    """The head that waits for its body is that of the request being answered, not of the last received."""
    first = encode_request(encode_body(server, "first", stream=True), HEAD + b"x-mock-fault: bad-chunk\r\n")
    with connect(server) as client:
        client.sendall(first)
        alone = b""
        while piece := client.recv(65536):
            alone += piece
    server.reset()
    with connect(server) as client:
        client.sendall(first + encode_request(encode_body(server, "second")))
        pipelined = b""
        while piece := client.recv(65536):
            pipelined += piece
    assert pipelined == alone


def test_head_in_one_byte_packets_is_read(server: MockServer) -> None:
    with connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode_request(encode_body(server), HEAD + b"connection: close\r\n"):
            client.sendall(bytes([byte]))
        assert read_statuses(client) == [200]


def test_half_closed_connection_still_gets_its_reply(server: MockServer) -> None:
    """A client may say that it sends no more: it still reads."""
    with connect(server) as client:
        client.sendall(encode_request(encode_body(server, stream=True)))
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 ")
