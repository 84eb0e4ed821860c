"""The endpoint of Chat Completions: access, errors, faults and sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from mockserver import MockServer
from mockserver.contract.chat.check import check_chat_completion, check_chat_error, check_chat_stream
from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.profiles import load_profile_document, profile_names
from mockserver.replies import mutants
from mockserver.server.delivery.faults import load_service_faults
from mockserver.server.delivery.faults.catalogue import wire_faults
from tests.api_client import ApiClient, wait_until

UNSATISFIABLE_FORMAT = {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}
BODY = {"model": "qwen3-max-2026-01-23", "messages": [{"role": "user", "content": "Hello!"}]}


def error(reply: httpx.Response) -> tuple[int, str, str]:
    """(status, code, message) of an error in this API's envelope."""
    value = reply.json()
    assert set(value) == {"error", "request_id"}
    assert value["error"]["param"] is None
    assert value["request_id"] == reply.headers["x-request-id"]
    return reply.status_code, value["error"]["code"], value["error"]["message"]


def root(api: ApiClient) -> str:
    return api.server.chat_base_url.removesuffix("/compatible-mode/v1")


@pytest.mark.parametrize(
    "profile", [each for each in profile_names() if load_profile_document(each)["renderings"]]
)
@pytest.mark.parametrize("path", CHAT_PATHS)
def test_chat_is_served_in_every_profile(profile: str, path: str) -> None:
    with MockServer(profile=profile) as server, httpx.Client(trust_env=False) as client:
        url = server.chat_base_url.removesuffix("/compatible-mode/v1") + path
        head = {"authorization": f"Bearer {server.api_key}"}
        reply = client.post(url, json={**BODY, "model": server.model}, headers=head)
        assert reply.json()["choices"][0]["finish_reason"] == "stop"


def test_other_path_names_the_right_ones(api: ApiClient) -> None:
    reply = api.request("POST", "/chat/completions", BODY)
    assert reply.status_code == 404
    assert "Chat Completions is at /compatible-mode/v1/chat/completions" in reply.json()["message"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({"authorization": ""}, 401, "invalid_api_key"),
        ({"host": "evil.example"}, 403, "access_denied"),
        ({"origin": "https://evil.example"}, 403, "access_denied"),
        ({"content-type": "text/plain"}, 400, "invalid_parameter_error"),
        ({"x-mock-delay": "soon"}, 400, "invalid_parameter_error"),
        ({"x-mock-fault": "no-such-fault"}, 400, "invalid_parameter_error"),
    ],
)
def test_access_errors_have_chat_codes(
    headers: dict[str, str], status: int, code: str, api: ApiClient
) -> None:
    assert error(api.post_chat(BODY, **headers))[:2] == (status, code)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_rejected(method: str, api: ApiClient) -> None:
    reply = api.client.request(method, root(api) + CHAT_PATHS[0])
    assert error(reply)[:2] == (405, "invalid_parameter_error")
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b"{", 400, "invalid_parameter_error", "The body is not JSON"),
        (b"[]", 400, "invalid_parameter_error", "the body must be object"),
        ({**BODY, "model": "gpt-4"}, 404, "model_not_found", "The model gpt-4 does not exist"),
        ({"messages": BODY["messages"]}, 400, "invalid_request_error", "you must provide a model"),
        ({**BODY, "model": 1}, 400, "invalid_request_error", "model must be string"),
        ({**BODY, "messages": []}, 400, "invalid_parameter_error", "<400> InternalError.Algo"),
        ({**BODY, "temperature": 3}, 400, "invalid_parameter_error", "Temperature should be in [0.0, 2.0)"),
        ({**BODY, "messages": [{"role": "user"}]}, 400, "invalid_parameter_error", "The content field"),
        ({**BODY, "tool_choice": "required", "enable_thinking": True}, 400, "invalid_parameter_error",
         "in thinking mode"),
        ({**BODY, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}]},
         400, "invalid_parameter_error", "Cannot generate arguments"),
        ({**BODY, "messages": [{"role": "user", "content": "A"}], "response_format": UNSATISFIABLE_FORMAT}, 400,
         "invalid_parameter_error", "Cannot generate a message for response_format"),
    ],
)  # fmt: skip
def test_invalid_requests_are_rejected(
    body: Any, status: int, code: str, message: str, api: ApiClient
) -> None:
    reported = error(api.post_chat(body))
    assert reported[:2] == (status, code)
    assert message in reported[2]


