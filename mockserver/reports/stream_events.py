"""Reads a stream's bytes as events: when each arrived, its lane, and the text that it adds.

Nothing is checked or refused: what cannot be read is an event of its own kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mockserver.errors import EventTooLarge
from mockserver.reports.model import EventKind, EventStream, Lane, StreamEvent
from mockserver.wire import json, sse
from mockserver.wire.redaction import REDACTED, mask, redact, redact_body

__all__ = [
    "FINISH_REASON_PREFIX",
    "MAX_LANES",
    "TimedChunk",
    "event_kind",
    "read_stream",
    "stream_from_values",
]

#: Lanes that are drawn; further items share the last one.
MAX_LANES = 24

TimedChunk = tuple[float | None, bytes]
"""Bytes that arrived together, and the seconds since the request; None if unknown."""

_LIFECYCLE_TYPES = frozenset(
    f"response.{each}" for each in ("created", "queued", "in_progress", "completed", "incomplete")
)
_FAILURE_TYPES = frozenset({"error", "response.error", "response.failed"})
_STRUCTURE_SUFFIXES = (".added", ".done")
#: Prefix of the type of the last chunk of a chat.
FINISH_REASON_PREFIX = "finish_reason "
_CHAT_CHUNK = "chat.completion.chunk"
_KIND_BY_CHAT_MEMBER = {
    "content": EventKind.TEXT,
    "reasoning_content": EventKind.REASONING,
    "tool_calls": EventKind.ARGUMENTS,
}
_TOOL_CALL_INFIXES = ("_call.", "_call_", "mcp_list_tools.")


class _RawEvent(NamedTuple):
    """A frame, before it has a lane."""

    elapsed: float | None
    data: str
    value: Any
    event_name: str = ""
    """The frame's `event:` field, used if its value has no type."""
    is_event: bool = True


def read_stream(chunks: Iterable[TimedChunk], secrets: Sequence[str] = ()) -> EventStream:
    """Read chunks of server-sent events, or of JSON Lines if the first byte is a brace."""
    waiting = iter(chunks)
    head: list[TimedChunk] = []
    for at, data in waiting:
        head.append((at, data))
        if data.strip():
            break
    is_lines = b"".join(each for _, each in head).lstrip()[:1] == b"{"
    reader = _read_json_lines if is_lines else _read_sse
    events: list[_RawEvent] = []
    note = ""
    try:
        for each in reader(_chained(head, waiting)):
            events.append(each)  # noqa: PERF402 (events before one that is too large count)
    except EventTooLarge as error:
        note = f"The rest is not shown: {error}."
    return _LaneBuilder(secrets).build_stream(events, note)


def stream_from_values(values: Iterable[Any], secrets: Sequence[str] = ()) -> EventStream:
    """The stream of events that are already values; their times are unknown."""
    events = [_RawEvent(None, json.dumps(each).decode(), each) for each in values]
    return _LaneBuilder(secrets).build_stream(events, "")


def _chained(head: Iterable[TimedChunk], rest: Iterable[TimedChunk]) -> Iterator[TimedChunk]:
    yield from head
    yield from rest


def _read_sse(chunks: Iterable[TimedChunk]) -> Iterator[_RawEvent]:
    decoder = sse.Decoder()
    for at, data in chunks:
        try:
            frames: Iterable[sse.Frame] = decoder.feed(data)
            too_large = None
        except EventTooLarge as error:
            frames, too_large = error.frames, error
        for frame in frames:
            yield from _from_sse_frame(at, frame)
        if too_large is not None:
            raise too_large


def _from_sse_frame(elapsed: float | None, frame: sse.Frame) -> Iterator[_RawEvent]:
    if frame.data is None:
        # A comment by itself is a keep-alive; within an event it belongs to the frame.
        lines = [*(f":{each}" for each in frame.comments), *(f"{each}:" for each in frame.fields)]
        named = "block without data" if frame.fields else "comment"
        yield _RawEvent(elapsed, "\n".join(lines), None, named, is_event=False)
    elif frame.data.strip() == sse.DONE_DATA:
        yield _RawEvent(elapsed, frame.data, None, sse.DONE_DATA, is_event=False)
    else:
        yield _RawEvent(
            elapsed, frame.data, json.loads_or_none(frame.data.encode(errors="replace")), frame.event
        )


def _read_json_lines(chunks: Iterable[TimedChunk]) -> Iterator[_RawEvent]:
    rest, last = bytearray(), None
    for at, data in chunks:
        last = at
        rest += data
        if b"\n" not in data:
            continue
        *lines, rest = rest.split(b"\n")
        yield from (_from_json_line(at, bytes(line)) for line in lines if line.strip())
    if rest.strip():
        yield _from_json_line(last, bytes(rest))


def _from_json_line(elapsed: float | None, line: bytes) -> _RawEvent:
    return _RawEvent(elapsed, line.decode(errors="replace").strip(), json.loads_or_none(line))


def event_kind(event_type: str) -> EventKind:
    """The kind of an event type."""
    if event_type in _LIFECYCLE_TYPES:
        return EventKind.LIFECYCLE
    if event_type in _FAILURE_TYPES:
        return EventKind.FAILURE
    if event_type.endswith((".delta", "_delta")):
        if "arguments" in event_type or ".code" in event_type or "_call_" in event_type:
            return EventKind.ARGUMENTS
        return EventKind.REASONING if "reasoning" in event_type else EventKind.TEXT
    if event_type.startswith("response.") and event_type.endswith(_STRUCTURE_SUFFIXES):
        return EventKind.STRUCTURE
    return EventKind.TOOL if any(each in event_type for each in _TOOL_CALL_INFIXES) else EventKind.OTHER


