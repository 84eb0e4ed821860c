"""Streams as JSON Lines: checked like frames."""

from __future__ import annotations

import pytest

from mockserver.contract.check import check_stream
from mockserver.contract.findings import Finding
from mockserver.wire import json
from tests.contract import samples


def json_lines(events: list[samples.Event]) -> bytes:
    return b"".join(json.dumps(event) + b"\n" for event in events)


VALID_LINES = json_lines(samples.thinking_stream())


def rule_ids(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


@pytest.mark.parametrize("size", [1, 2, 7, len(VALID_LINES)])
def test_chunking_does_not_change_the_findings(size: int) -> None:
    broken = json_lines([event for event in samples.thinking_stream() if event["sequence_number"] != 4])
    expected = rule_ids(check_stream(json.loads(b"[" + broken.strip().replace(b"\n", b",") + b"]")))
    for data, found in ((VALID_LINES, []), (broken, expected)):
        assert rule_ids(check_stream(data[at : at + size] for at in range(0, len(data), size))) == found


@pytest.mark.parametrize(
    "data",
    [
        VALID_LINES,
        VALID_LINES.strip(),
        VALID_LINES.replace(b"\n", b"\r\n"),
        b"\n\n" + VALID_LINES,
        VALID_LINES.replace(b"\n", b"\n\n"),
    ],
)
def test_blank_lines_and_line_ends_do_not_matter(data: bytes) -> None:
    assert check_stream(data) == []
    assert check_stream(data.decode()) == []


def test_invalid_lines() -> None:
    first, rest = VALID_LINES.split(b"\n", 1)
    assert rule_ids(check_stream(VALID_LINES[:-20])) == ["SSE-003", "SEQ-006"]
    assert rule_ids(check_stream(first + b"\noops\n" + rest))[0] == "SSE-002"
    assert rule_ids(check_stream(first[:-1] + b',"type":"response.created"}\n' + rest)) == ["SCH-007"]
    assert rule_ids(check_stream(first + b'\n{"x":"' + b"x" * (1 << 20) + b'"}\n' + rest)) == ["SSE-004"]
    assert rule_ids(check_stream([first + b'\n{"x":"', b"x" * (1 << 20), b"x"])) == ["SSE-004"]


@pytest.mark.parametrize("body", [json.dumps(samples.response()), b"{\n}", b'{"error": {}}', b"{oops", b"{"])
def test_json_that_is_not_an_event_is_not_a_stream(body: bytes) -> None:
    assert rule_ids(check_stream(body)) == ["SSE-006"]


def test_text_with_a_lone_surrogate_is_not_utf_8() -> None:
    assert "SSE-009" in rule_ids(check_stream(":\ud800\n\ndata: {}\n\n"))
