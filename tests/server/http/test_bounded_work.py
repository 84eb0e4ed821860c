"""The work for one request is bounded: findings are counted beyond a limit, and large bodies leave the loop."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest

from mockserver.contract.bodies.requests import RequestChecker
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.server.state import journal as journal_module
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

MODEL = "qwen3-max-2026-01-23"
COUNT = 2_000


def listed(server: MockServer) -> list[Finding]:
    return list(server.journal.last.findings)


def counted(findings: list[Finding]) -> int:
    """How many findings these are, with those that are only counted."""
    return sum(each.more or 1 for each in findings)


@pytest.mark.parametrize(
    "members",
    [
        {"input": [1] * COUNT},
        {"input": [{"role": "nobody", "content": "x"}] * COUNT},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}] * COUNT}]},
        {"input": "x", "tools": [1] * COUNT},
        {
            "input": [
                {"type": "function_call_output", "call_id": f"c{at}", "output": ""} for at in range(COUNT)
            ]
        },
        {"input": "x", "tools": [{"type": "web_extractor"}] * COUNT},
    ],
    ids=["numbers", "items", "parts", "tools", "outputs", "needed-tools"],
)
def test_a_limited_number_of_errors_is_explained(api: ApiClient, members: dict[str, Any]) -> None:
    reply = api.post({"model": MODEL, **members})
    assert reply.status_code == 400
    assert len(reply.json()["message"]) < 1000
    findings = listed(api.server)
    assert len(findings) < 200
    assert counted(errors(findings)) >= COUNT
    assert [each for each in findings if each.more and f" {each.more} more" in each.message]


@pytest.mark.parametrize(
    "members",
    [
        {"input": [{"role": "user", "content": "x", "colour": at} for at in range(COUNT)]},
        {"input": "x", **{f"parameter_{at}": 1 for at in range(COUNT)}},
    ],
    ids=["members", "parameters"],
)
def test_a_limited_number_of_unknown_members_is_listed(api: ApiClient, members: dict[str, Any]) -> None:
    assert api.post({"model": MODEL, **members}).status_code == 200
    findings = listed(api.server)
    assert len(findings) < 200
    assert counted(findings) == COUNT


def test_infos_hide_no_error(api: ApiClient) -> None:
    members = {f"parameter_{at}": 1 for at in range(COUNT)}
    items = [{"role": "user", "content": "x", "colour": 1} for _ in range(COUNT)]
    assert api.post({"model": MODEL, **members, "input": [*items, 1]}).status_code == 400
    (error,) = errors(listed(api.server))
    assert error.pointer == f"/input/{COUNT}"


@pytest.mark.parametrize(
    "messages",
    [
        [1] * COUNT,
        [{"role": "user"}] * COUNT,
        [{"role": "tool", "tool_call_id": "c", "content": ""}] * COUNT,
    ],
    ids=["numbers", "messages", "outputs"],
)
def test_a_limited_number_of_findings_of_chat_is_explained(api: ApiClient, messages: list[Any]) -> None:
    assert api.post_chat({"model": MODEL, "messages": messages}).status_code == 400
    findings = listed(api.server)
    assert len(findings) < 200
    assert counted(errors(findings)) >= COUNT


def test_a_limited_number_of_findings_of_a_conversation_is_explained() -> None:
    with MockServer(profile="qwen-2026-05") as server, server.httpx() as client:
        reply = client.post("conversations", json={"items": [{"type": "message", "content": 1}] * COUNT})
        assert reply.status_code == 400
        assert len(listed(server)) < 200


def test_a_limited_number_of_duplicate_names_is_listed(api: ApiClient) -> None:
    names = ",".join(f'"k{at % COUNT}":1' for at in range(2 * COUNT))
    api.post(b'{"model":"%b","input":"x","metadata":{%b}}' % (MODEL.encode(), names.encode()))
    duplicates = [each for each in listed(api.server) if each.rule == "SCH-007"]
    assert len(duplicates) < 200
    assert counted(duplicates) == COUNT


MANY_VALUES = [1] * 100_000


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_body_of_too_many_values_is_refused(api: ApiClient, coding: str) -> None:
    body = json.dumps({"model": MODEL, "input": MANY_VALUES}).encode()
    body = gzip.compress(body) if coding == "gzip" else body
    reply = api.post(body, content_encoding=coding)
    assert reply.status_code == 413
    assert "more than 100000 JSON values" in reply.json()["message"]
    assert (api.server.journal.last.refusal, listed(api.server)) == ("refused", [])


def test_no_operation_reads_too_many_values() -> None:
    with MockServer(profile="qwen-2026-05", strict=False) as server, server.httpx() as client:
        for path in ("conversations", "conversations/conv_1/items"):
            assert client.post(path, json={"items": MANY_VALUES}).status_code == 413
        chat = f"{server.chat_base_url}/chat/completions"
        assert client.post(chat, json={"messages": MANY_VALUES}).status_code == 413


def test_a_body_with_too_long_a_string_is_refused(api: ApiClient) -> None:
    reply = api.post({"model": MODEL, "input": "x" * ((32 << 20) + 1)})
    assert reply.status_code == 413
    assert "a string of more than 33554432 bytes" in reply.json()["message"]


def test_punctuation_in_texts_is_not_counted(api: ApiClient) -> None:
    text = "[1, 2], {3}" * 40_000
    assert api.post({"model": MODEL, "input": text}).status_code == 200
    assert api.post_chat({"model": MODEL, "messages": [{"role": "user", "content": text}]}).status_code == 200


@pytest.fixture
def checking_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that check requests."""
    names: list[str] = []
    check = RequestChecker.check

    def record(self: RequestChecker, *arguments: Any) -> list[Finding]:
        names.append(threading.current_thread().name)
        return check(self, *arguments)

    monkeypatch.setattr(RequestChecker, "check", record)
    return names


