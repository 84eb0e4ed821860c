"""Hostile input gets an error in the API's envelope, never a hang, and leaves the server usable."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.server.http.uvicorn_server.connection import MAX_HEAD_BYTES
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

MODEL = "qwen3-max-2026-01-23"
GOOD = {"model": MODEL, "input": "hi"}
HEAD = (
    b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
    b"content-type: application/json\r\n"
)


@pytest.fixture(autouse=True)
def _still_replies(api: ApiClient) -> Iterator[None]:
    """The server still replies after each test."""
    yield
    assert api.post(GOOD).status_code == 200


def exchange_bytes(server: MockServer, *pieces: bytes, end: bool = False) -> list[tuple[int, Any]]:
    """(status, body) of every reply to bytes on a new connection, until the server closes it."""
    host, port = server.base_url.removeprefix("http://").split("/")[0].split(":")
    replies: list[tuple[int, Any]] = []
    with socket.create_connection((host, int(port)), timeout=60) as client:
        for piece in pieces:
            client.sendall(piece)
        if end:
            client.shutdown(socket.SHUT_WR)
        while True:
            response = http.client.HTTPResponse(client)
            try:
                response.begin()
            except (http.client.BadStatusLine, ConnectionError):
                return replies
            replies.append((response.status, json.loads(response.read())))
            if response.will_close:
                return replies


def body_with_input(value: str) -> bytes:
    return b'{"model":"%b","input":%b}' % (MODEL.encode(), value.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b'{"model":',
        b"\x00\x01\x02",
        b'{"model":"\xff\xfe","input":"x"}',
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD).encode("utf-32"),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        body_with_input("NaN"),
        body_with_input("Infinity"),
        body_with_input('"\\ud800"'),
        body_with_input('"\\udc00\\ud800"'),
        body_with_input("[" * 200 + "]" * 200),
        body_with_input('{"a":' * 5000 + "1" + "}" * 5000),
        body_with_input("9" * 5000),
        body_with_input("-1e999"),
        body_with_input('"' + "x" * 100 + "\n" + '"'),
        body_with_input("'single'"),
        body_with_input('"x"') + b"{}",
        b"[" + body_with_input('"x"') + b"]",
        b'"model"',
        b"42",
        b"null",
        b"true",
    ],
)
def test_invalid_body_is_rejected(api: ApiClient, body: bytes) -> None:
    status, code, _ = api.post_refused(body)
    assert (status, code) == (400, "InvalidParameter")


def test_last_duplicate_key_wins_and_is_reported(api: ApiClient) -> None:
    reply = api.post(b'{"input":42,"model":"%b","input":"hi"}' % MODEL.encode())
    assert reply.status_code == 200
    (finding,) = api.server.journal.last.findings
    assert (finding.rule, finding.got) == ("SCH-007", "input")


def test_long_texts_and_unusual_characters_are_accepted(api: ApiClient) -> None:
    for content in (
        "x" * (5 << 20),
        "\x00\x01\x7f\u2028\ufeff\U0010ffff",
        "🙂" * 1000,
        " ",
        "\x01a:response_id\x01",
    ):
        assert api.post({"model": MODEL, "input": content}).status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = (
    "model", "input", "stream", "tools", "tool_choice", "previous_response_id", "enable_thinking",
    "temperature", "top_p", "instructions", "text",
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {"model": st.just(MODEL) | JSON, "input": st.just("hi") | JSON},
    optional=dict.fromkeys(MEMBERS[2:], JSON),
)
ITEMS = st.dictionaries(
    st.sampled_from(["type", "role", "content", "id", "call_id", "output", "name", "arguments", "summary"]),
    st.sampled_from(
        ["message", "user", "assistant", "function_call", "function_call_output", "item_reference"]
    )
    | JSON,
)
TOOLS = st.dictionaries(
    st.sampled_from(["type", "name", "description", "parameters", "strict", "tools"]),
    st.sampled_from(["function", "web_search", "web_extractor", "code_interpreter", "namespace"]) | JSON,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(body=JSON | BODIES)
def test_any_json_gets_a_reply(api: ApiClient, body: Any) -> None:
    assert api.post(body).status_code in (200, 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    items=st.lists(ITEMS, max_size=4), tools=st.lists(TOOLS, max_size=3), stream=st.booleans(), choice=JSON
)
def test_any_items_and_tools_get_a_reply(
    api: ApiClient, items: list[Any], tools: list[Any], stream: bool, choice: Any
) -> None:
    body = {"model": MODEL, "input": items, "tools": tools, "stream": stream, "tool_choice": choice}
    assert api.post(body).status_code in (200, 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(body=st.binary(max_size=200))
def test_any_bytes_get_a_reply(api: ApiClient, body: bytes) -> None:
    assert api.post(body).status_code == 400


@pytest.mark.parametrize(
    ("pieces", "statuses"),
    [
        ([b"nonsense\r\n\r\n"], [400]),
        ([b"GET\r\n\r\n"], [400]),
        ([b"GET /health HTTP/9.9\r\n\r\n"], [400]),
        ([b"POST /v1/responses HTTP/1.1\r\nhost localhost\r\n\r\n"], [400]),
        ([HEAD + b"content-length: -5\r\n\r\n"], [400]),
        ([HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}"], [400]),
        ([HEAD + b"content-length: 99999999999999999999999999\r\n\r\n{}"], [400]),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"], [400]),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n"], [400]),
        ([HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n"], [400]),
        ([b"x" * (1 << 20)], [400]),
    ],
)
def test_invalid_http_gets_the_error_envelope(
    api: ApiClient, pieces: list[bytes], statuses: list[int]
) -> None:
    replies = exchange_bytes(api.server, *pieces)
    assert [status for status, _ in replies] == statuses
    assert all(set(body) == {"code", "message", "request_id"} for _, body in replies)


def test_valid_request_before_garbage_gets_its_reply(api: ApiClient) -> None:
    body = json.dumps(GOOD).encode()
    message = HEAD + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    ((status, response),) = exchange_bytes(api.server, message + b"garbage\r\n\r\n")
    assert (status, response["status"]) == (200, "completed")


def test_chunked_body_is_accepted(api: ApiClient) -> None:
    body = json.dumps(GOOD).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body)))
    message = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert [status for status, _ in exchange_bytes(api.server, message)] == [200]


def test_client_that_sends_less_than_its_content_length_gets_no_reply(api: ApiClient) -> None:
    assert exchange_bytes(api.server, HEAD + b"content-length: 100\r\n\r\n{", end=True) == []


def test_upgrade_is_ignored_and_the_body_is_read(api: ApiClient) -> None:
    """Java's HTTP client asks for h2c in its first request."""
    body = json.dumps(GOOD).encode()
    upgrade = b"connection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAEAAA\r\n"
    message = HEAD + upgrade + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    assert [status for status, _ in exchange_bytes(api.server, message)] == [200]