def _describe_event(value: dict[str, Any], event_name: str) -> tuple[str, EventKind, str]:
    """(type, kind, added text) of an event, or of a Chat Completions chunk."""
    type_ = value.get("type")
    if type_ is None and value.get("object") == _CHAT_CHUNK:
        return _describe_chat_chunk(value)
    kind = type_ if isinstance(type_, str) else event_name
    delta = value.get("delta")
    grown = delta if isinstance(delta, str) and kind.endswith("delta") else ""
    return kind or "no type", event_kind(kind), grown


def _describe_chat_chunk(value: dict[str, Any]) -> tuple[str, EventKind, str]:
    choice = _first_object(value.get("choices"))
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    call = _first_object(delta.get("tool_calls")).get("function")
    texts = {**delta, "tool_calls": call.get("arguments") if isinstance(call, dict) else None}
    for name, kind in _KIND_BY_CHAT_MEMBER.items():
        if isinstance(texts.get(name), str) and texts[name]:
            return name, kind, texts[name]
    if choice.get("finish_reason"):
        return f"{FINISH_REASON_PREFIX}{choice['finish_reason']}", EventKind.LIFECYCLE, ""
    return ("usage" if value.get("usage") else _CHAT_CHUNK), EventKind.STRUCTURE, ""


def _first_object(values: Any) -> dict[str, Any]:
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, dict) else {}


class _LaneBuilder:
    """Assigns each event to a lane: the item at its `output_index`, else the response."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._labels = ["response"]
        self._texts: list[list[str]] = [[]]
        self._lane_by_index: dict[int, int] = {}
        self._lane_by_item_id: dict[str, int] = {}
        self._overflowing_items = 0

    def build_stream(self, raw_events: Iterable[_RawEvent], note: str) -> EventStream:
        events: list[StreamEvent] = []
        number = 0
        for each in raw_events:
            events.append(self._build_event(each, number))
            number += each.is_event
        lanes = [
            Lane(redact(label, self._secrets), "".join(text))
            for label, text in zip(self._labels, self._texts, strict=True)
        ]
        if self._overflowing_items:
            lanes[-1] = replace(lanes[-1], label=f"{self._overflowing_items + 1} more items")
        return _mask_split_keys(EventStream(tuple(events), tuple(lanes), note), self._secrets)

    def _build_event(self, raw_event: _RawEvent, index: int) -> StreamEvent:
        data = redact_body(raw_event.data, self._secrets)
        if not raw_event.is_event:
            return StreamEvent(None, raw_event.elapsed, raw_event.event_name, EventKind.FRAMING, 0, data)
        value = raw_event.value
        if not isinstance(value, dict):
            named = "not JSON" if value is None else "not an object"
            return StreamEvent(index, raw_event.elapsed, named, EventKind.FAILURE, 0, data)
        named, kind, grown = _describe_event(value, raw_event.event_name)
        lane = self._lane_of(value)
        self._texts[lane].append(grown)
        return StreamEvent(index, raw_event.elapsed, redact(named, self._secrets), kind, lane, data, grown)

    def _lane_of(self, value: dict[str, Any]) -> int:
        index, item = value.get("output_index"), value.get("item")
        if value.get("object") == _CHAT_CHUNK and value.get("choices"):
            index, item = _first_object(value["choices"]).get("index"), {"type": "choice"}
        ids = (value.get("item_id"), item.get("id") if isinstance(item, dict) else None)
        names = [each for each in ids if isinstance(each, str)]
        if isinstance(index, bool) or not isinstance(index, int):
            return next((self._lane_by_item_id[name] for name in names if name in self._lane_by_item_id), 0)
        if index not in self._lane_by_index:
            self._lane_by_index[index] = self._open_lane(index, item)
        lane = self._lane_by_index[index]
        self._lane_by_item_id.update(dict.fromkeys(names, lane))
        return lane

    def _open_lane(self, index: int, item: Any) -> int:
        if len(self._labels) > MAX_LANES:
            self._overflowing_items += 1
            return MAX_LANES
        names = (
            [str(item[name]) for name in ("type", "name") if name in item] if isinstance(item, dict) else []
        )
        self._labels.append(" · ".join([f"item {index}", *(each[:60] for each in names)]))
        self._texts.append([])
        return len(self._labels) - 1


def _mask_split_keys(stream: EventStream, secrets: Sequence[str]) -> EventStream:
    """Mask keys that are split over several events: in each event, and in the text of the lane."""
    clean = [mask(lane.text, secrets) for lane in stream.lanes]
    if all(text == lane.text for text, lane in zip(clean, stream.lanes, strict=True)):
        return stream
    at = [0] * len(clean)
    events = []
    for event in stream.events:
        start = at[event.lane]
        at[event.lane] += len(event.added_text)
        grown = clean[event.lane][start : at[event.lane]]
        events.append(event if grown == event.added_text else _replace_added_text(event, grown))
    lanes = [replace(lane, text=text) for lane, text in zip(stream.lanes, clean, strict=True)]
    return replace(stream, events=tuple(events), lanes=tuple(lanes))


def _replace_added_text(event: StreamEvent, added_text: str) -> StreamEvent:
    before, after = (json.dumps(each).decode() for each in (event.added_text, added_text))
    data = event.data.replace(before, after) if before in event.data else REDACTED
    return replace(event, added_text=added_text, data=data)
