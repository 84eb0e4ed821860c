"""Streams that break the contract, or stretch it, one way each: what the stream helpers of clients are fed.

Each is an exchange with a recorded reply; its prompt is its name, so a driver asks for it by that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall
from mockserver.testing.strategies.replies import ReplySpec, render_events, tools_for_script
from mockserver.testing.strategies.values import render_context

Event = dict[str, Any]
Edit = Callable[[list[Event]], list[Event] | None]

TEXT = "Hello, world"
LOOK = render_context("qwen-2026-01", "wire")
MODEL = LOOK.profile.models[0]

_MESSAGE = Script((Message(("Hello", ", world")),))
_CALL = Script((FunctionCall("get_weather", '{"city":"Paris"}'),))
_SEARCH = Script((ToolCall("web_search", {"action": {"query": "a", "type": "search"}}), *_MESSAGE.items))
_EXTRACTOR = Script((ToolCall("web_extractor", {"goal": "a", "output": "b", "urls": []}), *_MESSAGE.items))
_THOUGHT = Script((Reasoning(("Hm",)), *_MESSAGE.items))
_TWO = Script((Message(("Hello",)), Message((", world",))))


def without(*kinds: str) -> Edit:
    """Without the events of these kinds; those of an ending star by their beginning."""
    return lambda events: [event for event in events if not _is(event, kinds)]


def changed(kind: str, change: Callable[[Event], Any]) -> Edit:
    """Each event of a kind changed in place."""

    def edit(events: list[Event]) -> None:
        for event in events:
            if _is(event, (kind,)):
                change(event)

    return edit


def inserted(event: Event, before: str) -> Edit:
    def edit(events: list[Event]) -> list[Event]:
        at = next(at for at, each in enumerate(events) if _is(each, (before,)))
        return [*events[:at], event, *events[at:]]

    return edit


def ended(*events: Event) -> Edit:
    """Events in place of the terminal one."""
    return lambda whole: [*whole[:-1], *events]


def _is(event: Event, kinds: tuple[str, ...]) -> bool:
    kind = str(event.get("type", "")).removeprefix("response.")
    return any(kind.startswith(each[:-1]) if each.endswith("*") else kind == each for each in kinds)


def _items(event: Event) -> list[Event]:
    response = event.get("response") or {}
    return [*response.get("output", ()), *([event["item"]] if "item" in event else [])]


def _no_ids(event: Event) -> None:
    for item in _items(event):
        item.pop("id", None)


def _renumbered(number: Callable[[int], Any]) -> Edit:
    def edit(events: list[Event]) -> None:
        for at, event in enumerate(events):
            event["sequence_number"] = number(at)

    return edit


def _strange_item(events: list[Event]) -> list[Event]:
    for event in events:
        for item in _items(event):
            if item["type"] == "web_search_call":
                item["type"] = "web_search_image_call"
    return without("web_search_call.*")(events) or []


def _early_delta(events: list[Event]) -> list[Event]:
    at = next(at for at, each in enumerate(events) if _is(each, ("content_part.added",)))
    return [*events[:at], events[at + 1], events[at], *events[at + 2 :]]


def _interleaved(events: list[Event]) -> list[Event]:
    """Both items open at once, their events in turn."""
    first = [event for event in events if event.get("output_index") == 0]
    second = [event for event in events if event.get("output_index") == 1]
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]
    return [*events[:2], *mixed, events[-1]]


def _late_delta(events: list[Event]) -> list[Event]:
    delta = next(event for event in events if _is(event, ("output_text.delta",)))
    return [*events, {**delta, "delta": "!"}]


def _moved_search(events: list[Event]) -> list[Event]:
    progress = [event for event in events if _is(event, ("web_search_call.*",))]
    rest = [event for event in events if event not in progress]
    return [*rest[:2], *progress, *rest[2:]]


def _forgotten_item(events: list[Event]) -> list[Event]:
    events[-1]["response"]["output"] = [events[-1]["response"]["output"][-1]]
    return [e for e in events if not (_is(e, ("output_item.done",)) and e.get("output_index") == 0)]


_FAILED = {"code": "server_error", "message": "The model failed."}
_ERROR = {"type": "error", **_FAILED, "param": None, "sequence_number": 8}


def _failed(events: list[Event]) -> None:
    events[-1]["type"] = "response.failed"
    events[-1]["response"] |= {"status": "failed", "error": _FAILED}


def _incomplete(events: list[Event]) -> None:
    events[-1]["type"] = "response.incomplete"
    events[-1]["response"] |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def _same(events: list[Event]) -> None:
    """As it is."""


#: What is wrong, or odd, in words: (script, edit).
VIOLATIONS: Mapping[str, tuple[Script, Edit]] = {
    "nothing: the stream of a message": (_MESSAGE, _same),
    "nothing: the stream of a function call": (_CALL, _same),
    "nothing: reasoning before the message (summary deltas without a summary part)": (_THOUGHT, _same),
    "no `response.created` first": (_MESSAGE, without("created")),
    "no terminal event": (_MESSAGE, without("completed")),
    "no `output_item.added`": (_MESSAGE, without("output_item.added")),
    "no `content_part.added`": (_MESSAGE, without("content_part.added")),
    "a delta before `content_part.added`": (_MESSAGE, _early_delta),
    "`content_index` has a gap": (
        _MESSAGE,
        lambda events: [e | ({"content_index": 1} if "content_index" in e else {}) for e in events],
    ),
    "wrong `item_id`": (_MESSAGE, changed("output_text.*", lambda e: e.update(item_id="msg_other"))),
    "no `item_id`": (_MESSAGE, changed("output_text.*", lambda e: e.pop("item_id"))),
    "`output_item.added` twice": (
        _MESSAGE,
        lambda events: [*events[:3], events[2], *events[3:]],
    ),
    "response id changes": (_MESSAGE, changed("completed", lambda e: e["response"].update(id="other"))),
    "item id differs in added and done": (
        _CALL,
        changed("output_item.done", lambda e: e["item"].update(id="msg_other")),
    ),
    "an item is added, never done, and missing at the end": (_TWO, _forgotten_item),
    "an event of an unknown type": (
        _MESSAGE,
        inserted({"type": "vendor:note", "sequence_number": 7}, "output_text.done"),
    ),
    "an event without a type": (_MESSAGE, inserted({"note": 1}, "output_text.done")),
    "an event `keepalive`": (
        _MESSAGE,
        inserted({"type": "keepalive", "sequence_number": 7}, "output_text.done"),
    ),
    "an item `web_extractor_call`": (_EXTRACTOR, _same),
    "an item of an unknown type": (_SEARCH, _strange_item),
    "items without an id": (_SEARCH, changed("*", _no_ids)),
    "`web_search_call.*` before its item": (_SEARCH, _moved_search),
    "`sequence_number` is constant": (_MESSAGE, _renumbered(lambda _: 0)),
    "`sequence_number` has gaps": (_MESSAGE, _renumbered(lambda at: 2 * at)),
    "`sequence_number` falls": (_MESSAGE, _renumbered(lambda at: 99 - at)),
    "`sequence_number` is a string": (_MESSAGE, _renumbered(str)),
    "the done text differs from its deltas": (
        _MESSAGE,
        changed("output_text.done", lambda e: e.update(text="Bye")),
    ),
    "`logprobs` is null": (_MESSAGE, changed("output_text.*", lambda e: e.update(logprobs=None))),
    "`usage` is null": (_MESSAGE, changed("completed", lambda e: e["response"].update(usage=None))),
    "two items open at once": (_TWO, _interleaved),
    "no deltas at all": (_MESSAGE, without("output_text.delta")),
    "a delta after `response.completed`": (_MESSAGE, _late_delta),
    "`item` is null in `output_item.added`": (
        _MESSAGE,
        changed("output_item.added", lambda e: e.update(item=None)),
    ),
    "an added message without `content`": (
        _MESSAGE,
        changed("output_item.added", lambda e: e["item"].pop("content")),
    ),
    "an added function call without `arguments`": (
        _CALL,
        changed("output_item.added", lambda e: e["item"].pop("arguments")),
    ),
    "`output` is empty at the end": (
        _MESSAGE,
        changed("completed", lambda e: e["response"].update(output=[])),
    ),
    "`response.failed` at the end": (_MESSAGE, _failed),
    "`response.incomplete` at the end": (_MESSAGE, _incomplete),
    "an error event, flat": (_MESSAGE, ended(_ERROR)),
    "an error event, nested": (_MESSAGE, ended({"type": "error", "error": _FAILED, "sequence_number": 8})),
    "a payload `{code, message, request_id}`": (
        _MESSAGE,
        ended({"code": "InternalError", "message": "The model failed.", "request_id": "0"}),
    ),
}


def expected_text(title: str) -> str:
    """What a reader that notices nothing would make of it."""
    return "" if VIOLATIONS[title][0] is _CALL else TEXT


def exchange(title: str) -> dict[str, Any]:
    """The exchange whose reply is that stream."""
    script, edit = VIOLATIONS[title]
    events = render_events(
        ReplySpec(script, MODEL, 1769084048, "auto", tools=tools_for_script(script, LOOK)), LOOK
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
