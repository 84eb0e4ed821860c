"""Renders output items in wire form: as a stream adds them, and as they are when done.

Shapes come from the vendor's guide and API reference (27 January 2026) and, for tool calls in streams, from
the vendor's samples recorded on 26 January 2026. Members are in alphabetical order, as in the samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, ToolCall

__all__ = [
    "ItemContext",
    "JSONObject",
    "build_added_item",
    "build_done_item",
    "output_text_part",
    "summary_text_part",
]

JSONObject: TypeAlias = dict[str, Any]

#: Members that a built-in tool's item has only when it is done.
_DONE_ONLY_MEMBERS = frozenset({"output", "outputs", "results"})


def output_text_part(text: str) -> JSONObject:
    """The content part of a message."""
    return {"annotations": [], "text": text, "type": "output_text"}


def summary_text_part(text: str) -> JSONObject:
    """The summary part of a reasoning item."""
    return {"text": text, "type": "summary_text"}


class ItemContext(NamedTuple):
    """What an item needs besides its content."""

    item_id: str
    call_id: str
    profile: Profile
    phase: str | None = None
    """The phase of a message, in profiles whose messages have one."""


def build_done_item(item: Item, context: ItemContext, status: str = "completed") -> JSONObject:
    """The finished item; `status` is "incomplete" for the last item of an incomplete reply."""
    if isinstance(item, Message):
        return _message_item(context, status, [output_text_part(item.text)])
    if isinstance(item, Reasoning):
        return _reasoning_item(context, status, [summary_text_part(item.text)])
    if isinstance(item, FunctionCall):
        return _function_call_item(item, context, status, item.arguments)
    return _tool_call_item(item, context, status, item.data)


def build_added_item(item: Item, context: ItemContext, *, whole_arguments: bool = False) -> JSONObject:
    """The item in `response.output_item.added`: in progress, with nothing streamed yet.

    With `whole_arguments` a function call has its arguments already, because no event follows with them.
    """
    if isinstance(item, Message):
        return _message_item(context, "in_progress", [])
    if isinstance(item, Reasoning):
        return _reasoning_item(context, "in_progress", [])
    if isinstance(item, FunctionCall):
        return _function_call_item(item, context, "in_progress", item.arguments if whole_arguments else "")
    return _tool_call_item(item, context, "in_progress", _added_members(item))


def _message_item(context: ItemContext, status: str, content: list[JSONObject]) -> JSONObject:
    return {
        "content": content,
        "id": context.item_id,
        **({} if context.phase is None else {"phase": context.phase}),
        "role": "assistant",
        "status": status,
        "type": "message",
    }


def _reasoning_item(context: ItemContext, status: str, summary: list[JSONObject]) -> JSONObject:
    # Reasoning items have no status in any Qwen profile.
    optional = {"status": status} if context.profile.item_status else {}
    return {"id": context.item_id, **optional, "summary": summary, "type": "reasoning"}


def _function_call_item(item: FunctionCall, context: ItemContext, status: str, arguments: str) -> JSONObject:
    return {
        "arguments": arguments,
        "call_id": item.call_id or context.call_id,
        "id": context.item_id,
        "name": item.name,
        "status": status,
        "type": "function_call",
    }


def _tool_call_item(item: ToolCall, context: ItemContext, status: str, data: Mapping[str, Any]) -> JSONObject:
    tool = context.profile.tools[item.kind]
    # What a test writes on purpose, as invalid content, is sent as it is.
    members = {"id": context.item_id, "status": status, "type": tool.item, **data}
    if tool.lists_queries and isinstance(action := members.get("action"), dict):
        queries = action.get("queries") or [action.get("query", "")]
        members["action"] = dict(sorted({**action, "queries": queries}.items()))
    return dict(sorted(members.items()))


def _added_members(item: ToolCall) -> JSONObject:
    members = {name: value for name, value in item.data.items() if name not in _DONE_ONLY_MEMBERS}
    if isinstance(action := members.get("action"), dict):
        members["action"] = {name: value for name, value in action.items() if name != "sources"}
    return members
