"""The turn of a chat, and the stub that answered the turn before, from its messages.

Chat stores nothing: a client sends the whole conversation. A stub that follows another by name is therefore
found by what that one replies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.replies.script import FunctionCall, Message, Script
from mockserver.server.state.sessions import Session

__all__ = ["AssistantTurn", "previous_reply_name", "turn_number"]


class AssistantTurn(NamedTuple):
    """The text of an assistant's message, and its calls by name and arguments."""

    text: str
    calls: tuple[tuple[str, str], ...]


def turn_number(messages: list[Mapping[str, Any]]) -> int:
    """The number of the turn, from 1: each assistant message ends one."""
    return 1 + sum(1 for message in messages if message["role"] == "assistant")


def previous_reply_name(session: Session, messages: list[Mapping[str, Any]]) -> str | None:
    """The name of the stub (the latest first) or exchange that replies with the last assistant message."""
    last = next(
        (_turn_from_message(each) for each in reversed(messages) if each["role"] == "assistant"), None
    )
    if last is None:
        return None
    return next((name for name, script in _named_scripts(session) if _turn_from_script(script) == last), None)


def _named_scripts(session: Session) -> Iterator[tuple[str, Script]]:
    for stub in reversed(session.stubs.all):
        if isinstance(stub.definition.reply, Script):
            yield stub.name, stub.definition.reply
    for name, selected in session.exchange_replies.items():
        if isinstance(selected.reply, Script):
            yield name, selected.reply


def _turn_from_message(message: Mapping[str, Any]) -> AssistantTurn:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    functions = [call["function"] for call in message.get("tool_calls") or ()]
    return AssistantTurn(content, tuple((each["name"], each["arguments"]) for each in functions))


def _turn_from_script(script: Script) -> AssistantTurn:
    text = "".join(item.text for item in script.items if isinstance(item, Message))
    calls = [item for item in script.items if isinstance(item, FunctionCall)]
    return AssistantTurn(text, tuple((each.name, each.arguments) for each in calls))
