"""Checks of files of every kind."""

from __future__ import annotations

import base64
import doctest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract import files as files_module
from mockserver.contract.files import check_file
from mockserver.errors import UnknownProfile
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.wire import json
from tests.contract import samples

ROOT = Path(__file__).parent.parent.parent
EVENTS = samples.text_stream()
FRAMES = samples.service_frames(EVENTS)
RESPONSE = samples.response()


def rule_ids(data: bytes, **options: Any) -> list[str]:
    return [finding.rule for finding in check_file(data, **options).findings]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(samples.REQUEST),
        json.dumps(RESPONSE),
        json.dumps(EVENTS),
        b"\n".join(map(json.dumps, EVENTS)),
        FRAMES,
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + FRAMES,
        b'HTTP/1.1 400 Bad Request\r\n\r\n{"code": "x", "message": "y", "request_id": "z"}',
    ],
)
def test_valid_files_have_no_findings(data: bytes) -> None:
    assert check_file(data).findings == ()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "SSE-006"),
        (b"<html>", "SSE-006"),
        (b"[]", "SEQ-006"),
        (FRAMES[:-20], "SSE-003"),
        (json.dumps(RESPONSE)[:-20], "SCH-006"),
        (b'[{"type": "response.created"', "SCH-006"),
        (b'{"hello": "world"}', "SCH-008"),
        (b"Hello!", "SCH-008"),
        (b"\xef\xbb\xbf" + json.dumps(RESPONSE), "SCH-006"),
    ],
)
def test_an_invalid_file_brings_its_rule(data: bytes, rule: str) -> None:
    assert rule in rule_ids(data)


def test_the_kind_can_be_given() -> None:
    assert rule_ids(json.dumps(RESPONSE), kind="stream") == ["SSE-006"]
    assert "SCH-002" in rule_ids(json.dumps(RESPONSE), kind="error") + rule_ids(b"{}", kind="error")
    assert rule_ids(b"{}", kind="request") == ["REQ-001", "REQ-001"]
    assert rule_ids(FRAMES, kind="response") == ["SCH-006"]
    assert check_file(b"{}", kind="request").kind == "request"


def test_a_missing_last_chunk_is_a_truncated_stream() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (len(FRAMES), FRAMES)
    assert rule_ids(head + chunk + b"0\r\n\r\n") == []
    assert rule_ids(head + chunk) == ["SSE-003"]


def test_the_profile_can_be_given() -> None:
    result = check_file(FRAMES, DEFAULT_PROFILE)
    assert (result.profile, result.profile_reason) == (DEFAULT_PROFILE, "as requested")
    with pytest.raises(UnknownProfile):
        check_file(FRAMES, "nothing")


def exchange_file(**members: Any) -> bytes:
    return json.dumps({"format": 1, "name": "x", "match": {}, "reply": {"script": {"items": []}}, **members})


def test_the_parts_of_an_exchange_are_checked() -> None:
    broken = {**RESPONSE, "output": 3}
    lines = [json.dumps(event).decode() for event in EVENTS]
    shown: dict[str, Any] = {"kind": "stream", "trimmed": False, "body": lines}
    assert rule_ids(exchange_file(shown=shown, request=samples.REQUEST, reply={"body": RESPONSE})) == []
    found = check_file(
        exchange_file(
            request={"model": "gpt", "input": "x"},
            shown={"kind": "response", "trimmed": False, "body": broken},
            reply={"body": broken},
        )
    ).findings
    assert [(each.rule, each.pointer) for each in found] == [
        ("REQ-005", "/request/model"),
        ("SCH-001", "/shown/body/output"),
        ("SCH-001", "/reply/body/output"),
    ]
    cut = check_file(exchange_file(shown={**shown, "body": lines[:-1]})).findings
    assert [(each.rule, each.pointer) for each in cut] == [("SEQ-006", "/shown/body")]
    assert (
        rule_ids(
            exchange_file(shown={**shown, "body": lines[:2] + lines[-1:], "trimmed": True, "reason": "x"})
        )
        == []
    )


def test_a_recorded_reply_of_an_exchange_is_checked() -> None:
    def recorded(status: int, body: bytes) -> bytes:
        chunks = [{"base64": base64.b64encode(body).decode()}]
        headers = {"Content-Type": "application/json" if status == 400 else "text/event-stream"}
        return exchange_file(reply={"http": {"status": status, "headers": headers, "chunks": chunks}})

    assert rule_ids(recorded(200, FRAMES)) == []
    assert rule_ids(recorded(200, FRAMES[:-20])) == ["SSE-003"]
    assert rule_ids(recorded(400, b'{"code": "x", "message": "y", "request_id": "z"}')) == []
    assert rule_ids(recorded(400, b'{"code": "x"}')) == ["SCH-002", "SCH-002"]


def test_an_invalid_exchange() -> None:
    [found] = check_file(exchange_file(name="no such name!")).findings
    assert (found.rule, found.pointer) == ("SCH-001", "/name")
    result = check_file(exchange_file(profile="qwen-1999"))
    assert (result.profile, result.profile_reason) == (
        DEFAULT_PROFILE,
        "the default: there is no profile 'qwen-1999'",
    )
    assert check_file(exchange_file(profile=DEFAULT_PROFILE)).profile_reason == "as the exchange says"


@pytest.mark.parametrize("file", sorted((ROOT / "fixtures").rglob("*.json")), ids=lambda file: file.stem)
def test_the_packaged_exchanges_have_no_findings(file: Path) -> None:
    assert check_file(file.read_bytes()).findings == ()


PIECES = [
    b"HTTP/1.1 200 OK\r\n",
    b"transfer-encoding: chunked\r\n",
    b"\r\n",
    b"\n",
    b"5\r\n",
    b"0\r\n",
    b"data: ",
]
PIECES += [
    b"data:{}\n\n",
    b'{"type":"response.created"}',
    b"[",
    b"]",
    b"{",
    b'"object":"response"',
    b"\xef\xbb\xbf",
]
PIECES += [b'{"match":{},"reply":{}}', b'{"error":{}}', b"\xff", b"null", b",", b'{"model":3,"input":{}}']


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3)).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_check_file_never_raises(data: bytes) -> None:
    for kind in ("auto", "request", "response", "stream", "error"):
        check_file(data, kind=kind)


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(files_module)
    assert (results.failed, results.attempted > 0) == (0, True)


def test_request_with_a_stored_prompt_is_recognized() -> None:
    result = check_file(b'{"prompt": {"id": "pmpt_0123", "version": "2"}, "stream": true}')
    assert (result.kind, result.profile, result.findings) == ("request", "openai", ())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_file_of_powershell_is_named(encoding: str) -> None:
    """Its bytes are not those of the wire, so a verdict on them would say nothing about the service."""
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    for text in ('{"model": "qwen3-max-2026-01-23", "input": "x"}', "data: {}\r\n\r\n"):
        (finding,) = check_file(mark + text.encode(encoding)).findings
        assert (finding.rule, "UTF-16, as PowerShell's > writes it" in finding.message) == ("SCH-008", True)
