"""Output items in wire form: as they begin in a stream, and as they are when done.

Shapes: the vendor's guide and API reference (27 January 2026) and, for tool calls in streams, the
vendor's samples recorded on 26 January 2026. Members in alphabetical order, as the samples have them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mockserver.profiles import Profile
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, ToolCall

__all__ = ["JSONObject", "added_item", "done_item", "output_text", "summary_text"]

JSONObject: TypeAlias = dict[str, Any]

#: Members of a built-in tool's item that only the finished item has.
_ONLY_WHEN_DONE = frozenset({"output", "outputs", "results"})


def output_text(text: str) -> JSONObject:
    """The content part of a message."""
    return {"annotations": [], "text": text, "type": "output_text"}


def summary_text(text: str) -> JSONObject:
    """The summary part of a reasoning item."""
    return {"text": text, "type": "summary_text"}


def done_item(item: Item, item_id: str, call_id: str, profile: Profile) -> JSONObject:
    """The finished item."""
    return _BUILDERS[type(item)](item, item_id, call_id, profile, True)


def added_item(item: Item, item_id: str, call_id: str, profile: Profile) -> JSONObject:
    """The item as `response.output_item.added` shows it: in progress, with nothing streamed yet."""
    return _BUILDERS[type(item)](item, item_id, call_id, profile, False)


def _message(item: Message, item_id: str, call_id: str, profile: Profile, done: bool) -> JSONObject:
    return {
        "content": [output_text(item.text)] if done else [],
        "id": item_id,
        "role": "assistant",
        "status": _status(done),
        "type": "message",
    }


def _reasoning(item: Reasoning, item_id: str, call_id: str, profile: Profile, done: bool) -> JSONObject:
    # Reasoning items have no status in any age of the service.
    return {"id": item_id, "summary": [summary_text(item.text)] if done else [], "type": "reasoning"}


def _function_call(
    item: FunctionCall, item_id: str, call_id: str, profile: Profile, done: bool
) -> JSONObject:
    return {
        "arguments": item.arguments if done else "",
        "call_id": item.call_id or call_id,
        "id": item_id,
        "name": item.name,
        "status": _status(done),
        "type": "function_call",
    }


def _tool_call(item: ToolCall, item_id: str, call_id: str, profile: Profile, done: bool) -> JSONObject:
    members = {
        **(item.data if done else _begun(item)),
        "id": item_id,
        "status": _status(done),
        "type": profile.tools[item.kind].item,
    }
    return dict(sorted(members.items()))


def _begun(item: ToolCall) -> JSONObject:
    begun = {name: value for name, value in item.data.items() if name not in _ONLY_WHEN_DONE}
    if isinstance(action := begun.get("action"), dict):
        begun["action"] = {name: value for name, value in action.items() if name != "sources"}
    return begun


def _status(done: bool) -> str:
    return "completed" if done else "in_progress"


_BUILDERS: dict[type, Callable[..., JSONObject]] = {
    Message: _message,
    Reasoning: _reasoning,
    FunctionCall: _function_call,
    ToolCall: _tool_call,
}
