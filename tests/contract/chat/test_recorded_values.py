"""Values recorded live have no findings, and the two validators agree on variations of valid values."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import referencing

from mockserver.contract.chat.check import check_chat_completion, check_chat_stream
from mockserver.contract.chat.service import load_chat_schemas
from mockserver.contract.schema.validation import schema_findings
from mockserver.replies.chat import build_chat_chunks, build_chat_completion
from tests.contract import blind_mutants
from tests.contract.chat.test_rules import REQUEST, SCRIPTS, chat_facts


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


def choice_delta(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"delta": delta, "finish_reason": reason, "index": 0, "logprobs": None}


def call_delta(**members: Any) -> dict[str, Any]:
    return {"content": None, "reasoning_content": None, "tool_calls": [{"index": 0, **members}]}


#: As recorded in April and June 2026, with other texts.
REASONING_AND_CALL = [
    chunk(choice_delta({"content": None, "reasoning_content": "Here", "role": "assistant"})),
    chunk(choice_delta({"content": None, "reasoning_content": " goes."})),
    chunk(
        choice_delta(call_delta(id="call_1", type="function", function={"name": "weather", "arguments": ""}))
    ),
    chunk(choice_delta(call_delta(id="", type="function", function={"arguments": '{"city": "Oslo'}))),
    chunk(choice_delta(call_delta(id="", type="function", function={"arguments": '"}'}))),
    # An empty delta without members that the others have.
    chunk({"delta": {"tool_calls": [{"function": {"arguments": ""}, "index": 0, "id": ""}]}, "index": 0}),
    chunk(choice_delta({"content": "", "reasoning_content": None}, "tool_calls")),
    chunk(usage={"prompt_tokens": 10, "completion_tokens": 360, "total_tokens": 370}),
]


def test_recorded_stream_has_no_findings() -> None:
    assert check_chat_stream(REASONING_AND_CALL) == []


#: A completion as openai-python prints it: with nulls that are not on the wire.
SDK_PRINTOUT = {
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


def test_sdk_printout_has_no_findings() -> None:
    assert check_chat_completion(SDK_PRINTOUT) == []


VALUES = [
    ("chat_request", {**REQUEST, "temperature": 0.5, "tool_choice": "auto", "stream": False}),
    ("chat_completion", build_chat_completion(SCRIPTS[3], chat_facts(SCRIPTS[3]))),
    *[
        ("chat_chunk", each)
        for each in build_chat_chunks(SCRIPTS[4], chat_facts(SCRIPTS[4], include_usage=True))
    ],
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_both_validators_agree_on_blind_mutants(name: str, value: Any) -> None:
    registry: Any = referencing.Registry
    for closed in (False, True):
        document = load_chat_schemas().document(name, closed)
        reference: Any = jsonschema.Draft202012Validator(document, registry=registry())
        fast = load_chat_schemas().is_closed_valid if closed else load_chat_schemas().is_valid
        assert fast(name, value)
        for each in blind_mutants.value_mutants(value):
            assert fast(name, each.value) == reference.is_valid(each.value), str(each)
            if not closed and not fast(name, each.value):
                assert schema_findings(load_chat_schemas(), name, each.value)
