"""A script as a response and as the stream of its events, in wire form.

The order of events is the strict grammar: created, in_progress, then item by item added … done, then
one terminal event. Where an age has it so, the arguments of a remote tool come before its item is added
(API reference, March 2026). Sources: the vendor's guide, Streaming output (27 January 2026), and the API
reference's samples of 26 January 2026; deltas of function-call arguments are inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.items import (
    Identity,
    JSONObject,
    added_item,
    done_item,
    output_text,
    summary_text,
)
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ScriptError,
    ToolCall,
    chunked,
)

__all__ = ["Facts", "build_events", "build_failed_stream", "build_failure", "build_response"]


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
    echoes: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the finished response."""
    whole_arguments: bool = False
    """Whether the arguments of function calls come with their items, and not by events."""


def build_response(script: Script, facts: Facts, profile: Profile) -> JSONObject:
    """The whole response, as a call without `stream` returns it."""
    response = _snapshot(facts, profile, script.status, facts.model, _output(script, facts, profile))
    response["tools"] = facts.tools
    return _ended(response, script, facts, profile)


def build_failure(facts: Facts, profile: Profile, error: JSONObject) -> JSONObject:
    """A response that failed before it began: no model, output or usage (OpenAPI document, August 2026)."""
    failed = _snapshot(facts, profile, "failed", "", [])
    return dict(sorted({**failed, **facts.echoes, "error": error}.items()))


def build_failed_stream(facts: Facts, profile: Profile, error: JSONObject) -> list[JSONObject]:
    """The events of a response that failed before it began, where an error has an event of its own."""
    script = Script((), status="failed", error=ScriptError(error["code"], error["message"]))
    return build_events(script, facts, profile)


def build_events(script: Script, facts: Facts, profile: Profile) -> list[JSONObject]:
    """All events of the stream, numbered from 0."""
    events = []
    for number, event in enumerate(_events(script, facts, profile)):
        event["sequence_number"] = number
        events.append(dict(sorted(event.items())))
    return events


def _events(script: Script, facts: Facts, profile: Profile) -> Iterator[JSONObject]:
    for status, kind in ((profile.created_status, "created"), ("in_progress", "in_progress")):
        yield {"type": f"response.{kind}", "response": _early(facts, profile, status)}
    for index in range(len(script.items)):
        yield from _item_events(index, script, facts, profile)
    last = _snapshot(facts, profile, script.status, facts.model, _output(script, facts, profile))
    if profile.echo_tools_in_stream:
        last["tools"] = facts.tools
    if script.error is not None and profile.error_types:
        yield {"type": "error", "error": _error_payload(script.error, profile)}
    yield {"type": f"response.{script.status}", "response": _ended(last, script, facts, profile)}


def _early(facts: Facts, profile: Profile, status: str) -> JSONObject:
    """The response while nothing of it is there."""
    if not profile.blank:
        return _snapshot(facts, profile, status, "", [])
    whole = _snapshot(facts, profile, status, facts.model, []) | {"tools": facts.tools}
    return dict(sorted({**whole, **facts.echoes}.items()))


def _error_payload(error: ScriptError, profile: Profile) -> JSONObject:
    """An error as the event that tells of it has it: its code is its class where it is one."""
    known = error.code in profile.error_types.values()
    kind = error.code if known else "model_error"
    return {"code": error.code, "message": error.message, "param": None, "type": kind}


def _snapshot(
    facts: Facts, profile: Profile, status: str, model: str, output: list[JSONObject]
) -> JSONObject:
    return {
        **profile.blank,
        "created_at": facts.created_at,
        "id": facts.response_id,
        "model": model,
        "object": "response",
        "output": output,
        "parallel_tool_calls": facts.echoes.get("parallel_tool_calls", profile.parallel_tool_calls),
        "status": status,
        "tool_choice": facts.tool_choice,
        "tools": [],
    }


def _ended(response: JSONObject, script: Script, facts: Facts, profile: Profile) -> JSONObject:
    response |= facts.echoes
    if script.error is not None:
        response["error"] = {"code": script.error.code, "message": script.error.message}
    else:
        response["usage"] = facts.usage
        # An age that echoes also says when it was done (retrieve page, May 2026).
        if facts.echoes and (script.status == "completed" or not profile.blank):
            response["completed_at"] = facts.created_at
    if script.status == "incomplete":
        # The only reason that can occur; its words are inferred from OpenAI's.
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    return dict(sorted(response.items()))


def _output(script: Script, facts: Facts, profile: Profile) -> list[JSONObject]:
    return [
        done_item(item, _identity(script, facts, at, profile), _status(script, at))
        for at, item in enumerate(script.items)
    ]


def _identity(script: Script, facts: Facts, index: int, profile: Profile) -> Identity:
    phase = _phase(script, index) if profile.phases else None
    return Identity(facts.item_ids[index], facts.call_ids[index], profile, phase)


def _phase(script: Script, index: int) -> str:
    """Of a message: a comment where more comes after it, else the answer."""
    return "final_answer" if index == len(script.items) - 1 else "commentary"


def _status(script: Script, index: int) -> str:
    """Status of a done item: the last one of a reply that was cut short is so itself."""
    last = index == len(script.items) - 1
    return "incomplete" if last and script.status == "incomplete" else "completed"


def _item_events(index: int, script: Script, facts: Facts, profile: Profile) -> Iterator[JSONObject]:
    item, who = script.items[index], _identity(script, facts, index, profile)
    place = {"output_index": index}
    here = {"item_id": who.item_id, **place}
    if isinstance(item, ToolCall):
        yield from _heralds(item, here, profile)
    added = added_item(item, who, whole_arguments=facts.whole_arguments)
    yield {"type": "response.output_item.added", "item": added, **place}
    if not (facts.whole_arguments and isinstance(item, FunctionCall)):
        yield from _body(item, here, profile)
    yield {"type": "response.output_item.done", "item": done_item(item, who, _status(script, index)), **place}


def _heralds(item: ToolCall, here: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    """Events of a remote tool's arguments, which come before its item."""
    before = profile.tools[item.kind].before
    if not before:
        return
    delta, done = before
    arguments = item.data.get("arguments", "")
    for chunk in chunked(arguments):
        yield {"type": delta, "delta": chunk, **here}
    yield {"type": done, "arguments": arguments, **here}


def _body(item: Item, here: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    if isinstance(item, Message):
        yield from _text(item, {**here, "content_index": 0})
    elif isinstance(item, Reasoning):
        index = "summary_index" if profile.reasoning_events == "reasoning_summary_text" else "content_index"
        thought = _thought(item, {**here, index: 0}, f"response.{profile.reasoning_events}")
        yield from _in_part(item, {**here, index: 0}, thought) if profile.summary_parts else thought
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


def _thought(item: Reasoning, here: JSONObject, name: str) -> Iterator[JSONObject]:
    for chunk in item.chunks:
        yield {"type": f"{name}.delta", "delta": chunk, **here}
    yield {"type": f"{name}.done", "text": item.text, **here}


def _in_part(item: Reasoning, here: JSONObject, thought: Iterator[JSONObject]) -> Iterator[JSONObject]:
    """The events of a thought between those that open and close its part."""
    yield {"type": "response.reasoning_summary_part.added", "part": summary_text(""), **here}
    yield from thought
    yield {"type": "response.reasoning_summary_part.done", "part": summary_text(item.text), **here}


def _arguments(item: FunctionCall, here: JSONObject) -> Iterator[JSONObject]:
    for chunk in chunked(item.arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": chunk, **here}
    yield {"type": "response.function_call_arguments.done", "arguments": item.arguments, **here}


def _progress(item: ToolCall, here: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    for kind in profile.tools[item.kind].events:
        yield {"type": kind, **here}
