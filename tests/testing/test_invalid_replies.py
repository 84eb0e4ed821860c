"""Invalid content on purpose: sent as it is and marked; without the option it is an error that has a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver import ErrorReply, FunctionCall, MockServer, Reply, Script, ToolCall, Usage
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.profiles import load_profile
from tests.pytest_runs import run_pytest_process

BROKEN = '{"city": '
MISSPELT: Any = {"fualt": "reset"}


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


def ask(server: MockServer, path: str = "/responses", **members: Any) -> Any:
    with server.httpx() as client:
        return client.post(path, json={"model": server.model, "input": "Hi", **members})


def arguments_of(reply: Any) -> str:
    text: str = reply.json()["output"][-1]["arguments"]
    return text


@pytest.mark.parametrize(
    "content",
    [
        FunctionCall("f", BROKEN),
        {"function_call": {"name": "f", "arguments": BROKEN}},
        {"function_call": {"name": "f", "arguments": BROKEN}, "invalid": True},
        Script((FunctionCall("f", BROKEN),)),
        lambda request: FunctionCall("f", BROKEN),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_invalid_content_is_sent_as_it_is_and_marked(server: MockServer, content: Any, stream: bool) -> None:
    options: Any = {} if isinstance(content, dict) and "invalid" in content else {"invalid": True}
    server.reply(content, **options)
    reply = ask(server, stream=stream)
    assert reply.headers["x-mock-fault"] == "invalid"
    assert server.journal.last.detail == "fault invalid"
    if stream:
        done = [line for line in reply.text.splitlines() if "function_call_arguments.done" in line][-1]
        assert json.loads(done.removeprefix("data:"))["arguments"] == BROKEN
    else:
        assert arguments_of(reply) == BROKEN


def test_invalid_content_in_files_and_chat(tmp_path: Path) -> None:
    call = {"function_call": {"name": "f", "arguments": BROKEN}}
    file = tmp_path / "it.json"
    file.write_text(json.dumps({"reply": call}))
    with pytest.raises(InvalidExchange, match=r"it.json#/reply/function_call/arguments: .*invalid.: true"):
        MockServer(exchanges=tmp_path)
    for stub in ({"reply": {**call, "invalid": True}}, {"reply": call, "delivery": {"invalid": True}}):
        file.write_text(json.dumps(stub))
        with MockServer(exchanges=tmp_path) as server, server.httpx(base_url=server.chat_base_url) as client:
            assert arguments_of(ask(server)) == BROKEN
            messages = [{"role": "user", "content": "Hi"}]
            reply = client.post("/chat/completions", json={"model": server.model, "messages": messages})
            assert reply.headers["x-mock-fault"] == "invalid"
            assert reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == BROKEN


def test_invalid_tool_data_is_not_completed(server: MockServer) -> None:
    server.reply(ToolCall("web_search", {"action": 1}), invalid=True)
    (item,) = ask(server).json()["output"]
    assert item["action"] == 1
    written = {"id": "", "status": "broken", "type": "no_such_call", "action": None}
    server.reply(ToolCall("web_search", written), invalid=True)
    assert ask(server).json()["output"] == [written]
    server.reply({"body": {"object": "response", "output": "none"}, "invalid": True})
    reply = ask(server)
    assert (reply.json()["output"], reply.headers["x-mock-fault"]) == ("none", "invalid")


def test_invalid_content_can_have_a_fault_too(server: MockServer) -> None:
    server.reply(FunctionCall("f", BROKEN), invalid=True, fault="cut-after,after=2", delay_ms=1)
    reply = ask(server, stream=True)
    assert reply.headers["x-mock-fault"] == "invalid, cut-after"
    assert server.journal.last.detail == "fault invalid, cut-after"
    server.reply("Fine.")
    assert "x-mock-fault" not in ask(server).headers


@pytest.mark.parametrize(
    "content",
    [
        FunctionCall("f", BROKEN),
        Script((FunctionCall("f", BROKEN),)),
        ToolCall("web_search", {"action": 1}),
        {"function_call": {"name": "f", "arguments": "["}},
        {"type": "web_search", "action": 1},
    ],
)
def test_invalid_content_without_the_option_is_refused(server: MockServer, content: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"violates the contract .*invalid=True"):
        server.reply(content)

    def broken_reply(_: Any) -> Any:
        return content

    server.reply(broken_reply)
    reply = ask(server)
    assert (reply.status_code, reply.json()["code"]) == (400, "ReplyFunctionFailed")
    assert "The reply function broken_reply failed: ConfigurationError: " in reply.text
    assert "this reply violates the contract" in reply.text
    assert server.journal.last.refusal == "unplanned"


def test_a_function_that_returns_invalid_content_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from mockserver import FunctionCall

        def broken_reply(request):
            return FunctionCall("f", "{")

        def test_it(responses_server):
            responses_server.reply(broken_reply)
            with responses_server.httpx() as client:
                client.post("/responses", json={"model": responses_server.model, "input": "Hi"})
        """
    )
    result = run_pytest_process(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*reply function broken_reply failed*"])


def test_tool_data_is_completed_alike_in_scripts_items_and_functions(server: MockServer) -> None:
    call = ToolCall("web_search", {})
    bodies = []
    for content in (call, Script((call,)), [call], lambda _: Script((call,)), {"type": "web_search"}):
        server.reset()
        server.reply(content)
        bodies.append(ask(server).content)
    assert len(set(bodies)) == 1
    assert b"action" in bodies[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1,), "the name of a function must be a text"),
        (("f", ["Paris"]), "the arguments of a function are an object"),
        (("f", {"at": object()}), "the arguments of a function are not JSON"),
        (("f", {}, 3), "call_id must be a text"),
    ],
)
def test_a_function_call_checks_its_types(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        FunctionCall(*arguments)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("x", {"invalid": 1}, "invalid must be true or false"),
        ("x", {"delay_ms": -1}, "delay_ms must be a number from 0 to 600000"),
        ("x", {"delay_ms": "1"}, "delay_ms must be"),
        ({"text": "x", "delay_ms": 1}, {"delay_ms": 2}, "the reply has delay_ms too: give it once"),
        ({"text": "x", "pace": "none"}, {"reasoning": "y"}, "whole reply: pass nothing else"),
        ({"error": "rate-429", "invalid": True}, {}, "no member 'invalid'"),
        ({"error": "rate-429"}, {"invalid": True}, "only a reply can be invalid"),
        ({"type": "mesage", "text": "x"}, {}, "no tool 'mesage'; did you mean 'message'"),
        ({"txt": "x"}, {}, "did you mean 'text'"),
        ("\ud800", {}, "surrogates not allowed"),
    ],
)
def test_wrong_options_are_refused(server: MockServer, content: Any, options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        server.reply(content, **options)


def test_a_function_can_mark_its_result_as_invalid(server: MockServer) -> None:
    server.reply(lambda _: Reply(FunctionCall("f", BROKEN), invalid=True))
    server.reply(lambda _: {"function_call": {"name": "f", "arguments": BROKEN}, "invalid": True})
    for _ in range(2):
        reply = ask(server)
        assert (arguments_of(reply), reply.headers["x-mock-fault"]) == (BROKEN, "invalid")
        assert server.journal.last.detail == "fault invalid"


@pytest.mark.parametrize(
    ("result", "options", "message"),
    [
        (Reply("x", name="mine"), {}, "the name of a stub is an argument of reply(), not of its result"),
        (Reply("x", delay_ms=1), {"delay_ms": 2}, "the reply has delay_ms too: give it once"),
        (Reply("x", **MISSPELT), {}, "reply() has no option 'fualt'; did you mean 'fault'?"),
        (Reply(), {}, "a reply needs a text"),
        (ErrorReply("rate-420"), {}, "rate-420"),
        (ErrorReply("cut-after", after=2), {}, "cut-after is not an error: pass it as fault= of a reply"),
        (
            ErrorReply("rate-429"),
            {"fault": "cut-after,after=2"},
            "cut-after applies to responses, not to errors",
        ),
        (["x", ErrorReply("rate-429")], {}, "ErrorReply(…) is a whole reply: pass nothing else"),
        (Script((), Usage(), "failed"), {}, "a reply cannot be 'failed'"),
        (None, {}, "a reply needs a text"),
        (print, {}, "a reply is a text, an item or a script"),
    ],
)
def test_a_wrong_result_of_a_function_is_refused(
    server: MockServer, result: Any, options: Any, message: str
) -> None:
    server.reply(lambda _: result, **options)
    reply = ask(server)
    assert (reply.status_code, reply.json()["code"]) == (400, "ReplyFunctionFailed")
    assert message in reply.json()["message"]


def test_all_wrong_options_are_named_at_once(server: MockServer) -> None:
    options: Any = {"pace": "quick", "fault": "cut-aftr", "chunkng": "random", "delay_ms": -1}
    with pytest.raises(ConfigurationError) as raised:
        server.reply("x", **options)
    expected = ("pace must be", "did you mean 'cut-after'?", "did you mean 'chunking'?", "delay_ms must be")
    assert all(words in line for words, line in zip(expected, str(raised.value).splitlines(), strict=True))


def test_reply_values_are_content_too(server: MockServer) -> None:
    server.reply(Reply("Hello", reasoning="They greet."), delay_ms=1)
    server.reply(ErrorReply("rate-429", retry_after_ms=50))
    assert [item["type"] for item in ask(server).json()["output"]] == ["reasoning", "message"]
    refused = ask(server)
    assert (refused.status_code, refused.headers["retry-after-ms"]) == (429, "50")
    with pytest.raises(ConfigurationError, match=r"Reply\(…\) is a whole reply: pass nothing else"):
        server.reply(Reply("x"), reasoning="y")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", load_profile("qwen-2026-09").tools)
def test_no_data_of_a_tool_is_an_internal_error(kind: str, stream: bool) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"action": 1},
        {"action": {"queries": 3}},
        {"arguments": 3, "output": [], "name": None},
        {"code": None, "outputs": 5, "queries": {}, "results": "x", "urls": 1},
        {"id": 5, "status": [], "type": 3},
        {"action": {"type": {}, "sources": [{"type": []}]}, "type": []},
    )
    with MockServer(profile="qwen-2026-09", model="any") as server:
        for data in wrong:
            server.reply(ToolCall(kind, data), invalid=True)
            for name, value in data.items():
                if name not in ("id", "status", "type", "action"):
                    assert (
                        json.dumps({name: value}, separators=(",", ":"))[1:-1]
                        in ask(server, stream=stream).text
                    )
                    server.reply(ToolCall(kind, data), invalid=True)
            assert ask(server, stream=stream).status_code == 200
