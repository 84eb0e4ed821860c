"""Streams become events with times, lanes and texts; what cannot be read is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.reports.model import EventKind, EventStream
from mockserver.reports.stream_events import MAX_LANES, event_kind, read_stream, stream_from_values
from mockserver.wire import sse
from tests.contract import samples
from tests.reports.report_samples import sse_frames

CANARY_KEY = "sk-canary-77aa31"


def parse_stream(events: list[dict[str, Any]]) -> EventStream:
    return read_stream([(None, sse_frames(events))])


def text_deltas(*texts: str, index: int = 0) -> list[dict[str, Any]]:
    kind = "response.output_text.delta"
    return [{"type": kind, "output_index": index, "item_id": "msg_1", "delta": text} for text in texts]


def test_each_event_has_its_type_lane_and_text() -> None:
    stream = parse_stream(samples.text_stream())
    assert [lane.label for lane in stream.lanes] == ["response", "item 0 · message"]
    assert stream.lanes[1].text == " word0 word1 word2"
    assert [event.index for event in stream.events] == list(range(len(samples.text_stream())))
    assert {event.lane for event in stream.events if event.kind is EventKind.LIFECYCLE} == {0}
    assert {event.lane for event in stream.events if event.kind is EventKind.TEXT} == {1}


def test_an_event_has_the_time_of_its_last_byte() -> None:
    data = sse_frames(text_deltas("a", "b"))
    cut = data.index(b"\n\n") + 1
    stream = read_stream([(0.1, data[:cut]), (0.25, data[cut:])])
    assert [event.elapsed for event in stream.events] == [0.25, 0.25]
    stream = read_stream([(0.1, data[: cut + 1]), (0.25, data[cut + 1 :])])
    assert [event.elapsed for event in stream.events] == [0.1, 0.25]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_chunking_does_not_change_the_stream(sizes: list[int]) -> None:
    data = sse_frames(samples.text_stream())
    pieces, at = [], 0
    for size in sizes:
        pieces.append((None, data[at : at + size]))
        at += size
    assert read_stream([*pieces, (None, data[at:])]) == read_stream([(None, data)])


def test_json_lines_and_values_are_read_like_frames() -> None:
    events = samples.text_stream()
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in events)
    by_value = stream_from_values(events)
    for stream in (read_stream([(None, lines)]), by_value):
        assert [each.type for each in stream.events] == [each["type"] for each in events]
        assert stream.lanes == by_value.lanes


def test_comments_and_markers_have_no_index() -> None:
    data = b": keep-alive\n\n" + sse_frames(text_deltas("a")) + b"event: ping\n\ndata: [DONE]\n\n"
    events = read_stream([(None, data)]).events
    assert [(each.type, each.index) for each in events] == [
        ("comment", None),
        ("response.output_text.delta", 0),
        ("block without data", None),
        ("[DONE]", None),
    ]


def test_unreadable_events_keep_their_index() -> None:
    data = b"data: {broken\n\ndata: 7\n\ndata: \xff\n\n" + sse_frames(text_deltas("a"))
    events = read_stream([(None, data)]).events
    assert [(each.index, each.type) for each in events[:3]] == [
        (0, "not JSON"),
        (1, "not an object"),
        (2, "not JSON"),
    ]
    assert events[3].index == 3


def test_an_oversized_event_ends_the_stream_with_a_note() -> None:
    data = sse_frames(text_deltas("a")) + b"data: " + b"x" * (sse.MAX_EVENT_BYTES + 1)
    stream = read_stream([(None, data[:200]), (None, data[200:])])
    assert len(stream.events) == 1
    assert "longer than" in stream.note


def test_items_beyond_the_last_lane_share_it() -> None:
    events = [
        {"type": "response.output_item.added", "output_index": index, "item": {"type": "message"}}
        for index in range(300)
    ]
    lanes = parse_stream(events).lanes
    assert len(lanes) == MAX_LANES + 1
    assert lanes[-1].label == f"{300 - MAX_LANES + 1} more items"


def test_an_event_without_an_index_is_in_the_lane_of_its_item() -> None:
    events = [*text_deltas("a", index=4), {"type": "response.x.delta", "item_id": "msg_1", "delta": "b"}]
    assert parse_stream(events).lanes[1].text == "ab"


@pytest.mark.parametrize("value", [True, "0", None, [], {"a": 1}, 1.5])
def test_an_invalid_index_is_tolerated(value: Any) -> None:
    event = {"type": "response.output_text.delta", "output_index": value, "delta": value, "item": value}
    assert parse_stream([event]).events[0].lane == 0


def test_keys_are_masked_in_events_and_texts() -> None:
    stream = parse_stream(text_deltas("my key: ", CANARY_KEY, " and secret-1234"))
    shown = repr(read_stream([(None, sse_frames(text_deltas(CANARY_KEY, "secret-1234")))], ["secret-1234"]))
    assert CANARY_KEY not in repr(stream)
    assert "secret-1234" not in shown
    assert stream.lanes[1].text.startswith("my key: •")


def test_a_key_split_over_events_is_masked_in_each() -> None:
    pieces = ["it is ", "s", "k-", "can", "ary-77", "aa31", " ok"]
    stream = parse_stream(text_deltas(*pieces))
    text = "".join(event.added_text for event in stream.events)
    assert text == stream.lanes[1].text == f"it is {'•' * len(CANARY_KEY)} ok"
    for event in stream.events:
        assert json.loads(event.data)["delta"] == event.added_text


def test_chat_chunks_are_read() -> None:
    said = [{"content": "Hel"}, {"content": "lo"}, {"reasoning_content": "hm"}, {}]
    chunks: list[dict[str, Any]] = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": each, "finish_reason": None}]}
        for each in said
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    stream = parse_stream(chunks)
    assert stream.lanes[1].label == "item 0 · choice"
    assert stream.lanes[1].text == "Hellohm"
    assert [event.kind for event in stream.events] == [
        EventKind.TEXT, EventKind.TEXT, EventKind.REASONING, EventKind.LIFECYCLE
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("response.created", EventKind.LIFECYCLE),
        ("response.failed", EventKind.FAILURE),
        ("error", EventKind.FAILURE),
        ("response.output_item.added", EventKind.STRUCTURE),
        ("response.output_text.done", EventKind.STRUCTURE),
        ("response.output_text.delta", EventKind.TEXT),
        ("response.reasoning_summary_text.delta", EventKind.REASONING),
        ("response.function_call_arguments.delta", EventKind.ARGUMENTS),
        ("response.code_interpreter_call_code.delta", EventKind.ARGUMENTS),
        ("response.web_search_call.searching", EventKind.TOOL),
        ("acme:thing", EventKind.OTHER),
    ],
)
def test_event_kinds(name: str, kind: EventKind) -> None:
    assert event_kind(name) is kind
