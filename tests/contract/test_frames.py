"""The judge of bytes: framing, in any chunking."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract.check import check_stream
from mockserver.contract.frames import looks_like
from mockserver.wire import sse
from tests.contract import samples

STREAM = samples.framed(samples.tools_stream())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_chunks_make_no_difference(size: int) -> None:
    broken = STREAM.replace(b"event:response.completed", b"event:done")
    for data in (STREAM, broken, STREAM[:-30], b"\xef\xbb\xbf" + STREAM):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        assert check_stream(chunks) == check_stream(data)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_line_ends_and_comments_are_free(line_end: bytes) -> None:
    assert check_stream(STREAM.replace(b"\n", line_end)) == []
    assert check_stream(b": hello\n\n" + STREAM + b":\n\n") == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b'{"id": 1}', "JSON"),
        (b"<html>\n\n</html>\n\n", "HTML"),
        (b": waiting\n\n", "no whole event"),
        (b'data: {"type"', "no whole event"),
    ],
)
def test_what_is_no_event_stream_says_what_it_is(data: bytes, words: str) -> None:
    [finding] = [each for each in check_stream(data) if each.severity == "error"]
    assert finding.rule == "SSE-006"
    assert words in finding.message
    assert words in looks_like(data)


def test_an_event_beyond_the_limit_ends_the_judgement() -> None:
    chunks = [STREAM[:500], b"data:" + b"x" * sse.MAX_EVENT_BYTES, b"x", STREAM]
    assert [finding.rule for finding in check_stream(chunks)] == ["SSE-004"]


def test_data_of_another_kind() -> None:
    found = check_stream(sse.encode("[]") + sse.encode('{"type":"x","type":"y"}'))
    assert [finding.rule for finding in found][:2] == ["SSE-002", "SCH-007"]


def test_the_marker_is_no_event() -> None:
    data = STREAM + sse.encode("[DONE]")
    assert [finding.rule for finding in check_stream(data)] == ["SSE-010"]


@given(st.integers(0, len(STREAM)), st.integers(0, 40), st.binary(max_size=30), st.integers(1, len(STREAM)))
@settings(deadline=None)
def test_no_bytes_make_it_raise(at: int, gone: int, put: bytes, cut: int) -> None:
    data = STREAM[:at] + put + STREAM[at + gone :]
    found = check_stream(data)
    assert all(str(each) for each in found)
    assert check_stream([data[:cut], data[cut:]]) == found
    check_stream(put)
