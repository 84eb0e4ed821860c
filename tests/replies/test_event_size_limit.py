"""No event is longer than 1 MiB."""

from __future__ import annotations

import pytest

from mockserver.errors import ConfigurationError
from mockserver.replies.script import MAX_SCRIPT_BYTES, Message, Script, message_script
from tests.api_client import ApiClient


def test_oversized_script_is_refused_when_stubbed(api: ApiClient) -> None:
    api.server.reply(Script((Message(("x" * (MAX_SCRIPT_BYTES - 2),)),)))
    assert api.create_stream("hi")[-1]["type"] == "response.completed"
    with pytest.raises(ConfigurationError, match="too many for one event"):
        api.server.reply(message_script("\x01" * (MAX_SCRIPT_BYTES // 6 + 1)))


def test_tool_choice_too_large_to_echo_is_refused(api: ApiClient) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [], "padding": "x" * 100_000}
    body = {"model": api.server.model, "input": "hi", "tool_choice": choice, "stream": True}
    status, code, message_ = api.post_refused(body)
    assert (status, code) == (400, "InvalidParameter")
    assert "tool_choice" in message_


def test_arguments_too_large_for_an_event_are_refused(api: ApiClient) -> None:
    many = {"type": "array", "minItems": 900, "items": {"type": "string", "minLength": 3000}}
    tool = {"type": "function", "name": "f", "parameters": {"properties": {"a": many}, "required": ["a"]}}
    body = {"model": api.server.model, "input": "hi", "tools": [tool], "stream": True}
    status, code, message_ = api.post_refused(body)
    assert (status, code) == (400, "InvalidParameter")
    assert "'f'" in message_
