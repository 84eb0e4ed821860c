"""Renders a script for Chat Completions, as one completion or as chunks.

Members have the order and the nulls of the service's samples: `content` is null while the model thinks, and
`reasoning_content` is null afterwards (guide, Streaming output, 2026; live recordings, February to June
2026). Runs of built-in tools show only in the token counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from mockserver.replies.markers import (
    ReplyTemplate,
    SlotValues,
    StreamTemplate,
    compile_body,
    compile_frames,
    string_marker,
    value_marker,
)
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, chunk_text
from mockserver.replies.usage import stated_or_estimated_tokens
from mockserver.wire import json, sse

__all__ = [
    "ChatFacts",
    "ChatTokens",
    "build_chat_chunks",
    "build_chat_completion",
    "calls_to_identify",
    "chat_slots",
    "compile_chat_completion",
    "compile_chat_stream",
    "count_chat_tokens",
    "encode_chunks",
]

JSONObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """What a completion needs besides its script."""

    id: str
    created: Any
    """Seconds since the epoch, or a template's marker."""
    model: str
    prompt_tokens: int
    call_ids: tuple[str, ...]
    """One per item of the script, used for function calls without an id of their own."""
    choice_count: int = 1
    """How many identical choices to render."""
    include_usage: bool = False
    """Whether a stream ends with a usage chunk."""


class ChatTokens(NamedTuple):
    """The token counts of a reply that depend on its prompt; each may be a template's marker."""

    prompt: Any
    total: Any
    cached: Any

    def slots(self) -> SlotValues:
        """The counts as values of a template."""
        return tuple(b"%d" % count for count in self)


#: The slots of every reply; those for the ids of calls follow.
_COMMON_SLOTS = ("request_id", "created", "prompt_tokens", "total_tokens", "cached_tokens")


def chat_slots(request_id: str, created: int, tokens: SlotValues, call_ids: Iterable[str]) -> SlotValues:
    """The values of one reply; `call_ids` are those of `calls_to_identify`."""
    return (request_id.encode(), b"%d" % created, *tokens, *map(str.encode, call_ids))


@lru_cache(maxsize=1024)
def compile_chat_completion(script: Script, model: str, choice_count: int) -> ReplyTemplate:
    """The compiled completion; the 1,024 most recently used stay in a cache."""
    facts = _facts_with_markers(script, model, choice_count)
    return compile_body(json.dumps(_completion(script, facts, _MARKED_TOKENS)), _slot_positions(script))


@lru_cache(maxsize=1024)
def compile_chat_stream(
    script: Script, model: str, choice_count: int, *, include_usage: bool
) -> StreamTemplate:
    """The compiled stream; the 1,024 most recently used stay in a cache."""
    facts = _facts_with_markers(script, model, choice_count, include_usage=include_usage)
    return compile_frames(encode_chunks(_chunks(script, facts, _MARKED_TOKENS)), _slot_positions(script))


def calls_to_identify(script: Script) -> tuple[int, ...]:
    """Indices of the function calls that need a generated id; an empty id counts as none."""
    return tuple(
        at for at, item in enumerate(script.items) if isinstance(item, FunctionCall) and not item.call_id
    )


def _slot_positions(script: Script) -> dict[bytes, int]:
    slots = (*_COMMON_SLOTS, *(f"call{at}" for at in calls_to_identify(script)))
    return {slot.encode(): position for position, slot in enumerate(slots)}


def _facts_with_markers(
    script: Script, model: str, choice_count: int, *, include_usage: bool = False
) -> ChatFacts:
    return ChatFacts(
        # chatcmpl- and the id of the request: live recordings, 2025 and 2026.
        f"chatcmpl-{string_marker('request_id')}",
        value_marker("created"),
        model,
        0,
        tuple(string_marker(f"call{at}") for at in range(len(script.items))),
        choice_count,
        include_usage,
    )


_MARKED_TOKENS = ChatTokens(*map(value_marker, _COMMON_SLOTS[2:]))


def build_chat_completion(script: Script, facts: ChatFacts) -> JSONObject:
    """The body of a reply without `stream`."""
    return _completion(script, facts, count_chat_tokens(script, facts.prompt_tokens, facts.choice_count))


def build_chat_chunks(script: Script, facts: ChatFacts) -> Iterator[JSONObject]:
    """The chunks of a streamed reply, choice after choice, and the usage chunk last if there is one."""
    return _chunks(script, facts, count_chat_tokens(script, facts.prompt_tokens, facts.choice_count))


def count_chat_tokens(script: Script, prompt_tokens: int, choice_count: int) -> ChatTokens:
    """The token counts of all choices together; the prompt counts once."""
    output, _ = stated_or_estimated_tokens(script)
    total = prompt_tokens + output * choice_count
    return ChatTokens(prompt_tokens, total, min(script.usage.cached_tokens, prompt_tokens))


def _completion(script: Script, facts: ChatFacts, tokens: ChatTokens) -> JSONObject:
    choices = [
        {
            "message": _completion_message(script, facts),
            "finish_reason": _finish_reason(script),
            "index": at,
            "logprobs": None,
        }
        for at in range(facts.choice_count)
    ]
    return _chat_object("chat.completion", choices, _usage(script, facts, tokens), facts)


def _chunks(script: Script, facts: ChatFacts, tokens: ChatTokens) -> Iterator[JSONObject]:
    for at in range(facts.choice_count):
        for delta, reason in _chunk_deltas(script, facts):
            choice = {"delta": delta, "finish_reason": reason, "index": at, "logprobs": None}
            yield _chat_object("chat.completion.chunk", [choice], None, facts)
    if facts.include_usage:
        yield _chat_object("chat.completion.chunk", [], _usage(script, facts, tokens), facts)


def encode_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    """Frames for chunks, valid or not, as the service sends them: one data line each, `[DONE]` at the end."""
    yield from (sse.encode(json.dumps(chunk)) for chunk in chunks)
    yield sse.encode(sse.DONE_DATA)


def _usage(script: Script, facts: ChatFacts, tokens: ChatTokens) -> JSONObject:
    output, reasoning = stated_or_estimated_tokens(script)
    usage: JSONObject = {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": output * facts.choice_count,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }
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
