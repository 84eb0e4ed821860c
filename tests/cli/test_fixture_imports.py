"""`mockserver exchanges new` with the fixtures and cassettes of other tools."""

from __future__ import annotations

import gzip
import io
import json
import sys
from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mockserver import MockServer
from tests.cli.conftest import RunCli

brotli: Any = import_module("brotli")  # it has no type annotations

KEY = "sk-0123456789abcdef0123456789abcdef"
MODEL = "qwen3-max-2026-01-23"


def draft(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, source: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source.encode())))
    result = run_cli("exchanges", "new", "--name", "it", "--out", ".")
    if result[0] == 0:
        assert run_cli("exchanges", "check", ".")[0] == 0
    return result


def ask(server: MockServer, prompt: Any, **members: Any) -> httpx.Response:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": prompt, **members})


def output(reply: httpx.Response) -> Any:
    assert reply.status_code == 200, reply.text
    item = reply.json()["output"][-1]
    return item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]


AIMOCK = {
    "fixtures": [
        {"match": {"userMessage": "hello"}, "response": {"content": "Hello!"}, "chaos": {"dropRate": 0.5}},
        {"match": {"userMessage": "joke", "sequenceIndex": 0}, "response": {"content": "One."}},
        {"match": {"userMessage": "joke", "sequenceIndex": 1}, "response": {"content": "Two."}, "latency": 1},
        {
            "match": {"toolName": "get_weather", "hasToolResult": False},
            "response": {
                "reasoning": "Hm.",
                "toolCalls": [{"name": "get_weather", "arguments": {"city": "SF"}, "id": "call_1"}],
            },
        },
        {
            "match": {"toolCallId": "call_1", "toolResultContains": "rain"},
            "response": {"content": "It rains."},
        },
        {
            "match": {"userMessage": "slow", "model": MODEL, "systemMessage": "brief"},
            "response": {"blocks": [{"type": "text", "text": "Slow."}], "usage": {"prompt_tokens": 7}},
            "streamingProfile": {"ttft": 1, "tps": 1000, "jitter": 0.1},
        },
        {
            "match": {"userMessage": "limit"},
            "response": {"error": {"message": "Too many.", "type": "rate_limit_error"}, "status": 429},
        },
        {"match": {"inputText": "hello"}, "response": {"embedding": [0.1]}},
        {"match": {"userMessage": "draw"}, "response": {"image": {"url": "https://example.com/1.png"}}},
        {"match": {"userMessage": "odd"}, "response": {"toolCalls": [7]}},
        7,
    ]
}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


