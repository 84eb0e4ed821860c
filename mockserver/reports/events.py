"""A stream's bytes as events: when each came, which lane it is in, and what text it adds.

Nothing is judged here, and nothing refused: what can not be read is an event of its own kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mockserver.errors import EventTooLarge
from mockserver.reports.model import Event, Kind, Lane, Stream
from mockserver.wire import json, sse
from mockserver.wire.redaction import REDACTED, mask, redact

__all__ = ["FINISH", "MAX_LANES", "Piece", "kind_of", "read_stream", "values_stream"]

#: Lanes that are drawn; items beyond share the last one.
MAX_LANES = 24

Piece = tuple[float | None, bytes]
"""Bytes as they came together, and how many seconds after the request; None where that is not known."""

_LIFECYCLE = frozenset(
    f"response.{each}" for each in ("created", "queued", "in_progress", "completed", "incomplete")
)
_FAILURES = frozenset({"error", "response.error", "response.failed"})
_STRUCTURE = (".added", ".done")
#: What the type of a chat's last chunk begins with.
FINISH = "finish_reason "
_CHUNK = "chat.completion.chunk"
_OF_CHUNKS = {"content": Kind.TEXT, "reasoning_content": Kind.REASONING, "tool_calls": Kind.ARGUMENTS}
_CALLS = ("_call.", "_call_", "mcp_list_tools.")


class _Read(NamedTuple):
    """A frame, before it has a lane."""

    at: float | None
    data: str
    value: Any
    named: str = ""
    """What the frame calls it, where its value has no type."""
    is_event: bool = True


def read_stream(pieces: Iterable[Piece], secrets: Sequence[str] = ()) -> Stream:
    """The stream in pieces of bytes: server-sent events, or JSON Lines where the first byte is a brace."""
    waiting = iter(pieces)
    head: list[Piece] = []
    for at, data in waiting:
        head.append((at, data))
        if b"".join(each for _, each in head).strip():
            break
    is_lines = b"".join(each for _, each in head).lstrip()[:1] == b"{"
    reader = _lines if is_lines else _frames
    found: list[_Read] = []
    note = ""
    try:
        for each in reader(_chained(head, waiting)):
            found.append(each)  # noqa: PERF402 (what came before an event that is too large counts)
    except EventTooLarge as error:
        note = f"What follows is not shown: {error}."
    return _Lanes(secrets).stream(found, note)


def values_stream(values: Iterable[Any], secrets: Sequence[str] = ()) -> Stream:
    """The stream of events that are values already; no times are known."""
    found = [_Read(None, json.dumps(each).decode(), each) for each in values]
    return _Lanes(secrets).stream(found, "")


def _chained(head: Iterable[Piece], rest: Iterable[Piece]) -> Iterator[Piece]:
    yield from head
    yield from rest


def _frames(pieces: Iterable[Piece]) -> Iterator[_Read]:
    decoder = sse.Decoder()
    for at, data in pieces:
        for frame in decoder.feed(data):
            yield from _of_frame(at, frame)


def _of_frame(at: float | None, frame: sse.Frame) -> Iterator[_Read]:
    if frame.data is None:
        # Comments stand here alone, as keep-alives do; within an event they are its framing.
        lines = [*(f":{each}" for each in frame.comments), *(f"{each}:" for each in frame.fields)]
        named = "block without data" if frame.fields else "comment"
        yield _Read(at, "\n".join(lines), None, named, is_event=False)
    elif frame.data.strip() == "[DONE]":
        yield _Read(at, frame.data, None, "[DONE]", is_event=False)
    else:
        yield _Read(at, frame.data, json.loads_or_none(frame.data.encode(errors="replace")), frame.event)


def _lines(pieces: Iterable[Piece]) -> Iterator[_Read]:
    rest, last = b"", None
    for at, data in pieces:
        *lines, rest = (rest + data).split(b"\n")
        last = at
        yield from (_of_line(at, line) for line in lines if line.strip())
    if rest.strip():
        yield _of_line(last, rest)


def _of_line(at: float | None, line: bytes) -> _Read:
    return _Read(at, line.decode(errors="replace").strip(), json.loads_or_none(line))


def kind_of(kind: str) -> Kind:
    """What an event of this type is about."""
    if kind in _LIFECYCLE:
        return Kind.LIFECYCLE
    if kind in _FAILURES:
        return Kind.FAILURE
    if kind.endswith((".delta", "_delta")):
        if "arguments" in kind or ".code" in kind or "_call_" in kind:
            return Kind.ARGUMENTS
        return Kind.REASONING if "reasoning" in kind else Kind.TEXT
    if kind.startswith("response.") and kind.endswith(_STRUCTURE):
        return Kind.STRUCTURE
    return Kind.TOOL if any(each in kind for each in _CALLS) else Kind.OTHER


def _told(value: dict[str, Any], named: str) -> tuple[str, Kind, str]:
    """(type, kind, added text) of an event, or of a chunk of a chat completion."""
    told = value.get("type")
    if told is None and value.get("object") == _CHUNK:
        return _of_chunk(value)
    kind = told if isinstance(told, str) else named
    delta = value.get("delta")
    grown = delta if isinstance(delta, str) and kind.endswith("delta") else ""
    return kind or "without a type", kind_of(kind), grown


def _of_chunk(value: dict[str, Any]) -> tuple[str, Kind, str]:
    choice = _first_of(value.get("choices"))
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    call = _first_of(delta.get("tool_calls")).get("function")
    said = {**delta, "tool_calls": call.get("arguments") if isinstance(call, dict) else None}
    for name, kind in _OF_CHUNKS.items():
        if isinstance(said.get(name), str) and said[name]:
            return name, kind, said[name]
    if choice.get("finish_reason"):
        return f"{FINISH}{choice['finish_reason']}", Kind.LIFECYCLE, ""
    return ("usage" if value.get("usage") else _CHUNK), Kind.STRUCTURE, ""


def _first_of(values: Any) -> dict[str, Any]:
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, dict) else {}


class _Lanes:
    """Gives each event its lane: the item at its `output_index`, else the response's own."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._labels = ["response"]
        self._texts: list[list[str]] = [[]]
        self._of_index: dict[int, int] = {}
        self._of_item: dict[str, int] = {}
        self._beyond = 0

    def stream(self, found: Iterable[_Read], note: str) -> Stream:
        events: list[Event] = []
        number = 0
        for each in found:
            events.append(self._event(each, number))
            number += each.is_event
        lanes = [
            Lane(redact(label, self._secrets), "".join(text))
            for label, text in zip(self._labels, self._texts, strict=True)
        ]
        if self._beyond:
            lanes[-1] = replace(lanes[-1], label=f"{self._beyond + 1} more items")
        return _without_split_keys(Stream(tuple(events), tuple(lanes), note), self._secrets)

    def _event(self, read: _Read, number: int) -> Event:
        data = redact(read.data, self._secrets)
        if not read.is_event:
            return Event(None, read.at, read.named, Kind.FRAMING, 0, data)
        value = read.value
        if not isinstance(value, dict):
            named = "not JSON" if value is None else "no object"
            return Event(number, read.at, named, Kind.FAILURE, 0, data)
        named, kind, grown = _told(value, read.named)
        lane = self._lane(value)
        self._texts[lane].append(grown)
        return Event(number, read.at, redact(named, self._secrets), kind, lane, data, grown)

    def _lane(self, value: dict[str, Any]) -> int:
        index, item = value.get("output_index"), value.get("item")
        if value.get("object") == _CHUNK and value.get("choices"):
            index, item = _first_of(value["choices"]).get("index"), {"type": "choice"}
        ids = (value.get("item_id"), item.get("id") if isinstance(item, dict) else None)
        names = [each for each in ids if isinstance(each, str)]
        if isinstance(index, bool) or not isinstance(index, int):
            return next((self._of_item[name] for name in names if name in self._of_item), 0)
        if index not in self._of_index:
            self._of_index[index] = self._opened(index, item)
        lane = self._of_index[index]
        self._of_item.update(dict.fromkeys(names, lane))
        return lane

    def _opened(self, index: int, item: Any) -> int:
        if len(self._labels) > MAX_LANES:
            self._beyond += 1
            return MAX_LANES
        about = (
            [str(item[name]) for name in ("type", "name") if name in item] if isinstance(item, dict) else []
        )
        self._labels.append(" · ".join([f"item {index}", *(each[:60] for each in about)]))
        self._texts.append([])
        return len(self._labels) - 1


def _without_split_keys(stream: Stream, secrets: Sequence[str]) -> Stream:
    """The stream without keys that came in pieces: whole in no event, and whole again in the lane's text."""
    clean = [mask(lane.text, secrets) for lane in stream.lanes]
    if all(text == lane.text for text, lane in zip(clean, stream.lanes, strict=True)):
        return stream
    at = [0] * len(clean)
    events = []
    for event in stream.events:
        start = at[event.lane]
        at[event.lane] += len(event.grown)
        grown = clean[event.lane][start : at[event.lane]]
        events.append(event if grown == event.grown else _regrown(event, grown))
    lanes = [replace(lane, text=text) for lane, text in zip(stream.lanes, clean, strict=True)]
    return replace(stream, events=tuple(events), lanes=tuple(lanes))


def _regrown(event: Event, grown: str) -> Event:
    before, after = (json.dumps(each).decode() for each in (event.grown, grown))
    data = event.data.replace(before, after) if before in event.data else REDACTED
    return replace(event, grown=grown, data=data)
