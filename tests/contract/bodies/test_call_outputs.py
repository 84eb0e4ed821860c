"""Outputs and the calls they belong to, within one request and across turns."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.bodies.call_outputs import CallHistory, Turn, read_call_history
from mockserver.contract.check import check_request
from mockserver.contract.findings import Severity
from mockserver.profiles import load_profile, profile_names
from tests.contract.samples import MODEL

USER = {"role": "user", "content": "Weather in Paris and Rome?"}


def call(number: int, **members: Any) -> dict[str, Any]:
    item = {"type": "function_call", "name": "f", "arguments": "{}", "status": "completed"}
    return {**item, "id": f"msg_{number}", "call_id": f"call_{number}", **members}


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "x"}


def findings_of(items: Any, history: CallHistory | None = None, **members: Any) -> list[tuple[str, str]]:
    request = {"model": MODEL, "input": items, **members}
    return [(each.rule, each.pointer) for each in check_request(request, history=history)]


@pytest.mark.parametrize(
    ("arguments", "is_json"),
    [
        ("{}", True),
        ('{"city": "Paris"}', True),
        ("null", True),
        ("", True),  # whether the service refuses them is not known
        ('{"city": "Pa', False),
        ("Paris", False),
        ("{'city': 'Paris'}", False),
        (" ", False),
        ("[" * 2_000_000, True),  # too long to be parsed
    ],
    ids=lambda value: repr(value)[:30],
)
def test_arguments_of_a_call_that_comes_back_are_json(arguments: str, is_json: bool) -> None:
    expected = [] if is_json else [("REQ-020", "/input/1/arguments")]
    assert findings_of([USER, call(1, arguments=arguments), output("call_1")]) == expected


@pytest.mark.parametrize("profile", profile_names())
def test_only_the_service_refuses_arguments_that_are_not_json(profile: str) -> None:
    items = [USER, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"}, output("c")]
    request = {
        "model": load_profile(profile).models[0] if load_profile(profile).models else MODEL,
        "input": items,
    }
    (finding,) = (each for each in check_request(request, profile) if each.rule == "REQ-020")
    assert finding.severity is (Severity.ERROR if profile.startswith("qwen-") else Severity.WARNING)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([USER, call(1), call(2), output("call_1"), output("call_2")], []),
        ([USER, call(1), output("call_1"), call(2), output("call_2"), USER], []),
        ([USER, output("call_1")], [("REQ-007", "/input/1/call_id")]),
        ([USER, output("call_1"), call(1)], [("REQ-007", "/input/1/call_id")]),
        ([USER, call(1), output("msg_1")], [("REQ-007", "/input/2/call_id")]),
        ([USER, call(1), call(2), output("call_1")], [("REQ-013", "/input/2/call_id")]),
        ([USER, call(1), USER], [("REQ-013", "/input/1/call_id")]),
        ([USER, call(1), output("call_1"), output("call_1")], [("REQ-014", "/input/3/call_id")]),
        ([USER, call(1), call(2), output("call_1"), output("call_1")], [("REQ-014", "/input/4/call_id")]),
        ([USER, call(1), call(1), output("call_1")], [("REQ-015", "/input/2/call_id")]),
        ([USER, call(1, status="incomplete"), USER], []),
        ([{"type": "item_reference", "id": "msg_1"}, output("call_1")], []),
        ([call(1), {"type": "item_reference", "id": "msg_1"}], []),
    ],
)
def test_outputs_within_one_request(items: list[Any], expected: list[tuple[str, str]]) -> None:
    assert findings_of(items) == expected


def test_output_of_a_tool_search_call_has_a_call() -> None:
    search = {"type": "tool_search_call", "call_id": "call_1", "status": "completed"}
    request = {"model": "gpt-5", "input": [USER, search, output("call_1")]}
    assert [
        each.rule for each in check_request(request, "openai") if each.severity is not Severity.INFO
    ] == []


EARLIER_TURN = [USER, call(1), call(2)]


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize(
    ("items", "rules"),
    [
        ([output("call_1"), output("call_2")], []),
        ([output("call_2"), output("call_1"), USER], []),
        ([output("msg_1"), output("msg_2")], ["REQ-007", "REQ-007"]),
        ([output("call_9"), output("call_2")], ["REQ-007"]),
        ([output("call_1")], ["REQ-013"]),
        ([output("call_1"), output("call_1"), output("call_2")], ["REQ-014"]),
        ([output("call_1"), output("call_1")], ["REQ-014"]),
        ([call(1), output("call_1"), output("call_2")], ["REQ-015"]),
        ("And in Oslo?", ["REQ-013", "REQ-013"]),
    ],
)
def test_outputs_of_an_earlier_turn(profile: str, items: Any, rules: list[str]) -> None:
    request = {"model": "x", "input": items, "previous_response_id": "resp_1"}
    history = read_call_history(EARLIER_TURN)
    found = check_request(request, profile, models=["x"], history=history)
    assert [finding.rule for finding in found] == rules
    severities = {finding.severity for finding in found if finding.rule != "REQ-015"}
    assert severities <= ({Severity.ERROR, Severity.WARNING} if profile == "openai" else {Severity.ERROR})


def test_item_id_instead_of_call_id_is_named() -> None:
    request = {"model": MODEL, "input": [output("msg_1")], "previous_response_id": "resp_1"}
    [finding] = check_request(request, history=read_call_history([USER, call(1)]))
    assert finding.message == "input[0].call_id is the item's id 'msg_1', not its call_id."
    assert finding.expected == ["call_1"]


def test_output_for_a_turn_without_calls() -> None:
    history = read_call_history([USER, {"type": "message", "role": "assistant", "content": []}])
    assert findings_of([output("call_1")], history, previous_response_id="resp_1") == [
        ("REQ-007", "/input/0/call_id")
    ]


def test_output_answered_in_an_earlier_turn() -> None:
    history = read_call_history([*EARLIER_TURN, output("call_1"), output("call_2")])
    assert findings_of([output("call_1")], history, previous_response_id="resp_1") == [
        ("REQ-014", "/input/0/call_id")
    ]
    assert findings_of("Thanks!", history, previous_response_id="resp_1") == []


def test_incompletely_known_turns_accept_any_call_id() -> None:
    history = read_call_history([USER, call(2)], is_complete=False)
    request = {"input": [output("call_2"), output("call_1")], "previous_response_id": "resp_1"}
    found = check_request({"model": MODEL, **request}, history=history)
    assert [(each.rule, each.pointer) for each in found] == [("REQ-018", "/input/1/call_id")]


@pytest.mark.parametrize(
    ("items", "rules"),
    [
        ([output("call_1")], []),
        ([output("call_3")], ["REQ-014"]),
        ([output("msg_1")], ["REQ-007"]),
        ("And?", []),
    ],
)
def test_output_of_a_call_two_turns_back(items: Any, rules: list[str]) -> None:
    """The turn after the call was reported if it lacked the output; a late output is not reported again."""
    first = Turn().add_items([USER, call(1), call(3)])
    second = Turn(before=first).add_items([output("call_3")])
    found = findings_of(items, second.call_history(), previous_response_id="resp_2")
    assert [rule for rule, _ in found] == rules


def test_item_id_is_wrong_even_if_earlier_turns_are_missing() -> None:
    history = read_call_history([call(1)], is_complete=False)
    request = {"model": MODEL, "input": [output("msg_1")], "previous_response_id": "resp_1"}
    assert [each.rule for each in check_request(request, history=history)] == ["REQ-007"]


def test_unknown_turn_is_reported_as_not_checked() -> None:
    request = {"model": MODEL, "input": [output("call_1")], "previous_response_id": "resp_1"}
    [finding] = check_request(request)
    assert (finding.rule, finding.severity, finding.pointer) == (
        "REQ-018",
        Severity.INFO,
        "/input/0/call_id",
    )
    assert "not known" in finding.message
    twice = [output("call_1"), output("call_1")]
    assert findings_of(twice, previous_response_id="resp_1") == [("REQ-014", "/input/1/call_id")]


def test_functions_have_unique_names() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "web_search"}, {"type": "function", "name": "f"}]
    assert findings_of("x", tools=tools) == [("REQ-015", "/tools/2/name")]
