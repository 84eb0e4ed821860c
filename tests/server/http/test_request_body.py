"""Request bodies: how large they may be, and the content codings that they may have."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.errors import BodyTooLarge, ConfigurationError, InvalidEncoding
from mockserver.settings import MAX_BODY_BYTES, parse_body_size
from mockserver.wire.content_encoding import decode_pieces
from tests.api_client import ApiClient, output_text
from tests.programs import run_program

brotli: Any = import_module("brotli")
try:
    zstd: Any = import_module("compression.zstd")
except ModuleNotFoundError:
    zstd = import_module("backports.zstd")

MODEL = "qwen3-max-2026-01-23"
HELLO = {"model": MODEL, "input": "Hello!"}
BODY = json.dumps(HELLO).encode()
LIMIT = 1 << 20

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity": bytes,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "br, identity, zstd": lambda data: zstd.compress(brotli.compress(data)),
}
CODINGS = ("gzip", "deflate", "br", "zstd")


@pytest.fixture
def small(api: ApiClient) -> Iterator[ApiClient]:
    """A client of a server with a limit of 1 MiB, which still replies after each test."""
    with MockServer(max_body="1MiB", strict=False) as server:
        client = ApiClient(server, api.client)
        yield client
        assert client.post(HELLO).status_code == 200


def body_of_size(size: int) -> bytes:
    """A valid body with so many bytes."""
    head = b'{"model":"%b","input":"' % MODEL.encode()
    return head + b"x" * (size - len(head) - 2) + b'"}'


@pytest.mark.slow
def test_a_body_with_several_pictures_gets_a_reply(api: ApiClient) -> None:
    """Four pictures of 20 MB: what the service documents for one, and the form in which it takes it."""
    picture = "data:image/png;base64," + "A" * (4 * -(-20_000_000 // 3))
    parts = [{"type": "input_image", "image_url": picture} for _ in range(4)]
    with MockServer(profile="qwen-2026-09", strict=False) as server:
        client = ApiClient(server, api.client)
        content = [{"type": "input_text", "text": "Compare them."}, *parts]
        reply = client.post({"model": "qwen3.8-flash", "input": [{"role": "user", "content": content}]})
    assert reply.status_code == 200, reply.text
    assert sum(len(part["image_url"]) for part in parts) < MAX_BODY_BYTES


@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_limit_is_exact_and_says_whose_it_is(small: ApiClient, is_chunked: bool) -> None:
    def send(size: int) -> httpx.Response:
        body = body_of_size(size)
        content = iter([body[:1000], body[1000:]]) if is_chunked else body
        url, key = f"{small.server.base_url}/responses", small.server.api_key
        head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        return small.client.post(url, content=content, headers=head)

    assert send(LIMIT).status_code == 200
    refused = send(LIMIT + 1)
    assert (refused.status_code, refused.json()["code"]) == (413, "BadRequest.TooLarge")
    assert refused.json()["message"] == (
        "Payload Too Large. The body has more than 1048576 bytes: a limit of this mock server, "
        "which --max-body changes."
    )


def test_a_body_that_arrives_with_its_head_is_measured_too(api: ApiClient) -> None:
    with MockServer(max_body=len(BODY), strict=False) as server:
        client = ApiClient(server, api.client)
        assert client.post(BODY).status_code == 200
        assert client.post_refused(BODY + b" ")[0] == 413
        assert "connection" not in client.post(BODY + b" ").headers


def test_the_limit_counts_for_every_operation(later: ApiClient) -> None:
    with MockServer(profile="qwen-2026-09", max_body=100) as server:
        client = ApiClient(server, later.client)
        reply = client.request("POST", "/conversations", {"metadata": {"a": "x" * 100}})
    assert (reply.status_code, reply.json()["code"]) == (413, "BadRequest.TooLarge")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1000", 1000), ("64KiB", 65536), ("64 MiB", 64 << 20), ("2mb", 2_000_000), (5, 5)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_body_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5MiB", "many", "1TB", "1e6", "9" * 13, 0])
def test_invalid_sizes(text: str | int) -> None:
    with pytest.raises(ConfigurationError, match="--max-body must be a number of bytes"):
        MockServer(max_body=text)


@pytest.mark.parametrize("coding", COMPRESS)
def test_a_compressed_body_is_read(api: ApiClient, coding: str) -> None:
    for body in (HELLO, {**HELLO, "input": "x" * 300_000}):
        plain = api.post(body)
        reply = api.post(COMPRESS[coding](json.dumps(body).encode()), content_encoding=coding)
        assert output_text(reply)
        assert reply.json()["usage"]["input_tokens"] == plain.json()["usage"]["input_tokens"]
        entry = api.server.journal.last
        assert (entry.json, entry.findings) == (body, [])


@pytest.mark.parametrize("coding", CODINGS)
def test_a_wrong_label_is_a_finding(api: ApiClient, coding: str) -> None:
    whole = COMPRESS[coding](BODY)
    other = COMPRESS["deflate" if coding == "gzip" else "gzip"](BODY)
    for body in (BODY, other, whole[:-5], whole[:1], whole + b"more"):
        status, code, message = api.post_refused(body, content_encoding=coding)
        assert (status, code) == (400, "InvalidParameter")
        assert message.endswith(f"The body is not {coding} data, as its Content-Encoding says.")
        (finding,) = api.server.journal.last.findings
        assert (finding.rule, finding.expected) == ("SCH-006", coding)


def test_a_missing_label_is_a_finding(api: ApiClient) -> None:
    assert api.post_refused(gzip.compress(BODY))[0] == 400
    assert [each.rule for each in api.server.journal.last.findings] == ["SCH-006"]


@pytest.mark.parametrize("coding", ["compress", "snappy", "gzip, foo", "gzip;q=1", "gzip,gzip,gzip"])
def test_an_unknown_coding_is_unsupported(api: ApiClient, coding: str) -> None:
    reply = api.post(BODY, content_encoding=coding)
    assert (reply.status_code, reply.json()["code"]) == (415, "UnsupportedMediaType")
    assert reply.headers["accept-encoding"] == "gzip, deflate, br, zstd"
    assert api.server.journal.last.refusal == "refused"


def test_repeated_headers_are_one_list(api: ApiClient) -> None:
    head = [("content-encoding", "gzip"), ("content-encoding", "br"), ("content-type", "application/json")]
    reply = httpx.post(
        f"{api.server.base_url}/responses",
        content=brotli.compress(gzip.compress(BODY)),
        headers=[*head, ("authorization", "Bearer sk-mock")],
        trust_env=False,
    )
    assert reply.status_code == 200, reply.text


def test_a_coding_without_a_body_is_no_error(newest: ApiClient) -> None:
    reply = newest.request("POST", "/conversations", content_encoding="gzip", content_type="application/json")
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_too_large(small: ApiClient, coding: str) -> None:
    bomb = COMPRESS[coding](b'{"input":"' + b"x" * (64 << 20))
    assert len(bomb) < LIMIT
    status, code, message = small.post_refused(bomb, content_encoding=coding)
    assert (status, code) == (413, "BadRequest.TooLarge")
    assert "The decoded body has more than 1048576 bytes" in message


def test_a_bomb_in_a_bomb_is_too_large(small: ApiClient) -> None:
    bomb = gzip.compress(gzip.compress(b"x" * (128 << 20)))
    assert small.post_refused(bomb, content_encoding="gzip, gzip")[0] == 413


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_decoded_in_small_pieces_and_no_further_than_the_limit(coding: str) -> None:
    """So memory stays within the limit, and other requests get their turn."""
    pieces = decode_pieces(COMPRESS[coding](b"x" * (64 << 20)), [coding], LIMIT)
    sizes: list[int] = []
    with pytest.raises(Exception, match="more than 1048576 bytes"):
        sizes.extend(len(piece) for piece in pieces)
    assert max(sizes) <= 256 << 10
    assert sum(sizes) <= LIMIT


def test_many_empty_members_are_refused(api: ApiClient) -> None:
    """Each costs a decoder, and none of them yields a byte."""
    for coding, member in (("gzip", gzip.compress(b"")), ("zstd", zstd.compress(b""))):
        assert api.post(COMPRESS[coding](BODY) + member * 10, content_encoding=coding).status_code == 200
        assert api.post_refused(member * 100_000, content_encoding=coding)[0] == 400


def test_a_window_of_zstd_is_limited() -> None:
    """The frame names the window, and the decoder allocates it: 128 MiB for a few bytes."""
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(b"x" * 100) + compressor.flush()
    with pytest.raises(ValueError, match="not zstd data"):
        list(decode_pieces(frame, ["zstd"], LIMIT))


SERVER_WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
sys.modules["compression.zstd"] = None
import httpx
from mockserver import MockServer
with MockServer() as server, server.httpx() as client:
    head = {"content-encoding": sys.argv[2], "content-type": "application/json"}
    reply = client.post("/responses", content=b"any", headers=head)
print(reply.status_code, reply.json()["message"])
"""