def endless_head(line: bytes) -> Iterable[bytes]:
    yield b"POST /v1/responses HTTP/1.1\r\n"
    for _ in range(16 * MAX_HEAD_BYTES // len(line)):
        yield line


@pytest.mark.parametrize("line", [b"x-a: " + b"b" * 1000 + b"\r\n", b"a: b\r\n", b"x" * 1000])
def test_endless_head_is_rejected(api: ApiClient, line: bytes) -> None:
    host, port = api.server.base_url.removeprefix("http://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            for piece in endless_head(line):
                client.sendall(piece)
            while piece := client.recv(65536):
                data += piece
        except ConnectionError:
            pass  # the server may close the connection while we are still sending
    assert not data or data.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_connection_is_closed_during_an_enormous_body(api: ApiClient) -> None:
    message = HEAD + b"content-length: %d\r\n\r\n" % (1 << 30)
    host, port = api.server.base_url.removeprefix("http://").split("/")[0].split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(message)
        try:
            while sent < 1 << 30:
                client.sendall(b"x" * (1 << 20))
                sent += 1 << 20
        except ConnectionError:
            pass
    assert sent < 100 << 20


def test_unknown_methods_and_paths_are_rejected(api: ApiClient) -> None:
    root = api.server.base_url.removesuffix("/api/v2/apps/protocols/compatible-mode/v1")
    for method, path, status in (
        ("GET", "/v1/responses", 405),
        ("HEAD", "/v1/responses", 405),
        ("OPTIONS", "/v1/responses", 405),
        ("BREW", "/v1/responses", 400),
        ("POST", "/v1/responses/", 404),
        ("POST", "//v1/responses", 404),
        ("POST", "/v1/../v1/responses%2f", 404),
        ("POST", "/v1/responses/%00", 404),
        ("GET", "/", 404),
        ("GET", "/v1/responses/abc", 404),
        ("DELETE", "/v1/responses/abc", 404),
        ("POST", "/health", 405),
        ("GET", "/%F0%9F%98%80/\u00e9", 404),
    ):
        reply = api.client.request(method, root + path)
        assert reply.status_code == status, (method, path)
        if method != "HEAD":
            assert set(reply.json()) == {"code", "message", "request_id"}
