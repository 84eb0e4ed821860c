"""The rules of Chat Completions: each mutant breaks its rule and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream
from mockserver.contract.findings import Finding
from mockserver.contract.rules import load_rules
from mockserver.errors import ConfigurationError
from mockserver.profiles import load_profile
from mockserver.replies import mutants
from mockserver.replies.chat import ChatFacts, build_chat_chunks, build_chat_completion, encode_chunks
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script

PROFILE = load_profile()

FUNCTIONS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
REQUEST: dict[str, Any] = {
    "model": "qwen3-max-2026-01-23",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": FUNCTIONS,
}
SCRIPTS = (
    Script((Message(("Hello", " there!")),)),
    Script((Message(()),)),
    Script((Reasoning(("Hm", ".")), Message(("Hello!",)))),
    Script((FunctionCall("f", '{"a":1}', "call_1"), FunctionCall("g", "{}", "call_2"))),
    Script((Reasoning(("Hm.",)), Message(("Wait.",)), FunctionCall("f", "{}"))),
    Script((Message(("Cut",)), FunctionCall("f", '{"a')), status="incomplete"),
)


def chat_facts(script: Script, **members: Any) -> ChatFacts:
    call_ids = tuple(f"call_drawn_{number}" for number in range(len(script.items)))
    return ChatFacts("chatcmpl-1", 1769084048, REQUEST["model"], 30, call_ids, **members)


def valid_values(subject: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Valid values, each with the request that it answers."""
    if subject == "chat_request":
        yield REQUEST, REQUEST
        yield {**REQUEST, "tool_choice": "auto", "response_format": {"type": "json_object"}}, REQUEST
        return
    for script in SCRIPTS:
        for choices in (1, 2):
            for usage in (False, True):
                facts = chat_facts(script, choice_count=choices, include_usage=usage)
                request = {**REQUEST, "n": choices, "stream_options": {"include_usage": usage}}
                if subject == "chat_completion":
                    yield build_chat_completion(script, facts), request
                else:
                    chunks = list(build_chat_chunks(script, facts))
                    value = list(encode_chunks(chunks)) if subject == "chat_frames" else chunks
                    yield value, {**request, "stream": True}


def check_subject(subject: str, value: Any, request: dict[str, Any]) -> list[Finding]:
    if subject == "chat_request":
        return check_chat_request(value)
    if subject == "chat_completion":
        return check_chat_completion(value, request)
    return check_chat_stream(b"".join(value) if subject == "chat_frames" else value, request)


@pytest.mark.parametrize("subject", mutants.CHAT_SUBJECTS)
def test_valid_values_have_no_findings(subject: str) -> None:
    for value, request in valid_values(subject):
        assert check_subject(subject, value, request) == []


RULE_MUTANTS = [(subject, rule) for subject in mutants.CHAT_SUBJECTS for rule in mutants.rules_for(subject)]


@pytest.mark.parametrize(("subject", "rule"), RULE_MUTANTS, ids=[" ".join(each) for each in RULE_MUTANTS])
def test_mutant_breaks_only_its_rule(subject: str, rule: str) -> None:
    count = 0
    for value, request in valid_values(subject):
        for pick in range(0, 60, 7):
            try:
                broken = mutants.break_rule(rule, subject, value, pick=pick)
            except ConfigurationError:
                break
            count += 1
            assert {each.rule for each in check_subject(subject, broken, request)} == {rule}, (pick, broken)
    assert count


def test_every_chat_rule_has_a_mutant() -> None:
    own = {rule for rule in load_rules() if rule.startswith("CHT-")}
    assert {rule for _, rule in RULE_MUTANTS} == own
    assert all(load_rules()[rule].profiles == ("qwen-chat",) for rule in own)


def test_chat_mutant_needs_chat_chunks() -> None:
    with pytest.raises(ConfigurationError, match="it has no chunks"):
        mutants.break_rule("CHT-001", "chat_stream", [{"type": "response.created"}])


def completion(**members: Any) -> dict[str, Any]:
    script = SCRIPTS[3]
    return {**build_chat_completion(script, chat_facts(script)), **members}


def usage(**members: Any) -> dict[str, Any]:
    return {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, **members}


def choices_with_calls(**changed: Any) -> list[dict[str, Any]]:
    choices: list[dict[str, Any]] = completion()["choices"]
    call = choices[0]["message"]["tool_calls"][1]
    for name, value in changed.items():
        (call["function"] if name in ("name", "arguments") else call)[name] = value
    return choices


