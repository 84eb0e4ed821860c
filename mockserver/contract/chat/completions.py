"""Checks whole completions, streamed or not: choices, calls, usage, and whether they fit their request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.contract.rules import Report
from mockserver.errors import InvalidJSON
from mockserver.wire import json

__all__ = [
    "ChatFunctionCall",
    "check_against_chat_request",
    "check_choice_end",
    "check_completion",
    "check_usage",
]


class ChatFunctionCall(NamedTuple):
    """A call of a function."""

    id: str
    name: str
    arguments: str


def check_completion(value: Mapping[str, Any], request: Any, report: Report) -> None:
    """All rules on a completion that is valid under its schema."""
    calls: list[ChatFunctionCall] = []
    for at, choice in enumerate(value["choices"]):
        if choice["index"] != at:
            message = "is not the number of earlier choices"
            report.add("CHT-009", f"/choices/{at}/index", message, expected=at, got=choice["index"])
        tool_calls = choice["message"].get("tool_calls") or ()
        own_calls = [
            ChatFunctionCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in tool_calls
        ]
        check_choice_end(choice["finish_reason"], own_calls, report, f"/choices/{at}")
        _check_call_indices(tool_calls, report, f"/choices/{at}/message")
        calls += own_calls
    check_usage(value.get("usage"), report)
    is_finished = all(choice["finish_reason"] != "length" for choice in value["choices"])
    check_against_chat_request(
        value["model"], len(value["choices"]), calls, request, report, is_finished=is_finished
    )


def _check_call_indices(calls: Iterable[Mapping[str, Any]], report: Report, base: str) -> None:
    for at, call in enumerate(calls):
        if call.get("index") not in (None, at):
            message = "is not the number of earlier calls"
            report.add("CHT-003", f"{base}/tool_calls/{at}/index", message, expected=at, got=call["index"])


def check_choice_end(
    finish_reason: str, calls: Iterable[ChatFunctionCall], report: Report, base: str = ""
) -> None:
    """CHT-005, TXT-005 and ITM-007 on the `finish_reason` and the calls of a choice."""
    calls = list(calls)
    if finish_reason != "length" and (finish_reason == "tool_calls") != bool(calls):
        expected = "tool_calls" if calls else "stop"
        message = (
            "is wrong: the choice calls functions" if calls else "is wrong: the choice calls no function"
        )
        report.add("CHT-005", f"{base}/finish_reason", message, expected=expected, got=finish_reason)
    ids: set[str] = set()
    for at, call in enumerate(calls):
        pointer = f"{base}/message/tool_calls/{at}" if base else ""
        if call.id in ids:
            report.add("ITM-007", pointer, "another call has this id", got=call.id)
        ids.add(call.id)
        if finish_reason != "length" and not _is_json_object(call.arguments):
            report.add("TXT-005", pointer, "arguments are not a JSON object", got=call.arguments)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text.encode()), dict)
    except (InvalidJSON, UnicodeEncodeError):
        return False


def check_usage(usage: Any, report: Report) -> None:
    """USE-001 to USE-004 on the `usage` of a completion, or of the last chunk of a stream."""
    if usage is None:
        report.add("USE-004", "/usage", "a completion has no usage")
        return
    total = usage["total_tokens"]
    expected = usage["prompt_tokens"] + usage["completion_tokens"]
    if expected != total:
        message = "total_tokens is not the sum of prompt_tokens and completion_tokens"
        report.add("USE-001", "/usage/total_tokens", message, expected=expected, got=total)
    _check_token_detail("USE-002", usage, "completion_tokens", "reasoning_tokens", report)
    _check_token_detail("USE-003", usage, "prompt_tokens", "cached_tokens", report)


def _check_token_detail(
    rule: str, usage: Mapping[str, Any], total_name: str, detail_name: str, report: Report
) -> None:
    part = (usage.get(f"{total_name}_details") or {}).get(detail_name)
    if part is not None and part > usage[total_name]:
        pointer = f"/usage/{total_name}_details/{detail_name}"
        report.add(
            rule, pointer, f"{detail_name} is more than {total_name}", expected=usage[total_name], got=part
        )


def check_against_chat_request(
    model: str,
    choices: int,
    calls: Iterable[ChatFunctionCall],
    request: Any,
    report: Report,
    *,
    is_finished: bool,
) -> None:
    """REQ-008, REQ-009, REQ-016 and CHT-009: the model, functions, tool_choice and number of choices.

    `is_finished` says whether all choices ended by themselves, not at a token limit.
    """
    if not isinstance(request, dict):
        return
    if isinstance(request.get("model"), str) and model != request["model"]:
        message = "is not the requested model"
        report.add("REQ-008", "/model", message, expected=request["model"], got=model)
    expected = request.get("n") or 1
    if expected != choices:
        report.add("CHT-009", "/choices", "do not have the number in n", expected=expected, got=choices)
    declared = {_function_name(tool) for tool in request.get("tools") or ()}
    calls = list(calls)
    choice = request.get("tool_choice")
    if choice == "none" and calls:
        report.add("REQ-016", "", "a function is called, but tool_choice is none", got=calls[0].name)
    if (choice == "required" or isinstance(choice, dict)) and declared and not calls and is_finished:
        report.add("REQ-016", "", "no function is called, but tool_choice requires a call", expected=choice)
    for call in calls:
        if call.name not in declared:
            report.add("REQ-009", "", f"the request does not declare {call.name}", got=call.name)


def _function_name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None
