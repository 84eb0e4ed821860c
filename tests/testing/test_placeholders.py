"""Placeholders: values of the request in a reply that says `template`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver import ConfigurationError, FunctionCall, InvalidExchange, MockServer, Reply, ToolCall
from mockserver.exchanges import parse_exchange
from mockserver.profiles import load_profile
from mockserver.server.stubs.exchange_replies import prepare_reply

HOSTILE = 'Say "{{request.model}}", \\ and\n${1}'


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(profile="qwen-2026-05") as server:
        yield server


def ask(server: MockServer, prompt: str = HOSTILE, **members: Any) -> httpx.Response:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": prompt, **members})


def output(reply: httpx.Response) -> list[Any]:
    assert reply.status_code == 200, reply.text
    items: list[Any] = reply.json()["output"]
    return items


def test_a_text_is_filled_with_values_of_the_request(server: MockServer) -> None:
    text = "{{request.prompt}} ({{ request.model }}, turn {{request.turn}}): {{request.instructions}}"
    server.reply(text, template=True).times(2)
    first = ask(server, instructions="Be brief.")
    assert output(first)[0]["content"][0]["text"] == f"{HOSTILE} ({server.model}, turn 1): Be brief."
    second = ask(server, "Again", previous_response_id=first.json()["id"])
    assert output(second)[0]["content"][0]["text"] == f"Again ({server.model}, turn 2): "


def test_placeholders_are_texts_unless_a_reply_is_a_template(server: MockServer) -> None:
    server.reply("{{request.prompt}} {{anything}}")
    assert output(ask(server))[0]["content"][0]["text"] == "{{request.prompt}} {{anything}}"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ((FunctionCall("say", {"words": ["{{request.prompt}}"]}),), {}),
        ((), {"json": {"words": ["{{request.prompt}}"]}}),
        (('{"words": ["{{request.prompt}}"]}',), {}),
    ],
)
def test_values_in_json_are_escaped(
    server: MockServer, content: tuple[Any, ...], options: dict[str, Any]
) -> None:
    server.reply(*content, template=True, **options)
    (item,) = output(ask(server))
    text = item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
    assert json.loads(text) == {"words": [HOSTILE]}


def test_reasoning_chunks_and_tools_are_filled(server: MockServer) -> None:
    search = ToolCall("web_search", {"action": {"type": "search", "query": "{{request.prompt}}"}})
    server.reply(search, "Done.", reasoning="They say {{request.prompt}}.", template=True)
    server.reply(chunks=["You said ", "{{request.prompt}}", "{{request.instructions}}", "."], template=True)
    thought, call, _ = output(ask(server, "Hi", enable_thinking=True))
    assert thought["summary"][0]["text"] == "They say Hi."
    assert call["action"]["query"] == "Hi"
    events = ask(server, "Hi", stream=True).text
    deltas = [json.loads(line[5:])["delta"] for line in events.splitlines() if '"delta":' in line]
    assert deltas == ["You said ", "Hi", "."]


def test_the_last_function_output_is_a_value(server: MockServer) -> None:
    server.when(tool_output="rain").reply("The tool says: {{request.tool_output}}", template=True)
    items = [
        {"role": "user", "content": "Weather?"},
        {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "It rains."},
    ]
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    reply = ask(server, items, tools=[tool])  # type: ignore[arg-type]
    assert output(reply)[0]["content"][0]["text"] == "The tool says: It rains."


def test_the_result_of_a_function_is_filled(server: MockServer) -> None:
    server.reply(lambda request: Reply("You said {{request.prompt}}.", template=True))
    assert output(ask(server, "Hi"))[0]["content"][0]["text"] == "You said Hi."


@pytest.mark.parametrize(
    "unknown", ["request.promt", "request.header.authorization", "", "7*7", "request.prompt|upper"]
)
def test_unknown_names_are_errors_at_definition(server: MockServer, unknown: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        server.reply("Hello {{" + unknown + "}}", template=True)
    assert f"there is no placeholder {unknown!r}" in str(caught.value)
    assert "request.prompt" in str(caught.value)
    assert not server.stubs


def test_only_scripts_have_placeholders(server: MockServer) -> None:
    with pytest.raises(ConfigurationError, match="only a reply from texts"):
        server.reply({"body": {"text": "{{request.prompt}}"}}, template=True)
    with pytest.raises(ConfigurationError, match="true or false"):
        server.reply("Hi", template="yes")  # type: ignore[arg-type]


def test_a_reply_that_becomes_too_long_is_an_error(server: MockServer) -> None:
    server.reply("{{request.prompt}}" * 20, template=True)
    reply = ask(server, "a" * 100_000)
    assert (reply.status_code, reply.json()["code"]) == (400, "TemplateFailed")
    assert "exceeds 1000000 bytes" in reply.json()["message"]


@pytest.mark.parametrize(
    "stub",
    [
        {"reply": {"text": "You said {{request.prompt}}.", "template": True}},
        {
            "reply": {
                "script": {"items": [{"type": "message", "text": "You said {{request.prompt}}."}]},
                "template": True,
            }
        },
        {"reply": "You said {{request.prompt}}.", "delivery": {"template": True}},
    ],
)
def test_a_template_in_a_file(tmp_path: Path, stub: Any) -> None:
    (tmp_path / "echo.json").write_text(json.dumps(stub))
    with MockServer(exchanges=tmp_path) as server:
        texts = [output(ask(server, prompt))[0]["content"][0]["text"] for prompt in ("Hi", "Ho", "Hi")]
    assert texts == ["You said Hi.", "You said Ho.", "You said Hi."]


@pytest.mark.parametrize(
    ("stub", "pointer", "reason"),
    [
        ({"reply": {"text": "{{prompt}}", "template": True}}, "/reply", "there is no placeholder 'prompt'"),
        ({"reply": {"body": {}}, "delivery": {"template": True}}, "/reply/body", "only a reply from texts"),
        (
            {"reply": {"error": "rate-429"}, "delivery": {"template": True}},
            "/reply/error",
            "only a reply from texts",
        ),
    ],
)
def test_an_invalid_template_in_a_file(stub: Any, pointer: str, reason: str) -> None:
    exchange = parse_exchange(json.dumps(stub).encode(), "bad.json")
    with pytest.raises(InvalidExchange) as caught:
        prepare_reply(exchange, load_profile("qwen-2026-05"), "wire")
    assert caught.value.pointer == pointer
    assert reason in str(caught.value)
