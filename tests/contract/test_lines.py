"""Streams as JSON Lines: what frames are judged by, lines are."""

from __future__ import annotations

import pytest

from mockserver.contract.check import check_stream
from mockserver.contract.findings import Finding
from mockserver.wire import json
from tests.contract import samples


def lines(events: list[samples.Event]) -> bytes:
    return b"".join(json.dumps(event) + b"\n" for event in events)


GOOD = lines(samples.thinking_stream())


def rules(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


@pytest.mark.parametrize("size", [1, 2, 7, len(GOOD)])
def test_any_chunking_is_the_same_stream(size: int) -> None:
    broken = lines([event for event in samples.thinking_stream() if event["sequence_number"] != 4])
    expected = rules(check_stream(json.loads(b"[" + broken.strip().replace(b"\n", b",") + b"]")))
    for data, found in ((GOOD, []), (broken, expected)):
        assert rules(check_stream(data[at : at + size] for at in range(0, len(data), size))) == found


@pytest.mark.parametrize(
    "data", [GOOD, GOOD.strip(), GOOD.replace(b"\n", b"\r\n"), b"\n\n" + GOOD, GOOD.replace(b"\n", b"\n\n")]
)
def test_blank_lines_and_line_ends_do_not_matter(data: bytes) -> None:
    assert check_stream(data) == []
    assert check_stream(data.decode()) == []


def test_what_a_line_can_be_wrong_with() -> None:
    first, rest = GOOD.split(b"\n", 1)
    assert rules(check_stream(GOOD[:-20])) == ["SSE-003", "SEQ-006"]
    assert rules(check_stream(first + b"\noops\n" + rest))[0] == "SSE-002"
    assert rules(check_stream(first[:-1] + b',"type":"response.created"}\n' + rest)) == ["SCH-007"]
    assert rules(check_stream(first + b'\n{"x":"' + b"x" * (1 << 20) + b'"}\n' + rest)) == ["SSE-004"]
    assert rules(check_stream([first + b'\n{"x":"', b"x" * (1 << 20), b"x"])) == ["SSE-004"]


@pytest.mark.parametrize("body", [json.dumps(samples.response()), b"{\n}", b'{"error": {}}', b"{oops", b"{"])
def test_json_that_is_no_event_is_no_stream(body: bytes) -> None:
    assert rules(check_stream(body)) == ["SSE-006"]


def test_text_with_a_lone_surrogate_is_not_utf_8() -> None:
    assert "SSE-009" in rules(check_stream(":\ud800\n\ndata: {}\n\n"))
