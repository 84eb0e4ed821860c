"""Mutants of requests: members that the service refuses or ignores."""

from __future__ import annotations

from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants.registry import Chooser, Event, breaks, not_applicable


@breaks("REQ-001", "request")
def break_request_member(request: Event, chooser: Chooser, profile: Profile) -> Event:
    wrong: list[tuple[str, Any]] = [
        ("model", None),
        ("model", ""),
        ("input", None),
        ("input", {"role": "user", "content": "x"}),
        ("input", [{"role": "robot", "content": "x"}]),
        ("input", [{"role": "user"}]),
        ("stream", "yes"),
        ("tools", {}),
        ("tools", [{"type": "function"}]),
        ("tool_choice", "sometimes"),
        ("temperature", -0.1),
        ("top_p", "1"),
        *(_REFUSED_BY_OPEN_RESPONSES if profile.error_types else _REFUSED_BY_QWEN),
    ]
    missing = chooser.choose([None, "model", "input"], "way")
    if missing is not None:
        del request[missing]
        return request
    name, value = chooser.choose(wrong, "way")
    return {**request, name: value}


#: What only the Qwen profiles refuse.
_REFUSED_BY_QWEN: tuple[tuple[str, Any], ...] = (
    ("input", ""),
    ("input", []),
    ("temperature", 2),
    ("top_p", 0),
    ("enable_thinking", 1),
    ("previous_response_id", ""),
)
#: What only Open Responses refuses (its OpenAPI document, 2026-04-24).
_REFUSED_BY_OPEN_RESPONSES: tuple[tuple[str, Any], ...] = (
    ("max_output_tokens", 15),
    ("max_tool_calls", 0),
    ("top_logprobs", 21),
    ("reasoning", {"effort": "max"}),
    ("truncation", "never"),
    ("safety_identifier", "x" * 65),
    ("metadata", {"a": 1}),
    ("input", [{"type": "reasoning"}]),
)


@breaks("REQ-002", "request")
def add_ignored_parameter(request: Event, chooser: Chooser, profile: Profile) -> Event:
    others: list[tuple[str, Any]] = [("metadata", {"a": "b"}), ("truncation", "auto"), ("x_note", 1)]
    ignored = [(name, value) for name, value in others if name not in profile.parameters]
    name, value = chooser.choose(ignored, "parameter that is ignored")
    return {**request, name: value}


@breaks("REQ-003", "request")
def drop_companion_tool(request: Event, chooser: Chooser, profile: Profile) -> Event:
    dependent = [kind for kind, tool in profile.tools.items() if tool.needs_tool is not None]
    kind = chooser.choose(dependent, "tool that needs another")
    companion = profile.tools[kind].needs_tool
    others = [tool for tool in request.get("tools") or () if tool["type"] not in (kind, companion)]
    broken = {**request, "tools": [*others, {"type": kind}], "enable_thinking": True}
    return {**broken, "tool_choice": "auto", "reasoning": None} if profile.efforts else broken


@breaks("REQ-004", "request")
def disable_thinking_for_tool(request: Event, chooser: Chooser, profile: Profile) -> Event:
    dependent = [kind for kind, tool in profile.tools.items() if tool.needs_thinking_message]
    kind = chooser.choose(dependent, "tool that needs thinking")
    companions = [name for name in (profile.tools[kind].needs_tool,) if name is not None]
    tools = [{"type": name} for name in (*companions, kind)]
    broken = {**request, "tools": tools, "enable_thinking": False}
    return {**broken, "tool_choice": "auto", "reasoning": None} if profile.efforts else broken


@breaks("REQ-005", "request")
def change_to_unknown_model(request: Event, chooser: Chooser, profile: Profile) -> Event:
    return {**request, "model": chooser.choose(["no-such-model", profile.models[0] + "x", " "], "way")}


@breaks("REQ-006", "request")
def add_unknown_tool(request: Event, chooser: Chooser, profile: Profile) -> Event:
    kind = chooser.choose(["namespace", "custom", "x_tool"], "way")
    return {**request, "tools": [*(request.get("tools") or ()), {"type": kind}]}


