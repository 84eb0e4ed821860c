"""The check of framing, in any chunking."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract.check import check_stream
from mockserver.contract.stream.framing import describe_content
from mockserver.wire import sse
from tests.contract import samples

STREAM = samples.service_frames(samples.tools_stream())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_chunking_does_not_change_the_findings(size: int) -> None:
    broken = STREAM.replace(b"event:response.completed", b"event:done")
    for data in (STREAM, broken, STREAM[:-30], b"\xef\xbb\xbf" + STREAM):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        assert check_stream(chunks) == check_stream(data)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_any_line_end_and_comments_are_valid(line_end: bytes) -> None:
    assert check_stream(STREAM.replace(b"\n", line_end)) == []
    assert check_stream(b": hello\n\n" + STREAM) == []


@pytest.mark.parametrize("block", [b": ping\n\n", b"\n"])
@pytest.mark.parametrize("at", [1, -1])
def test_an_empty_block_after_an_event_with_an_id_is_an_info(block: bytes, at: int) -> None:
    frames = STREAM.removesuffix(b"\n\n").split(b"\n\n")
    frames[at - 1 if at > 0 else at] += b"\n\n" + block.removesuffix(b"\n\n").removesuffix(b"\n")
    data = b"\n\n".join(frames) + b"\n\n"
    [finding] = check_stream(data)
    assert (finding.rule, finding.severity) == ("SSE-005", "info")
    assert finding.event == (1 if at > 0 else len(frames))
    assert check_stream([data[at : at + 1] for at in range(len(data))]) == [finding]
    without_ids = b"\n\n".join(re.sub(rb"(?m)^id:.*\n", b"", each) for each in frames) + b"\n\n"
    assert check_stream(without_ids) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b'{"id": 1}', "JSON"),
        (b"<html>\n\n</html>\n\n", "HTML"),
        (b": waiting\n\n", "no complete event"),
        (b'data: {"type"', "no complete event"),
    ],
)
def test_content_that_is_not_an_event_stream_is_described(data: bytes, words: str) -> None:
    [finding] = [each for each in check_stream(data) if each.severity == "error"]
    assert finding.rule == "SSE-006"
    assert words in finding.message
    assert words in describe_content(data)


def test_an_event_beyond_the_limit_ends_the_check() -> None:
    chunks = [STREAM[:500], b"data:" + b"x" * sse.MAX_EVENT_BYTES, b"x", STREAM]
    assert [finding.rule for finding in check_stream(chunks)] == ["SSE-004"]


def test_an_event_beyond_the_limit_is_named_and_those_before_it_are_checked() -> None:
    frames = STREAM.split(b"\n\n")
    early = b"\n\n".join(frames[:4]).replace(b'"sequence_number":2', b'"sequence_number":7')
    late = early + b"\n\ndata:" + b"x" * sse.MAX_EVENT_BYTES + b"x\n\n"
    for chunks in (
        [late],
        [late[:3000], late[3000:]],
        [late[at : at + 4096] for at in range(0, len(late), 4096)],
    ):
        found = {finding.rule: finding.event for finding in check_stream(chunks)}
        assert found["SSE-004"] == 4
        assert found["SEQ-013"] == 2


def test_data_that_is_not_an_object_or_repeats_a_name() -> None:
    found = check_stream(sse.encode("[]") + sse.encode('{"type":"x","type":"y"}'))
    assert [finding.rule for finding in found][:2] == ["SSE-002", "SCH-007"]


def test_the_done_marker_is_not_an_event() -> None:
    data = STREAM + sse.encode("[DONE]")
    assert [finding.rule for finding in check_stream(data)] == ["SSE-010"]


@given(st.integers(0, len(STREAM)), st.integers(0, 40), st.binary(max_size=30), st.integers(1, len(STREAM)))
@settings(deadline=None)
def test_check_stream_never_raises_on_bytes(at: int, gone: int, put: bytes, cut: int) -> None:
    data = STREAM[:at] + put + STREAM[at + gone :]
    found = check_stream(data)
    assert all(str(each) for each in found)
    assert check_stream([data[:cut], data[cut:]]) == found
    check_stream(put)
