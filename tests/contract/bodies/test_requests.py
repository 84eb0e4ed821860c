"""Checks of create requests: the order of findings, messages, tools, and ignored parameters."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver import MockServer
from mockserver.contract.bodies.requests import RequestChecker, ignored_parameters
from mockserver.contract.chat.check import check_chat_request
from mockserver.contract.check import check_request
from mockserver.contract.findings import Severity, errors
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


LATEST = load_profile("qwen-2026-09")


def latest_findings(**members: Any) -> list[tuple[str, Severity, str]]:
    found = RequestChecker(LATEST).check({"model": "qwen3.5-flash", "input": "x", **members})
    return [(each.rule, each.severity, each.pointer) for each in found]


def test_values_that_the_service_accepts_and_echoes_are_infos() -> None:
    """Live probe of 27 September 2026 with qwen3.5-flash."""
    for members, pointer in (
        ({"metadata": "text"}, "/metadata"),
        ({"parallel_tool_calls": "text"}, "/parallel_tool_calls"),
        ({"text": {"format": {"type": "bogus"}}}, "/text/format/type"),
        ({"text": {"format": {}}}, "/text/format/type"),
        ({"text": {"format": 3}}, "/text/format"),
    ):
        assert latest_findings(**members) == [("REQ-017", Severity.INFO, pointer)]


def test_incomplete_json_schema_is_ignored_like_a_complete_one() -> None:
    for members in ({}, {"schema": 3}, {"schema": None}):
        found = latest_findings(text={"format": {"type": "json_schema", **members}})
        assert {rule for rule, *_ in found} == {"REQ-002", "REQ-017"}
        assert {severity for _, severity, _ in found} == {Severity.INFO}
        request = {"model": "x", "input": "x", "text": {"format": {"type": "json_schema", **members}}}
        assert [each.severity for each in check_request(request, "openai")] == [Severity.ERROR]


def test_required_tool_choice_with_several_tools_is_an_info() -> None:
    tools = [{"type": "web_search"}, {"type": "image_search"}]
    assert latest_findings(tools=tools, tool_choice="required") == [
        ("REQ-011", Severity.INFO, "/tool_choice")
    ]


def test_file_without_url_is_an_info() -> None:
    part = {"type": "input_file", "file_data": "data:application/pdf;base64,AA=="}
    found = latest_findings(input=[{"role": "user", "content": [part]}])
    assert found[0] == ("REQ-019", Severity.INFO, "/input/0/content/0/file_url")
    assert {severity for _, severity, _ in found} == {Severity.INFO}


def test_rules_about_tools_are_checked_beside_infos() -> None:
    tools = [{"type": "web_extractor"}]
    found = latest_findings(metadata="text", tools=tools, enable_thinking=True)
    assert [rule for rule, *_ in found] == ["REQ-003", "REQ-017"]


def test_near_misses_of_tools_and_parameters_are_named() -> None:
    [finding] = CHECKER.check({"model": MODEL, "input": "x", "tools": [{"type": "websearch"}]})
    assert (finding.rule, finding.severity) == ("REQ-006", Severity.WARNING)
    assert finding.message.endswith("; did you mean 'web_search'?")
    [finding] = CHECKER.check({"model": MODEL, "input": "x", "tools": [{"type": "namespace"}]})
    assert "did you mean" not in finding.message
    [finding] = CHECKER.check({"model": MODEL, "input": "x", "enableThinking": True})
    assert finding.message.endswith("; did you mean 'enable_thinking'?")


@pytest.mark.parametrize("kind", ["x_tool", "custom", "local_shell", "tool_search"])
@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-09", "openai", "openresponses-2026-04"])
def test_unknown_tool_types_are_no_errors(profile: str, kind: str) -> None:
    checker = RequestChecker(load_profile(profile), ["x"])
    request = {"model": "x", "input": "x", "tools": [{"type": kind, "name": 5, "parameters": "x"}]}
    assert not errors(checker.check(request))


def test_family_that_the_documents_list_is_supported() -> None:
    """The guide of August 2026 lists deepseek-v4 without exact names."""
    for models in (None, LATEST.models):
        checker = RequestChecker(LATEST, models)
        assert checker.check({"model": "deepseek-v4-flash", "input": "x"}) == []
    assert RequestChecker(LATEST, ["qwen3.5-flash"]).check({"model": "deepseek-v4-flash", "input": "x"})


@pytest.mark.parametrize("model", ["qwq-plus", "qwen3-235b-a22b-thinking-2507"])
def test_thinking_of_a_model_that_always_thinks_cannot_be_turned_off(model: str) -> None:
    """Error-code page, September to November 2026."""
    message = "The value of the enable_thinking parameter is restricted to True."
    for value, expected in ((False, [("REQ-001", "/enable_thinking", message)]), (True, []), (None, [])):
        request = {"model": model, "input": "x", "enable_thinking": value}
        found = RequestChecker(LATEST, [model]).check(request)
        assert [(each.rule, each.pointer, each.message) for each in found] == expected
        chat = {"model": model, "messages": [{"role": "user", "content": "x"}], "enable_thinking": value}
        found = check_chat_request(chat, LATEST)
        assert [(each.rule, each.pointer, each.message) for each in found] == expected
    assert latest_findings(enable_thinking=False) == []


def test_mock_refuses_to_turn_off_the_thinking_of_such_a_model() -> None:
    with (
        MockServer(profile="qwen-2026-09", model="qwq-plus", strict=False) as server,
        server.httpx() as client,
    ):
        body = {"model": "qwq-plus", "input": "x", "enable_thinking": False}
        reply = client.post("/responses", json=body)
        assert client.post("/responses", json={**body, "enable_thinking": True}).status_code == 200
    assert reply.status_code == 400
    assert reply.json()["message"].endswith("restricted to True.")
