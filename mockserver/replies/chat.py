"""A script as Chat Completions tells it: one completion, or its chunks.

The form is that of the service's samples: members in their order, null where they have null; while the model
thinks, the text is null, and afterwards the thoughts are (guide, Streaming output, 2026; live recordings,
February to June 2026). Runs of built-in tools leave nothing here but their tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, chunked
from mockserver.replies.usage import output_tokens
from mockserver.wire import json, sse

__all__ = [
    "ChatFacts",
    "chat_chunks",
    "chat_completion",
    "chat_frames",
    "chat_usage",
    "framed_chunks",
    "stopped_at",
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
    choices: int = 1
    """How many times it is said."""
    include_usage: bool = False
    """Whether a stream tells its tokens."""


def chat_completion(script: Script, facts: ChatFacts) -> JSONObject:
    """The body of an answer that is not streamed."""
    choices = [
        {"message": _message(script, facts), "finish_reason": _reason(script), "index": at, "logprobs": None}
        for at in range(facts.choices)
    ]
    return _whole("chat.completion", choices, chat_usage(script, facts), facts)


def chat_chunks(script: Script, facts: ChatFacts) -> Iterator[JSONObject]:
    """The chunks of an answer that is streamed, choice after choice, the usage last where it is asked for."""
    for at in range(facts.choices):
        for delta, reason in _deltas(script, facts):
            choice = {"delta": delta, "finish_reason": reason, "index": at, "logprobs": None}
            yield _whole("chat.completion.chunk", [choice], None, facts)
    if facts.include_usage:
        yield _whole("chat.completion.chunk", [], chat_usage(script, facts), facts)


def chat_frames(script: Script, facts: ChatFacts) -> tuple[bytes, ...]:
    """The stream's bytes: a frame a chunk, then the marker."""
    return tuple(framed_chunks(chat_chunks(script, facts)))


def framed_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    """Any chunks, broken ones too, as the service frames them: one line of data each, `[DONE]` at the end."""
    yield from (sse.encode(json.dumps(chunk)) for chunk in chunks)
    yield sse.encode(b"[DONE]")


def chat_usage(script: Script, facts: ChatFacts) -> JSONObject:
    """The tokens of all choices, the prompt counted once."""
    estimated, reasoning = output_tokens(script)
    stated = script.usage
    written = estimated if stated.output_tokens is None else stated.output_tokens
    usage: JSONObject = {
        "prompt_tokens": facts.prompt_tokens,
        "completion_tokens": written * facts.choices,
        "total_tokens": facts.prompt_tokens + written * facts.choices,
        "prompt_tokens_details": {"cached_tokens": min(stated.cached_tokens, facts.prompt_tokens)},
    }
    thought = min(reasoning, written) if stated.reasoning_tokens is None else stated.reasoning_tokens
    if thought:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought * facts.choices}
    return usage


def stopped_at(script: Script, stops: Iterable[str]) -> Script:
    """The script as far as the first of these texts in what is said; one that has none is given back."""
    kept: list[Item] = []
    for item in script.items:
        text = item.text if isinstance(item, Message) else ""
        ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
        if isinstance(item, Message) and ends:
            kept.append(Message(tuple(_first(item.chunks, min(ends)))))
            return Script(tuple(kept), replace(script.usage, output_tokens=None))
        kept.append(item)
    return script


def _first(chunks: Iterable[str], size: int) -> Iterator[str]:
    """The chunks as far as so many characters go."""
    for chunk in chunks:
        if size > 0:
            yield chunk[:size]
        size -= len(chunk)


def _whole(kind: str, choices: list[JSONObject], usage: JSONObject | None, facts: ChatFacts) -> JSONObject:
    return {
        "choices": choices,
        "object": kind,
        "usage": usage,
        "created": facts.created,
        "system_fingerprint": None,
        "model": facts.model,
        "id": facts.id,
    }


def _message(script: Script, facts: ChatFacts) -> JSONObject:
    message: JSONObject = {"role": "assistant", "content": "".join(_texts(script, Message))}
    if thoughts := "".join(_texts(script, Reasoning)):
        message["reasoning_content"] = thoughts
    calls = [
        {
            "index": at,
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for at, (call, call_id) in enumerate(_calls(script, facts))
    ]
    return {**message, "tool_calls": calls} if calls else message


def _deltas(script: Script, facts: ChatFacts) -> Iterator[tuple[JSONObject, str | None]]:
    """(delta, finish_reason) of each piece: the role, thoughts, text, calls, the end."""
    thinks = any(isinstance(item, Reasoning) for item in script.items)
    over: Mapping[str, None] = {"reasoning_content": None} if thinks else {}
    if thinks:
        yield {"content": None, "role": "assistant", "reasoning_content": ""}, None
    else:
        yield {"content": "", "role": "assistant"}, None
    for piece in _texts(script, Reasoning):
        yield {"content": None, "reasoning_content": piece}, None
    for piece in _texts(script, Message):
        yield {"content": piece, **over}, None
    for at, (call, call_id) in enumerate(_calls(script, facts)):
        begun = {"name": call.name, "arguments": ""}
        yield _calling(at, call_id, begun, over), None
        for piece in chunked(call.arguments):
            # Later pieces have an empty id and no name: live recording, 16 April 2026.
            yield _calling(at, "", {"arguments": piece}, over), None
    yield {"content": "", **over}, _reason(script)


def _calling(at: int, call_id: str, function: JSONObject, over: Mapping[str, None]) -> JSONObject:
    call = {"index": at, "id": call_id, "type": "function", "function": function}
    return {"content": None, **over, "tool_calls": [call]}


def _texts(script: Script, kind: type[Message | Reasoning]) -> Iterator[str]:
    return (chunk for item in script.items if isinstance(item, kind) for chunk in item.chunks)


def _calls(script: Script, facts: ChatFacts) -> Iterator[tuple[FunctionCall, str]]:
    """The calls, each with its id."""
    for item, drawn in zip(script.items, facts.call_ids, strict=True):
        if isinstance(item, FunctionCall):
            yield item, item.call_id or drawn


def _reason(script: Script) -> str:
    if script.status == "incomplete":
        return "length"
    return "tool_calls" if any(isinstance(item, FunctionCall) for item in script.items) else "stop"
