"""Checks of create requests: the order of findings, messages, tools, and ignored parameters."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.bodies.requests import RequestChecker, ignored_parameters
from mockserver.contract.findings import Severity
from mockserver.profiles import load_profile
from tests.contract.samples import MODEL

PROFILE = load_profile()
CHECKER = RequestChecker(PROFILE)


def check_members(**members: Any) -> list[tuple[str, str]]:
    return [(each.rule, each.pointer) for each in CHECKER.check({"model": MODEL, "input": "x", **members})]


def test_valid_requests() -> None:
    assert check_members() == []
    assert check_members(stream=True, temperature=0, top_p=1, tools=[], previous_response_id="x") == []
    assert check_members(tools=[{"type": "web_search"}]) == []
    assert check_members(input=[{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]) == []


def test_errors_come_in_the_order_of_the_service() -> None:
    request = {"temperature": 3, "tools": [{"type": "web_extractor"}], "include": []}
    assert [(each.rule, each.pointer) for each in CHECKER.check(request)] == [
        ("REQ-001", "/model"),
        ("REQ-001", "/input"),
        ("REQ-001", "/temperature"),
        ("REQ-002", "/include"),
    ]
    request = {"model": "gpt", "input": "x", "temperature": "hot"}
    assert [each.rule for each in CHECKER.check(request)] == ["REQ-001", "REQ-005"]


def test_messages_name_the_parameter() -> None:
    messages = [finding.message for finding in CHECKER.check({"input": [{"role": "robot", "content": 1}]})]
    assert messages == [
        "Missing required parameter: 'model'.",
        "input[0].role must be one of user, assistant, system, developer",
        "input[0].content must be string or array, not integer",
    ]


@pytest.mark.parametrize("value", [None, [], "x", 3, True])
def test_body_that_is_not_an_object(value: Any) -> None:
    [finding] = CHECKER.check(value)
    assert (finding.rule, finding.pointer, finding.expected) == ("REQ-001", "", "object")


def test_models() -> None:
    request = {"model": "gpt", "input": "x"}
    [finding] = CHECKER.check(request)
    assert (finding.rule, finding.message) == ("REQ-005", "Unsupported model: 'gpt'.")
    assert RequestChecker(PROFILE, ["gpt"]).check(request) == []

    class AllModels:
        def __contains__(self, name: object) -> bool:
            return True

    assert RequestChecker(PROFILE, AllModels()).check(request) == []


def test_tools_that_need_others_or_thinking() -> None:
    extractor, search = {"type": "web_extractor"}, {"type": "web_search"}
    needs_search, needs_thinking = CHECKER.check({"model": MODEL, "input": "x", "tools": [extractor]})
    assert needs_search.message == PROFILE.tools["web_extractor"].needs_tool_message
    assert needs_thinking.message == PROFILE.tools["web_extractor"].needs_thinking_message
    assert check_members(tools=[extractor], enable_thinking=True) == [("REQ-003", "/tools/0/type")]
    assert check_members(tools=[search, extractor]) == [("REQ-004", "/tools/1/type")]
    assert check_members(tools=[search, extractor], enable_thinking=None) == [("REQ-004", "/tools/1/type")]
    assert check_members(tools=[search, extractor], enable_thinking=True) == []
    assert check_members(tools=[{"type": "code_interpreter"}], enable_thinking=False) == [
        ("REQ-004", "/tools/0/type")
    ]


def test_unknown_tools_are_ignored_and_reported() -> None:
    assert check_members(tools=[{"type": "namespace", "tools": []}]) == [("REQ-006", "/tools/0/type")]
    assert check_members(tools=[{"type": "mcp"}]) == [("SCH-004", "/tools/0/type")]


def test_outputs_need_their_call() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "x"}
    assert check_members(input=[call, output]) == []
    assert check_members(input=[output, call]) == [("REQ-007", "/input/0/call_id")]
    assert check_members(input=[output], previous_response_id="x") == []
    assert check_members(input=[{"type": "item_reference", "id": "msg_0"}, output]) == []


def test_unknown_parameters_are_infos_and_null_counts_as_absent() -> None:
    [finding] = CHECKER.check({"model": MODEL, "input": "x", "store": False, "metadata": None})
    assert (finding.rule, finding.severity, finding.pointer) == ("REQ-002", Severity.INFO, "/store")
    assert check_members(input=[{"role": "user", "content": "x", "async_": None, "phase": 1}]) == [
        ("SCH-003", "/input/0/phase")
    ]


def test_ignored_parameters() -> None:
    value = {"model": MODEL, "input": "x", "store": False, "user": None, "text": {}}
    assert ignored_parameters(value, PROFILE) == ["store", "text"]