def test_a_large_body_is_checked_beside_the_event_loop(api: ApiClient, checking_threads: list[str]) -> None:
    large = {"role": "user", "content": "Hello, world. " * 10_000}
    assert api.post({"model": MODEL, "input": "small"}).status_code == 200
    assert api.post({"model": MODEL, "input": [large]}).status_code == 200
    assert api.post({"model": MODEL, "input": [large, 1]}).status_code == 400
    assert api.post_chat({"model": MODEL, "messages": [large]}).status_code == 200
    loop, *others = checking_threads
    assert len(others) == 2
    assert loop not in others


def test_a_large_body_has_the_same_reply_in_every_run() -> None:
    body = {"model": MODEL, "input": "Hello, world. " * 10_000}
    replies = []
    for _ in range(2):
        with MockServer(seed=3) as server, server.httpx() as client:
            replies.append([client.post("responses", json=body).content for _ in range(2)])
    assert replies[0] == replies[1]
    usage = json.loads(replies[0][0])["usage"]
    assert usage["input_tokens"] > 40_000


def test_a_long_model_is_not_repeated_in_full(api: ApiClient) -> None:
    for reply in (
        api.post({"model": "m" * 100_000, "input": "x"}),
        api.post_chat({"model": "m" * 100_000, "messages": [{"role": "user", "content": "x"}]}),
    ):
        assert reply.status_code in (400, 404)
        assert len(reply.content) < 2_000


def test_a_request_is_checked_once(api: ApiClient, checking_threads: list[str]) -> None:
    assert api.post({"model": MODEL, "input": [1]}).status_code == 400
    assert len(checking_threads) == 1


def test_the_findings_keep_their_severities(api: ApiClient) -> None:
    api.post({"model": MODEL, "input": [1] * COUNT, "colour": 1})
    assert [each.severity for each in listed(api.server)][-1] is Severity.INFO


def test_the_text_of_a_large_body_is_examined_beside_the_event_loop(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    check = journal_module._check_text

    def record(body: bytes) -> list[Finding]:
        names.append(threading.current_thread().name)
        return check(body)

    monkeypatch.setattr(journal_module, "_check_text", record)
    large = json.dumps({"model": MODEL, "input": "Hello, world. " * 10_000}).encode()
    assert api.post(large).status_code == 200
    assert api.post(large.replace(b'"model"', b'"model":1,"model"')).status_code == 200
    assert [each.rule for each in listed(api.server)] == ["SCH-007"]
    assert len(names) == 2
    assert all(each.startswith(("asyncio_", "uvloop_")) for each in names)