@pytest.mark.parametrize(
    ("value", "rule", "pointer"),
    [
        (completion(usage=usage(total_tokens=4)), "USE-001", "/usage/total_tokens"),
        (completion(usage=usage(completion_tokens_details={"reasoning_tokens": 3})), "USE-002",
         "/usage/completion_tokens_details/reasoning_tokens"),
        (completion(usage=usage(prompt_tokens_details={"cached_tokens": 2})), "USE-003",
         "/usage/prompt_tokens_details/cached_tokens"),
        (completion(usage=None), "USE-004", "/usage"),
        (completion(model="another"), "REQ-008", "/model"),
        (completion(object="response"), "SCH-001", "/object"),
        (completion(choices=[]), "SCH-001", "/choices"),
        (completion(choices=choices_with_calls(name="h")), "REQ-009", ""),
        (completion(choices=choices_with_calls(arguments="{")), "TXT-005", "/choices/0/message/tool_calls/1"),
        (completion(choices=choices_with_calls(arguments="[]")), "TXT-005", "/choices/0/message/tool_calls/1"),
        (completion(choices=choices_with_calls(id="call_1")), "ITM-007", "/choices/0/message/tool_calls/1"),
        (completion(choices=choices_with_calls(index=0)), "CHT-003", "/choices/0/message/tool_calls/1/index"),
    ],
)  # fmt: skip
def test_completion_that_breaks_a_rule(value: dict[str, Any], rule: str, pointer: str) -> None:
    [finding] = check_chat_completion(value, REQUEST)
    assert (finding.rule, finding.pointer) == (rule, pointer)
    assert [each.rule for each in check_chat_completion(json.dumps(value).encode(), REQUEST)] == [rule]


def test_the_stream_parameter_decides_the_format() -> None:
    streamed = list(build_chat_chunks(SCRIPTS[0], chat_facts(SCRIPTS[0])))
    assert [each.rule for each in check_chat_stream(streamed, REQUEST)] == ["SSE-006"]
    whole = build_chat_completion(SCRIPTS[0], chat_facts(SCRIPTS[0]))
    assert [each.rule for each in check_chat_completion(whole, {**REQUEST, "stream": True})] == ["SSE-006"]


def frames(*edits: tuple[bytes, bytes]) -> bytes:
    data = b"".join(encode_chunks(build_chat_chunks(SCRIPTS[0], chat_facts(SCRIPTS[0]))))
    for old, new in edits:
        assert old in data
        data = data.replace(old, new, 1)
    return data


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        (frames((b'"content":"Hello"', b'"content":"Hello')), ["SSE-002"]),
        (frames((b'"content":"Hello"', b'"content":"a","content":"Hello"')), ["SCH-007"]),
        (frames()[:-2], ["SSE-003"]),
        (b"", ["SSE-006"]),
        (b"<html>", ["SSE-006"]),
        (b"\xef\xbb\xbf" + frames(), ["SSE-007"]),
        (frames((b"Hello", b"H\xff")), ["SSE-009"]),
        (frames((b"data: [DONE]", b"event: ping\n\ndata: [DONE]")), ["SSE-005"]),
        (frames((b"data: [DONE]", b"data: " + b"x" * (1 << 21))), ["SSE-004"]),
        (frames((b'"object":"chat.completion.chunk"', b'"object":"response"')), ["SCH-001"]),
        (b'data: {"error":{"message":"No.","type":"x","param":null,"code":"x"}}\n\n', []),
        (b'data: {"error":{"message":"No."}}\n\n', ["SCH-002", "SCH-002"]),
        (b"data: [DONE]\n\n", ["SSE-006"]),
    ],
)  # fmt: skip
def test_stream_of_bytes(data: bytes, rules: list[str]) -> None:
    assert [each.rule for each in check_chat_stream(data)] == rules


def test_json_lines_are_checked_like_events() -> None:
    chunks = list(build_chat_chunks(SCRIPTS[0], chat_facts(SCRIPTS[0])))
    lines = b"\n".join(json.dumps(chunk).encode() for chunk in chunks)
    assert check_chat_stream(lines) == []
    assert check_chat_stream(lines.decode()) == []
    assert [each.rule for each in check_chat_stream(lines[:-4])] == ["SSE-002"]
    assert [each.rule for each in check_chat_stream([])] == ["CHT-004"]


