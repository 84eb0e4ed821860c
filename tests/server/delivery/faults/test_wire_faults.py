"""Wire faults on real sockets: the exact bytes, and the findings of the contract."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.delivery.faults.catalogue import catalogue, wire_faults
from mockserver.server.state.sessions import open_session
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

#: Milliseconds in place of the hour for which a client is kept waiting.
SHORT_OPTIONS = {"no-answer": ",ms=60", "stall": ",ms=60", "slow-drip": ",bytes=500,ms=1"}
#: What leaves a stream or a body as valid as it was: the way it comes is what is wrong.
HARMLESS = {"comment-storm", "slow-drip", "failed-event"}
STREAMS = [each.name for each in wire_faults().values() if each.can_break(stream=True)]
BODIES = [each.name for each in wire_faults().values() if each.can_break(stream=False)]


def raw_reply(server: MockServer, fault: str, *, stream: bool) -> bytes:
    """Read all bytes of a reply from the socket. Raises ConnectionResetError."""
    url = urlsplit(server.base_url)
    body = json.dumps({"model": server.model, "input": "Tell me.", "stream": stream}).encode()
    head = (
        f"POST {url.path}/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-mock-fault: {fault}\r\n"
        "connection: close\r\n\r\n"
    )
    data = b""
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as client:
        client.sendall(head.encode() + body)
        while piece := client.recv(1 << 16):
            data += piece
    return data


def join_chunks(data: bytes) -> bytes:
    """Return the body of a reply up to its last complete chunk."""
    rest, body = data.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            break
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


@pytest.mark.parametrize("name", STREAMS)
def test_every_fault_breaks_a_stream_as_described(api: ApiClient, name: str) -> None:
    spec = name + SHORT_OPTIONS.get(name, "")
    if name in ("reset", "reset-midway"):
        with pytest.raises(ConnectionResetError):
            raw_reply(api.server, spec, stream=True)
        return
    data = raw_reply(api.server, spec, stream=True)
    if name in ("empty", "no-answer"):
        assert data == b""
        return
    if name == "garbage":
        assert not data.startswith(b"HTTP/")
        return
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-mock-fault: " + name.encode() in data
    found = check_stream(join_chunks(data), api.server.profile)
    if name not in {
        "bom",
        "no-data",
        "id-only",
        "retry-only",
    }:  # legal, but some clients fail: an info
        found = errors(found)
    assert bool(found) == (name not in HARMLESS)
    ends_properly = data.endswith(b"0\r\n\r\n") or b"content-length: 0" in data
    assert ends_properly == (name not in {"bad-chunk", "cut-body", "stall", "close-midway", "cut-character"})


@pytest.mark.parametrize("name", BODIES)
def test_every_fault_breaks_a_body_as_described(api: ApiClient, name: str) -> None:
    spec = name + SHORT_OPTIONS.get(name, "")
    if name in ("reset", "reset-midway"):
        with pytest.raises(ConnectionResetError):
            raw_reply(api.server, spec, stream=False)
        return
    data = raw_reply(api.server, spec, stream=False)
    if name in ("empty", "no-answer", "garbage"):
        assert data[:5] != b"HTTP/"
        return
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    if name in ("cut-body", "stall"):
        promised = int(head.partition(b"content-length: ")[2].split()[0])
        assert len(body) == promised // 2
    elif name == "bad-chunk":
        assert b"zz\r\n" in body
    else:
        assert bool(errors(check_response(body, api.server.profile))) == (name not in HARMLESS)


def test_after_sets_where_a_stream_breaks(api: ApiClient) -> None:
    for count in (0, 1, 5):
        body = join_chunks(raw_reply(api.server, f"cut-after,after={count}", stream=True))
        assert body.count(b"data:") == count
    # There is always something left out.
    api.server.reply("One two three.").always()
    whole = api.create_stream("Tell me.")
    body = join_chunks(raw_reply(api.server, "cut-after,after=100000", stream=True))
    assert body.count(b"data:") == len(whole) - 1


def test_a_fault_stub_with_and_without_a_reply(api: ApiClient) -> None:
    api.server.fault("cut-after", after=2)
    api.server.reply("One two three.", fault="bom")
    body: dict[str, Any] = {"model": api.server.model, "input": "x", "stream": True}
    assert api.post(body).text.count("data:") == 2
    second = api.post(body)
    assert second.content.startswith(b"\xef\xbb\xbf")
    assert second.headers["x-mock-fault"] == "bom"
    assert "three." in second.text


def test_first_fails_a_request_n_times(api: ApiClient) -> None:
    body = {"model": api.server.model, "input": "again"}
    statuses = [api.post(body, x_mock_fault="internal-error,first=2").status_code for _ in range(4)]
    assert statuses == [500, 500, 200, 200]
    other = {**body, "input": "another"}
    assert api.post(other, x_mock_fault="internal-error,first=2").status_code == 500


def test_status_faults_and_retry_headers(api: ApiClient) -> None:
    body = {"model": api.server.model, "input": "x"}
    for status in (408, 422, 504, 529):
        reply = api.post(body, x_mock_fault=f"http-status,status={status}")
        assert reply.status_code == status
        assert set(reply.json()) == {"code", "message", "request_id"}
    reply = api.post(body, x_mock_fault="internal-error,retry-after=2,retry-after-ms=30,should-retry=true")
    headers = {name: reply.headers[name] for name in ("retry-after", "retry-after-ms", "x-should-retry")}
    assert headers == {"retry-after": "2", "retry-after-ms": "30", "x-should-retry": "true"}
    assert api.post(body, x_mock_fault="rate-429").headers["retry-after"] == "1"
    assert api.post(body, x_mock_fault="quota-429").headers["x-should-retry"] == "false"
    api.server.fail("throttling", retry_after=3)
    assert api.post(body).headers["retry-after"] == "3"


def test_probability_depends_on_the_seed_and_not_the_order() -> None:
    def statuses(seed: int, order: range) -> dict[int, int]:
        with (
            MockServer(seed=seed, strict=False, fault="internal-error:0.5") as server,
            server.httpx() as client,
        ):
            return {
                number: client.post(
                    "/responses", json={"model": server.model, "input": str(number)}
                ).status_code
                for number in order
            }

    first = statuses(1, range(40))
    assert statuses(1, range(39, -1, -1)) == first
    assert statuses(2, range(40)) != first
    assert 8 <= list(first.values()).count(500) <= 32


def test_several_faults_occur_as_often_as_asked() -> None:
    """The first fault that is drawn applies, so the second gets its share of the other requests."""
    session = open_session(profile=DEFAULT_PROFILE, seed=1)
    session.faults = (parse_fault("rate-limit:0.02"), parse_fault("cut-after:0.01"))

    async def draw() -> list[str]:
        bodies = (b'{"input": "%d"}' % (number // 2) for number in range(5000))
        return [str(await session.fault_for("/v1/responses", body)) for body in bodies]

    drawn = Counter(asyncio.run(draw()))
    assert sum(drawn.values()) == 5000
    assert 60 <= drawn["rate-limit"] <= 140  # 100, and four standard deviations more or less
    assert 21 <= drawn["cut-after"] <= 77  # 49, because 0.98 times 0.01


def test_an_active_fault_skips_replies_it_cannot_break() -> None:
    with MockServer(strict=False, fault=["bom", "SEQ-004"]) as server, server.httpx() as client:
        body = {"model": server.model, "input": "x"}
        assert client.post("/responses", json=body).json()["status"] == "completed"
        assert client.post("/responses", json={**body, "stream": True}).content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no-such", "no fault 'no-such'; choose from: "),
        ("stall,after", "expected OPTION=VALUE, not 'after'"),
        ("stall,after=x", "after must be an integer"),
        ("stall,before=1", "stall has no option 'before'; choose from: after, ms, first"),
        ("stall:2", "a probability is a number from 0 to 1, not '2'"),
        ("stall:nan", "a probability is a number from 0 to 1"),
        ("http-status,status=200", "status must be from 400 to 599"),
        ("internal-error,retry-after=a\r\nb", "retry-after cannot be"),
        ("SEQ-999", "no reply can break the rule 'SEQ-999'"),
        ("", "no fault ''"),
    ],
)
def test_an_invalid_fault_spec_is_an_error(spec: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse_fault(spec)


def test_a_stream_fault_cannot_break_a_body(api: ApiClient) -> None:
    status, code, message = api.post_refused({"model": api.server.model, "input": "x"}, x_mock_fault="bom")
    assert (status, code) == (400, "InvalidParameter")
    assert message == "fault: bom applies only to streams"
    reply = api.request("GET", "/responses", x_mock_fault="bom")
    assert reply.status_code >= 400


def test_the_catalogue_lists_every_fault_once() -> None:
    listed = catalogue()
    names = [each.name for each in listed]
    assert len(names) == len(set(names))
    assert {"stall", "rate-429", "throttling", "SEQ-004"} <= set(names)
    assert all(each.summary and "\n" not in each.summary for each in listed)
    for each in listed:
        parse_fault(each.name)


def test_the_server_keeps_serving_after_each_fault(api: ApiClient) -> None:
    body = {"model": api.server.model, "input": "x", "stream": True}
    for name in STREAMS:
        with contextlib.suppress(httpx.HTTPError):
            api.post(body, x_mock_fault=name + SHORT_OPTIONS.get(name, ""))
        assert api.create()["status"] == "completed"


def test_a_fault_stub_with_first(api: ApiClient) -> None:
    api.server.reply("One two three.", fault="cut-after,after=2,first=2").always()
    body = {"model": api.server.model, "input": "x", "stream": True}
    assert [api.post(body).text.count("data:") > 2 for _ in range(4)] == [False, False, True, True]
    with pytest.raises(ConfigurationError, match=r"use \.times\(n\) to set how often"):
        api.server.fail("internal-error", first=2)
