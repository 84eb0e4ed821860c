"""Streams as events: times, lanes, texts, and what can not be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.reports.events import MAX_LANES, kind_of, read_stream, values_stream
from mockserver.reports.model import Kind, Stream
from mockserver.wire import sse
from tests.contract import samples
from tests.reports.making import framed

CANARY = "sk-canary-77aa31"


def stream_of(events: list[dict[str, Any]]) -> Stream:
    return read_stream([(None, framed(events))])


def deltas(*texts: str, index: int = 0) -> list[dict[str, Any]]:
    kind = "response.output_text.delta"
    return [{"type": kind, "output_index": index, "item_id": "msg_1", "delta": text} for text in texts]


def test_each_event_has_its_type_lane_and_text() -> None:
    stream = stream_of(samples.text_stream())
    assert [lane.label for lane in stream.lanes] == ["response", "item 0 · message"]
    assert stream.lanes[1].text == " word0 word1 word2"
    assert [event.number for event in stream.events] == list(range(len(samples.text_stream())))
    assert {event.lane for event in stream.events if event.kind is Kind.LIFECYCLE} == {0}
    assert {event.lane for event in stream.events if event.kind is Kind.TEXT} == {1}


def test_an_event_comes_when_the_bytes_that_end_it_come() -> None:
    data = framed(deltas("a", "b"))
    cut = data.index(b"\n\n") + 1
    stream = read_stream([(0.1, data[:cut]), (0.25, data[cut:])])
    assert [event.at for event in stream.events] == [0.25, 0.25]
    stream = read_stream([(0.1, data[: cut + 1]), (0.25, data[cut + 1 :])])
    assert [event.at for event in stream.events] == [0.1, 0.25]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_pieces_make_no_difference(sizes: list[int]) -> None:
    data = framed(samples.text_stream())
    pieces, at = [], 0
    for size in sizes:
        pieces.append((None, data[at : at + size]))
        at += size
    assert read_stream([*pieces, (None, data[at:])]) == read_stream([(None, data)])


def test_lines_and_values_are_read_like_frames() -> None:
    events = samples.text_stream()
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in events)
    by_value = values_stream(events)
    for stream in (read_stream([(None, lines)]), by_value):
        assert [each.type for each in stream.events] == [each["type"] for each in events]
        assert stream.lanes == by_value.lanes


def test_what_is_no_event_has_no_number() -> None:
    data = b": keep-alive\n\n" + framed(deltas("a")) + b"event: ping\n\ndata: [DONE]\n\n"
    events = read_stream([(None, data)]).events
    assert [(each.type, each.number) for each in events] == [
        ("comment", None),
        ("response.output_text.delta", 0),
        ("block without data", None),
        ("[DONE]", None),
    ]


def test_what_can_not_be_read_keeps_its_place() -> None:
    data = b"data: {broken\n\ndata: 7\n\ndata: \xff\n\n" + framed(deltas("a"))
    events = read_stream([(None, data)]).events
    assert [(each.number, each.type) for each in events[:3]] == [
        (0, "not JSON"),
        (1, "no object"),
        (2, "not JSON"),
    ]
    assert events[3].number == 3


def test_an_event_that_is_too_large_ends_it_with_a_note() -> None:
    data = framed(deltas("a")) + b"data: " + b"x" * (sse.MAX_EVENT_BYTES + 1)
    stream = read_stream([(None, data[:200]), (None, data[200:])])
    assert len(stream.events) == 1
    assert "longer than" in stream.note


def test_items_beyond_the_last_lane_share_it() -> None:
    events = [
        {"type": "response.output_item.added", "output_index": index, "item": {"type": "message"}}
        for index in range(300)
    ]
    lanes = stream_of(events).lanes
    assert len(lanes) == MAX_LANES + 1
    assert lanes[-1].label == f"{300 - MAX_LANES + 1} more items"


def test_an_event_without_an_index_is_in_the_lane_of_its_item() -> None:
    events = [*deltas("a", index=4), {"type": "response.x.delta", "item_id": "msg_1", "delta": "b"}]
    assert stream_of(events).lanes[1].text == "ab"


@pytest.mark.parametrize("value", [True, "0", None, [], {"a": 1}, 1.5])
def test_any_index_is_taken(value: Any) -> None:
    event = {"type": "response.output_text.delta", "output_index": value, "delta": value, "item": value}
    assert stream_of([event]).events[0].lane == 0


def test_keys_are_in_no_event_and_no_text() -> None:
    stream = stream_of(deltas("my key: ", CANARY, " and secret-1234"))
    told = repr(read_stream([(None, framed(deltas(CANARY, "secret-1234")))], ["secret-1234"]))
    assert CANARY not in repr(stream)
    assert "secret-1234" not in told
    assert stream.lanes[1].text.startswith("my key: •")


def test_a_key_that_comes_in_pieces_is_masked_in_each() -> None:
    pieces = ["it is ", "s", "k-", "can", "ary-77", "aa31", " ok"]
    stream = stream_of(deltas(*pieces))
    text = "".join(event.grown for event in stream.events)
    assert text == stream.lanes[1].text == f"it is {'•' * len(CANARY)} ok"
    for event in stream.events:
        assert json.loads(event.data)["delta"] == event.grown


def test_chunks_of_a_chat_are_read_too() -> None:
    said = [{"content": "Hel"}, {"content": "lo"}, {"reasoning_content": "hm"}, {}]
    chunks: list[dict[str, Any]] = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": each, "finish_reason": None}]}
        for each in said
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    stream = stream_of(chunks)
    assert stream.lanes[1].label == "item 0 · choice"
    assert stream.lanes[1].text == "Hellohm"
    assert [event.kind for event in stream.events] == [
        Kind.TEXT, Kind.TEXT, Kind.REASONING, Kind.LIFECYCLE
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("response.created", Kind.LIFECYCLE),
        ("response.failed", Kind.FAILURE),
        ("error", Kind.FAILURE),
        ("response.output_item.added", Kind.STRUCTURE),
        ("response.output_text.done", Kind.STRUCTURE),
        ("response.output_text.delta", Kind.TEXT),
        ("response.reasoning_summary_text.delta", Kind.REASONING),
        ("response.function_call_arguments.delta", Kind.ARGUMENTS),
        ("response.code_interpreter_call_code.delta", Kind.ARGUMENTS),
        ("response.web_search_call.searching", Kind.TOOL),
        ("acme:thing", Kind.OTHER),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind
