"""Renders a script as a response and as the events of its stream, in wire form.

The order of events: created, in_progress, then for each item added … done, then one terminal event. In some
profiles the arguments of a remote tool come before its item is added (API reference, March 2026). Sources:
the vendor's guide, Streaming output (27 January 2026), and the API reference's samples of 26 January 2026;
deltas of function-call arguments are inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.replies.items import (
    ItemContext,
    JSONObject,
    build_added_item,
    build_done_item,
    output_text_part,
    summary_text_part,
)
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ScriptError,
    ToolCall,
    chunk_text,
)

__all__ = ["ResponseFacts", "build_events", "build_failed_response", "build_failed_stream", "build_response"]


class ResponseFacts(NamedTuple):
    """What a response needs besides its script; any value may be a template's marker."""

    response_id: Any
    created_at: Any
    model: str
    item_ids: tuple[Any, ...]
    call_ids: tuple[Any, ...]
    usage: JSONObject
    tools: Any
    tool_choice: Any
    echoes: Mapping[str, Any] = MappingProxyType({})
    """Request parameters that the finished response repeats."""
    whole_arguments: bool = False
    """Whether function calls have their arguments when they are added, instead of in events."""


def build_response(script: Script, facts: ResponseFacts, profile: Profile) -> JSONObject:
    """The response that a request without `stream` gets."""
    response = _snapshot(facts, profile, script.status, facts.model, _output_items(script, facts, profile))
    response["tools"] = facts.tools
    return _finish_response(response, script, facts, profile)


def build_failed_response(facts: ResponseFacts, profile: Profile, error: JSONObject) -> JSONObject:
    """A response that failed before it started: no model, output or usage (OpenAPI document, August 2026)."""
    failed = _snapshot(facts, profile, "failed", "", [])
    return dict(sorted({**failed, **facts.echoes, "error": error}.items()))


def build_failed_stream(facts: ResponseFacts, profile: Profile, error: JSONObject) -> list[JSONObject]:
    """The events of a response that failed before it started, in a profile with `error` events."""
    script = Script((), status="failed", error=ScriptError(error["code"], error["message"]))
    return build_events(script, facts, profile)


def build_events(script: Script, facts: ResponseFacts, profile: Profile) -> list[JSONObject]:
    """All events of the stream, numbered from 0."""
    events = []
    for number, event in enumerate(_iter_events(script, facts, profile)):
        event["sequence_number"] = number
        events.append(dict(sorted(event.items())))
    return events


def _iter_events(script: Script, facts: ResponseFacts, profile: Profile) -> Iterator[JSONObject]:
    for status, kind in ((profile.created_status, "created"), ("in_progress", "in_progress")):
        yield {"type": f"response.{kind}", "response": _initial_snapshot(facts, profile, status)}
    for index in range(len(script.items)):
        yield from _item_events(index, script, facts, profile)
    final = _snapshot(facts, profile, script.status, facts.model, _output_items(script, facts, profile))
    if profile.echo_tools_in_stream:
        final["tools"] = facts.tools
    if script.error is not None and profile.error_types:
        yield {"type": "error", "error": _error_payload(script.error, profile)}
    yield {"type": f"response.{script.status}", "response": _finish_response(final, script, facts, profile)}


def _initial_snapshot(facts: ResponseFacts, profile: Profile, status: str) -> JSONObject:
    """The response before it has output."""
    if not profile.blank:
        return _snapshot(facts, profile, status, "", [])
    snapshot = _snapshot(facts, profile, status, facts.model, []) | {"tools": facts.tools}
    return dict(sorted({**snapshot, **facts.echoes}.items()))


def _error_payload(error: ScriptError, profile: Profile) -> JSONObject:
    """The `error` member of an `error` event; `type` is the code if the code names an error type."""
    kind = error.code if error.code in profile.error_types.values() else "model_error"
    return {"code": error.code, "message": error.message, "param": None, "type": kind}