@pytest.mark.parametrize(("package", "coding"), [("brotli", "br"), ("backports.zstd", "zstd")])
def test_a_missing_package_names_its_extra(package: str, coding: str) -> None:
    command = [sys.executable, "-c", SERVER_WITHOUT, package, coding]
    ran = run_program(command)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("415 ")
    assert "pip install 'responses-mockserver[compression]'" in ran.stdout


def test_packages_are_loaded_when_they_are_needed() -> None:
    code = "import sys, mockserver.server.http.app; print({'brotli', 'backports.zstd'} & {*sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout == "set()\n"


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), repeats=st.integers(1, 2000), coding=st.sampled_from(CODINGS))
def test_any_data_come_back(data: bytes, repeats: int, coding: str) -> None:
    whole = data * repeats
    assert b"".join(decode_pieces(COMPRESS[coding](whole), [coding], len(whole))) == whole


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), coding=st.sampled_from(CODINGS), is_cut=st.booleans())
def test_any_bytes_are_decoded_or_refused(data: bytes, coding: str, is_cut: bool) -> None:
    given_data = COMPRESS[coding](data)[:-1] if is_cut else data
    try:
        decoded = b"".join(decode_pieces(given_data, [coding], LIMIT))
    except (InvalidEncoding, BodyTooLarge):
        return
    assert not is_cut
    assert isinstance(decoded, bytes)


def test_chat_requests_are_decoded_too(api: ApiClient) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]}).encode()
    assert api.post_chat(gzip.compress(body), content_encoding="gzip").status_code == 200
    refused = api.post_chat(body, content_encoding="gzip")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter_error")
    unknown = api.post_chat(body, content_encoding="foo")
    assert (unknown.status_code, set(unknown.json())) == (415, {"error", "request_id"})
