"""A script as a response and as the stream of its events, in wire form.

The order of events is the strict grammar: created, in_progress, then item by item added … done, then
one terminal event. Sources: the vendor's guide, Streaming output (27 January 2026), and the API
reference's samples of 26 January 2026; deltas of function-call arguments are inferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.items import (
    JSONObject,
    added_item,
    done_item,
    output_text,
)
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall, chunked

__all__ = ["Facts", "build_events", "build_response"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reply needs beside its script; any value may be a template's marker."""

    response_id: Any
    created_at: Any
    model: str
    item_ids: tuple[Any, ...]
    call_ids: tuple[Any, ...]
    usage: JSONObject
    tools: Any
    tool_choice: Any


def build_response(script: Script, facts: Facts, profile: Profile) -> JSONObject:
    """The whole response, as a call without `stream` returns it."""
    response = _snapshot(facts, profile, script.status, facts.model, _output(script, facts, profile))
    response["tools"] = facts.tools
    return _ended(response, script, facts)


def build_events(script: Script, facts: Facts, profile: Profile) -> list[JSONObject]:
    """All events of the stream, numbered from 0."""
    events = []
    for number, event in enumerate(_events(script, facts, profile)):
        event["sequence_number"] = number
        events.append(dict(sorted(event.items())))
    return events


def _events(script: Script, facts: Facts, profile: Profile) -> Iterator[JSONObject]:
    for status, kind in ((profile.created_status, "created"), ("in_progress", "in_progress")):
        yield {"type": f"response.{kind}", "response": _snapshot(facts, profile, status, "", [])}
    for index, item in enumerate(script.items):
        yield from _item_events(item, index, facts, profile)
    last = _snapshot(facts, profile, script.status, facts.model, _output(script, facts, profile))
    if profile.echo_tools_in_stream:
        last["tools"] = facts.tools
    yield {"type": f"response.{script.status}", "response": _ended(last, script, facts)}


def _snapshot(
    facts: Facts, profile: Profile, status: str, model: str, output: list[JSONObject]
) -> JSONObject:
    return {
        "created_at": facts.created_at,
        "id": facts.response_id,
        "model": model,
        "object": "response",
        "output": output,
        "parallel_tool_calls": profile.parallel_tool_calls,
        "status": status,
        "tool_choice": facts.tool_choice,
        "tools": [],
    }


def _ended(response: JSONObject, script: Script, facts: Facts) -> JSONObject:
    if script.error is not None:
        response["error"] = {"code": script.error.code, "message": script.error.message}
    else:
        response["usage"] = facts.usage
    return dict(sorted(response.items()))


def _output(script: Script, facts: Facts, profile: Profile) -> list[JSONObject]:
    return [
        done_item(item, facts.item_ids[at], facts.call_ids[at], profile)
        for at, item in enumerate(script.items)
    ]


def _item_events(item: Item, index: int, facts: Facts, profile: Profile) -> Iterator[JSONObject]:
    identity = (facts.item_ids[index], facts.call_ids[index], profile)
    here = {"output_index": index}
    yield {"type": "response.output_item.added", "item": added_item(item, *identity), **here}
    yield from _body(item, {"item_id": facts.item_ids[index], **here}, profile)
    yield {"type": "response.output_item.done", "item": done_item(item, *identity), **here}


def _body(item: Item, here: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    if isinstance(item, Message):
        yield from _text(item, {**here, "content_index": 0})
    elif isinstance(item, Reasoning):
        yield from _thought(item, {**here, "summary_index": 0})
    elif isinstance(item, FunctionCall):
        yield from _arguments(item, here)
    else:
        yield from _progress(item, here, profile)


def _text(item: Message, here: JSONObject) -> Iterator[JSONObject]:
    yield {"type": "response.content_part.added", "part": output_text(""), **here}
    for chunk in item.chunks:
        yield {"type": "response.output_text.delta", "delta": chunk, "logprobs": [], **here}
    yield {"type": "response.output_text.done", "text": item.text, "logprobs": [], **here}
    yield {"type": "response.content_part.done", "part": output_text(item.text), **here}


def _thought(item: Reasoning, here: JSONObject) -> Iterator[JSONObject]:
    for chunk in item.chunks:
        yield {"type": "response.reasoning_summary_text.delta", "delta": chunk, **here}
    yield {"type": "response.reasoning_summary_text.done", "text": item.text, **here}


def _arguments(item: FunctionCall, here: JSONObject) -> Iterator[JSONObject]:
    for chunk in chunked(item.arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": chunk, **here}
    yield {"type": "response.function_call_arguments.done", "arguments": item.arguments, **here}


def _progress(item: ToolCall, here: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    for kind in profile.tools[item.kind].events:
        yield {"type": kind, **here}