def test_too_large_body_is_rejected(api: ApiClient) -> None:
    with MockServer(max_body=1000) as server:
        small = ApiClient(server, api.client)
        assert error(small.post_chat(b" " * 1001))[:2] == (413, "BadRequest.TooLarge")


@pytest.mark.parametrize(
    "value", [None, True, -1, 1e400, "", "\x00", [], [None], {}, {"type": None}, {"function": []}, [{}], [[]]]
)
def test_any_value_of_any_member_gets_a_reply(value: Any, api: ApiClient) -> None:
    from mockserver.contract.chat.service import load_chat_schemas

    for name in (
        *load_chat_schemas().undated["chat_request"]["properties"],
        "instructions",
        "input",
        "store",
    ):
        body = json.dumps({**BODY, name: value}).replace("Infinity", "1e400").encode()
        assert api.post_chat(body).status_code in (200, 400, 404)
    for name in load_chat_schemas().undated["chat_message"]["properties"]:
        for role in ("user", "assistant", "tool"):
            message = {"role": role, "content": "x", name: value}
            body = json.dumps({**BODY, "messages": [message]}).replace("Infinity", "1e400").encode()
            assert api.post_chat(body).status_code in (200, 400)


@pytest.mark.parametrize("name", load_service_faults())
def test_every_service_fault_has_the_chat_envelope(name: str, api: ApiClient) -> None:
    for stream in (False, True):
        reply = api.post_chat({**BODY, "stream": stream}, x_mock_fault=name)
        assert reply.status_code >= 400
        assert reply.headers["x-mock-fault"] == name
        assert check_chat_error(reply.content) == []


def test_rate_limit_is_a_429(api: ApiClient) -> None:
    assert error(api.post_chat(BODY, x_mock_fault="rate-limit"))[:2] == (429, "limit_requests")


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("cut-after", ["CHT-007", "CHT-004"]),
        ("cut-event", ["SSE-003"]),
        ("bom", ["SSE-007"]),
        ("no-data", ["SSE-005"]),
        ("html", ["SSE-006"]),
        # Chunks have no numbers: unlike an event of Responses, none is missed.
        ("lost-event", []),
        ("doubled-event", []),
    ],
)
def test_wire_faults_break_a_stream(name: str, rules: list[str], api: ApiClient) -> None:
    reply = api.post_chat({**BODY, "stream": True}, x_mock_fault=name)
    assert reply.headers["x-mock-fault"] == name
    found = check_chat_stream(reply.content, {**BODY, "stream": True})
    assert [each.rule for each in found] == rules


@pytest.mark.parametrize("name", ["error-event", "failed-event", "json-for-stream", "huge-event", "SEQ-004"])
def test_fault_of_the_responses_api_is_rejected(name: str, api: ApiClient) -> None:
    reported = error(api.post_chat({**BODY, "stream": True}, x_mock_fault=name))
    assert reported == (400, "invalid_parameter_error", f"fault: {name} applies to the Responses API only.")
    assert name in wire_faults() or name.startswith("SEQ")


STREAM_RULES = sorted({*mutants.rules_for("chat_stream"), *mutants.rules_for("chat_frames")})


@pytest.mark.parametrize("rule", STREAM_RULES)
def test_stream_breaks_the_requested_rule(rule: str, api: ApiClient) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}] if rule == "CHT-003" else []
    request = {**BODY, "stream": True, "tools": tools}
    api.server.violate(rule)
    reply = api.post_chat(request)
    assert {each.rule for each in check_chat_stream(reply.content, request)} == {rule}


@pytest.mark.parametrize("rule", mutants.rules_for("chat_completion"))
def test_completion_breaks_the_requested_rule(rule: str, api: ApiClient) -> None:
    reply = api.post_chat(BODY, x_mock_fault=rule)
    assert {each.rule for each in check_chat_completion(reply.content, BODY)} == {rule}


def test_rule_of_chat_is_rejected_by_responses(api: ApiClient) -> None:
    status, _, message = api.post_refused(
        {"model": api.server.model, "input": "x", "stream": True}, x_mock_fault="CHT-001"
    )
    assert status == 400
    assert "CHT-001 cannot be broken" in message


@pytest.fixture
def limited() -> Iterator[ApiClient]:
    """A client of a server that allows two requests a minute and breaks every stream of Responses."""
    with (
        MockServer(limit="requests=2", fault=["failed-event"]) as server,
        httpx.Client(trust_env=False) as client,
    ):
        yield ApiClient(server, client)


def test_rate_limits_apply_and_faults_of_responses_do_not(limited: ApiClient) -> None:
    assert limited.create_chunks("Hello!")
    limited.server.clock.advance(30)
    assert limited.post({"model": limited.server.model, "input": "x"}).status_code == 200
    limited.server.clock.advance(2)
    assert error(limited.create_chat("Hello!"))[:2] == (429, "limit_requests")


def test_replies_can_be_paced_and_chunked(api: ApiClient) -> None:
    api.server.reply("Hi there, you!", pace="fixed:1", chunking="bytes:7").always()
    assert api.create_chunks("x")[1]["choices"][0]["delta"] == {"content": "Hi"}
    assert api.create_completion("x")["choices"][0]["message"]["content"] == "Hi there, you!"


def test_a_model_pace_follows_the_tokens_of_chat() -> None:
    with MockServer(pace="model:2000,1", pauses="clock") as server, server.httpx() as client:
        server.reply(chunks=["One", "two three", "four"])
        start, url = server.clock.now(), f"{server.chat_base_url}/chat/completions"
        with client.stream("POST", url, json={**BODY, "stream": True}) as reply:
            pieces = reply.iter_raw()
            assert b"One" not in next(pieces)
            wait_until(lambda: server.clock.waiter_count == 1)
            server.clock.advance(2)
            assert b"two" not in next(pieces)
            server.clock.advance(1.999)
            wait_until(lambda: server.clock.waiter_count == 1)
            server.clock.advance(0.001)
            assert b"four" not in next(pieces)
            server.clock.advance(1000)
            assert b"[DONE]" in b"".join(pieces)
        entry = server.journal.last
        wait_until(lambda: entry.end is not None)
        assert (entry.first_byte, entry.end) == (start, start + 1004)


def test_a_model_pace_delays_a_completion() -> None:
    with (
        MockServer(pace="model:30000,1", pauses="clock") as server,
        server.httpx() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        server.reply("Slow.")
        reply = pool.submit(client.post, f"{server.chat_base_url}/chat/completions", json=BODY)
        wait_until(lambda: server.clock.waiter_count == 1)
        assert not reply.done()
        server.clock.advance(30)
        assert reply.result().json()["choices"][0]["message"]["content"] == "Slow."


def test_journal_has_chat_requests(api: ApiClient) -> None:
    api.post_chat({**BODY, "user": "me"})
    entry = api.server.journal.last
    assert (entry.prompt, entry.model, entry.ignored) == ("Hello!", BODY["model"], ("user",))
    assert [each.rule for each in entry.findings] == ["REQ-002"]
    api.post_chat({**BODY, "messages": []})
    assert [each.rule for each in api.server.journal.last.findings] == ["REQ-001"]


def test_named_session_has_its_own_stubs(api: ApiClient) -> None:
    session = api.server.session("apart")
    session.reply("From there.")
    api.server.reply("From here.")
    there = api.client.post(
        f"{session.chat_base_url}/chat/completions",
        json=BODY,
        headers={"authorization": f"Bearer {session.api_key}"},
    )
    assert there.json()["choices"][0]["message"]["content"] == "From there."
    assert api.create_completion("x")["choices"][0]["message"]["content"] == "From here."
    assert len(session.assert_requested("Hello!")) == 1
    assert error(api.post_chat(BODY, x_mock_session="/"))[:2] == (400, "invalid_parameter_error")


@pytest.mark.parametrize("members", [{"n": 2.0}, {"max_tokens": 5.0}, {"max_completion_tokens": 3.0}])
@pytest.mark.parametrize("stream", [False, True])
def test_an_integer_may_be_written_as_a_float(
    api: ApiClient, members: dict[str, Any], *, stream: bool
) -> None:
    assert api.create_chat("Hi there", stream=stream, **members).status_code == 200
