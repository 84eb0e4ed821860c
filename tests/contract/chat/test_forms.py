"""Forms of the wire that were recorded live, and the two validators on whatever is made of legal values."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import referencing

from mockserver.contract.chat.check import check_chat_completion, check_chat_stream
from mockserver.contract.chat.schemas import chat_schemas
from mockserver.contract.shapes import shape_findings
from mockserver.replies.chat import chat_chunks, chat_completion
from tests.contract import blind
from tests.contract.chat.test_rules import REQUEST, SCRIPTS, facts


def chunk(*choices: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "choices": list(choices),
        "object": "chat.completion.chunk",
        "usage": None,
        "created": 1776307217,
        "system_fingerprint": None,
        "model": "qwen3.5-flash",
        "id": "chatcmpl-34d8a53b-a10d-9c35-b462-cfededf90646",
        **members,
    }


def piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"delta": delta, "finish_reason": reason, "index": 0, "logprobs": None}


def call(**members: Any) -> dict[str, Any]:
    return {"content": None, "reasoning_content": None, "tool_calls": [{"index": 0, **members}]}


#: As recorded in April and June 2026; texts are others.
THOUGHTS_AND_A_CALL = [
    chunk(piece({"content": None, "reasoning_content": "Here", "role": "assistant"})),
    chunk(piece({"content": None, "reasoning_content": " goes."})),
    chunk(piece(call(id="call_1", type="function", function={"name": "weather", "arguments": ""}))),
    chunk(piece(call(id="", type="function", function={"arguments": '{"city": "Oslo'}))),
    chunk(piece(call(id="", type="function", function={"arguments": '"}'}))),
    # One that says nothing, and leaves out what the others have.
    chunk({"delta": {"tool_calls": [{"function": {"arguments": ""}, "index": 0, "id": ""}]}, "index": 0}),
    chunk(piece({"content": "", "reasoning_content": None}, "tool_calls")),
    chunk(usage={"prompt_tokens": 10, "completion_tokens": 360, "total_tokens": 370}),
]


def test_a_recorded_stream_keeps_the_rules() -> None:
    assert check_chat_stream(THOUGHTS_AND_A_CALL) == []


#: As openai-python prints a completion: with nulls that are not on the wire.
PRINTED = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1735120033,
    "model": "qwen-plus",
    "service_tier": None,
    "system_fingerprint": None,
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "completion_tokens_details": None,
        "prompt_tokens_details": {"audio_tokens": None, "cached_tokens": 0},
    },
    "choices": [
        {
            "finish_reason": "stop",
            "index": 0,
            "logprobs": None,
            "message": {
                "content": "Hi!",
                "refusal": None,
                "role": "assistant",
                "annotations": None,
                "audio": None,
                "function_call": None,
                "tool_calls": None,
            },
        }
    ],
}


def test_what_an_sdk_prints_keeps_the_rules() -> None:
    assert check_chat_completion(PRINTED) == []


VALUES = [
    ("chat_request", {**REQUEST, "temperature": 0.5, "tool_choice": "auto", "stream": False}),
    ("chat_completion", chat_completion(SCRIPTS[3], facts(SCRIPTS[3]))),
    *[("chat_chunk", each) for each in chat_chunks(SCRIPTS[4], facts(SCRIPTS[4], include_usage=True))],
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_both_validators_agree_on_blind_mutants(name: str, value: Any) -> None:
    registry: Any = referencing.Registry
    for closed in (False, True):
        document = chat_schemas().document(name, closed)
        reference: Any = jsonschema.Draft202012Validator(document, registry=registry())
        fast = chat_schemas().closed_valid if closed else chat_schemas().valid
        assert fast(name, value)
        for each in blind.of_value(value):
            assert fast(name, each.value) == reference.is_valid(each.value), str(each)
            if not closed and not fast(name, each.value):
                assert shape_findings(chat_schemas(), name, each.value)
