"""Rules on a whole response, streamed or not: usage, ids, arguments, and how it fits its request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import orjson

from mockserver.contract.rules import Report
from mockserver.profiles import Profile

__all__ = ["STATUSES", "arguments_rule", "fits_request", "incomplete_rule", "output_rules", "usage_rules"]

#: Every status that a response can have (API reference, 2026); any other is refused by its schema.
STATUSES = frozenset({"completed", "failed", "in_progress", "cancelled", "queued", "incomplete"})

#: Status of an item that nothing more will happen to. Reasoning items have none (null in a print-out).
FINAL = frozenset({"completed", "incomplete", "failed"})


def usage_rules(response: dict[str, Any], profile: Profile, report: Report, base: str = "") -> None:
    """USE-001 to USE-006 on the response at the pointer `base`."""
    usage = response.get("usage")
    if usage is None and response.get("status") == "completed":
        report.say("USE-004", f"{base}/usage", "a completed response has no usage")
    if not isinstance(usage, dict):
        return
    base = f"{base}/usage"
    for pointer, count in _counts(usage):
        if isinstance(count, float) and count.is_integer():
            report.say("USE-005", base + pointer, "is not written as a whole number", got=count)
    given, written = usage.get("input_tokens"), usage.get("output_tokens")
    total: Any = usage.get("total_tokens")
    if _number(given) and _number(written) and _number(total) and given + written != total:
        message = "total_tokens is not the sum of input_tokens and output_tokens"
        report.say("USE-001", f"{base}/total_tokens", message, expected=given + written, got=total)
    _part("USE-002", usage, "output_tokens", "reasoning_tokens", report, base)
    _part("USE-003", usage, "input_tokens", "cached_tokens", report, base)
    rows = usage.get("x_details")
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        _row(row, report, f"{base}/x_details/{index}")
    _tool_counts(response.get("output"), usage.get("x_tools"), profile, report, base)


def _row(row: Any, report: Report, base: str) -> None:
    """A row of the bill adds up as the usage does, and its cache is a part of its input."""
    given, written, total = (_get(row, f"{name}_tokens") for name in ("input", "output", "total"))
    if _number(given) and _number(written) and _number(total) and given + written != total:
        message = "total_tokens is not the sum of input_tokens and output_tokens"
        report.say("USE-001", f"{base}/total_tokens", message, expected=given + written, got=total)
    cached = _get(_get(row, "prompt_tokens_details"), "cached_tokens")
    if _number(cached) and _number(given) and cached > given:
        pointer = f"{base}/prompt_tokens_details/cached_tokens"
        report.say("USE-003", pointer, "cached_tokens is more than input_tokens", expected=given, got=cached)


def _part(rule: str, usage: dict[str, Any], whole: str, name: str, report: Report, base: str) -> None:
    details = usage.get(f"{whole}_details")
    part = details.get(name) if isinstance(details, dict) else None
    limit: Any = usage.get(whole)
    if _number(part) and _number(limit) and part > limit:
        pointer = f"{base}/{whole}_details/{name}"
        report.say(rule, pointer, f"{name} is more than {whole}", expected=limit, got=part)


def _tool_counts(output: Any, x_tools: Any, profile: Profile, report: Report, base: str) -> None:
    if not isinstance(output, list) or not isinstance(x_tools, dict | None):
        return
    ran = Counter(kind for item in output if isinstance(kind := _get(item, "type"), str))
    told = x_tools or {}
    for tool, about in profile.tools.items():
        if not about.counted:
            continue
        count = _get(told.get(tool), "count")
        runs = ran[about.item]
        if (count or 0) != runs:
            message = f"{tool} ran another number of times in the output"
            report.say("USE-006", f"{base}/x_tools/{tool}/count", message, expected=runs, got=count)


def _counts(usage: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in usage.items():
        if not isinstance(value, dict):
            yield f"/{name}", value
        elif name == "x_tools":
            yield from ((f"/{name}/{tool}/count", _get(row, "count")) for tool, row in value.items())
        else:
            yield from ((f"/{name}/{part}", count) for part, count in value.items())


def output_rules(response: dict[str, Any], report: Report) -> None:
    """ITM-006, ITM-007, ITM-009, ITM-018 and TXT-005 on the output of a response that is over."""
    output = response.get("output")
    if not isinstance(output, list):
        return
    _unique("ITM-006", "id", output, report)
    calls = [item if _get(item, "type") == "function_call" else None for item in output]
    _unique("ITM-007", "call_id", calls, report)
    for index, item in enumerate(output):
        if _get(item, "status") == "in_progress" and response.get("status") != "failed":
            report.say("ITM-009", f"/output/{index}/status", "an item of a response that is over")
        arguments_rule(item, report, f"/output/{index}")
    incomplete_rule(response, report)


def incomplete_rule(response: dict[str, Any], report: Report, base: str = "") -> None:
    """ITM-018: only the last item may be incomplete, and then so is the response."""
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if _get(item, "status") == "incomplete":
            last = item is output[-1] if isinstance(output, list) else False
            if not last or response.get("status") == "completed":
                message = "an incomplete item, though it is not the last of an incomplete response"
                report.say("ITM-018", f"{base}/output/{index}/status", message, got="incomplete")


def arguments_rule(item: Any, report: Report, base: str) -> None:
    """TXT-005: the arguments of a finished function call are the text of a JSON object."""
    arguments = _get(item, "arguments")
    if _get(item, "type") != "function_call" or not isinstance(arguments, str):
        return
    if item.get("status") != "completed":
        return
    try:
        parsed = orjson.loads(arguments)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        message = "arguments are not the text of a JSON object"
        report.say("TXT-005", f"{base}/arguments", message, got=arguments)


def fits_request(
    response: dict[str, Any], request: Any, profile: Profile, report: Report, base: str = ""
) -> None:
    """REQ-008, REQ-009 and REQ-012: the model that was asked, declared tools, and echoes."""
    if not isinstance(request, dict):
        return
    asked, model = request.get("model"), response.get("model")
    if response.get("status") == "completed" and isinstance(asked, str) and model != asked:
        message = "the response names another model"
        report.say("REQ-008", f"{base}/model", message, expected=asked, got=model)
    tools, output = request.get("tools"), response.get("output")
    declared = [_called(tool) for tool in tools] if isinstance(tools, list) else []
    for index, item in enumerate(output if isinstance(output, list) else ()):
        called = _called_by(item, profile)
        if called and not any(each in declared for each in called):
            message = "the request declares no such tool"
            report.say("REQ-009", f"{base}/output/{index}", message, expected=declared, got=called[0])
    if response.get("status") in ("completed", "incomplete"):
        _echoes(response, request, profile, report, base)


def _echoes(
    response: dict[str, Any], request: dict[str, Any], profile: Profile, report: Report, base: str
) -> None:
    """What the response repeats of its request, by the profile's list; null and absence tell nothing."""
    for name, usual in (("tool_choice", "auto"), *profile.echoes.items()):
        given, told = request.get(name), response.get(name)
        expected = given if name in profile.parameters and given is not None else usual
        # How an object is echoed as tool_choice is not documented.
        if told is not None and told != expected and (name != "tool_choice" or isinstance(expected, str)):
            message = "is not what was asked"
            report.say("REQ-012", f"{base}/{name}", message, expected=_plain(expected), got=told)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _called(tool: Any) -> Any:
    kind = _get(tool, "type")
    return _get(tool, "name") if kind == "function" else kind


def _called_by(item: Any, profile: Profile) -> list[str]:
    """The tools, any of which may have left the item; none where it is no call."""
    kind, name = _get(item, "type"), _get(item, "name")
    if kind == "function_call":
        return [name] if isinstance(name, str) else []
    return [tool for tool, about in profile.tools.items() if about.item == kind]


def _unique(rule: str, name: str, items: list[Any], report: Report) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = _get(item, name)
        if isinstance(value, str):
            if value in seen:
                report.say(rule, f"/output/{index}/{name}", f"another item has this {name}", got=value)
            seen.add(value)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
