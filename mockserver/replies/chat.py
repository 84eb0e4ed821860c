"""A script as Chat Completions tells it: one completion, or its chunks.

The form is that of the service's samples: members in their order, null where they have null; while the model
thinks, the text is null, and afterwards the thoughts are (guide, Streaming output, 2026; live recordings,
February to June 2026). Runs of built-in tools leave nothing here but their tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, chunk_text
from mockserver.replies.usage import count_output_tokens
from mockserver.wire import json, sse

__all__ = [
    "ChatFacts",
    "build_chat_chunks",
    "build_chat_completion",
    "build_chat_usage",
    "encode_chunks",
    "render_chat_stream",
    "truncate_at_stop",
]

JSONObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """What a completion needs beside its script."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    call_ids: tuple[str, ...]
    """One for each item of the script, used where a function call has none of its own."""
    choice_count: int = 1
    """How many times it is said."""
    include_usage: bool = False
    """Whether a stream tells its tokens."""


def build_chat_completion(script: Script, facts: ChatFacts) -> JSONObject:
    """The body of an answer that is not streamed."""
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
    """The chunks of an answer that is streamed, choice after choice, the usage last where it is asked for."""
    for at in range(facts.choice_count):
        for delta, reason in _chunk_deltas(script, facts):
            choice = {"delta": delta, "finish_reason": reason, "index": at, "logprobs": None}
            yield _chat_object("chat.completion.chunk", [choice], None, facts)
    if facts.include_usage:
        yield _chat_object("chat.completion.chunk", [], build_chat_usage(script, facts), facts)


def render_chat_stream(script: Script, facts: ChatFacts) -> tuple[bytes, ...]:
    """The stream's bytes: a frame a chunk, then the marker."""
    return tuple(encode_chunks(build_chat_chunks(script, facts)))


def encode_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    """Any chunks, broken ones too, as the service frames them: one line of data each, `[DONE]` at the end."""
    yield from (sse.encode(json.dumps(chunk)) for chunk in chunks)
    yield sse.encode(b"[DONE]")


def build_chat_usage(script: Script, facts: ChatFacts) -> JSONObject:
    """The tokens of all choices, the prompt counted once."""
    estimated, reasoning = count_output_tokens(script)
    stated = script.usage
    written = estimated if stated.output_tokens is None else stated.output_tokens
    usage: JSONObject = {
        "prompt_tokens": facts.prompt_tokens,
        "completion_tokens": written * facts.choice_count,
        "total_tokens": facts.prompt_tokens + written * facts.choice_count,
        "prompt_tokens_details": {"cached_tokens": min(stated.cached_tokens, facts.prompt_tokens)},
    }
    thought = min(reasoning, written) if stated.reasoning_tokens is None else stated.reasoning_tokens
    if thought:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought * facts.choice_count}
    return usage


def truncate_at_stop(script: Script, stop_sequences: Iterable[str]) -> Script:
    """The script as far as the first of these texts in what is said; one that has none is given back."""
    kept: list[Item] = []
    for item in script.items:
        text = item.text if isinstance(item, Message) else ""
        ends = [at for stop in stop_sequences if stop and (at := text.find(stop)) >= 0]
        if isinstance(item, Message) and ends:
            kept.append(Message(tuple(_first_characters(item.chunks, min(ends)))))
            return Script(tuple(kept), replace(script.usage, output_tokens=None))
        kept.append(item)
    return script


def _first_characters(chunks: Iterable[str], size: int) -> Iterator[str]:
    """The chunks as far as so many characters go."""
    for chunk in chunks:
        if size > 0:
            yield chunk[:size]
        size -= len(chunk)


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
    if thoughts := "".join(_text_chunks(script, Reasoning)):
        message["reasoning_content"] = thoughts
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
    """(delta, finish_reason) of each piece: the role, thoughts, text, calls, the end."""
    thinks = any(isinstance(item, Reasoning) for item in script.items)
    over: Mapping[str, None] = {"reasoning_content": None} if thinks else {}
    if thinks:
        yield {"content": None, "role": "assistant", "reasoning_content": ""}, None
    else:
        yield {"content": "", "role": "assistant"}, None
    for piece in _text_chunks(script, Reasoning):
        yield {"content": None, "reasoning_content": piece}, None
    for piece in _text_chunks(script, Message):
        yield {"content": piece, **over}, None
    for at, (call, call_id) in enumerate(_calls_with_ids(script, facts)):
        begun = {"name": call.name, "arguments": ""}
        yield _tool_call_delta(at, call_id, begun, over), None
        for piece in chunk_text(call.arguments):
            # Later pieces have an empty id and no name: live recording, 16 April 2026.
            yield _tool_call_delta(at, "", {"arguments": piece}, over), None
    yield {"content": "", **over}, _finish_reason(script)


def _tool_call_delta(
    at: int, call_id: str, function: JSONObject, extra_members: Mapping[str, None]
) -> JSONObject:
    call = {"index": at, "id": call_id, "type": "function", "function": function}
    return {"content": None, **extra_members, "tool_calls": [call]}


def _text_chunks(script: Script, kind: type[Message | Reasoning]) -> Iterator[str]:
    return (chunk for item in script.items if isinstance(item, kind) for chunk in item.chunks)


def _calls_with_ids(script: Script, facts: ChatFacts) -> Iterator[tuple[FunctionCall, str]]:
    """The calls, each with its id."""
    for item, drawn in zip(script.items, facts.call_ids, strict=True):
        if isinstance(item, FunctionCall):
            yield item, item.call_id or drawn


def _finish_reason(script: Script) -> str:
    if script.status == "incomplete":
        return "length"
    return "tool_calls" if any(isinstance(item, FunctionCall) for item in script.items) else "stop"
