"""Mutants of Chat Completions: requests, completions, chunks and frames, broken by the id of a rule."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants.registry import Pick, breaks, not_applicable

__all__: list[str] = []

Chunk = dict[str, Any]

_DONE = b"data: [DONE]\n\n"
_OTHER = {"id": "chatcmpl-other", "created": 1, "model": "another"}


def _pieces(chunks: list[Any]) -> list[tuple[int, Chunk]]:
    """(place, choice) of each piece of a choice; what is no stream of chunks can not be edited so."""
    if not chunks or not isinstance(chunks[0], dict) or "choices" not in chunks[0]:
        raise not_applicable("chunks")
    return [(at, choice) for at, chunk in enumerate(chunks) for choice in chunk["choices"]]


def _calls(chunks: list[Any]) -> list[Chunk]:
    return [call for _, choice in _pieces(chunks) for call in choice["delta"].get("tool_calls") or ()]


@breaks("CHT-001", "chat_stream")
def _roles(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    where = pick.one(_pieces(chunks), "piece")[1]["delta"]
    if where.get("role"):
        del where["role"]
    else:
        where["role"] = "assistant"
    return chunks


@breaks("CHT-002", "chat_stream")
def _another(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    _pieces(chunks)
    name = pick.one(sorted(_OTHER), "member")
    pick.one(chunks[1:], "later chunk")[name] = _OTHER[name]
    return chunks


@breaks("CHT-003", "chat_stream", needs=("function_call",))
def _counting(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    call = pick.one(_calls(chunks), "piece of a call")
    if call["id"]:
        call[pick.one(["id"], "member")] = ""
    else:
        call["id"] = "call_another"
    return chunks


@breaks("CHT-004", "chat_stream")
def _ends(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    places = [(at, choice) for at, choice in _pieces(chunks) if choice.get("finish_reason")]
    at, choice = pick.one(places, "finish_reason")
    chunks.insert(at + 1, {**deepcopy(chunks[at]), "choices": [{**deepcopy(choice), "delta": {}}]})
    return chunks


@breaks("CHT-005", "chat_stream", "chat_completion")
def _reason(value: Any, pick: Pick, _: Profile) -> Any:
    chunks = value if isinstance(value, list) else [value]
    choices = [choice for _, choice in _pieces(chunks) if choice.get("finish_reason") not in (None, "length")]
    choice = pick.one(choices, "finish_reason")
    choice["finish_reason"] = "tool_calls" if choice["finish_reason"] == "stop" else "stop"
    return value


@breaks("CHT-006", "chat_stream")
def _usage(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    at = pick.one(_pieces(chunks), "piece")[0]
    return [*chunks[: at + 1], {**chunks[at], "choices": []}, *chunks[at + 1 :]]


@breaks("CHT-007", "chat_frames")
def _marker(frames: list[bytes], pick: Pick, _: Profile) -> Any:
    if not frames or frames[-1] != _DONE or b"chat.completion.chunk" not in frames[0]:
        raise not_applicable("marker at its end")
    return pick.one([frames[:-1], [*frames, _DONE]], "way")


@breaks("CHT-008", "chat_stream", needs=("message",))
def _thoughts(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    said = [
        (at, choice)
        for at, choice in _pieces(chunks)
        if choice["delta"].get("content") or choice["delta"].get("tool_calls")
    ]
    at, choice = pick.one(said, "text or call")
    delta = {"content": None, "reasoning_content": "Another thought."}
    chunks.insert(at + 1, {**deepcopy(chunks[at]), "choices": [{**choice, "delta": delta}]})
    return chunks


@breaks("CHT-009", "chat_completion")
def _choices(value: Chunk, pick: Pick, _: Profile) -> Any:
    choice = pick.one(value.get("choices") or (), "choice")
    choice["index"] += 1
    return value


@breaks("CHT-009", "chat_stream")
def _choices_of_a_stream(chunks: list[Chunk], pick: Pick, _: Profile) -> Any:
    choices = [choice for _at, choice in _pieces(chunks)]
    last = max(choice["index"] for choice in choices)
    for choice in choices:
        choice["index"] += choice["index"] == last
    return chunks


@breaks("CHT-010", "chat_request")
def _forced(value: Chunk, pick: Pick, _: Profile) -> Any:
    value["enable_thinking"] = True
    value["tool_choice"] = pick.one(["required", {"type": "function", "function": {"name": "f"}}], "way")
    if (value.get("response_format") or {}).get("type") == "json_object":
        del value["response_format"]
    return value


@breaks("CHT-011", "chat_request")
def _json_mode(value: Chunk, pick: Pick, _: Profile) -> Any:
    value |= {"enable_thinking": True, "response_format": {"type": "json_object"}}
    value.pop("tool_choice", None)
    return value
