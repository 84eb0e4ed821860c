"""What a chat request becomes for the Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.chat.migration import migrate_request
from mockserver.contract.check import check_request
from mockserver.contract.findings import errors
from mockserver.profiles import load_profile

LATEST = load_profile("qwen-2026-09")
MODEL = "qwen3.8-max"
USER = {"role": "user", "content": "Hi"}


def migrated_body(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    body = migrate_request({"model": MODEL, "messages": [*messages] or [USER], **members}, LATEST).body
    assert body["model"] == MODEL
    return body


def test_messages_stay_what_they_are() -> None:
    messages = [{"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "Hello!"}]
    assert migrated_body(*messages)["input"] == messages


@pytest.mark.parametrize(
    ("part", "becomes"),
    [
        ({"type": "text", "text": "x"}, [{"type": "input_text", "text": "x"}]),
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            [{"type": "input_image", "image_url": "https://a/b.png"}],
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "https://a/b.wav", "format": "wav"}},
            [{"type": "input_audio", "audio_url": "https://a/b.wav", "format": "wav"}],
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "data:;base64,AA==", "format": "wav"}},
            [{"type": "input_audio", "data": "data:;base64,AA==", "format": "wav"}],
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}, "fps": 2},
            [{"type": "input_video", "video_url": "https://a/b.mp4", "fps": 2}],
        ),
        (
            {"type": "video", "video": ["https://a/1.png", "https://a/2.png"]},
            [
                {"type": "input_image", "image_url": "https://a/1.png"},
                {"type": "input_image", "image_url": "https://a/2.png"},
            ],
        ),
    ],
)
def test_content_parts_become_input_parts(part: dict[str, Any], becomes: list[dict[str, Any]]) -> None:
    body = migrated_body({"role": "user", "content": [part]})
    assert body["input"] == [{"role": "user", "content": becomes}]
    assert errors(check_request(body, LATEST)) == []


def test_calls_and_tool_messages_become_items() -> None:
    call = {"id": "call_1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
    answer = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = migrated_body(
        USER,
        {"role": "assistant", "content": "Wait.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": answer},
    )
    assert body["input"][1:] == [
        {"role": "assistant", "content": "Wait."},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a\nb"},
    ]
    assert errors(check_request(body, LATEST)) == []


def test_tools_are_not_wrapped_and_switches_become_tools() -> None:
    function = {"name": "f", "description": "d", "parameters": {}, "strict": False, "type": "x", "y": 1}
    body = migrated_body(tools=[{"type": "function", "function": function}], enable_search=True)
    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": False},
        {"type": "web_search"},
    ]
    assert migrated_body(enable_code_interpreter=True)["tools"] == [{"type": "code_interpreter"}]
    assert "tools" not in migrated_body(enable_search=False)


@pytest.mark.parametrize(
    ("members", "becomes"),
    [
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        ({"tool_choice": "none"}, {"tool_choice": "none"}),
        ({"max_tokens": 3}, {"max_output_tokens": 16}),
        ({"max_tokens": 3, "max_completion_tokens": 99}, {"max_output_tokens": 99}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
        ),
        ({"temperature": None, "instructions": "x", "previous_response_id": "x", "seed": 1}, {}),
    ],
)
def test_members_become_their_counterparts(members: dict[str, Any], becomes: dict[str, Any]) -> None:
    assert migrated_body(**members) == {"model": MODEL, "input": [USER], **becomes}


def test_notes_about_messages() -> None:
    messages = [
        {"role": "user", "content": "x", "name": "Bob"},
        {"role": "assistant", "content": "y", "reasoning_content": "Hm.", "refusal": None, "partial": False},
    ]
    notes = migrate_request({"model": "none", "messages": messages}, LATEST).notes
    assert [note.pointer for note in notes] == [
        "/model",
        "/messages/0/name",
        "/messages/1/reasoning_content",
        "/messages",
    ]
    assert "previous_response_id" in notes[-1].message
