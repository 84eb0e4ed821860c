"""Checks whole responses, streamed or not: usage, ids, arguments, and whether they fit their request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import orjson

from mockserver.contract.findings import Finding, truncate_value
from mockserver.contract.rules import Report
from mockserver.profiles import Profile

__all__ = [
    "RESPONSE_STATUSES",
    "check_against_request",
    "check_arguments",
    "check_incomplete_details",
    "check_incomplete_items",
    "check_output",
    "check_usage",
    "without_echoed_values",
]

#: Every status that a response can have (API reference, 2026); the schema allows no other.
RESPONSE_STATUSES = frozenset({"completed", "failed", "in_progress", "cancelled", "queued", "incomplete"})

#: Statuses of a finished item. Reasoning items have none (null in a printout).
FINAL_ITEM_STATUSES = frozenset({"completed", "incomplete", "failed"})


def check_usage(response: dict[str, Any], profile: Profile, report: Report, base: str = "") -> None:
    """USE-001 to USE-006 on the response at the pointer `base`."""
    usage = response.get("usage")
    if usage is None and response.get("status") == "completed":
        report.add("USE-004", f"{base}/usage", "a completed response has no usage")
    if not isinstance(usage, dict):
        return
    base = f"{base}/usage"
    for pointer, count in _token_counts(usage):
        if isinstance(count, float) and count.is_integer():
            report.add("USE-005", base + pointer, "is not written as an integer", got=count)
    _check_total(usage, report, base)
    _check_token_detail("USE-002", usage, "output_tokens", "reasoning_tokens", report, base)
    _check_token_detail("USE-003", usage, "input_tokens", "cached_tokens", report, base)
    rows = usage.get("x_details")
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        _check_usage_row(row, report, f"{base}/x_details/{index}")
    if isinstance(rows, list) and rows:
        _check_usage_rows(rows, usage, report, base)
    _check_tool_counts(response.get("output"), usage.get("x_tools"), profile, report, base)


def _check_usage_rows(rows: list[Any], usage: dict[str, Any], report: Report, base: str) -> None:
    """USE-007: the rows of the bill add up to the usage; USE-001 covers their totals."""
    for name in ("input_tokens", "output_tokens"):
        counts, expected = [_member(row, name) for row in rows], usage.get(name)
        if all(map(_is_number, counts)) and _is_number(expected) and sum(counts) != expected:
            pointer = f"{base}/x_details/0/{name}" if len(rows) == 1 else f"{base}/x_details"
            message = f"{name} of x_details is not {name} of the usage"
            report.add("USE-007", pointer, message, expected=expected, got=sum(counts))


def _check_usage_row(row: Any, report: Report, base: str) -> None:
    """USE-001 and USE-003 on a row of `x_details`."""
    _check_total(row, report, base)
    cached = _member(_member(row, "prompt_tokens_details"), "cached_tokens")
    limit = _member(row, "input_tokens")
    if _is_number(cached) and _is_number(limit) and cached > limit:
        pointer = f"{base}/prompt_tokens_details/cached_tokens"
        report.add("USE-003", pointer, "cached_tokens is more than input_tokens", expected=limit, got=cached)


def _check_total(usage: Any, report: Report, base: str) -> None:
    summands = [_member(usage, f"{name}_tokens") for name in ("input", "output")]
    total = _member(usage, "total_tokens")
    if _is_number(total) and all(map(_is_number, summands)) and sum(summands) != total:
        message = "total_tokens is not the sum of input_tokens and output_tokens"
        report.add("USE-001", f"{base}/total_tokens", message, expected=sum(summands), got=total)


def _check_token_detail(
    rule: str, usage: dict[str, Any], total_name: str, detail_name: str, report: Report, base: str
) -> None:
    details = usage.get(f"{total_name}_details")
    part = details.get(detail_name) if isinstance(details, dict) else None
    limit: Any = usage.get(total_name)
    if _is_number(part) and _is_number(limit) and part > limit:
        pointer = f"{base}/{total_name}_details/{detail_name}"
        report.add(rule, pointer, f"{detail_name} is more than {total_name}", expected=limit, got=part)


def _check_tool_counts(output: Any, x_tools: Any, profile: Profile, report: Report, base: str) -> None:
    if not isinstance(output, list) or not isinstance(x_tools, dict | None):
        return
    item_counts = Counter(kind for item in output if isinstance(kind := _member(item, "type"), str))
    for kind, tool in profile.tools.items():
        if not tool.counted:
            continue
        count = _member((x_tools or {}).get(kind), "count")
        runs = item_counts[tool.item]
        if (count or 0) != runs:
            message = f"is not the number of {tool.item} items in the output"
            report.add("USE-006", f"{base}/x_tools/{kind}/count", message, expected=runs, got=count)


def _token_counts(usage: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in usage.items():
        if not isinstance(value, dict):
            yield f"/{name}", value
        elif name == "x_tools":
            yield from ((f"/{name}/{tool}/count", _member(row, "count")) for tool, row in value.items())
        else:
            yield from ((f"/{name}/{part}", count) for part, count in value.items())


def check_output(response: dict[str, Any], report: Report) -> None:
    """ITM-006, ITM-007, ITM-009, ITM-018 and TXT-005 on the output of a finished response."""
    output = response.get("output")
    if not isinstance(output, list):
        return
    _check_unique("ITM-006", "id", output, report)
    calls = [item if _member(item, "type") == "function_call" else None for item in output]
    _check_unique("ITM-007", "call_id", calls, report)
    for index, item in enumerate(output):
        if _member(item, "status") == "in_progress" and response.get("status") != "failed":
            report.add("ITM-009", f"/output/{index}/status", "the response is finished, but this item is not")
        check_arguments(item, report, f"/output/{index}")
    check_incomplete_items(response, report)


def check_incomplete_items(response: dict[str, Any], report: Report, base: str = "") -> None:
    """ITM-018: only the last item of an incomplete response may be incomplete."""
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if _member(item, "status") == "incomplete":
            last = item is output[-1] if isinstance(output, list) else False
            if not last or response.get("status") == "completed":
                message = "is incomplete, but not the last item of an incomplete response"
                report.add("ITM-018", f"{base}/output/{index}/status", message, got="incomplete")


def check_incomplete_details(response: dict[str, Any], report: Report, base: str = "") -> None:
    """SEQ-018: an incomplete response has the reason."""
    if response.get("status") == "incomplete" and not _member(response.get("incomplete_details"), "reason"):
        report.add("SEQ-018", f"{base}/incomplete_details", "an incomplete response gives no reason")


#: Members that hold the text of a JSON object, or of a list, by type of item (API reference, April 2026; image
#: search: February 2026).
_JSON_MEMBERS: Mapping[str, Mapping[str, tuple[type, str]]] = {
    "function_call": {"arguments": (dict, "object")},
    "web_search_image_call": {"arguments": (dict, "object"), "output": (list, "list")},
    "image_search_call": {"arguments": (dict, "object"), "output": (list, "list")},
}


def check_arguments(item: Any, report: Report, base: str) -> None:
    """TXT-005: the arguments of a completed call and the output of an image search are JSON."""
    kind = _member(item, "type")
    if not isinstance(kind, str) or kind not in _JSON_MEMBERS or item.get("status") != "completed":
        return
    for name, (expected, words) in _JSON_MEMBERS[kind].items():
        text = item.get(name)
        if isinstance(text, str) and not isinstance(_parsed(text), expected):
            verb = "are" if name == "arguments" else "is"
            message = f"{name} {verb} not a JSON {words}"
            report.add("TXT-005", f"{base}/{name}", message, got=text)


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def without_echoed_values(findings: list[Finding], request: Any, base: str = "") -> list[Finding]:
    """Drop the violations in members of the response at `base` that repeat the request.

    The service accepts and echoes these parameters with wrong types (live probe, 27 September 2026).
    """
    echoes = {
        f"{base}/{name}": truncate_value(value)
        for name in ("metadata", "parallel_tool_calls")
        if (value := _member(request, name)) is not None
    }
    return [
        finding
        for finding in findings
        if finding.rule != "SCH-001" or finding.got is None or echoes.get(finding.pointer) != finding.got
    ]


def check_against_request(
    response: dict[str, Any], request: Any, profile: Profile, report: Report, base: str = ""
) -> None:
    """REQ-008, REQ-009, REQ-012 and REQ-016: the model, declared tools, echoed parameters, tool_choice."""
    if not isinstance(request, dict):
        return
    requested, model = request.get("model"), response.get("model")
    if response.get("status") == "completed" and isinstance(requested, str) and model != requested:
        message = "is not the requested model"
        report.add("REQ-008", f"{base}/model", message, expected=requested, got=model)
    tools, output = request.get("tools"), response.get("output")
    declared = [_declared_name(tool) for tool in tools] if isinstance(tools, list) else []
    names = {name for name in declared if isinstance(name, str)}
    for index, item in enumerate(output if isinstance(output, list) else ()):
        candidates = _possible_tools(item, profile)
        if candidates and names.isdisjoint(candidates):
            message = "the request does not declare this tool"
            report.add("REQ-009", f"{base}/output/{index}", message, expected=declared, got=candidates[0])
    _check_tool_choice(response, request, profile, report, base)
    if response.get("status") in ("completed", "incomplete"):
        _check_echoes(response, request, profile, report, base)


def _check_tool_choice(
    response: dict[str, Any], request: dict[str, Any], profile: Profile, report: Report, base: str
) -> None:
    """REQ-016: no calls if `tool_choice` is none, a call if it is required."""
    choice, output = request.get("tool_choice"), response.get("output")
    if "tool_choice" not in profile.parameters or not isinstance(output, list):
        return
    calls = [index for index, item in enumerate(output) if str(_member(item, "type")).endswith("_call")]
    if choice == "none" and calls:
        pointer = f"{base}/output/{calls[0]}"
        report.add("REQ-016", pointer, "is a call, but tool_choice is none", expected="none", got="a call")
    # An object requires a call by its mode, or by the tool that it names.
    is_required = choice == "required" or _member(choice, "mode") == "required"
    is_required = is_required or (_member(choice, "type") == "function")
    if is_required and not calls and response.get("status") == "completed" and request.get("tools"):
        report.add("REQ-016", f"{base}/output", "has no call, but tool_choice requires one", expected=choice)


def _check_echoes(
    response: dict[str, Any], request: dict[str, Any], profile: Profile, report: Report, base: str
) -> None:
    """REQ-012: the parameters that the profile echoes; null and absent ones are not compared."""
    for name, default in (("tool_choice", "auto"), *profile.echoes.items()):
        requested, echo = request.get(name), response.get(name)
        expected = requested if name in profile.parameters and requested is not None else default
        # How an object is echoed as tool_choice is not documented.
        if echo is not None and echo != expected and (name != "tool_choice" or isinstance(expected, str)):
            message = "is not the value that was requested"
            report.add("REQ-012", f"{base}/{name}", message, expected=_plain_dict(expected), got=echo)


def _plain_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _declared_name(tool: Any) -> Any:
    kind = _member(tool, "type")
    return _member(tool, "name") if kind == "function" else kind


def _possible_tools(item: Any, profile: Profile) -> list[str]:
    """The tools that an item may be a call of; empty if it is not a call."""
    item_type, name = _member(item, "type"), _member(item, "name")
    if item_type == "function_call":
        return [name] if isinstance(name, str) else []
    return [kind for kind, tool in profile.tools.items() if tool.item == item_type]


def _check_unique(rule: str, name: str, items: list[Any], report: Report) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = _member(item, name)
        if isinstance(value, str):
            if value in seen:
                report.add(rule, f"/output/{index}/{name}", f"another item has this {name}", got=value)
            seen.add(value)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
