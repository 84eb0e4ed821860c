"""Scenarios: replies that a request selects by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.errors import ConfigurationError
from mockserver.testing.mock import MockServer
from mockserver.wire import json
from tests.api_client import output_text


@pytest.fixture(scope="module")
def _server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def server(_server: MockServer) -> MockServer:
    _server.reset()
    return _server


def ask(
    server: MockServer, scenario: str | None = None, content: str = "Hi", **members: Any
) -> httpx.Response:
    headers = {} if scenario is None else {"x-mock-scenario": scenario}
    with server.httpx() as client:
        body = {"model": server.model, "input": content, **members}
        return client.post("/responses", json=body, headers=headers)


def test_steps_are_served_in_order_to_requests_that_name_the_scenario(server: MockServer) -> None:
    retry = server.scenario("retry")
    retry.fail("internal-error").times(2).then("At last.")
    server.reply("Plain.").always()
    statuses = [ask(server, "retry").status_code for _ in range(2)]
    assert (statuses, output_text(ask(server))) == ([500, 500], "Plain.")
    assert output_text(ask(server, "retry")) == "At last."
    rejected = ask(server, "retry")
    assert rejected.status_code == 400
    assert rejected.json()["message"] == "x-mock-scenario: retry has no replies left."
    assert server.journal.last.refusal == "unplanned"
    assert retry.headers == {"x-mock-scenario": "retry"}
    with pytest.raises(ConfigurationError, match="the name of a scenario must be"):
        server.scenario("a b")


def test_a_request_can_name_a_stub_or_an_exchange(server: MockServer) -> None:
    server.when("Never asked").reply("By name.", name="mine").times(2)
    server.reply("First in line.").always()
    assert [output_text(ask(server, "mine")) for _ in range(2)] == ["By name.", "By name."]
    assert ask(server, "mine").status_code == 400
    documented = ask(server, "hello")
    assert "exchange" not in documented.text
    assert server.journal.last.exchange == "hello"


def test_an_unknown_name_is_rejected_with_the_nearest(server: MockServer) -> None:
    server.scenario("checkout").reply("x")
    for name, nearest in (("chekout", "checkout"), ("helo", "hello")):
        refused = ask(server, name)
        assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")
        message = refused.json()["message"]
        assert message.startswith(f"x-mock-scenario: no stub, exchange or scenario {name!r}; ")
        assert f"did you mean {nearest!r}?" in message
    assert ask(server, "x" * 5000).status_code == 400
    assert ask(server, "../../etc/passwd").status_code == 400


def test_scenarios_from_exchange_files(tmp_path: Path) -> None:
    for number, text in enumerate(("One.", "Two.")):
        reply = {"script": {"items": [{"type": "message", "text": text}]}}
        step = {"format": 1, "name": f"s{number}", "match": {}, "scenario": "steps", "reply": reply}
        (tmp_path / f"{number}.json").write_bytes(json.dumps(step))
        more: dict[str, Any] = {"times": "always"} if number else {}
        other = {**step, "name": f"o{number}", "scenario": "goes-on", **more}
        (tmp_path / f"1{number}.json").write_bytes(json.dumps(other))
    with MockServer(exchanges=tmp_path, strict=False) as server:
        assert output_text(ask(server)) not in ("One.", "Two.")
        assert [output_text(ask(server, "steps")) for _ in range(2)] == ["One.", "Two."]
        assert ask(server, "steps").status_code == 400
        assert [output_text(ask(server, "goes-on")) for _ in range(3)] == ["One.", "Two.", "Two."]
        assert output_text(ask(server.session("other"), "steps")) == "One."  # type: ignore[arg-type]
        server.reset()
        assert output_text(ask(server, "steps")) == "One."


def test_an_error_stub_can_have_a_delivery_fault(server: MockServer) -> None:
    server.fail("internal-error", fault="cut-body")
    with server.httpx() as client, pytest.raises(httpx.RemoteProtocolError):
        client.post("/responses", json={"model": server.model, "input": "Hi"})
    assert server.journal.last.exchange == "stub-1"
    for fault in ("SEQ-004", "cut-after", "rate-429"):
        with pytest.raises(
            ConfigurationError, match=r"applies to responses, not to errors|replaces the reply"
        ):
            server.fail("internal-error", fault=fault)


def test_scenarios_apply_to_chat_completions(server: MockServer) -> None:
    server.scenario("retry").fail("internal-error").then("At last.")
    url = str(server.base_url).partition("/api")[0] + "/compatible-mode/v1/chat/completions"
    body = {"model": server.model, "messages": [{"role": "user", "content": "Hi"}]}
    with server.httpx() as client:
        replies = [client.post(url, json=body, headers={"x-mock-scenario": "retry"}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [500, 200]
    assert replies[1].json()["choices"][0]["message"]["content"] == "At last."
    assert [entry.exchange for entry in server.journal] == ["stub-1", "stub-2"]
