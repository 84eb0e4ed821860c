"""What a file is told to be.

The profile that something is of, by its marks.
"""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.detection import detect_content, detect_profile
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.testing.strategies.framing import encode_events
from mockserver.wire import json
from tests.contract import rendered_samples, samples

EVENTS = samples.text_stream()
FRAMES = samples.service_frames(EVENTS)
JSON_LINES = b"".join(json.dumps(event) + b"\n" for event in EVENTS)
RESPONSE = json.dumps(samples.response())
HTTP_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=UTF-8\r\n"

CHAT_CHUNK = b'{"choices":[],"object":"chat.completion.chunk","usage":null}'

KINDS = {
    "request": (json.dumps(samples.REQUEST), "request"),
    "request without an input": (b'{"model": "qwen3-max"}', "request"),
    "chat request": (b'{"model": "qwen3-max", "messages": []}', "chat_request"),
    "request that has both": (b'{"model": "qwen3-max", "messages": [], "input": "x"}', "request"),
    "chat completion": (b'{"object": "chat.completion", "choices": []}', "chat_completion"),
    "chunk": (CHAT_CHUNK, "chat_stream"),
    "array of chunks": (b"[" + CHAT_CHUNK + b"]", "chat_stream"),
    "lines of chunks": (CHAT_CHUNK + b"\n" + CHAT_CHUNK, "chat_stream"),
    "frames of chunks": (b"data: " + CHAT_CHUNK + b"\n\ndata: [DONE]\n\n", "chat_stream"),
    "frames of chunks without spaces": (b": hi\n\ndata:" + CHAT_CHUNK + b"\n\n", "chat_stream"),
    "response": (RESPONSE, "response"),
    "response in lines": (json.pretty(samples.response()), "response"),
    "response without object": (b'{"id": "x", "output": [], "status": "completed"}', "response"),
    "flat error": (b'{"code": "x", "message": "y", "request_id": "z"}', "error"),
    "wrapped error": (b'{"error": {"message": "y"}}', "error"),
    "array of events": (json.dumps(EVENTS), "stream"),
    "array without events": (b"[]", "stream"),
    "array of input items": (b'[{"type": "message", "role": "user", "content": "x"}]', None),
    "lines": (JSON_LINES, "stream"),
    "one line": (JSON_LINES.split(b"\n")[0], "stream"),
    "lines that end early": (JSON_LINES[:-30], "stream"),
    "frames": (FRAMES, "stream"),
    "frames that end early": (FRAMES[:-30], "stream"),
    "frames with a byte order mark": (b"\xef\xbb\xbf" + FRAMES, "stream"),
    "frames after a comment": (b": hello\n\n" + FRAMES, "stream"),
    "nothing": (b"", "stream"),
    "blanks": (b" \r\n\n", "stream"),
    "HTML": (b"<!doctype html><title>502 Bad Gateway</title>", "stream"),
    "exchange": (b'{"format": 1, "name": "x", "match": {}, "reply": {}}', "exchange"),
    "cut JSON": (RESPONSE[:-9], None),
    "prose": (b"Hello!", None),
    "a number": (b"3", None),
    "an object without a mark": (b'{"hello": "world"}', None),
    "bytes": (bytes(range(256)), None),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_content_is_detected(name: str) -> None:
    data, kind = KINDS[name]
    assert detect_content(data).kind == kind


@pytest.mark.parametrize("name", [name for name, (data, _) in KINDS.items() if data.strip()])
def test_an_http_head_does_not_change_the_kind(name: str) -> None:
    data, kind = KINDS[name]
    found = detect_content(b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n" + data)
    assert (found.kind, found.status, found.body) == (kind, 200, data)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 \r\ncontent-type: text/event-stream\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HTTP_HEAD + b"\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n" + HTTP_HEAD + b"\r\n",
        HTTP_HEAD.replace(b"\r\n", b"\n") + b"\n",
    ],
)
def test_http_heads_written_by_curl(head: bytes) -> None:
    found = detect_content(head + FRAMES)
    assert (found.kind, found.status, found.body) == ("stream", 200, FRAMES)
    assert found.headers["content-type"].startswith("text/event-stream")


def chunked(data: bytes, size: int) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x;name=value\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 10, 1000, 1_000_000])
def test_a_chunked_body_is_joined(size: int) -> None:
    head = HTTP_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    whole = head + chunked(FRAMES, size)
    found = detect_content(whole)
    assert (found.body, found.kind, found.truncated) == (FRAMES, "stream", False)
    assert detect_content(whole[: -len(b"0\r\n\r\n")]).truncated
    # What curl -i writes: the head says chunked, and curl has put the chunks together.
    found = detect_content(head + FRAMES)
    assert (found.body, found.kind, found.truncated) == (FRAMES, "stream", False)


def test_a_json_body_with_an_error_status_is_an_error() -> None:
    assert detect_content(b'HTTP/1.1 500 Oh\r\n\r\n{"detail": "x"}').kind == "error"
    assert (
        detect_content(b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n<html>").kind == "stream"
    )


def test_a_head_alone_has_no_body() -> None:
    found = detect_content(HTTP_HEAD)
    assert (found.kind, found.body, found.status) == ("stream", b"", 200)


def test_the_profile_is_detected_by_its_signals() -> None:
    events = samples.text_stream()
    for body, value in (
        (json.dumps(samples.response()), samples.response()),
        (json.dumps(events), events),
        (samples.service_frames(events), None),
        (b"\n".join(map(json.dumps, events)), None),
        (b"", samples.REQUEST),
    ):
        choice = detect_profile(body, value)
        assert choice.profile == DEFAULT_PROFILE
        assert choice.reason.startswith("by ")


def test_framing_is_a_signal() -> None:
    choice = detect_profile(b':HTTP_STATUS/200\ndata:{"type":"x"}\n\n')
    assert choice == (DEFAULT_PROFILE, "by framing :HTTP_STATUS/200, framing data:{")


@pytest.mark.parametrize("value", [{}, [], [3], {"model": 3, "output": 7, "tools": [None]}, "x", 3, None])
def test_without_a_signal_the_default_profile_is_chosen(value: Any) -> None:
    choice = detect_profile(b"", value)
    assert choice.profile == DEFAULT_PROFILE
    assert "default" in choice.reason


def test_an_oversized_event_has_no_signal() -> None:
    assert "default" in detect_profile(b"data: " + b"x" * (1 << 21)).reason


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09"])
def test_dated_profiles_are_told_apart(profile: str, rendering: str) -> None:
    told = dict(rendered_samples.streams(profile))
    thinking, tools = told[f"thinking, {rendering}"], told[f"tools, {rendering}"]
    for events in (thinking, tools):
        assert detect_profile(json.dumps(events), events).profile == profile
        assert detect_profile(b"".join(encode_events(events, profile))).profile == profile


def test_without_a_difference_the_newest_profile_is_chosen() -> None:
    response = dict(rendered_samples.responses("qwen-2026-05"))["text, wire"]
    assert detect_profile(b"", response).profile == "qwen-2026-09"
    asked = {"model": "qwen3.5-plus", "input": "x"}
    assert detect_profile(b"", asked).profile == "qwen-2026-09"
    # What January's model is asked proves nothing: its parameters may be ignored.
    stored = {"model": "qwen3-max-2026-01-23", "input": "x", "store": False}
    assert detect_profile(b"", stored).profile == DEFAULT_PROFILE


def test_what_other_services_share_is_not_a_signal() -> None:
    value = {"type": "response.reasoning_text.delta", "delta": "x"}
    assert detect_profile(b"", value).profile != "qwen-2026-09"
