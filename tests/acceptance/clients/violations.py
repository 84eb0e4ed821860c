"""Streams that each break or stretch the contract in one way: input for the stream helpers of clients.

Each is an exchange with a recorded reply, and its prompt is its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall
from mockserver.testing.strategies.rendered_replies import (
    ReplySpec,
    render_context,
    render_events,
    tools_for_script,
)

Event = dict[str, Any]
StreamEdit = Callable[[list[Event]], list[Event] | None]

TEXT = "Hello, world"
RENDER_CONTEXT = render_context("qwen-2026-01", "wire")
MODEL = RENDER_CONTEXT.profile.models[0]

_MESSAGE_SCRIPT = Script((Message(("Hello", ", world")),))
_CALL_SCRIPT = Script((FunctionCall("get_weather", '{"city":"Paris"}'),))
_SEARCH_SCRIPT = Script(
    (ToolCall("web_search", {"action": {"query": "a", "type": "search"}}), *_MESSAGE_SCRIPT.items)
)
_EXTRACTOR_SCRIPT = Script(
    (ToolCall("web_extractor", {"goal": "a", "output": "b", "urls": []}), *_MESSAGE_SCRIPT.items)
)
_REASONING_SCRIPT = Script((Reasoning(("Hm",)), *_MESSAGE_SCRIPT.items))
_TWO_MESSAGES_SCRIPT = Script((Message(("Hello",)), Message((", world",))))


def drop_events(*kinds: str) -> StreamEdit:
    """Remove the events of these kinds; a trailing star matches a prefix."""
    return lambda events: [event for event in events if not _has_type(event, kinds)]


def change_events(kind: str, change: Callable[[Event], Any]) -> StreamEdit:
    """Change each event of a kind in place."""

    def edit(events: list[Event]) -> None:
        for event in events:
            if _has_type(event, (kind,)):
                change(event)

    return edit


def insert_event(event: Event, before: str) -> StreamEdit:
    def edit(events: list[Event]) -> list[Event]:
        at = next(at for at, each in enumerate(events) if _has_type(each, (before,)))
        return [*events[:at], event, *events[at:]]

    return edit


def replace_end(*events: Event) -> StreamEdit:
    """Replace the terminal event by other events."""
    return lambda whole: [*whole[:-1], *events]


def _has_type(event: Event, kinds: tuple[str, ...]) -> bool:
    kind = str(event.get("type", "")).removeprefix("response.")
    return any(kind.startswith(each[:-1]) if each.endswith("*") else kind == each for each in kinds)


def _items(event: Event) -> list[Event]:
    response = event.get("response") or {}
    return [*response.get("output", ()), *([event["item"]] if "item" in event else [])]


def _remove_ids(event: Event) -> None:
    for item in _items(event):
        item.pop("id", None)


def _renumber(number: Callable[[int], Any]) -> StreamEdit:
    def edit(events: list[Event]) -> None:
        for at, event in enumerate(events):
            event["sequence_number"] = number(at)

    return edit


def _rename_search_item(events: list[Event]) -> list[Event]:
    for event in events:
        for item in _items(event):
            if item["type"] == "web_search_call":
                item["type"] = "web_search_image_call"
    return drop_events("web_search_call.*")(events) or []


def _move_delta_before_part(events: list[Event]) -> list[Event]:
    at = next(at for at, each in enumerate(events) if _has_type(each, ("content_part.added",)))
    return [*events[:at], events[at + 1], events[at], *events[at + 2 :]]


def _interleave_items(events: list[Event]) -> list[Event]:
    """Open both items at once and alternate their events."""
    first = [event for event in events if event.get("output_index") == 0]
    second = [event for event in events if event.get("output_index") == 1]
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]
    return [*events[:2], *mixed, events[-1]]


def _add_delta_after_end(events: list[Event]) -> list[Event]:
    delta = next(event for event in events if _has_type(event, ("output_text.delta",)))
    return [*events, {**delta, "delta": "!"}]


def _move_search_before_item(events: list[Event]) -> list[Event]:
    progress = [event for event in events if _has_type(event, ("web_search_call.*",))]
    rest = [event for event in events if event not in progress]
    return [*rest[:2], *progress, *rest[2:]]


def _forget_first_item(events: list[Event]) -> list[Event]:
    events[-1]["response"]["output"] = [events[-1]["response"]["output"][-1]]
    return [e for e in events if not (_has_type(e, ("output_item.done",)) and e.get("output_index") == 0)]


_SERVER_ERROR = {"code": "server_error", "message": "The model failed."}
_ERROR_EVENT = {"type": "error", **_SERVER_ERROR, "param": None, "sequence_number": 8}


def _end_as_failed(events: list[Event]) -> None:
    events[-1]["type"] = "response.failed"
    events[-1]["response"] |= {"status": "failed", "error": _SERVER_ERROR}


def _end_as_incomplete(events: list[Event]) -> None:
    events[-1]["type"] = "response.incomplete"
    events[-1]["response"] |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def _unchanged(events: list[Event]) -> None:
    """As it is."""


#: What is wrong or unusual: (script, edit).
VIOLATIONS: Mapping[str, tuple[Script, StreamEdit]] = {
    "nothing: the stream of a message": (_MESSAGE_SCRIPT, _unchanged),
    "nothing: the stream of a function call": (_CALL_SCRIPT, _unchanged),
    "nothing: reasoning before the message (summary deltas without a summary part)": (
        _REASONING_SCRIPT,
        _unchanged,
    ),
    "no `response.created` first": (_MESSAGE_SCRIPT, drop_events("created")),
    "no terminal event": (_MESSAGE_SCRIPT, drop_events("completed")),
    "no `output_item.added`": (_MESSAGE_SCRIPT, drop_events("output_item.added")),
    "no `content_part.added`": (_MESSAGE_SCRIPT, drop_events("content_part.added")),
    "a delta before `content_part.added`": (_MESSAGE_SCRIPT, _move_delta_before_part),
    "`content_index` has a gap": (
        _MESSAGE_SCRIPT,
        lambda events: [e | ({"content_index": 1} if "content_index" in e else {}) for e in events],
    ),
    "wrong `item_id`": (
        _MESSAGE_SCRIPT,
        change_events("output_text.*", lambda e: e.update(item_id="msg_other")),
    ),
    "no `item_id`": (_MESSAGE_SCRIPT, change_events("output_text.*", lambda e: e.pop("item_id"))),
    "`output_item.added` twice": (
        _MESSAGE_SCRIPT,
        lambda events: [*events[:3], events[2], *events[3:]],
    ),
    "response id changes": (
        _MESSAGE_SCRIPT,
        change_events("completed", lambda e: e["response"].update(id="other")),
    ),
    "item id differs in added and done": (
        _CALL_SCRIPT,
        change_events("output_item.done", lambda e: e["item"].update(id="msg_other")),
    ),
    "an item is added, never done, and missing at the end": (_TWO_MESSAGES_SCRIPT, _forget_first_item),
    "an event of an unknown type": (
        _MESSAGE_SCRIPT,
        insert_event({"type": "vendor:note", "sequence_number": 7}, "output_text.done"),
    ),
    "an event without a type": (_MESSAGE_SCRIPT, insert_event({"note": 1}, "output_text.done")),
    "an event `keepalive`": (
        _MESSAGE_SCRIPT,
        insert_event({"type": "keepalive", "sequence_number": 7}, "output_text.done"),
    ),
    "an item `web_extractor_call`": (_EXTRACTOR_SCRIPT, _unchanged),
    "an item of an unknown type": (_SEARCH_SCRIPT, _rename_search_item),
    "items without an id": (_SEARCH_SCRIPT, change_events("*", _remove_ids)),
    "`web_search_call.*` before its item": (_SEARCH_SCRIPT, _move_search_before_item),
    "`sequence_number` is constant": (_MESSAGE_SCRIPT, _renumber(lambda _: 0)),
    "`sequence_number` has gaps": (_MESSAGE_SCRIPT, _renumber(lambda at: 2 * at)),
    "`sequence_number` falls": (_MESSAGE_SCRIPT, _renumber(lambda at: 99 - at)),
    "`sequence_number` is a string": (_MESSAGE_SCRIPT, _renumber(str)),
    "the done text differs from its deltas": (
        _MESSAGE_SCRIPT,
        change_events("output_text.done", lambda e: e.update(text="Bye")),
    ),
    "`logprobs` is null": (
        _MESSAGE_SCRIPT,
        change_events("output_text.*", lambda e: e.update(logprobs=None)),
    ),
    "`usage` is null": (
        _MESSAGE_SCRIPT,
        change_events("completed", lambda e: e["response"].update(usage=None)),
    ),
    "two items open at once": (_TWO_MESSAGES_SCRIPT, _interleave_items),
    "no deltas at all": (_MESSAGE_SCRIPT, drop_events("output_text.delta")),
    "a delta after `response.completed`": (_MESSAGE_SCRIPT, _add_delta_after_end),
    "`item` is null in `output_item.added`": (
        _MESSAGE_SCRIPT,
        change_events("output_item.added", lambda e: e.update(item=None)),
    ),
    "an added message without `content`": (
        _MESSAGE_SCRIPT,
        change_events("output_item.added", lambda e: e["item"].pop("content")),
    ),
    "an added function call without `arguments`": (
        _CALL_SCRIPT,
        change_events("output_item.added", lambda e: e["item"].pop("arguments")),
    ),
    "`output` is empty at the end": (
        _MESSAGE_SCRIPT,
        change_events("completed", lambda e: e["response"].update(output=[])),
    ),
    "`response.failed` at the end": (_MESSAGE_SCRIPT, _end_as_failed),
    "`response.incomplete` at the end": (_MESSAGE_SCRIPT, _end_as_incomplete),
    "an error event, flat": (_MESSAGE_SCRIPT, replace_end(_ERROR_EVENT)),
    "an error event, nested": (
        _MESSAGE_SCRIPT,
        replace_end({"type": "error", "error": _SERVER_ERROR, "sequence_number": 8}),
    ),
    "a payload `{code, message, request_id}`": (
        _MESSAGE_SCRIPT,
        replace_end({"code": "InternalError", "message": "The model failed.", "request_id": "0"}),
    ),
}


def expected_text(title: str) -> str:
    """The text that a reader shows that notices nothing."""
    return "" if VIOLATIONS[title][0] is _CALL_SCRIPT else TEXT


def violation_exchange(title: str) -> dict[str, Any]:
    """The exchange whose reply is that stream."""
    script, edit = VIOLATIONS[title]
    events = render_events(
        ReplySpec(script, MODEL, 1769084048, "auto", tools=tools_for_script(script, RENDER_CONTEXT)),
        RENDER_CONTEXT,
    )
    edited = edit(events)
    chunks = [{"text": _frame(event)} for event in (events if edited is None else edited)]
    head = {"content-type": "text/event-stream"}
    return {
        "format": 1,
        "name": f"violation-{list(VIOLATIONS).index(title)}",
        "source": "made for the test of stream helpers",
        "match": {"prompt": title},
        "reply": {"http": {"status": 200, "headers": head, "chunks": chunks}},
    }


def _frame(event: Event) -> str:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n"
