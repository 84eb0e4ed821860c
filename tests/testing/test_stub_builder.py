"""Stubs in every profile: each kind of reply is valid, and matchers select the right requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mockserver.contract.check import check_response, check_stream
from mockserver.contract.findings import errors
from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies import mutants
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall
from mockserver.testing.mock import MockServer
from tests.marks import slow_except

PROFILES = ("qwen-2026-01", "qwen-2026-05", "qwen-2026-09")
FUNCTION = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}

#: Replies, as the arguments of `reply()`.
REPLIES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "a text": (("Hi there!",), {}),
    "chunks": ((), {"chunks": ["Hi ", "there", "!"]}),
    "reasoning": (("Hi!",), {"reasoning": "They greet me."}),
    "JSON": ((), {"json": {"city": "Paris", "degrees": [1, 2.5, None]}}),
    "a call": ((FunctionCall("get_weather", '{"city":"Paris"}'),), {}),
    "a call as on the wire": (({"type": "function_call", "name": "get_weather", "arguments": {"a": 1}},), {}),
    "several items": ((Reasoning(("Hm.",)), "One.", Message(("Two.",))), {}),
    "stated usage": (("Hi!",), {"usage": {"input_tokens": 7, "output_tokens": 9}}),
    "no items": ((Script(()),), {}),
    "several languages": (("Größe 你好 🎉",), {}),
}


@pytest.fixture(params=slow_except({DEFAULT_PROFILE}, PROFILES))
def server(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    with MockServer(profile=request.param) as server:
        yield server


def ask(server: MockServer, content: Any = "x", **members: Any) -> httpx.Response:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": content, **members})


def text(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return "".join(
        part["text"] for item in reply.json()["output"] for part in item.get("content", ()) if "text" in part
    )


@pytest.mark.parametrize("name", REPLIES)
def test_every_kind_of_reply_is_valid(server: MockServer, name: str) -> None:
    content, options = REPLIES[name]
    server.reply(*content, **options).times(2)
    request = {"model": server.model, "input": "x", "tools": [FUNCTION]}
    response, stream = ask(server, tools=[FUNCTION]), ask(server, tools=[FUNCTION], stream=True)
    assert errors(check_response(response.content, server.profile, request)) == []
    assert errors(check_stream(stream.content, server.profile, {**request, "stream": True})) == []


def test_every_tool_of_the_profile_can_be_replied(server: MockServer) -> None:
    for kind in load_profile(server.profile).tools:
        server.reply(ToolCall(kind, {}), "Done.").times(2)
        assert text(ask(server)) == "Done."
        assert ask(server, stream=True).status_code == 200


def test_an_incomplete_reply(server: MockServer) -> None:
    server.reply("Once upon a", incomplete=True).times(2)
    reply = ask(server).json()
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert "response.incomplete" in ask(server, stream=True).text


def test_then_and_times(server: MockServer) -> None:
    server.reply("a").times(2).then("b").then("c")
    assert [text(ask(server)) for _ in range(3)] == ["a", "a", "b"]
    assert text(ask(server)) == "c"
    assert ask(server).status_code == 400


def test_a_reply_function(server: MockServer) -> None:
    server.reply(lambda request: f"{request.prompt}!" + "?" * request.stream).always()
    assert text(ask(server, "Hi")) == "Hi!"
    assert text(ask(server, "Ho")) == "Ho!"


def test_a_failing_reply_function_is_an_error_response(server: MockServer) -> None:
    def broken(request: Any) -> str:
        raise KeyError(request.prompt)

    server.reply(broken)
    reply = ask(server, "Hi")
    assert (reply.status_code, reply.json()["code"]) == (400, "ReplyFunctionFailed")
    assert reply.json()["message"] == "The reply function broken failed: KeyError: 'Hi'"


def breakable_rules(profile: str, *subjects: str) -> list[str]:
    """Rules that the reply to any request can break."""
    rules = {rule for each in subjects for rule in mutants.rules_for(each)}
    reply_rules = (rule for rule in sorted(rules) if not rule.startswith("REQ-"))
    return [rule for rule in reply_rules if load_rules()[rule].applies_to(profile)]


@pytest.mark.parametrize("stream", [True, False])
def test_violate_breaks_exactly_the_named_rule(server: MockServer, stream: bool) -> None:
    broken_count = 0
    profile = load_profile(server.profile)
    tool = ToolCall(next(kind for kind, each in profile.tools.items() if each.events), {})
    subjects = ("stream", "frames") if stream else ("response", "body")
    for rule in breakable_rules(server.profile, *subjects):
        server.reset()
        call = FunctionCall("get_weather", '{"city":"Paris"}')
        items = (
            Reasoning(("Hm, ", "well.")),
            tool,
            call,
            call,
            Message(("One ", "two.")),
            Message(("Three.",)),
        )
        server.reply(*items, violate=rule)
        reply = ask(server, stream=stream, tools=[FUNCTION])
        if reply.status_code == 400:
            assert "cannot be broken in this" in reply.json()["message"]
            continue
        assert reply.headers["x-mock-fault"] == rule
        check = check_stream if stream else check_response
        rules = {each.rule for each in check(reply.content, server.profile)}
        # An error without a type has no name for its `event` field.
        assert rules - ({"SSE-011"} if rule in ("SEQ-014", "SEQ-015") else set()) == {rule}
        broken_count += 1
    assert broken_count >= (40 if stream else 15)


def test_matchers(server: MockServer) -> None:
    server.when("Hello").reply("exact")
    server.when("hELLO", ignore_case=True).reply("folded")
    server.when(contains="WEATHER", ignore_case=True).reply("contains")
    server.when(tool="get_weather").reply("tool")
    server.when(tool_output="sunny").reply("output")
    server.when(header={"X-Team": "blue"}).reply("header")
    server.when(json_subset={"metadata": {"a": "1"}}).reply("subset")
    server.when(predicate=lambda request: len(request.prompt) > 50).reply("long")
    server.when(stream=True).reply("stream")
    output = [
        {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "It is sunny."},
    ]
    assert text(ask(server, "x" * 51)) == "long"
    assert text(ask(server, "The weather?")) == "contains"
    assert text(ask(server, "Hello")) == "exact"
    assert text(ask(server, "HELLO")) == "folded"
    assert text(ask(server, [{"role": "user", "content": "x"}, *output])) == "output"
    assert text(ask(server, tools=[FUNCTION])) == "tool"
    assert text(ask(server, metadata={"a": "1", "b": "2"})) == "subset"
    with server.httpx(headers={"x-team": "blue"}) as client:
        assert text(client.post("/responses", json={"model": server.model, "input": "x"})) == "header"
    assert "stream" in ask(server, stream=True).text
    assert ask(server, "Hello").status_code == 400


def test_matching_instructions(server: MockServer) -> None:
    server.when(instructions="pirate").reply("Arr.")
    assert text(ask(server, instructions="Talk like a pirate.")) == "Arr."


def test_matching_turns(server: MockServer) -> None:
    first = server.reply("Hi, Alice.")
    server.when(after=first).reply("Alice.")
    server.when(turn=3).reply("Third.")
    one = ask(server, "I am Alice.").json()
    two = ask(server, "Who am I?", previous_response_id=one["id"])
    assert text(two) == "Alice."
    assert text(ask(server, "x", previous_response_id=two.json()["id"])) == "Third."


def test_the_earliest_matching_stub_replies(server: MockServer) -> None:
    server.when(contains="a").reply("one")
    server.when("ab").reply("two")
    server.reply("any")
    assert [text(ask(server, "ab")) for _ in range(3)] == ["one", "two", "any"]


def test_an_unmatched_request_names_near_misses_and_a_fix(server: MockServer) -> None:
    server.when("Hello", stream=True).reply("one")
    server.when("Helo").reply("two", name="greeting")
    message = ask(server, "Hello!").json()["message"]
    assert "The nearest is greeting, 'two' when prompt='Helo' (expected once, not used)" in message
    assert "prompt: expected 'Helo', got 'Hello!'" in message
    assert message.endswith("""To answer it: server.when(prompt='Hello!').reply("…")""")
    assert "x-should-retry" not in ask(server, "Hello!").headers


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ((), {"usage": {"tokens": 1}}, "exactly one"),
        (("x",), {"usage": {"tokens": 1}}, "usage: tokens cannot be 1"),
        (("x",), {"fault": "no-such"}, "no fault 'no-such'"),
        (("x",), {"fault": "internal-error"}, "replaces the reply"),
        (("x",), {"speed": 1}, "has no option 'speed'; choose from"),
        (("x",), {"contain": "a"}, r"'contain'; conditions are for when\(\), as in when\(contains=…\)"),
        (("x",), {"match": {}}, r"'match'; conditions are for when\(\), as in when\(contains=…\)"),
        (("x",), {"fault": "bom", "violate": "SEQ-004"}, "one fault"),
        (({"type": "function_call"},), {}, "an item lacks 'name'"),
        ((), {"json": object()}, "json= is not a JSON value"),
        ((str.upper, "x"), {}, "whole reply: pass nothing else"),
    ],
)
def test_an_invalid_stub_is_an_error_at_once(
    server: MockServer, content: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        server.reply(*content, **options)
    with pytest.raises(ConfigurationError, match=r"use violate= to do so on purpose\): error SCH-"):
        server.reply(ToolCall("web_search", {"action": 1}))
    with pytest.raises(ConfigurationError, match="turn cannot be"):
        server.when(turn=True)
    with pytest.raises(ConfigurationError, match="when\\(\\) has no condition 'wether'"):
        server.when(wether=1)  # type: ignore[call-arg]
    assert len(server.stubs) == 0


def test_assert_requested(server: MockServer) -> None:
    server.reply("Hi!").times(2)
    ask(server, "Hello Alice", stream=True)
    ask(server, "Hello Bob")
    assert [entry.prompt for entry in server.assert_requested(contains="Hello", times=2)] == [
        "Hello Alice",
        "Hello Bob",
    ]
    server.assert_requested("Hello Bob", stream=False)
    server.assert_requested(times=0, contains="Carol")
    with pytest.raises(AssertionError) as failed:
        server.assert_requested(contains="Carol", model="other", times=1)
    message = str(failed.value)
    assert message.startswith("expected 1 request with contains='Carol', model='other'; 0 of 2 match")
    assert "contains: expected 'Carol', got 'Hello Alice'" in message
    assert server.journal.last.exchange == "stub-1"


def test_a_stub_and_an_exchange_file_give_the_same_bytes(tmp_path: Any) -> None:
    delivery: Any = {"fault": "doubled-event,after=2", "chunking": "bytes:11", "pace": "fixed:0.1"}
    file = {
        "format": 1,
        "name": "it",
        "match": {"contains": "HELLO", "ignore_case": True},
        "reply": {"script": {"items": [{"type": "message", "text": "Hi there!"}]}},
        "delivery": delivery,
        "times": 1,
    }
    (tmp_path / "it.json").write_text(json.dumps(file))
    with MockServer(exchanges=tmp_path) as server:
        from_file = ask(server, "hello", stream=True)
        assert "Hi there!" not in ask(server, "hello", stream=True).text
    with MockServer() as server:
        server.when(contains="HELLO", ignore_case=True).reply("Hi there!", **delivery, name="it")
        assert ask(server, "hello", stream=True).content == from_file.content