def test_fixtures_of_aimock(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status, out, err = draft(run_cli, monkeypatch, json.dumps(AIMOCK))
    assert status == 0, err
    assert out.split() == [f"it-{number:04}.json" for number in range(1, 8)]
    assert err.splitlines() == [
        "mockserver: left out: fixture 0: chaos has no equivalent",
        "mockserver: left out: fixture 7: the condition inputText has no equivalent",
        "mockserver: left out: fixture 8: a response with image has no equivalent",
        "mockserver: left out: fixture 9: it is no fixture of aimock or stubllm: a member has another type",
        "mockserver: left out: fixture 10: a response with nothing has no equivalent",
    ]
    with MockServer(exchanges=tmp_path) as server:
        assert output(ask(server, "Say hello!", tools=[{"type": "web_search"}])) == "Hello!"
        assert [output(ask(server, "A joke")) for _ in range(2)] == ["One.", "Two."]
        called = ask(server, "Weather?", tools=[TOOL])
        assert output(called) == '{"city":"SF"}'
        answer = {"type": "function_call_output", "call_id": "call_1", "output": "Some rain"}
        more = {"previous_response_id": called.json()["id"], "tools": [TOOL]}
        assert output(ask(server, [answer], **more)) == "It rains."
        slow = ask(server, "slow", instructions="Be brief.")
        assert (output(slow), slow.json()["usage"]["input_tokens"]) == ("Slow.", 7)
        limit = ask(server, "limit")
        assert (limit.status_code, limit.json()["message"]) == (429, "Too many.")


STUBLLM = """
fixtures:
  - name: any greeting
    match:
      provider: openai
      messages: [{role: user, content: hello}]
    response: {content: Hello!}
  - name: exact
    match:
      messages: [{role: user, content: {exact: hello}}]
    sequence:
      - {content: First.}
      - {content: Then., tool_calls: [{id: call_1, function: {name: f, arguments: '{"a": 1}'}}]}
  - name: pattern
    match:
      messages: [{role: user, content: {regex: "weather in \\\\w+"}}]
    response: {http_status: 429, error_code: Throttling, error_message: Later.}
  - name: system
    match:
      messages: [{role: system, content: brief}]
"""


def test_fixtures_of_stubllm(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status, _, err = draft(run_cli, monkeypatch, STUBLLM)
    assert status == 0, err
    assert "another message than the user's has no equivalent" in err
    with MockServer(exchanges=tmp_path) as server:
        assert [output(ask(server, "hello")) for _ in range(3)] == ["First.", '{"a": 1}', '{"a": 1}']
        assert output(ask(server, "Oh HELLO there")) == "Hello!"
        assert ask(server, "The Weather in Paris").status_code == 429


def cassette(**response: Any) -> dict[str, Any]:
    request = {
        "method": "POST",
        "uri": "https://example.com/compatible-mode/v1/responses",
        "headers": {"Authorization": [f"Bearer {KEY}"]},
        "body": json.dumps({"model": MODEL, "input": "Hello!"}),
    }
    models: dict[str, Any] = {
        "method": "GET",
        "uri": "https://example.com/v1/models",
        "headers": {},
        "body": None,
    }
    headers = {"Content-Type": ["application/json"], **response.pop("headers", {})}
    reply = {"status": {"code": 200, "message": "OK"}, "headers": headers, **response}
    return {
        "interactions": [{"request": request, "response": reply}, {"request": models, "response": reply}],
        "version": 1,
    }


with MockServer() as _server:
    BODY = ask(_server, "Hello!").text

CASSETTES = {
    "YAML": yaml.safe_dump(cassette(body={"string": BODY})),
    "YAML of bytes": yaml.safe_dump(cassette(body={"string": BODY.encode()})),
    "compressed": yaml.safe_dump(
        cassette(body={"string": gzip.compress(BODY.encode())}, headers={"Content-Encoding": ["gzip"]})
    ),
    "brotli": yaml.safe_dump(
        cassette(body={"string": brotli.compress(BODY.encode())}, headers={"Content-Encoding": ["br"]})
    ),
    "JSON": json.dumps(cassette(body={"string": BODY})),
}


@pytest.mark.parametrize("form", CASSETTES)
def test_cassettes(form: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status, out, err = draft(run_cli, monkeypatch, CASSETTES[form])
    assert (status, out) == (0, "it.json\n"), err
    assert (
        err == "mockserver: left out: entry 1, GET https://example.com/v1/models: not a POST to …/responses\n"
    )
    assert KEY not in (tmp_path / "it.json").read_text()
    with MockServer(exchanges=tmp_path) as server:
        assert ask(server, "Hello!").json() == json.loads(BODY)


#: Each alias stands for ten of the one before.
BOMB = "".join(f"  b{number}: &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(9))


@pytest.mark.parametrize(
    "body", [{"base64_string": 7}, {"base64_string": "a"}, gzip.compress(bytes(33 << 20))]
)
def test_cassette_with_a_body_that_cannot_be_read_is_named(
    body: Any, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(body, bytes):
        body = {"base64_string": b64encode(body).decode()}
    source = json.dumps(cassette(body=body, headers={"Content-Encoding": ["gzip"]}))
    status, out, err = draft(run_cli, monkeypatch, source)
    assert (status, out) == (2, "")
    assert "entry 0" in err
    assert "no body of the reply" in err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("interactions: [", "cannot parse the YAML: "),
        ("interactions: !!python/object/apply:os.system [true]", "cannot parse the YAML: "),
        (
            f"fixtures:\n- a: &a0 [x]\n{BOMB}  match: {{userMessage: x}}\n  response: {{content: *a9}}",
            "its aliases stand",
        ),
        ("fixtures: &all [*all]", "levels deep"),
        (f"fixtures: {'[' * 5000}", "cannot parse the YAML: "),
        ("version: 1", "not a curl command, a HAR file, a cassette, fixtures, a stream or a response"),
        ('{"fixtures": []}', "found no request"),
        ('{"interactions": [7, {"request": 7}]}', "entry 1, "),
    ],
)
def test_a_source_that_cannot_be_read_is_an_error(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    status, out, err = draft(run_cli, monkeypatch, source)
    assert (status, out) == (2, "")
    assert reason in err


def test_yaml_without_its_package_is_refused(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    status, _, err = draft(run_cli, monkeypatch, CASSETTES["YAML"])
    assert status == 2
    assert "pip install pyyaml" in err
