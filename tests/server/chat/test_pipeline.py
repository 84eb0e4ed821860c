"""Chat Completions and Responses give the same replies: stubs, exchanges and generated texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from mockserver import FunctionCall, MockServer, strategies
from mockserver.contract.chat.migration import migrate_request
from mockserver.exchanges import packaged_exchanges, parse_exchange
from mockserver.profiles import load_profile
from mockserver.replies.script import Script, ScriptError
from tests.api_client import ApiClient
from tests.marks import slow_except

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

PROFILES = ("qwen-2026-01", "qwen-2026-09")


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, ApiClient]]:
    servers = {profile: MockServer(profile=profile).start() for profile in PROFILES}
    with httpx.Client(trust_env=False) as client:
        yield {profile: ApiClient(server, client) for profile, server in servers.items()}
    for server in servers.values():
        server.stop()


def completion_content(completion: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """(text, reasoning, calls) of a completion."""
    message = completion["choices"][0]["message"]
    calls = [each["function"] for each in message.get("tool_calls") or ()]
    named = [(each["name"], each["arguments"]) for each in calls]
    return message["content"], message.get("reasoning_content") or "", named


def response_content(response: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """(text, reasoning, calls) of a response."""
    items = response["output"]
    parts = [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
    thoughts = [part["text"] for item in items if item["type"] == "reasoning" for part in item["summary"]]
    calls = [item for item in items if item["type"] == "function_call"]
    return "".join(parts), "".join(thoughts), [(each["name"], each["arguments"]) for each in calls]


def join_chunks(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion that the chunks of one choice add up to."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(call)
                else:
                    started = message["tool_calls"][call["index"]]["function"]
                    started["arguments"] += call["function"]["arguments"]
    return {"choices": [{"message": message}]}


@pytest.mark.parametrize("profile", slow_except(["qwen-2026-01"], PROFILES))
def test_same_messages_get_the_same_reply_from_both_apis(profile: str, clients: dict[str, ApiClient]) -> None:
    api = clients[profile]
    facts = load_profile(profile)
    # Responses counts limits differently and has no `n` and no `stop`.
    dropped = {"max_tokens", "max_completion_tokens", "n", "stop"} | ({"text"} - {*facts.parameters})
    dropped |= {"response_format"} if "text" not in facts.parameters or facts.ignores_text_format else set()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(strategies.chat_requests(profile=profile))
    def check(drawn: dict[str, Any]) -> None:
        api.server.reset()
        request = {name: value for name, value in drawn.items() if name not in dropped}
        form = migrate_request(request, facts).body
        chat_reply = api.post_chat(request)
        assert chat_reply.status_code == 200, chat_reply.text
        reply = api.post(form)
        assert reply.status_code == 200, reply.text
        if request.get("stream"):
            lines = [line[6:] for line in chat_reply.text.splitlines() if line.startswith("data: {")]
            completion = join_chunks([json.loads(line) for line in lines])
            response = json.loads(
                [line for line in reply.text.splitlines() if line.startswith("data:")][-1][5:]
            )
            assert completion_content(completion) == response_content(response["response"])
            return
        completion, response = chat_reply.json(), reply.json()
        assert completion_content(completion) == response_content(response)
        assert completion["usage"]["prompt_tokens"] == response["usage"]["input_tokens"]
        assert completion["usage"]["completion_tokens"] == response["usage"]["output_tokens"]

    check()


def test_stream_has_the_content_of_the_completion(api: ApiClient) -> None:
    for members in ({}, {"tools": [WEATHER]}, {"enable_thinking": True}):
        api.server.reset()
        api.server.when("Hi").reply("Hello there!", reasoning="Hm.").always()
        whole = api.create_completion("Hi", **members)
        assert completion_content(join_chunks(api.create_chunks("Hi", **members))) == completion_content(
            whole
        )


@pytest.mark.parametrize(
    "exchange",
    [
        each
        for each in packaged_exchanges("qwen-2026-01")
        # Chat has no built-in tools by type; later turns are tested below.
        if each.request and "tools" not in each.request and each.match.after is None
    ],
    ids=lambda each: each.name,
)
def test_exchange_answers_both_apis(exchange: Any, api: ApiClient) -> None:
    request = {**exchange.request, "stream": False}
    given = request.pop("input")
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    completion = api.create_completion(messages, **request)
    response = api.create(given, **request)
    assert completion_content(completion) == response_content(response)
    names = [entry.exchange for entry in api.server.journal]
    assert names[0] == names[1] is not None
    assert completion["usage"]["total_tokens"] == response["usage"]["total_tokens"]


def test_later_turn_is_found_by_its_messages(api: ApiClient) -> None:
    messages = [{"role": "user", "content": "My name is John, please remember it."}]
    first = api.create_completion(messages)["choices"][0]["message"]["content"]
    messages += [
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Do you remember my name?"},
    ]
    assert api.create_completion(messages)["choices"][0]["message"]["content"].startswith("Yes, John!")
    assert [entry.exchange for entry in api.server.journal] == ["remember-my-name", "my-name"]


def test_stub_answers_chat_and_the_journal_shows_it(api: ApiClient) -> None:
    server = api.server
    server.when(prompt="Weather?").reply(FunctionCall("get_weather", '{"city":"Oslo"}'), name="call")
    server.when(tool_output="rain", after="call").reply("It rains.", usage={"output_tokens": 7})
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Weather?"}]
    choice = api.create_completion(messages, tools=[WEATHER])["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    messages += [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]
    second = api.create_completion(messages, tools=[WEATHER])
    assert second["choices"][0]["message"] == {"role": "assistant", "content": "It rains."}
    assert second["usage"]["completion_tokens"] == 7
    assert [entry.path for entry in server.journal] == ["/compatible-mode/v1/chat/completions"] * 2
    assert len(server.assert_requested("Weather?", times=2, tool="get_weather")) == 2
    assert len(server.assert_requested(turn=2, after="call", tool_output="rain")) == 1


def test_unmatched_request_has_a_chat_code(api: ApiClient) -> None:
    api.server.when("A").reply("B")
    reply = api.create_chat("C")
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "unplanned_request"
    assert "A" in reply.json()["error"]["message"]
    assert api.server.journal.last.refusal == "unplanned"


def test_reply_function_gets_the_responses_form(api: ApiClient) -> None:
    api.server.reply(lambda request: f"{request.prompt} in {len(request.body['input'])}")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert api.create_completion(messages)["choices"][0]["message"]["content"] == "Hi in 2"


RESPONSE: dict[str, Any] = {
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "web_search_call", "action": {}},
        {"type": "message", "content": [{"type": "output_text", "text": "Recorded."}]},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_9"},
    ],
    "usage": {"input_tokens": 50, "output_tokens": 8, "total_tokens": 58},
}


def streamed(*events: dict[str, Any]) -> dict[str, Any]:
    text = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    return {"http": {"status": 200, "headers": {}, "chunks": [{"text": text}]}}


@pytest.mark.parametrize(
    "reply",
    [
        {"body": RESPONSE},
        {"http": {"status": 200, "chunks": [{"text": json.dumps(RESPONSE)}]}},
        streamed({"type": "response.created"}, {"type": "response.completed", "response": RESPONSE}),
    ],
    ids=["body", "recording", "recorded stream"],
)
def test_recorded_response_is_rendered_as_a_completion(reply: dict[str, Any]) -> None:
    exchange = {"format": 1, "name": "recorded", "match": {"prompt": "Again"}, "reply": reply}
    own = [parse_exchange(json.dumps(exchange).encode(), "recorded.json")]
    with MockServer(exchanges=own) as server, httpx.Client(trust_env=False) as client:
        completion = ApiClient(server, client).create_completion("Again")
        assert completion_content(completion) == ("Recorded.", "Hm.", [("f", "{}")])
        assert completion["usage"]["total_tokens"] == 58
        assert completion_content(
            join_chunks(ApiClient(server, client).create_chunks("Again"))
        ) == completion_content(completion)


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        ({"error": {"status": 403, "code": "AccessDenied", "message": "No."}}, 403, "access_denied"),
        ({"http": {"status": 400, "chunks": [{"text": '{"code":"InvalidParameter","message":"Bad."}'}]}},
         400, "invalid_parameter_error"),
        ({"body": {"any": "thing"}}, 400, "invalid_parameter_error"),
        (streamed({"type": "response.failed", "response": {"object": "response", "status": "failed",
          "error": {"code": "DataInspectionFailed", "message": "No."}}}), 400, "data_inspection_failed"),
    ],
)  # fmt: skip
def test_recorded_error_has_a_chat_code(reply: dict[str, Any], status: int, code: str) -> None:
    exchange = {"format": 1, "name": "failing", "match": {"prompt": "Fail"}, "reply": reply}
    own = [parse_exchange(json.dumps(exchange).encode(), "failing.json")]
    with MockServer(exchanges=own) as server, httpx.Client(trust_env=False) as client:
        refused = ApiClient(server, client).create_chat("Fail")
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


def test_failed_script_is_an_error(api: ApiClient) -> None:
    limit = "Operation model request rate limit exceeded, please try again later."
    api.server.reply(lambda _: Script((), status="failed", error=ScriptError("server_error", limit)))
    refused = api.create_chat("x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit_requests")


def test_token_limits_truncate_the_answer(api: ApiClient) -> None:
    api.server.reply("one two three four", reasoning="a b c").always()
    answer = api.create_completion("x", max_tokens=2)["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("one two", "length")
    assert answer["message"]["reasoning_content"] == "a b c"
    both = api.create_completion("x", max_completion_tokens=2)
    assert both["choices"][0]["message"] == {"role": "assistant", "content": "", "reasoning_content": "a b"}
    assert both["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("stop", "text"),
    [("three", "one two "), (["x", "wo t"], "one t"), (["four", "one"], ""), ("five", "one two three four"),
     ("", "one two three four"), ([], "one two three four")],
)  # fmt: skip
def test_stop_text_ends_the_answer(stop: Any, text: str, api: ApiClient) -> None:
    api.server.reply("one two three four", FunctionCall("f", "{}"), usage={"output_tokens": 99}).always()
    tools = [{"type": "function", "function": {"name": "f"}}]
    completion = api.create_completion("x", stop=stop, tools=tools)
    answer = completion["choices"][0]
    assert answer["message"]["content"] == text
    is_cut = text != "one two three four"
    assert answer["finish_reason"] == ("stop" if is_cut else "tool_calls")
    assert (completion["usage"]["completion_tokens"] == 99) is not is_cut
    assert (
        join_chunks(api.create_chunks("x", stop=stop, tools=tools))["choices"][0]["message"]["content"]
        == text
    )


def test_several_choices(api: ApiClient) -> None:
    api.server.reply("Hi!", usage={"output_tokens": 3}).always()
    completion = api.create_completion("x", n=3)
    assert [each["index"] for each in completion["choices"]] == [0, 1, 2]
    assert completion["usage"]["completion_tokens"] == 9
    options = {"include_usage": True}
    assert api.create_chunks("x", n=2, stream_options=options)[-1]["usage"]["completion_tokens"] == 6


def test_stream_has_usage_only_on_request(api: ApiClient) -> None:
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in api.create_chunks("Hello!"))
    *chunks, last = api.create_chunks("Hello!", stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == api.create_completion("Hello!")["usage"]["total_tokens"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_response_format_works_in_every_profile(api: ApiClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    response_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    content = api.create_completion("A number, please.", response_format=response_format)["choices"][0][
        "message"
    ]["content"]
    assert type(json.loads(content)["n"]) is int


def test_repeated_request_gets_the_same_text_and_another_id(api: ApiClient) -> None:
    first, second = api.create_chat("Tell me more."), api.create_chat("Tell me more.")
    api.server.reset()
    again = api.create_chat("Tell me more.")
    assert first.content == again.content
    assert first.json()["id"] != second.json()["id"]
    assert first.json()["id"] == f"chatcmpl-{first.headers['x-request-id']}"


def test_a_request_that_came_before_follows_changes_of_the_session(api: ApiClient) -> None:
    def answer(stream: bool) -> str:
        if stream:
            message = join_chunks(api.create_chunks(introduction))["choices"][0]["message"]
        else:
            message = api.create_completion(introduction)["choices"][0]["message"]
        content: str = message["content"]
        return content

    introduction = "Hello, please introduce yourself in one sentence."
    for stream in (False, True):
        documented = {answer(stream) for _ in range(4)}
        assert len(documented) == 1
        api.server.reply("I am a stub.")
        assert answer(stream) == "I am a stub."
        api.server.reset()
        assert {answer(stream)} == documented
    assert {entry.exchange for entry in api.server.journal} == {"introduction"}


def test_equal_requests_have_an_id_and_a_time_each(api: ApiClient) -> None:
    replies = [api.create_chat("Hello, please introduce yourself in one sentence.") for _ in range(4)]
    for each in replies:
        assert each.json()["id"] == f"chatcmpl-{each.headers['x-request-id']}"
    assert len({each.json()["id"] for each in replies}) == 4
    created = [each.json()["created"] for each in replies]
    assert created == sorted(created)
