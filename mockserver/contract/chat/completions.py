"""Rules on a whole completion, streamed or not: its choices, calls and usage, and how it fits its request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.contract.rules import Report
from mockserver.errors import InvalidJSON
from mockserver.wire import json

__all__ = ["Called", "completion_rules", "end_rules", "fits_chat_request", "usage_rules"]


class Called(NamedTuple):
    """A function as it is called."""

    id: str
    name: str
    arguments: str


def completion_rules(value: Mapping[str, Any], request: Any, report: Report) -> None:
    """All rules on a completion whose shape is right."""
    called: list[Called] = []
    for at, choice in enumerate(value["choices"]):
        if choice["index"] != at:
            words = "is not the number of choices before"
            report.say("CHT-009", f"/choices/{at}/index", words, expected=at, got=choice["index"])
        calls = [_called(each) for each in choice["message"].get("tool_calls") or ()]
        end_rules(choice["finish_reason"], calls, report, f"/choices/{at}")
        _calls_are_counted(choice["message"].get("tool_calls") or (), report, f"/choices/{at}/message")
        called += calls
    usage_rules(value.get("usage"), report)
    fits_chat_request(value["model"], len(value["choices"]), called, request, report)


def _called(call: Mapping[str, Any]) -> Called:
    return Called(call["id"], call["function"]["name"], call["function"]["arguments"])


def _calls_are_counted(calls: Iterable[Mapping[str, Any]], report: Report, base: str) -> None:
    for at, call in enumerate(calls):
        if call.get("index") not in (None, at):
            words = "is not the number of calls before"
            report.say("CHT-003", f"{base}/tool_calls/{at}/index", words, expected=at, got=call["index"])


def end_rules(reason: str, calls: Iterable[Called], report: Report, base: str = "") -> None:
    """CHT-005, TXT-005 and ITM-007: why a choice ended, and what it calls."""
    calls = list(calls)
    if reason != "length" and (reason == "tool_calls") != bool(calls):
        expected = "tool_calls" if calls else "stop"
        words = "does not fit: functions are called" if calls else "does not fit: no function is called"
        report.say("CHT-005", f"{base}/finish_reason", words, expected=expected, got=reason)
    for at, call in enumerate(calls):
        pointer = f"{base}/message/tool_calls/{at}" if base else ""
        if any(call.id == other.id for other in calls[:at]):
            report.say("ITM-007", pointer, "another call has this id", got=call.id)
        if reason != "length" and not _is_object(call.arguments):
            report.say("TXT-005", pointer, "the arguments are not a JSON object", got=call.arguments)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text.encode()), dict)
    except (InvalidJSON, UnicodeEncodeError):
        return False


def usage_rules(usage: Any, report: Report) -> None:
    """USE-001 to USE-004 on the `usage` of a completion, or of the last chunk of a stream."""
    if usage is None:
        report.say("USE-004", "/usage", "a completion has no usage")
        return
    given, written, total = (usage[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
    if given + written != total:
        words = "total_tokens is not the sum of prompt_tokens and completion_tokens"
        report.say("USE-001", "/usage/total_tokens", words, expected=given + written, got=total)
    _part("USE-002", usage, "completion_tokens", "reasoning_tokens", report)
    _part("USE-003", usage, "prompt_tokens", "cached_tokens", report)


def _part(rule: str, usage: Mapping[str, Any], whole: str, name: str, report: Report) -> None:
    part = (usage.get(f"{whole}_details") or {}).get(name)
    if part is not None and part > usage[whole]:
        pointer = f"/usage/{whole}_details/{name}"
        report.say(rule, pointer, f"{name} is more than {whole}", expected=usage[whole], got=part)


def fits_chat_request(
    model: str, choices: int, calls: Iterable[Called], request: Any, report: Report
) -> None:
    """REQ-008, REQ-009 and CHT-009: the model, the functions and the number that were asked for."""
    if not isinstance(request, dict):
        return
    if isinstance(request.get("model"), str) and model != request["model"]:
        words = "is not the model that was asked"
        report.say("REQ-008", "/model", words, expected=request["model"], got=model)
    wanted = request.get("n") or 1
    if wanted != choices:
        report.say("CHT-009", "/choices", "are not as many as n asks for", expected=wanted, got=choices)
    declared = {_name_of(tool) for tool in request.get("tools") or ()}
    for call in calls:
        if call.name not in declared:
            words = f"{call.name} is called, and was not declared"
            report.say("REQ-009", "", words, got=call.name)


def _name_of(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None
