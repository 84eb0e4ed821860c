"""Renders a script for Chat Completions, as one completion or as chunks.

Members have the order and the nulls of the service's samples: `content` is null while the model thinks, and
`reasoning_content` is null afterwards (guide, Streaming output, 2026; live recordings, February to June
2026). Runs of built-in tools show only in the token counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, chunk_text
from mockserver.replies.usage import count_output_tokens
from mockserver.wire import json, sse

__all__ = [
    "ChatFacts",
    "build_chat_chunks",
    "build_chat_completion",
    "build_chat_usage",
    "encode_chunks",
    "render_chat_stream",
]

JSONObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """What a completion needs besides its script."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    call_ids: tuple[str, ...]
    """One per item of the script, used for function calls without an id of their own."""
    choice_count: int = 1
    """How many identical choices to render."""
    include_usage: bool = False
    """Whether a stream ends with a usage chunk."""


def build_chat_completion(script: Script, facts: ChatFacts) -> JSONObject:
    """The body of a reply without `stream`."""
    choices = [
        {
            "message": _completion_message(script, facts),
            "finish_reason": _finish_reason(script),
            "index": at,
            "logprobs": None,
        }
        for at in range(facts.choice_count)
    ]
    return _chat_object("chat.completion", choices, build_chat_usage(script, facts), facts)


def build_chat_chunks(script: Script, facts: ChatFacts) -> Iterator[JSONObject]:
    """The chunks of a streamed reply, choice after choice, and the usage chunk last if there is one."""
    for at in range(facts.choice_count):
        for delta, reason in _chunk_deltas(script, facts):
            choice = {"delta": delta, "finish_reason": reason, "index": at, "logprobs": None}
            yield _chat_object("chat.completion.chunk", [choice], None, facts)
    if facts.include_usage:
        yield _chat_object("chat.completion.chunk", [], build_chat_usage(script, facts), facts)


def render_chat_stream(script: Script, facts: ChatFacts) -> tuple[bytes, ...]:
    """The bytes of the stream: one frame per chunk, then `[DONE]`."""
    return tuple(encode_chunks(build_chat_chunks(script, facts)))


def encode_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    """Frames for chunks, valid or not, as the service sends them: one data line each, `[DONE]` at the end."""
    yield from (sse.encode(json.dumps(chunk)) for chunk in chunks)
    yield sse.encode(sse.DONE_DATA)


def build_chat_usage(script: Script, facts: ChatFacts) -> JSONObject:
    """The `usage` of all choices together; the prompt counts once."""
    estimated, estimated_reasoning = count_output_tokens(script)
    stated = script.usage
    output = estimated if stated.output_tokens is None else stated.output_tokens
    usage: JSONObject = {
        "prompt_tokens": facts.prompt_tokens,
        "completion_tokens": output * facts.choice_count,
        "total_tokens": facts.prompt_tokens + output * facts.choice_count,
        "prompt_tokens_details": {"cached_tokens": min(stated.cached_tokens, facts.prompt_tokens)},
    }
    reasoning = (
        min(estimated_reasoning, output) if stated.reasoning_tokens is None else stated.reasoning_tokens
    )
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning * facts.choice_count}
    return usage


def _chat_object(
    kind: str, choices: list[JSONObject], usage: JSONObject | None, facts: ChatFacts
) -> JSONObject:
    return {
        "choices": choices,
        "object": kind,
        "usage": usage,
        "created": facts.created,
        "system_fingerprint": None,
        "model": facts.model,
        "id": facts.id,
    }


def _completion_message(script: Script, facts: ChatFacts) -> JSONObject:
    message: JSONObject = {"role": "assistant", "content": "".join(_text_chunks(script, Message))}
    if reasoning := "".join(_text_chunks(script, Reasoning)):
        message["reasoning_content"] = reasoning
    calls = [
        {
            "index": at,
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for at, (call, call_id) in enumerate(_calls_with_ids(script, facts))
    ]
    return {**message, "tool_calls": calls} if calls else message


def _chunk_deltas(script: Script, facts: ChatFacts) -> Iterator[tuple[JSONObject, str | None]]:
    """(delta, finish_reason) of each chunk: the role, reasoning, text, calls, the end."""
    has_reasoning = any(isinstance(item, Reasoning) for item in script.items)
    reasoning_over: Mapping[str, None] = {"reasoning_content": None} if has_reasoning else {}
    if has_reasoning:
        yield {"content": None, "role": "assistant", "reasoning_content": ""}, None
    else:
        yield {"content": "", "role": "assistant"}, None
    for piece in _text_chunks(script, Reasoning):
        yield {"content": None, "reasoning_content": piece}, None
    for piece in _text_chunks(script, Message):
        yield {"content": piece, **reasoning_over}, None
    for at, (call, call_id) in enumerate(_calls_with_ids(script, facts)):
        yield _tool_call_delta(at, call_id, {"name": call.name, "arguments": ""}, reasoning_over), None
        for piece in chunk_text(call.arguments):
            # Later deltas have an empty id and no name: live recording, 16 April 2026.
            yield _tool_call_delta(at, "", {"arguments": piece}, reasoning_over), None
    yield {"content": "", **reasoning_over}, _finish_reason(script)


def _tool_call_delta(
    at: int, call_id: str, function: JSONObject, extra_members: Mapping[str, None]
) -> JSONObject:
    call = {"index": at, "id": call_id, "type": "function", "function": function}
    return {"content": None, **extra_members, "tool_calls": [call]}


def _text_chunks(script: Script, kind: type[Message | Reasoning]) -> Iterator[str]:
    return (chunk for item in script.items if isinstance(item, kind) for chunk in item.chunks)


def _calls_with_ids(script: Script, facts: ChatFacts) -> Iterator[tuple[FunctionCall, str]]:
    for item, generated_id in zip(script.items, facts.call_ids, strict=True):
        if isinstance(item, FunctionCall):
            yield item, item.call_id or generated_id


def _finish_reason(script: Script) -> str:
    if script.status == "incomplete":
        return "length"
    return "tool_calls" if any(isinstance(item, FunctionCall) for item in script.items) else "stop"