@breaks("REQ-007", "request")
def add_output_without_call(request: Event, chooser: Chooser, profile: Profile) -> Event:
    for name in ("previous_response_id", "conversation"):
        if request.get(name) is not None:
            del request[name]
    items = _input_items(request)
    if any(item.get("type") == "item_reference" for item in items):
        raise not_applicable("input without references")
    output = {"type": "function_call_output", "call_id": "call_of_nobody", "output": "x"}
    at = chooser.choose(range(len(items) + 1), "index")
    return {**request, "input": [*items[:at], output, *items[at:]]}


@breaks("REQ-010", "request")
def combine_exclusive_parameters(request: Event, chooser: Chooser, profile: Profile) -> Event:
    if len(profile.exclusive) < 2:
        raise not_applicable("mutually exclusive parameters")
    return {**request, **{name: f"{name}_1" for name in profile.exclusive}}


@breaks("REQ-011", "request")
def require_tool_without_single_tool(request: Event, chooser: Chooser, profile: Profile) -> Event:
    if not profile.efforts:
        raise not_applicable("profile with this rule")
    tools: list[Event] = chooser.choose([[], [{"type": "web_search"}, {"type": "image_search"}]], "way")
    return {**request, "tools": tools, "tool_choice": "required"}


_CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}


@breaks("REQ-013", "request")
def add_call_without_output(request: Event, chooser: Chooser, profile: Profile) -> Event:
    items = _input_items(request)
    if any(item.get("type") == "item_reference" for item in items):
        raise not_applicable("input without references")
    more = chooser.choose([[], [{**_CALL, "call_id": "call_2"}, {**_OUTPUT, "call_id": "call_2"}]], "way")
    at = chooser.choose(range(len(items) + 1), "index")
    return {**request, "input": [*items[:at], dict(_CALL), *more, *items[at:]]}


@breaks("REQ-014", "request")
def add_second_output(request: Event, chooser: Chooser, profile: Profile) -> Event:
    second = {**_OUTPUT, "output": chooser.choose(["x", "another"], "way")}
    return {**request, "input": [*_input_items(request), dict(_CALL), dict(_OUTPUT), second]}


@breaks("REQ-015", "request")
def duplicate_name(request: Event, chooser: Chooser, profile: Profile) -> Event:
    if chooser.choose(["function", "call"], "way") == "function":
        function = {"type": "function", "name": "duplicate"}
        return {**request, "tools": [*(request.get("tools") or ()), function, dict(function)]}
    return {**request, "input": [*_input_items(request), dict(_CALL), dict(_CALL), dict(_OUTPUT)]}


@breaks("REQ-017", "request")
def use_undocumented_value(request: Event, chooser: Chooser, profile: Profile) -> Event:
    values: list[tuple[str, Any]] = [
        ("metadata", "text"),
        ("parallel_tool_calls", "text"),
        ("text", {"format": {"type": "x_format"}}),
    ]
    name, value = chooser.choose([(n, v) for n, v in values if n in profile.parameters], "parameter")
    return {**request, name: value}


@breaks("REQ-018", "request")
def answer_unknown_turn(request: Event, chooser: Chooser, profile: Profile) -> Event:
    request.pop("conversation", None)
    output = {**_OUTPUT, "call_id": chooser.choose(["call_1", "call_of_an_earlier_turn"], "way")}
    return {**request, "previous_response_id": "resp_1", "input": [output]}


@breaks("REQ-019", "request")
def add_file_without_url(request: Event, chooser: Chooser, profile: Profile) -> Event:
    return {
        **request,
        "input": [*_input_items(request), {"role": "user", "content": [{"type": "input_file"}]}],
    }


@breaks("REQ-020", "request")
def break_arguments(request: Event, chooser: Chooser, profile: Profile) -> Event:
    arguments = chooser.choose(['{"city": ', "Paris", "{'city': 'Paris'}", '{"a":1}{"b":2}'], "way")
    return {**request, "input": [*_input_items(request), {**_CALL, "arguments": arguments}, dict(_OUTPUT)]}


@breaks("SCH-005", "request")
def add_unknown_input(request: Event, chooser: Chooser, profile: Profile) -> Event:
    unknown = chooser.choose([{"type": "x_item"}, {"role": "user", "content": [{"type": "x_part"}]}], "way")
    return {**request, "input": [*_input_items(request), unknown]}


def _input_items(request: Event) -> list[Event]:
    value = request["input"]
    return [{"role": "user", "content": value}] if isinstance(value, str) else value