def _snapshot(
    facts: ResponseFacts, profile: Profile, status: str, model: str, output: list[JSONObject]
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


def _finish_response(
    response: JSONObject, script: Script, facts: ResponseFacts, profile: Profile
) -> JSONObject:
    response |= facts.echoes
    if script.error is not None:
        response["error"] = {"code": script.error.code, "message": script.error.message}
    else:
        response["usage"] = facts.usage
        # Profiles that echo parameters also have completed_at (retrieve page, May 2026).
        if facts.echoes and (script.status == "completed" or not profile.blank):
            response["completed_at"] = facts.created_at
    if script.status == "incomplete":
        # The only reason that can occur here; its name is inferred from OpenAI's.
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    return dict(sorted(response.items()))


def _output_items(script: Script, facts: ResponseFacts, profile: Profile) -> list[JSONObject]:
    return [
        build_done_item(item, _item_context(script, facts, at, profile), _item_status(script, at))
        for at, item in enumerate(script.items)
    ]


def _item_context(script: Script, facts: ResponseFacts, index: int, profile: Profile) -> ItemContext:
    phase = _message_phase(script, index) if profile.phases else None
    return ItemContext(facts.item_ids[index], facts.call_ids[index], profile, phase)


def _message_phase(script: Script, index: int) -> str:
    """The `phase` of a message: the last item is the answer, earlier messages are commentary."""
    return "final_answer" if index == len(script.items) - 1 else "commentary"


def _item_status(script: Script, index: int) -> str:
    """The status of a done item; the last item of an incomplete reply is incomplete."""
    last = index == len(script.items) - 1
    return "incomplete" if last and script.status == "incomplete" else "completed"


def _item_events(index: int, script: Script, facts: ResponseFacts, profile: Profile) -> Iterator[JSONObject]:
    item, context = script.items[index], _item_context(script, facts, index, profile)
    location = {"item_id": context.item_id, "output_index": index}
    if isinstance(item, ToolCall):
        yield from _leading_argument_events(item, location, profile)
    added = build_added_item(item, context, whole_arguments=facts.whole_arguments)
    yield {"type": "response.output_item.added", "item": added, "output_index": index}
    if not (facts.whole_arguments and isinstance(item, FunctionCall)):
        yield from _content_events(item, location, profile)
    done = build_done_item(item, context, _item_status(script, index))
    yield {"type": "response.output_item.done", "item": done, "output_index": index}


def _leading_argument_events(item: ToolCall, location: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    """The events for a remote tool's arguments that come before its item."""
    event_types = profile.tools[item.kind].before
    if not event_types:
        return
    delta, done = event_types
    arguments = item.data.get("arguments", "")
    for chunk in chunk_text(arguments) if isinstance(arguments, str) else ():
        yield {"type": delta, "delta": chunk, **location}
    yield {"type": done, "arguments": arguments, **location}


def _content_events(item: Item, location: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    if isinstance(item, Message):
        yield from _message_events(item, {**location, "content_index": 0})
    elif isinstance(item, Reasoning):
        index = "summary_index" if profile.reasoning_events == "reasoning_summary_text" else "content_index"
        part = {**location, index: 0}
        events = _reasoning_events(item, part, f"response.{profile.reasoning_events}")
        yield from _summary_part_events(item, part, events) if profile.summary_parts else events
    elif isinstance(item, FunctionCall):
        yield from _argument_events(item, location)
    else:
        yield from _progress_events(item, location, profile)


def _message_events(item: Message, location: JSONObject) -> Iterator[JSONObject]:
    yield {"type": "response.content_part.added", "part": output_text_part(""), **location}
    for chunk in item.chunks:
        yield {"type": "response.output_text.delta", "delta": chunk, "logprobs": [], **location}
    yield {"type": "response.output_text.done", "text": item.text, "logprobs": [], **location}
    yield {"type": "response.content_part.done", "part": output_text_part(item.text), **location}


def _reasoning_events(item: Reasoning, location: JSONObject, event_prefix: str) -> Iterator[JSONObject]:
    for chunk in item.chunks:
        yield {"type": f"{event_prefix}.delta", "delta": chunk, **location}
    yield {"type": f"{event_prefix}.done", "text": item.text, **location}


def _summary_part_events(
    item: Reasoning, location: JSONObject, events: Iterator[JSONObject]
) -> Iterator[JSONObject]:
    """The events of a reasoning item, between the two events for its summary part."""
    yield {"type": "response.reasoning_summary_part.added", "part": summary_text_part(""), **location}
    yield from events
    yield {"type": "response.reasoning_summary_part.done", "part": summary_text_part(item.text), **location}


def _argument_events(item: FunctionCall, location: JSONObject) -> Iterator[JSONObject]:
    for chunk in chunk_text(item.arguments):
        yield {"type": "response.function_call_arguments.delta", "delta": chunk, **location}
    yield {"type": "response.function_call_arguments.done", "arguments": item.arguments, **location}


def _progress_events(item: ToolCall, location: JSONObject, profile: Profile) -> Iterator[JSONObject]:
    for kind in profile.tools[item.kind].events:
        yield {"type": kind, **location}
