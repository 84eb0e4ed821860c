"""Streams and recordings for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["exchange_file", "long_stream", "sse_frames"]


def sse_frames(events: Iterable[dict[str, Any]]) -> bytes:
    """Events of any kind as server-sent events."""
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def exchange_file(chunks: Iterable[dict[str, Any]], **members: Any) -> bytes:
    """A recording as an exchange file."""
    http = {"status": 200, "headers": {"content-type": "text/event-stream"}, "chunks": list(chunks)}
    value = {
        "format": 1,
        "name": "recording",
        "profile": "qwen-2026-01",
        "request": {"model": "qwen3-max-2026-01-23", "input": "Hello!", "stream": True},
        "match": {},
        "reply": {"http": http},
        **members,
    }
    return json.dumps(value).encode()


def long_stream(events: list[dict[str, Any]], delta_count: int) -> list[dict[str, Any]]:
    """A valid stream of one text with `delta_count` deltas."""
    kind = "response.output_text.delta"
    delta = next(each for each in events if each["type"] == kind)
    at = events.index(delta)
    text = " word" * delta_count
    head, tail = events[:at], [each for each in events[at:] if each["type"] != kind]
    made = [*head, *({**delta, "delta": " word"} for _ in range(delta_count)), *_replace_texts(tail, text)]
    return [{**each, "sequence_number": number} for number, each in enumerate(made)]


def _replace_texts(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [_replace_texts(each, text) for each in value]
    if isinstance(value, dict):
        return {
            name: text if name == "text" and isinstance(each, str) else _replace_texts(each, text)
            for name, each in value.items()
        }
    return value
