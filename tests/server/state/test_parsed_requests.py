"""Requests with the same bytes are read once, and no request changes another."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver import MockServer
from mockserver.server.stubs.matchers import IncomingRequest


def ask(server: MockServer, **members: Any) -> Any:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": "Hi", **members})


def test_equal_requests_get_different_ids() -> None:
    with MockServer(seed=1) as server:
        replies = [ask(server).json() for _ in range(5)]

    assert len({each["id"] for each in replies}) == 5


def test_repeated_requests_get_the_bytes_of_the_first_time() -> None:
    with MockServer(seed=1) as server:
        first = [ask(server, stream=True).content for _ in range(4)]
    with MockServer(seed=1) as server:
        second = [ask(server, stream=True).content for _ in range(4)]

    assert first == second


def test_a_predicate_that_changes_its_request_changes_no_other() -> None:
    def spoil(request: IncomingRequest) -> bool:
        request.body["input"] = "changed"
        request.body.setdefault("metadata", {})["spoilt"] = "yes"
        return False

    with MockServer(profile="latest", strict=False) as server:
        server.when(predicate=spoil).reply("never").always()
        replies = [ask(server, metadata={"a": "b"}).json() for _ in range(4)]

        assert all(each["metadata"] == {"a": "b"} for each in replies)
        assert [entry.prompt for entry in server.journal] == ["Hi"] * 4


def test_a_reply_function_that_changes_its_request_changes_no_other() -> None:
    def answer(request: IncomingRequest) -> str:
        seen = request.body["input"]
        request.body["input"] = "changed"
        return f"You said {seen}."

    with MockServer() as server:
        server.reply(answer).always()
        texts = [ask(server).json()["output"][0]["content"][0]["text"] for _ in range(4)]

    assert texts == ["You said Hi."] * 4


@pytest.mark.parametrize("members", [{"temperature": 9}, {"input": 7}])
def test_an_invalid_request_is_refused_each_time(members: dict[str, Any]) -> None:
    with MockServer() as server:
        replies = [ask(server, **members) for _ in range(4)]

        assert [each.status_code for each in replies] == [400] * 4
        assert len({each.json()["message"] for each in replies}) == 1
        assert all(entry.findings for entry in server.journal)
        server.reset()
