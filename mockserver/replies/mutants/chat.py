"""Mutants of Chat Completions: of requests, completions, chunks and frames."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants.registry import Chooser, breaks, not_applicable

__all__: list[str] = []

Chunk = dict[str, Any]

_DONE_FRAME = b"data: [DONE]\n\n"
_OTHER_MEMBERS = {"id": "chatcmpl-other", "created": 1, "model": "another"}


def _indexed_choices(chunks: list[Any]) -> list[tuple[int, Chunk]]:
    """(index of the chunk, choice) for each choice in the chunks."""
    if not chunks or not isinstance(chunks[0], dict) or "choices" not in chunks[0]:
        raise not_applicable("chunks")
    return [(at, choice) for at, chunk in enumerate(chunks) for choice in chunk["choices"]]


def _tool_calls(chunks: list[Any]) -> list[Chunk]:
    return [
        call for _, choice in _indexed_choices(chunks) for call in choice["delta"].get("tool_calls") or ()
    ]


@breaks("CHT-001", "chat_stream")
def _change_role(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    delta = chooser.choose(_indexed_choices(chunks), "delta")[1]["delta"]
    if delta.get("role"):
        del delta["role"]
    else:
        delta["role"] = "assistant"
    return chunks


@breaks("CHT-002", "chat_stream")
def _change_constant_member(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    _indexed_choices(chunks)
    name = chooser.choose(sorted(_OTHER_MEMBERS), "member")
    chooser.choose(chunks[1:], "later chunk")[name] = _OTHER_MEMBERS[name]
    return chunks


@breaks("CHT-003", "chat_stream", required_items=("function_call",))
def _change_call_id(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    call = chooser.choose(_tool_calls(chunks), "delta of a call")
    if call["id"]:
        call[chooser.choose(["id"], "member")] = ""
    else:
        call["id"] = "call_another"
    return chunks


@breaks("CHT-004", "chat_stream")
def _finish_twice(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    finished = [(at, choice) for at, choice in _indexed_choices(chunks) if choice.get("finish_reason")]
    at, choice = chooser.choose(finished, "finish_reason")
    chunks.insert(at + 1, {**deepcopy(chunks[at]), "choices": [{**deepcopy(choice), "delta": {}}]})
    return chunks


@breaks("CHT-005", "chat_stream", "chat_completion")
def _change_finish_reason(value: Any, chooser: Chooser, _: Profile) -> Any:
    chunks = value if isinstance(value, list) else [value]
    choices = [
        choice
        for _, choice in _indexed_choices(chunks)
        if choice.get("finish_reason") not in (None, "length")
    ]
    choice = chooser.choose(choices, "finish_reason")
    choice["finish_reason"] = "tool_calls" if choice["finish_reason"] == "stop" else "stop"
    return value


@breaks("CHT-006", "chat_stream")
def _insert_usage_chunk_early(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    at = chooser.choose(_indexed_choices(chunks), "choice")[0]
    return [*chunks[: at + 1], {**chunks[at], "choices": []}, *chunks[at + 1 :]]


@breaks("CHT-007", "chat_frames")
def _change_done_marker(frames: list[bytes], chooser: Chooser, _: Profile) -> Any:
    if not frames or frames[-1] != _DONE_FRAME or b"chat.completion.chunk" not in frames[0]:
        raise not_applicable("[DONE] at its end")
    return chooser.choose([frames[:-1], [*frames, _DONE_FRAME]], "way")


@breaks("CHT-008", "chat_stream", required_items=("message",))
def _insert_reasoning_after_content(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    content = [
        (at, choice)
        for at, choice in _indexed_choices(chunks)
        if choice["delta"].get("content") or choice["delta"].get("tool_calls")
    ]
    at, choice = chooser.choose(content, "text or call")
    delta = {"content": None, "reasoning_content": "Another thought."}
    chunks.insert(at + 1, {**deepcopy(chunks[at]), "choices": [{**choice, "delta": delta}]})
    return chunks


@breaks("CHT-009", "chat_completion")
def _change_choice_index(value: Chunk, chooser: Chooser, _: Profile) -> Any:
    choice = chooser.choose(value.get("choices") or (), "choice")
    choice["index"] += 1
    return value


@breaks("CHT-009", "chat_stream")
def _skip_choice_index(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    choices = [choice for _at, choice in _indexed_choices(chunks)]
    last = max(choice["index"] for choice in choices)
    for choice in choices:
        choice["index"] += choice["index"] == last
    return chunks


@breaks("CHT-010", "chat_request")
def _force_tool_while_thinking(value: Chunk, chooser: Chooser, _: Profile) -> Any:
    value["enable_thinking"] = True
    value["tool_choice"] = chooser.choose(
        ["required", {"type": "function", "function": {"name": "f"}}], "way"
    )
    if (value.get("response_format") or {}).get("type") == "json_object":
        del value["response_format"]
    return value


@breaks("CHT-011", "chat_request")
def _use_json_mode_while_thinking(value: Chunk, chooser: Chooser, _: Profile) -> Any:
    value |= {"enable_thinking": True, "response_format": {"type": "json_object"}}
    value.pop("tool_choice", None)
    return value


@breaks("CHT-012", "chat_stream")
def _end_with_error(chunks: list[Chunk], chooser: Chooser, _: Profile) -> Any:
    at = chooser.choose(_indexed_choices(chunks), "choice")[0]
    error = {
        "message": "Internal server error.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    return [*chunks[: at + 1], {"error": error}]
