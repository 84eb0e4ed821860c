"""Server-sent events: the decoder against WHATWG's cases, the encoder against the decoder.

Readers of others stand in `tests/acceptance/test_sse_parsers.py`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import EventTooLarge
from mockserver.wire.sse import MAX_EVENT_BYTES, Decoder, Frame, decode_frames, encode, encode_comment

CASES = json.loads((Path(__file__).parent.parent / "data" / "sse_cases.json").read_text())["cases"]
STREAM = b":hi\r\n\r\nid:1\nevent:a\ndata:{}\n\ndata: \xe2\x82\xac\rdata:x\r\n\n\nid:2\ndata:end\n\n"


def decode(data: bytes, size: int | None = None, decoder: Decoder | None = None) -> list[Frame]:
    decoder = decoder or Decoder()
    step = size or max(len(data), 1)
    return [frame for at in range(0, len(data), step) for frame in decoder.feed(data[at : at + step])]


@pytest.mark.parametrize("size", [1, 2, 7, None])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_decoder_passes_the_whatwg_cases(case: dict[str, Any], size: int | None) -> None:
    frames = decode(base64.b64decode(case["bytes_b64"]), size)
    assert [
        {"type": frame.type, "data": frame.data, "last_event_id": frame.last_event_id}
        for frame in frames
        if frame.data is not None
    ] == case["expected"]


def test_chunking_does_not_change_the_frames() -> None:
    whole = decode(STREAM)
    assert [frame.data for frame in whole] == [None, "{}", "€\nx", "end"]
    for first in range(len(STREAM)):
        for second in range(first, len(STREAM)):
            decoder = Decoder()
            pieces = (STREAM[:first], STREAM[first:second], STREAM[second:])
            assert [frame for piece in pieces for frame in decoder.feed(piece)] == whole


def test_frames_report_more_than_whatwg_dispatches() -> None:
    frames = decode(b":one\nid:7\nevent:x\n\n:two\n\nretry:30\ndata:\xff\n\n")
    assert [(frame.fields, frame.comments, frame.data) for frame in frames] == [
        (("id", "event"), ("one",), None),
        ((), ("two",), None),
        (("retry", "data"), (), "�"),
    ]
    assert (frames[0].is_valid_utf8, frames[2].is_valid_utf8, frames[2].retry) == (True, False, 30)


def test_a_truncated_event_is_reported() -> None:
    decoder = Decoder()
    decoder.feed(b"data:x\n\n")
    assert not decoder.has_partial_event
    decoder.feed(b"data:y\n")
    assert decoder.has_partial_event


@pytest.mark.parametrize("data", [b"data:" + b"x" * 200, (b"data:" + b"x" * 40 + b"\n") * 5])
@pytest.mark.parametrize("size", [1, 64, 1000])
def test_an_event_beyond_the_limit_is_an_error(data: bytes, size: int) -> None:
    with pytest.raises(EventTooLarge, match="100 bytes"):
        decode(data, size, Decoder(max_event_bytes=100))


def test_the_limit_applies_to_each_event() -> None:
    decoder = Decoder(max_event_bytes=100)
    assert len(decoder.feed(b"data:x\n\n" * 1000)) == 1000


@given(st.text(), st.text(), st.text(), st.sampled_from([":", ": "]), st.integers(1, 9))
def test_encoded_text_is_decoded_unchanged(
    data: str, name: str, event_id: str, separator: str, size: int
) -> None:
    """Line breaks become what WHATWG joins them to; a name cannot inject a line."""
    whole = encode(data, event=name, event_id=event_id, separator=separator)
    frames = decode(whole + encode_comment(data) + encode("end"), size)
    clean = name.replace("\r", "").replace("\n", "").replace("\0", "")
    assert frames[0].data == data.replace("\r\n", "\n").replace("\r", "\n")
    assert frames[0].event == clean
    assert [frame.data for frame in frames[1:]] == [None, "end"]


def test_encoded_frame_layout() -> None:
    assert encode("a\nb", event="x", event_id="1", separator=":") == b"id:1\nevent:x\ndata:a\ndata:b\n\n"
    assert encode(b"{}") == b"data: {}\n\n"
    assert encode(" a", event=" x", separator=":") == b"event:  x\ndata:  a\n\n"


def test_decode_frames_is_empty_for_an_oversized_event() -> None:
    assert [frame.data for frame in decode_frames(encode("a") + encode("b"))] == ["a", "b"]
    assert decode_frames(encode("a") + encode("x" * (MAX_EVENT_BYTES + 1))) == ()


def test_frames_before_an_oversized_event_are_not_lost() -> None:
    data = encode("a") + encode("b") + encode("x" * (MAX_EVENT_BYTES + 1))
    for chunks in ([data], [data[:4], data[4:]]):
        decoder = Decoder()
        frames: list[Frame] = []
        with pytest.raises(EventTooLarge) as caught:  # noqa: PT012 (any chunk may raise)
            for chunk in chunks:
                frames += decoder.feed(chunk)
        assert [frame.data for frame in (*frames, *caught.value.frames)] == ["a", "b"]
