"""Valid streams and bodies, written by hand; the tests break them one value at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from mockserver.wire import json, sse

Event = dict[str, Any]

MODEL = "qwen3-max-2026-01-23"
RESPONSE_ID = "f3a1c9d2-5b7e-9c41-8d20-0a1b2c3d4e5f"

REQUEST = {"model": MODEL, "input": "Hello!"}

USAGE: dict[str, Any] = {
    "input_tokens": 37,
    "output_tokens": 166,
    "total_tokens": 203,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 12},
}


def snapshot(status: str, output: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A response in the form of the raw sample of 26 January 2026."""
    return {
        "created_at": 1769435906,
        "id": RESPONSE_ID,
        "model": MODEL if status == "completed" else "",
        "object": "response",
        "output": output or [],
        "parallel_tool_calls": False,
        "status": status,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


def _message(item_id: str, index: int, pieces: list[str]) -> Iterator[Event]:
    text = "".join(pieces)
    part = {"type": "output_text", "text": text, "annotations": []}
    about = {"item_id": item_id, "output_index": index, "content_index": 0}
    item = {"id": item_id, "type": "message", "role": "assistant"}
    yield _added(index, {**item, "status": "in_progress", "content": []})
    yield {"type": "response.content_part.added", **about, "part": {**part, "text": ""}}
    for piece in pieces:
        yield {"type": "response.output_text.delta", **about, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **about, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **about, "part": part}
    yield _done(index, {**item, "status": "completed", "content": [part]})


def _reasoning(item_id: str, index: int, pieces: list[str]) -> Iterator[Event]:
    about = {"item_id": item_id, "output_index": index, "summary_index": 0}
    item = {"id": item_id, "type": "reasoning"}
    text = "".join(pieces)
    yield _added(index, {**item, "summary": []})
    for piece in pieces:
        yield {"type": "response.reasoning_summary_text.delta", **about, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **about, "text": text}
    yield _done(index, {**item, "summary": [{"type": "summary_text", "text": text}]})


def _function_call(item_id: str, index: int, call_id: str, pieces: list[str]) -> Iterator[Event]:
    about = {"item_id": item_id, "output_index": index}
    item = {"id": item_id, "type": "function_call", "name": "get_weather", "call_id": call_id}
    text = "".join(pieces)
    yield _added(index, {**item, "status": "in_progress", "arguments": ""})
    for piece in pieces:
        yield {"type": "response.function_call_arguments.delta", **about, "delta": piece}
    yield {"type": "response.function_call_arguments.done", **about, "arguments": text}
    yield _done(index, {**item, "status": "completed", "arguments": text})


def _tool(item: Event, index: int, steps: tuple[str, ...], before: Event, after: Event) -> Iterator[Event]:
    about = {"item_id": item["id"], "output_index": index}
    yield _added(index, {**item, "status": "in_progress", **before})
    for step in steps:
        yield {"type": f"response.{item['type']}.{step}", **about}
    yield _done(index, {**item, "status": "completed", **before, **after})


def _added(index: int, item: Event) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def stream(*items: Iterator[Event], **usage: Any) -> list[Event]:
    """A complete stream around the events of its items."""
    body = [event for item in items for event in item]
    output = [event["item"] for event in body if event["type"] == "response.output_item.done"]
    events = [
        {"type": "response.created", "response": snapshot("queued")},
        {"type": "response.in_progress", "response": snapshot("in_progress")},
        *body,
        {"type": "response.completed", "response": snapshot("completed", output, usage={**USAGE, **usage})},
    ]
    # Through text, so that no two events share a value: a test breaks only one.
    whole: list[Event] = json.loads(json.dumps(renumber(events)))
    return whole


def renumber(events: list[Event], first: int = 0) -> list[Event]:
    """The events with fresh sequence numbers."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events, first)]


def text_stream(deltas: int = 3) -> list[Event]:
    """One message; deltas + 8 events."""
    return stream(_message("msg_0", 0, [f" word{number}" for number in range(deltas)]))


def thinking_stream() -> list[Event]:
    """A thought, then a message."""
    return stream(_reasoning("msg_0", 0, ["Well", ", then."]), _message("msg_1", 1, ["Yes", "."]))


def function_stream() -> list[Event]:
    """Two function calls."""
    pieces = ['{"city": ', '"Paris"}']
    return stream(_function_call("msg_0", 0, "call_0", pieces), _function_call("msg_1", 1, "call_1", pieces))


def tools_stream() -> list[Event]:
    """Every built-in tool with a thought before it, then a message."""
    action = {"type": "search", "query": "Alibaba Cloud"}
    sources = [{"type": "url", "url": "https://www.alibabacloud.com/"}]
    page = {"goal": "Key facts", "urls": ["https://www.alibabacloud.com/"]}
    code = {"code": "print(1)", "container_id": ""}
    return stream(
        _reasoning("msg_0", 0, ["Search."]),
        _tool(
            {"id": "msg_1", "type": "web_search_call"},
            1,
            ("in_progress", "searching", "completed"),
            {"action": action},
            {"action": {**action, "sources": sources}},
        ),
        _reasoning("msg_2", 2, ["Read."]),
        _tool({"id": "msg_3", "type": "web_extractor_call"}, 3, (), page, {"output": "Evidence"}),
        _tool(
            {"id": "msg_4", "type": "code_interpreter_call"},
            4,
            ("in_progress", "interpreting", "completed"),
            code,
            {"outputs": [{"type": "logs", "logs": "1"}]},
        ),
        _message("msg_5", 5, ["Done", "."]),
        x_tools={"web_search": {"count": 1}, "web_extractor": {"count": 1}, "code_interpreter": {"count": 1}},
    )


def failed_stream() -> list[Event]:
    """A failure before any output: a single event."""
    error = {"code": "InvalidParameter", "message": "The provided URL does not appear to be valid."}
    return [
        {"type": "response.failed", "sequence_number": 0, "response": snapshot("failed", error=error)},
    ]


def response(events: list[Event] | None = None) -> dict[str, Any]:
    """The response that a stream ends with."""
    body: dict[str, Any] = copy.deepcopy((events or text_stream())[-1]["response"])
    return body


def service_frames(events: list[Event]) -> bytes:
    """The events in the form of the service: id, event, a comment, data, no space after the colons."""
    frames = (
        b"id:%d\nevent:%b\n:HTTP_STATUS/200\ndata:%b\n\n"
        % (event["sequence_number"] + 1, event["type"].encode(), json.dumps(event))
        for event in events
    )
    return b"".join(frames)


def plain_frames(events: list[Event]) -> bytes:
    """The events in the usual form: event and data."""
    return b"".join(sse.encode(json.dumps(event), event=event["type"]) for event in events)
