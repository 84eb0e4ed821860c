"""Create requests over HTTP: replies, streams and errors."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api_client import ApiClient

MODEL = "qwen3-max-2026-01-23"


def kinds(output: list[dict[str, Any]]) -> list[str]:
    return [item["type"] for item in output]


def text_of(response: dict[str, Any]) -> str:
    return str(response["output"][-1]["content"][0]["text"])


def test_reply_has_all_members(api: ApiClient) -> None:
    response = api.create()
    assert set(response) == {
        "id", "created_at", "model", "object", "status", "output", "usage",
        "parallel_tool_calls", "tool_choice", "tools",
    }  # fmt: skip
    assert isinstance(response["created_at"], int)
    assert response["output"][0]["content"][0]["annotations"] == []
    assert response["output"][0]["id"].startswith("msg_")


def test_stream_has_the_text_of_the_reply(api: ApiClient) -> None:
    api.server.reply("One two three.")
    api.server.reply("One two three.")
    events = api.create_stream("hi")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["response"]["status"] == "queued"
    assert events[0]["response"]["model"] == ""
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == ["One", " two", " three."]
    final = events[-1]["response"]
    assert events[-1]["type"] == "response.completed"
    assert text_of(final) == text_of(api.create("hi")) == "One two three."


def test_frames_are_written_as_the_service_does(api: ApiClient) -> None:
    """Framing of the raw SSE sample recorded on 26 January 2026."""
    reply = api.post({"model": MODEL, "input": "hi", "stream": True})
    assert reply.headers["content-type"] == "text/event-stream;charset=UTF-8"
    blocks = reply.text.split("\n\n")
    assert blocks.pop() == ""
    for number, block in enumerate(blocks):
        lines = block.split("\n")
        assert lines[0] == f"id:{number + 1}"
        assert lines[1].startswith("event:response.")
        assert lines[2] == ":HTTP_STATUS/200"
        assert lines[3].startswith('data:{"')
    assert "[DONE]" not in reply.text


def test_documented_prompt_gets_the_documented_reply(api: ApiClient) -> None:
    assert text_of(api.create("Hello, please introduce yourself in one sentence.")).startswith(
        "Hello! I am Qwen,"
    )


def test_packaged_exchange_follows_only_its_own_conversation(api: ApiClient) -> None:
    john = api.create("My name is John, please remember it.")
    known = api.create("Do you remember my name?", previous_response_id=john["id"])
    assert text_of(known) == "Yes, John! I remember your name. How can I assist you today?"
    assert known["usage"]["input_tokens"] == 78
    assert (known["usage"]["output_tokens"], known["usage"]["total_tokens"]) == (16, 94)
    alice = api.create("My name is Alice, please remember it.")
    assert "John" not in text_of(api.create("Do you remember my name?", previous_response_id=alice["id"]))
    assert "John" not in text_of(api.create("Do you remember my name?"))


def test_chain_carries_its_context(api: ApiClient) -> None:
    turn = api.create("one")
    for _ in range(3):
        following = api.create("and on", previous_response_id=turn["id"])
        assert following["usage"]["input_tokens"] > turn["usage"]["total_tokens"]
        assert following["created_at"] > turn["created_at"]
        turn = following


def test_streamed_response_can_be_continued(api: ApiClient) -> None:
    final = api.create_stream("one")[-1]["response"]
    following = api.create("two", previous_response_id=final["id"])
    assert following["usage"]["input_tokens"] > final["usage"]["total_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_built_in_tools_run_once_each_in_order(api: ApiClient, stream: bool) -> None:
    tools = [{"type": "code_interpreter"}, {"type": "web_extractor"}, {"type": "web_search"}]
    members = {"tools": tools, "enable_thinking": True}
    response = (
        api.create_stream("Look it up", **members)[-1]["response"]
        if stream
        else api.create("Look it up", **members)
    )
    assert kinds(response["output"]) == [
        "reasoning", "web_search_call", "reasoning", "web_extractor_call", "reasoning",
        "code_interpreter_call", "message",
    ]  # fmt: skip
    assert response["usage"]["x_tools"] == {
        "code_interpreter": {"count": 1}, "web_extractor": {"count": 1}, "web_search": {"count": 1},
    }  # fmt: skip
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert response["tools"] == ([] if stream else tools)
    assert len({item["id"] for item in response["output"]}) == 7


def test_progress_events_of_a_tool(api: ApiClient) -> None:
    types = [
        event["type"].removeprefix("response.")
        for event in api.create_stream("Look", tools=[{"type": "web_search"}])
        if event["type"] != "response.output_text.delta"
    ]
    assert types == [
        "created", "in_progress",
        "output_item.added", "web_search_call.in_progress", "web_search_call.searching",
        "web_search_call.completed", "output_item.done",
        "output_item.added", "content_part.added", "output_text.done", "content_part.done",
        "output_item.done",
        "completed",
    ]  # fmt: skip


def test_enable_thinking_adds_reasoning(api: ApiClient) -> None:
    assert kinds(api.create("Think", enable_thinking=True)["output"]) == ["reasoning", "message"]
    assert kinds(api.create("Think", enable_thinking=False)["output"]) == ["message"]


@pytest.mark.parametrize(
    ("tools", "thinking", "message"),
    [
        (
            ["web_extractor"],
            True,
            "The web_extractor tool must be executed with web_search tool.",
        ),
        (
            ["web_search", "web_extractor"],
            False,
            "Normal mode does not support web_extractor. Please set enable_thinking to true.",
        ),
        (
            ["code_interpreter"],
            None,
            "Normal mode does not support Code interpreter. Please set enable_thinking to true.",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_tool_without_its_requirements_is_rejected(
    api: ApiClient, tools: list[str], thinking: bool | None, message: str, stream: bool
) -> None:
    body = {
        "model": MODEL,
        "input": "x",
        "tools": [{"type": kind} for kind in tools],
        "enable_thinking": thinking,
        "stream": stream,
    }
    expected = f"<400> InternalError.Algo.InvalidParameter: {message}"
    assert api.post_refused(body) == (400, "InvalidParameter", expected)


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city", "days"],
    },
}
TIME = {"type": "function", "name": "get_time", "description": "Time", "parameters": {"type": "object"}}


@pytest.mark.parametrize("stream", [False, True])
def test_function_is_called_then_its_output_gets_a_message(api: ApiClient, stream: bool) -> None:
    def run(content: Any, **members: Any) -> dict[str, Any]:
        if stream:
            response: dict[str, Any] = api.create_stream(content, tools=[WEATHER, TIME], **members)[-1][
                "response"
            ]
            return response
        return api.create(content, tools=[WEATHER, TIME], **members)

    first = run("What is the weather?")
    (call,) = first["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert '"city"' in call["arguments"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    assert kinds(run([output], previous_response_id=first["id"])["output"]) == ["message"]
    history = [{"role": "user", "content": "What is the weather?"}, call, output]
    assert kinds(run(history)["output"]) == ["message"]
    again = [*history, {"role": "user", "content": "And now?"}]
    assert kinds(run(again)["output"]) == ["function_call"]


@pytest.mark.parametrize(
    ("prompt", "choice", "called"),
    [
        ("please get_time now", None, "get_time"),
        ("please GET_TIME now", None, "get_time"),
        ("forget_time", None, "get_weather"),
        ("anything", None, "get_weather"),
        ("get_weather", {"type": "function", "name": "get_time"}, "get_time"),
        (
            "x",
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_time"}]},
            "get_time",
        ),
        ("x", "required", "get_weather"),
        ("x", "none", None),
    ],
)
def test_which_function_is_called(api: ApiClient, prompt: str, choice: Any, called: str | None) -> None:
    item = api.create(prompt, tools=[WEATHER, TIME], tool_choice=choice)["output"][-1]
    assert item.get("name") == called


def test_generated_arguments_are_harmless(api: ApiClient) -> None:
    members = ("cmd", "command", "script", "code", "path", "url")
    parameters = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in members},
        "required": list(members),
    }
    shell = {"type": "function", "name": "shell", "description": "Run", "parameters": parameters}
    arguments = json.loads(api.create("go", tools=[shell])["output"][0]["arguments"])
    assert arguments == {
        "cmd": "true", "command": "true", "script": "true", "code": "true",
        "path": "/dev/null", "url": "https://example.invalid/",
    }  # fmt: skip


def test_unsatisfiable_parameters_are_rejected(api: ApiClient) -> None:
    impossible = {"type": "string", "minLength": 9, "maxLength": 1}
    parameters = {"type": "object", "properties": {"a": impossible}, "required": ["a"]}
    tool = {"type": "function", "name": "f", "description": "F", "parameters": parameters}
    status, code, message = api.post_refused({"model": MODEL, "input": "x", "tools": [tool]})
    assert (status, code) == (400, "InvalidParameter")
    assert "'f'" in message
    assert "/properties/a" in message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        ({}, "'model'"),
        ({"model": MODEL}, "'input'"),
        ({"model": MODEL, "input": []}, "input"),
        ({"model": MODEL, "input": 42}, "input"),
        ({"model": 7, "input": "x"}, "model"),
        ({"model": "gpt-4", "input": "x"}, "Unsupported model: 'gpt-4'"),
        ({"model": MODEL, "input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"model": MODEL, "input": "x", "temperature": "hot"}, "temperature"),
        ({"model": MODEL, "input": "x", "temperature": 2}, "emperature"),
        ({"model": MODEL, "input": "x", "top_p": 0}, "top_p"),
        ({"model": MODEL, "input": "x", "stream": "yes"}, "stream"),
        ({"model": MODEL, "input": "x", "tools": {}}, "tools"),
        ({"model": MODEL, "input": "x", "tools": ["web_search"]}, "tools[0]"),
        ({"model": MODEL, "input": "x", "enable_thinking": 1}, "enable_thinking"),
        ({"model": MODEL, "input": "x", "previous_response_id": 5}, "previous_response_id"),
        (
            {"model": MODEL, "input": "x", "previous_response_id": "nope"},
            "Not found previous_response_id: nope",
        ),
    ],
)
def test_error_names_the_field(api: ApiClient, body: Any, words: str) -> None:
    status, code, message = api.post_refused(body)
    assert (status, code) == (400, "InvalidParameter")
    assert words in message


def test_null_counts_as_absent_and_unlisted_parameters_are_ignored(api: ApiClient) -> None:
    api.create(
        "hi", stream=None, tools=None, temperature=None, previous_response_id=None, enable_thinking=None,
        instructions="x", metadata={"a": 1}, include=[], text={}, background=None,
    )  # fmt: skip
    assert api.server.journal.last.ignored == ("instructions", "metadata", "include", "text")


def test_missing_and_wrong_keys_are_rejected(api: ApiClient) -> None:
    body = {"model": MODEL, "input": "x"}
    for authorization, message in (
        ("", "No API-key provided."),
        ("Bearer", "No API-key provided."),
        ("Bearer sk-wrong", "Invalid API-key provided."),
        ("Basic sk-mock", "Invalid API-key provided."),
    ):
        assert api.post_refused(body, authorization=authorization) == (401, "InvalidApiKey", message)
    url = f"{api.server.base_url}/responses"
    reply = httpx.post(
        url, json=body, headers=[(b"authorization", "Bearer schlüssel".encode())], trust_env=False
    )
    assert reply.status_code == 401
    assert httpx.post(url, json=body, trust_env=False).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "", "localhost:80@evil", "127.0.0.1.evil.example", "a b"])
def test_other_hosts_are_rejected(api: ApiClient, host: str) -> None:
    assert api.post_refused({"model": MODEL, "input": "x"}, host=host)[:2] == (403, "AccessDenied")


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "LOCALHOST", "127.0.0.1", "[::1]:80"])
def test_names_of_loopback_are_accepted(api: ApiClient, host: str) -> None:
    assert api.post({"model": MODEL, "input": "x"}, host=host).status_code == 200


def test_pages_of_other_sites_are_rejected(api: ApiClient) -> None:
    body = {"model": MODEL, "input": "x"}
    assert api.post_refused(body, origin="https://evil.example")[:2] == (403, "AccessDenied")
    assert api.post_refused(body, origin="null")[:2] == (403, "AccessDenied")
    assert api.post(body, origin="http://localhost:3000").status_code == 200


def test_content_type_other_than_json_is_rejected(api: ApiClient) -> None:
    body = {"model": MODEL, "input": "x"}
    assert "text/plain" in api.post_refused(body, content_type="text/plain")[2]
    assert api.post(body, content_type="application/json; charset=utf-8").status_code == 200


def test_request_ids_are_unique_and_in_header_and_body(api: ApiClient) -> None:
    ids = []
    for body in ({}, {}, {"model": MODEL, "input": "x"}, {"model": MODEL, "input": "x"}):
        reply = api.post(body)
        ids.append(reply.headers["x-request-id"])
        assert reply.json().get("request_id", reply.json().get("id")) == ids[-1]
    assert len(set(ids)) == 4


def test_journal_has_requests_and_replies(api: ApiClient) -> None:
    api.create("hi", metadata={})
    api.post_refused({"model": MODEL})
    api.create_stream("Hello, please introduce yourself in one sentence.")
    journal = api.server.journal
    assert len(journal) == 3
    plain, refused, stream = journal
    assert plain.json["input"] == "hi"
    assert (plain.status, plain.stream, plain.exchange, plain.ignored) == (200, False, None, ("metadata",))
    assert (refused.status, refused.findings[0].rule) == (400, "REQ-001")
    assert (stream.stream, stream.exchange) == (True, "introduction")
    assert len(stream.reply) > 9
    assert api.server.api_key not in f"{plain.headers}{plain!r}"