@pytest.mark.parametrize(
    ("members", "rule", "pointer", "message"),
    [
        ({"model": ""}, "REQ-001", "/model", "you must provide a model parameter"),
        ({"messages": []}, "REQ-001", "/messages", "[] is too short"),
        ({"messages": [{"role": "user"}]}, "REQ-001", "/messages/0/content", "The content field"),
        ({"messages": [{"role": "assistant"}]}, "REQ-001", "/messages/0/content", "The content field"),
        ({"messages": [{"role": "king", "content": ""}]}, "REQ-001", "/messages/0/role", "one of"),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}, "REQ-007",
         "/messages/0/tool_call_id", "preceeding"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "REQ-001",
         "/messages/0/content/0/type", "one of"),
        ({"temperature": 2}, "REQ-001", "/temperature", "Temperature should be"),
        ({"max_tokens": 0}, "REQ-001", "/max_tokens", "Range of max_tokens"),
        ({"n": 5}, "REQ-001", "/n", "Range of n"),
        ({"tools": [{"type": "web_search"}]}, "REQ-001", "/tools/0/type", "function"),
        ({"tool_choice": "any"}, "REQ-001", "/tool_choice", "tool_choice is one of"),
        ({"response_format": {"type": "json_schema"}}, "REQ-001", "/response_format/json_schema", ""),
        ({"user": "x"}, "REQ-002", "/user", "ignores"),
    ],
)  # fmt: skip
def test_request_that_breaks_a_rule(members: dict[str, Any], rule: str, pointer: str, message: str) -> None:
    findings = check_chat_request({**REQUEST, **members})
    assert (rule, pointer) in {(each.rule, each.pointer) for each in findings}
    assert any(message in each.message for each in findings)
    assert {each.rule for each in findings} == {rule}


def test_model_is_only_checked_against_a_given_list() -> None:
    assert check_chat_request({**REQUEST, "model": "qwen-turbo"}) == []
    [finding] = check_chat_request({**REQUEST, "model": "qwen-turbo"}, models=["qwen-plus"])
    assert finding.rule == "REQ-005"


@pytest.mark.parametrize(
    "value", [None, [], "x", {"messages": 1, "model": []}, b"{", b"[]", b'{"a":1,"a":2}']
)
def test_any_value_can_be_checked(value: Any) -> None:
    assert check_chat_request(value)
    assert check_chat_completion(value)


ASSISTANT = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for number in (1, 2)
    ],
}


def tool_message(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "x"}


@pytest.mark.parametrize(
    ("messages", "rules"),
    [
        ([ASSISTANT, tool_message("call_2"), tool_message("call_1")], []),
        ([ASSISTANT, tool_message("call_1")], ["REQ-013"]),
        ([ASSISTANT, REQUEST["messages"][0]], ["REQ-013", "REQ-013"]),
        ([ASSISTANT, tool_message("call_1"), tool_message("call_9")], ["REQ-007"]),
        ([ASSISTANT, tool_message("call_1"), tool_message("call_2"), tool_message("call_1")], ["REQ-014"]),
    ],
)
def test_tool_messages_answer_the_calls_before_them(messages: list[Any], rules: list[str]) -> None:
    found = check_chat_request({**REQUEST, "messages": [*REQUEST["messages"], *messages]})
    assert [each.rule for each in found] == rules


def test_arguments_that_come_back_are_json() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": '}}
    messages = [*REQUEST["messages"], {"role": "assistant", "tool_calls": [call]}, tool_message("call_1")]
    (finding,) = check_chat_request({**REQUEST, "messages": messages})
    assert (finding.rule, finding.pointer) == ("REQ-020", "/messages/1/tool_calls/0/function/arguments")


def test_functions_have_unique_names() -> None:
    assert [each.rule for each in check_chat_request({**REQUEST, "tools": [FUNCTIONS[0]] * 2})] == ["REQ-015"]


def test_tool_choice_is_compared_with_the_calls() -> None:
    calls, text = SCRIPTS[3], SCRIPTS[0]
    for script, choice, rules in (
        (calls, "none", ["REQ-016"]),
        (text, "required", ["REQ-016"]),
        (calls, "required", []),
        (text, "none", []),
    ):
        request = {**REQUEST, "tool_choice": choice}
        whole = build_chat_completion(script, chat_facts(script))
        assert [each.rule for each in check_chat_completion(whole, request)] == rules
        chunks = list(build_chat_chunks(script, chat_facts(script)))
        assert [each.rule for each in check_chat_stream(chunks, {**request, "stream": True})] == rules


def test_error_after_content_is_found() -> None:
    chunks = list(build_chat_chunks(SCRIPTS[0], chat_facts(SCRIPTS[0])))
    error = {"error": {"message": "x", "type": "server_error", "code": "x", "param": None}}
    assert [each.rule for each in check_chat_stream(encode_chunks([*chunks[:2], error]))] == ["CHT-012"]
    assert [each.rule for each in check_chat_stream([error, chunks[0]])] == ["CHT-012"]
    assert check_chat_stream([error]) == []
