"""Every request whose body was read is checked, whatever the reply is."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from mockserver import FunctionCall
from mockserver.server.access import ApiKeys
from mockserver.server.delivery.faults import parse_fault
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session
from mockserver.testing.mock import MockServer

LATER = "qwen-2026-09"


def findings_of(
    server: MockServer, path: str = "/responses", headers: Any = None, **members: Any
) -> list[str]:
    with server.httpx() as client:
        body = {"model": server.model, "input": "Hi", **members}
        client.post("/responses", json=body, headers=headers)
    return [finding.rule for finding in server.journal.last.findings]


INVALID: dict[str, Any] = {"temperature": 9}
SUSPICIOUS: dict[str, Any] = {"tools": [{"type": "websearch"}], "xylophone": 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["internal-error", "rate-limit", "content-filter", "unsupported-model"])
def test_a_request_that_gets_a_fault_is_checked(fault: str, stream: bool) -> None:
    with MockServer(fault=fault, strict=False) as server:
        assert "REQ-001" in findings_of(server, stream=stream, **INVALID)
        assert {"REQ-006", "REQ-002"} <= {*findings_of(server, stream=stream, **SUSPICIOUS)}
        assert "xylophone" in server.journal.last.ignored
        assert findings_of(server, stream=stream) == []


def test_a_request_that_asks_for_a_fault_is_checked() -> None:
    with MockServer(strict=False) as server:
        assert "REQ-001" in findings_of(server, headers={"x-mock-fault": "internal-error"}, **INVALID)


def test_a_request_that_gets_an_error_stub_is_checked() -> None:
    with MockServer() as server:
        server.fail("internal-error").always()
        assert {"REQ-006", "REQ-002"} <= {*findings_of(server, **SUSPICIOUS)}
        assert server.journal.last.ignored == ("xylophone",)


@pytest.mark.parametrize("limit", ["requests=1", "burst=1"])
def test_a_request_beyond_a_limit_is_checked(limit: str) -> None:
    with MockServer(limit=limit, strict=False) as server:
        assert findings_of(server) == []
        assert {"REQ-006", "REQ-002"} <= {*findings_of(server, **SUSPICIOUS)}
        assert server.journal.last.status == 429


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_with_an_unknown_previous_response_is_checked(stream: bool) -> None:
    with MockServer(strict=False, profile=LATER) as server:
        rules = findings_of(server, previous_response_id="resp_nobody", stream=stream, **SUSPICIOUS)
        assert {"REQ-006", "REQ-002"} <= {*rules}


def test_a_chat_request_that_gets_a_fault_is_checked() -> None:
    with MockServer(fault="internal-error", strict=False) as server, server.httpx() as client:
        body = {"model": server.model, "messages": [{"role": "user", "content": "Hi"}], "xylophone": 1}
        reply = client.post(f"{server.chat_base_url}/chat/completions", json=body)
        assert reply.status_code == 500
        assert [finding.rule for finding in server.journal.last.findings] == ["REQ-002"]
        assert server.journal.last.ignored == ("xylophone",)


def test_the_journal_has_the_findings_of_other_operations() -> None:
    with MockServer(strict=False, profile=LATER) as server, server.httpx() as client:
        assert client.post("/conversations", json={"xylophone": 1}).status_code == 200
        assert [finding.rule for finding in server.journal.last.findings] == ["SCH-003"]


BODIES: list[tuple[str, str, Any]] = [
    ("POST", "/conversations", {"metadata": 3}),
    ("POST", "/conversations/conv_nobody", {"metadata": 3}),
    ("POST", "/conversations/conv_nobody/items", {"items": 3}),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_other_operations_that_get_a_fault_are_checked(method: str, path: str, body: Any) -> None:
    with MockServer(strict=False, profile=LATER, fault="internal-error") as server, server.httpx() as client:
        assert client.request(method, path, json=body).status_code == 500
        assert [finding.rule for finding in server.journal.last.findings] == ["REQ-001"]
        assert server.journal.last.is_checked
        client.request(method, path, content=b"{", headers={"content-type": "application/json"})
        assert [finding.rule for finding in server.journal.last.findings] == ["SCH-006"]


def test_a_fault_does_not_excuse_a_wrong_call_id() -> None:
    """The check of a request with a fault knows the stored turns as well."""
    with MockServer(profile=LATER) as server:
        server.reply(FunctionCall("f", "{}", call_id="call_1"))
        tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
        assert findings_of(server, tools=tools) == []
        previous = json.loads(server.journal.last.reply[0])["id"]
        server.fail("rate-limit").always()
        for call_ids, rules in (
            (["call_1"], []),
            (["call_2"], ["REQ-007"]),
            (["call_2", "call_2"], ["REQ-007", "REQ-014"]),
        ):
            items = [{"type": "function_call_output", "call_id": each, "output": "1"} for each in call_ids]
            assert findings_of(server, input=items, previous_response_id=previous) == rules
        fault = {"x-mock-fault": "internal-error"}
        assert findings_of(server, headers=fault, input="And?", previous_response_id=previous) == ["REQ-013"]


def test_the_journal_tells_unread_bodies_from_valid_ones() -> None:
    with MockServer(strict=False, profile=LATER) as server, server.httpx() as client:
        hello = {"model": server.model, "input": "Hi"}
        for path, headers, checked in (
            ("/responses", {}, True),
            ("/responses", {"authorization": "Bearer wrong"}, False),
            ("/responses", {"content-type": "text/plain"}, False),
            ("/nowhere", {}, False),
            ("/conversations", {"authorization": "Bearer wrong"}, False),
            ("/conversations", {}, True),
        ):
            client.post(path, json=hello if path == "/responses" else {}, headers=headers)
            assert server.journal.last.is_checked is checked, (path, headers)
        client.post("/responses", json={**hello, "temperature": 9})
        assert server.journal.last.is_checked
        client.get("/models")
        assert server.journal.last.is_checked
        client.get("/responses/resp_nobody")
        assert server.journal.last.is_checked


def test_requests_that_the_journal_dropped_are_not_counted_as_absent() -> None:
    with MockServer(strict=False) as server:
        findings_of(server, input="Carol")
        for number in range(1000):
            server.journal.add(server.journal.last)
            assert len(server.journal) <= 1000, number
        server.assert_requested(times=None, contains="Carol")
        for times, contains in ((0, "Dave"), (1000, "Carol")):
            with pytest.raises(AssertionError, match="not examined: the 1 oldest requests"):
                server.assert_requested(times=times, contains=contains)
        server.reset()
        server.assert_requested(times=0)


def test_requests_whose_bodies_are_too_large_are_not_counted_as_absent() -> None:
    with MockServer(strict=False) as server:
        findings_of(server)
        server.journal.last.omit_bodies(1)
        with pytest.raises(AssertionError, match="not examined: 1 requests whose bodies"):
            server.assert_requested(times=0, contains="Carol")


def test_the_admin_api_reports_the_findings_of_a_request_that_got_a_fault() -> None:
    session = open_session(profile="qwen-2026-01", seed=0)
    session.faults = (parse_fault("internal-error"),)
    services = Services(default_session=session, keys=ApiKeys(["sk-mock"]), admin_token="token")
    server = ThreadedServer(App(services))
    server.start()
    headers = {"authorization": "Bearer sk-mock", "x-mock-admin-token": "token"}
    try:
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
            body = {"model": "qwen3-max-2026-01-23", "input": "Hi", **INVALID}
            assert client.post("/v1/responses", json=body).status_code == 500
            client.post("/v1/responses", json=body, headers={"authorization": "Bearer wrong"})
            entry, refused = client.get("/_mock/journal").json()["entries"]
    finally:
        server.stop()
    assert [finding.partition(":")[0] for finding in entry["findings"]] == ["error REQ-001 /temperature"]
    assert (entry["checked"], refused["checked"]) == (True, False)
    assert refused["findings"] == []
