"""Suggestions for near misses, and the places that make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import find
from hypothesis.errors import InvalidArgument

from mockserver import strategies
from mockserver.cli.commands import group
from mockserver.contract.chat.check import check_chat_request
from mockserver.contract.check import check_request
from mockserver.errors import ConfigurationError, MockServerError
from mockserver.profiles import load_profile
from mockserver.suggestions import choose_from, did_you_mean, find_nearest
from mockserver.testing.mock import MockServer

MODEL = "qwen3-max-2026-01-23"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("websearch", "web_search"),
        ("WEB-SEARCH", "web_search"),
        ("web_serch", "web_search"),
        ("code-interpreter", "code_interpreter"),
        ("teleport", None),
        ("", None),
        ("x" * 1_000_000, None),
        ("web_search", None),
    ],
)
def test_the_nearest_name_is_found(name: str, nearest: str | None) -> None:
    assert find_nearest(name, ["web_search", "web_extractor", "code_interpreter"]) == nearest


def test_a_message_lists_the_choices() -> None:
    assert choose_from("x", ["alpha", "beta"]) == "; choose from: alpha, beta"
    assert choose_from("alpa", ["alpha", "beta"]) == "; did you mean 'alpha'? Choose from: alpha, beta"
    assert choose_from("x", []) == "; there are none"
    many = [f"name-{number}" for number in range(1000)]
    assert choose_from("name-7x", many) == "; did you mean 'name-7'?"
    assert choose_from("?", many).endswith("name-199 and 800 more")
    assert did_you_mean("x", many) == ""


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["serv"], "serve"),
        (["exchanges", "chek"], "check"),
        (["serve", "--profil", "x"], "--profile"),
        (["serve", "--profile", "qwen-2026-1"], "qwen-2026-01"),
        (["serve", "--fault", "stal"], "stall"),
        (["serve", "--fault", "stall,afer=1"], "after"),
        (["serve", "--rendering", "documentd"], "documented"),
        (["serve", "--limit", "request=1"], "requests"),
        (["faults", "internal_eror"], "internal-error"),
        (["rules", "SEQ-0014"], "SEQ-014"),
        (["rules", "SQE-001"], "SEQ-001"),
        (["check", "--kind", "strem", "-"], "stream"),
        (["check", "--fail-on", "warnign", "-"], "warning"),
        (["serve", "--function-arguments", "hole"], "whole"),
        (["verify", "--base-url", "http://127.0.0.1:1/v1", "--fail-on", "drfit"], "drift"),
        (["check", "--ignore", "SEQ-0014", "-"], "SEQ-014"),
        (["check", "--profile", "qwen-2026-1", "-"], "qwen-2026-01"),
        (["schema", "respons"], "response"),
        (["diff", "qwen-2026-1", "qwen-2026-05"], "qwen-2026-01"),
        (["fuzz", "--skip", "stallled", "--", "true"], "stalled"),
        (["verify", "--base-url", "http://127.0.0.1:1/v1", "--only", "delet"], "delete"),
    ],
)
def test_a_command_suggests_the_nearest_name(
    arguments: list[str], suggestion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-mock")
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 2, result.output
    assert "id you mean" in result.output, result.output
    assert repr(suggestion) in result.output


def test_a_setting_in_pyproject_suggests_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.mockserver]\nrenderng = 'wire'\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(group, ["faults"])
    assert (result.exit_code, "did you mean 'rendering'?" in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("call", "suggestion"),
    [
        (lambda server: server.fail("internal_error"), "internal-error"),
        (lambda server: server.fault("stal"), "stall"),
        (lambda server: server.violate("SEQ-0014"), "SEQ-014"),
        (lambda server: server.reply("x", pase="none"), "pace"),
        (lambda server: server.reply("x", usage={"output_token": 1}), "output_tokens"),
        (lambda server: server.when(contain="x"), "contains"),
        (lambda server: server.session("a", profil="qwen-2026-09"), "profile"),
        (lambda server: server.session("a", profile="qwen-2026-9"), "qwen-2026-09"),
        (lambda _: MockServer(renderng="wire"), "rendering"),  # type: ignore[call-arg]
    ],
)
def test_a_mock_server_suggests_the_nearest_name(call: Any, suggestion: str) -> None:
    with MockServer() as server, pytest.raises(MockServerError, match=f"id you mean '{suggestion}'"):
        call(server)


def test_a_strategy_suggests_the_nearest_name() -> None:
    with pytest.raises(InvalidArgument, match="did you mean 'SEQ-014'"):
        find(strategies.broken_streams(rule="SEQ-0014"), lambda _: True)


def request_messages(**members: Any) -> dict[str, str]:
    body = {"model": MODEL, "input": "Hi", **members}
    return {each.pointer: each.message for each in check_request(body, load_profile("qwen-2026-01"))}


@pytest.mark.parametrize(
    ("members", "pointer", "suggestion"),
    [
        ({"tools": [{"type": "websearch"}]}, "/tools/0/type", "web_search"),
        ({"previous_respons_id": "x"}, "/previous_respons_id", "previous_response_id"),
        ({"tool": []}, "/tool", "tools"),
        ({"input": [{"type": "function_call_outputs", "call_id": "c", "output": "x"}]}, "/input/0/type",
         "function_call_output"),
        ({"tools": [{"type": "function", "name": "f", "parameter": {}}]}, "/tools/0/parameter", "parameters"),
        ({"model": "qwen3-max"}, "/model", MODEL),
    ],
)  # fmt: skip
def test_a_finding_in_a_request_suggests_the_nearest_name(
    members: dict[str, Any], pointer: str, suggestion: str
) -> None:
    assert f"id you mean '{suggestion}'?" in request_messages(**members)[pointer]


def test_a_finding_without_a_near_miss_suggests_nothing() -> None:
    messages = request_messages(tools=[{"type": "teleport"}], xylophone=1, store=False, model="gpt")
    assert not any("you mean" in message for message in messages.values()), messages


def test_a_chat_finding_suggests_the_nearest_name() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_token": 5}
    (finding,) = [each for each in check_chat_request(body) if each.pointer == "/max_token"]
    assert "did you mean 'max_tokens'?" in finding.message


def test_the_error_for_an_unsupported_model_is_the_services_own_and_the_log_suggests() -> None:
    with MockServer() as server, server.httpx() as client:
        reply = client.post("/responses", json={"model": "qwen3-max", "input": "Hi"})
        assert reply.json()["message"] == "Unsupported model: 'qwen3-max'."
        assert f"Did you mean '{MODEL}'?" in server.journal.last.detail
        assert f"Did you mean '{MODEL}'?" in server.journal.last.findings[0].message


def test_a_request_that_names_an_unknown_scenario_gets_the_nearest() -> None:
    with MockServer() as server, server.httpx(headers={"x-mock-scenario": "helo"}) as client:
        reply = client.post("/responses", json={"model": server.model, "input": "Hi"})
        assert "did you mean 'hello'?" in reply.json()["message"]


def test_an_unknown_profile_error_suggests_the_nearest() -> None:
    with pytest.raises(LookupError, match="did you mean 'qwen-2026-01'"):
        load_profile("qwen-2026-1")
    with pytest.raises(ConfigurationError, match="did you mean 'documented'"):
        MockServer(rendering="documentd")
