"""The profile of Open Responses: echoes, ids, phases, errors, and deterministic requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mockserver.contract.check import check_body
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

NAME = "openresponses-2026-04"


@pytest.fixture(scope="module")
def _server() -> Iterator[MockServer]:
    with MockServer(profile=NAME, seed=1) as server:
        yield server


@pytest.fixture
def api(_server: MockServer) -> Iterator[ApiClient]:
    _server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(_server, client)


def test_any_model_is_accepted(api: ApiClient) -> None:
    assert api.create("x", model="qwen3-max")["model"] == "qwen3-max"
    assert {
        event["response"]["model"] for event in api.create_stream("x", model="m") if "response" in event
    } == {"m"}


ECHOES: list[tuple[str, Any, Any]] = [
    ("reasoning", {"effort": "low"}, {"effort": "low", "summary": None}),
    ("text", {"verbosity": "low"}, {"format": {"type": "text"}, "verbosity": "low"}),
    ("text", {"format": None}, {"format": {"type": "text"}}),
    (
        "text",
        {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
        {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "description": None,
                    "strict": False}},
    ),
    ("tool_choice", {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
    (
        "tool_choice",
        {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
        {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}], "mode": "auto"},
    ),
    ("metadata", {"type": "json_schema"}, {"type": "json_schema"}),
    ("max_tool_calls", 3, 3),
    ("temperature", None, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "echoed"), ECHOES)
def test_echoes_are_completed_with_defaults(api: ApiClient, name: str, given: Any, echoed: Any) -> None:
    function = {"type": "function", "name": "f"}
    assert api.create("x", tools=[function], **{name: given})[name] == echoed
    events = api.create_stream("x", tools=[function], **{name: given})
    snapshots = [event["response"] for event in events if "response" in event]
    assert [snapshot[name] for snapshot in snapshots] == [echoed] * 3
    whole = {**function, "description": None, "parameters": None, "strict": None}
    assert [snapshot["tools"] for snapshot in snapshots] == [[whole]] * 3


def test_messages_have_a_phase(api: ApiClient) -> None:
    items = (Reasoning(("Well.",)), Message(("Let me see.",)), FunctionCall("f", "{}"), Message(("Done.",)))
    api.server.reply(Script(items)).times(2)
    tools = [{"type": "function", "name": "f"}]
    output = api.create("x", tools=tools)["output"]
    assert [item.get("phase") for item in output] == [None, "commentary", None, "final_answer"]
    assert [item["id"][:3] for item in output] == ["rs_", "msg", "fc_", "msg"]
    assert {item["status"] for item in output} == {"completed"}
    added = [
        event["item"] for event in api.create_stream("x", tools=tools) if event["type"].endswith("item.added")
    ]
    assert [item.get("phase") for item in added] == [None, "commentary", None, "final_answer"]


def test_truncated_response_is_incomplete(api: ApiClient) -> None:
    api.server.reply(Script((Reasoning(("a " * 30,)), Message(("Never said.",)))))
    response = api.create("x", max_output_tokens=16)
    assert (response["status"], response["completed_at"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    # The limit counts thoughts as well.
    assert [item["type"] for item in response["output"]] == ["reasoning"]
    assert response["usage"]["output_tokens"] == 16


def test_max_tool_calls_limits_the_calls(api: ApiClient) -> None:
    tools = [{"type": "function", "name": name} for name in ("f", "g", "h")]
    called = {
        most: [
            item["name"] for item in api.create("Call g and h.", tools=tools, max_tool_calls=most)["output"]
        ]
        for most in (None, 1, 9)
    }
    assert called == {None: ["g", "h"], 1: ["g"], 9: ["g", "h"]}


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1, "top_p": 1e-6}])
def test_deterministic_request_gets_the_same_text(api: ApiClient, sampling: dict[str, Any]) -> None:
    texts = {api.create("Say something.", **sampling)["output"][0]["content"][0]["text"] for _ in range(3)}
    streamed = api.create_stream("Say something.", **sampling)[-1]["response"]["output"][0]["content"][0][
        "text"
    ]
    assert texts == {streamed}


def test_other_request_gets_another_text(api: ApiClient) -> None:
    assert len({api.create("Say something.")["output"][0]["content"][0]["text"] for _ in range(5)}) > 1


def error_of(
    api: ApiClient, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    reply = api.request(method, path, body, **headers)
    error = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"]
    return reply.status_code, error


def test_every_error_has_the_same_form(api: ApiClient) -> None:
    missing = (400, "invalid_request", "missing_required_parameter")
    wrong, unknown = (400, "invalid_request", "invalid_parameter"), (404, "not_found", "not_found", None)
    valid: dict[str, Any] = {"model": "m", "input": "x"}
    lost = (400, "invalid_request", "previous_response_not_found", "previous_response_id")
    later = (400, "invalid_request", "unsupported_parameter", "background")
    robot = [{"role": "robot", "content": ""}]
    for method, path, body, expected in (
        ("POST", "/responses", {"model": "m"}, (*missing, "input")),
        ("POST", "/responses", {"input": "x"}, (*missing, "model")),
        ("POST", "/responses", {"model": "m", "input": robot}, (*wrong, "input[0].role")),
        ("POST", "/responses", {**valid, "previous_response_id": "resp_0"}, lost),
        ("POST", "/responses", {**valid, "background": True}, later),
        ("POST", "/responses", {**valid, "max_output_tokens": 15}, (*wrong, "max_output_tokens")),
        ("POST", "/responses/compact", {}, (*missing, "model")),
        ("POST", "/responses/compact", {"model": "m"}, (*missing, "input")),
        ("GET", "/responses/resp_0", None, unknown),
        ("GET", "/responses", None, (405, "invalid_request", "invalid_parameter", None)),
    ):
        status, error = error_of(api, method, path, body)
        assert (status, error["type"], error["code"], error["param"]) == expected, (path, body)
    status, error = error_of(api, "POST", "/responses", valid, authorization="Bearer wrong")
    assert (status, error["type"], error["code"]) == (401, "invalid_request", "invalid_api_key")


def test_service_faults_have_the_same_form(api: ApiClient) -> None:
    body = {"model": "m", "input": "x"}
    status, error = error_of(api, "POST", "/responses", body, x_mock_fault="throttling")
    assert (status, error["type"], error["code"]) == (429, "too_many_requests", "throttling")
    status, error = error_of(api, "POST", "/responses", body, x_mock_fault="internal-error")
    assert (status, error["type"]) == (500, "server_error")
    status, error = error_of(api, "POST", "/responses/compact", body, x_mock_fault="throttling")
    assert (status, error["type"]) == (429, "too_many_requests")


def test_compaction_shortens_a_chain(api: ApiClient) -> None:
    first = api.create([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}])
    second = api.create("three", previous_response_id=first["id"])
    body = {"model": "m", "previous_response_id": second["id"], "instructions": "Be short."}
    short = api.request_json("POST", "/responses/compact", body)
    assert check_body(short, "compact_response", NAME) == []
    assert [item["type"] for item in short["output"]] == ["message", "message", "compaction"]
    assert [item["content"][0]["text"] for item in short["output"][:-1]] == ["one", "three"]
    assert short["usage"]["input_tokens"] == second["usage"]["total_tokens"] + 3
    # The compaction item costs the tokens that it took to write.
    then = api.create([short["output"][-1]])
    assert then["usage"]["input_tokens"] == short["usage"]["output_tokens"]


def test_seed_repeats_everything() -> None:
    runs = []
    for _ in range(2):
        with MockServer(profile=NAME, seed=5) as server, httpx.Client(trust_env=False) as client:
            own = ApiClient(server, client)
            body = {"model": "m", "input": "x"}
            runs.append(
                [own.create("x"), own.create("x"), own.request_json("POST", "/responses/compact", body)]
            )
    assert runs[0] == runs[1]
    assert runs[0][0]["id"] != runs[0][1]["id"]


@pytest.mark.parametrize(
    "members",
    [{"max_output_tokens": 20.0}, {"max_tool_calls": 1.0, "tools": [{"type": "function", "name": "f"}]}],
)
def test_an_integer_may_be_written_as_a_float(api: ApiClient, members: dict[str, Any]) -> None:
    assert api.create("Hi", **members)["status"] in ("completed", "incomplete")
