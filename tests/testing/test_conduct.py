"""Sound clients bring no finding about their conduct, and tests ask for the check where they want it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from mockserver import ContractError, FunctionCall, MockServer
from mockserver.testing.mock import MockBase
from tests.testing.conduct_habits import LONG_TEXT, TOOLS

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(profile="qwen-2026-05", strict=False) as server:
        yield server


def post(server: MockServer, http: httpx.Client, content: Any = "Hi", **members: Any) -> httpx.Response:
    return http.post("/responses", json={"model": server.model, "input": content, **members})


def ask_with_retries(server: MockServer, http: httpx.Client, content: Any = "Hi", **members: Any) -> Any:
    """A sound client: exponential back-off, Retry-After, and no retry of a rejection."""
    for attempt in range(4):
        reply = post(server, http, content, **members)
        if reply.status_code == 200 and reply.json()["status"] != "failed":
            return reply.json()
        if (
            reply.status_code in (400, 401, 403, 404, 413, 422)
            or reply.headers.get("x-should-retry") == "false"
        ):
            return None
        server.clock.advance(float(reply.headers.get("retry-after", 0.5 * 2**attempt)))
    return None


def survive_server_errors(server: MockServer, http: httpx.Client) -> None:
    server.fail("internal-error").times(2).then("Hello.")
    assert ask_with_retries(server, http)["status"] == "completed"


def obey_retry_after(server: MockServer, http: httpx.Client) -> None:
    server.fail("rate-429", retry_after=20).times(2).then("Hello.")
    assert ask_with_retries(server, http)["status"] == "completed"


def give_up_on_rejections(server: MockServer, http: httpx.Client) -> None:
    for name in ("http-status", "quota-429"):
        server.fail(name, **({"status": 400} if name == "http-status" else {}))
        assert ask_with_retries(server, http, name) is None


def retry_failed_responses(server: MockServer, http: httpx.Client) -> None:
    server.fail("rate-limit").times(2).then("Hello.")
    assert ask_with_retries(server, http)["status"] == "completed"


def ask_the_same_after_success(server: MockServer, http: httpx.Client) -> None:
    for _ in range(30):
        assert post(server, http).status_code == 200


def correct_a_rejected_request(server: MockServer, http: httpx.Client) -> None:
    for temperature in (5, 1):
        post(server, http, temperature=temperature)


def renew_a_rejected_key(server: MockServer, http: httpx.Client) -> None:
    for key in ("sk-old", server.api_key):
        body = {"model": server.model, "input": "Hi"}
        http.post("/responses", json=body, headers={"authorization": f"Bearer {key}"})


def retry_if_told_to(server: MockServer, http: httpx.Client) -> None:
    server.fail("http-status", status=400, should_retry="true").then("Hello.")
    post(server, http)
    server.clock.advance(0.5)
    assert post(server, http).status_code == 200


def wait_long_for_recovery(server: MockServer, http: httpx.Client) -> None:
    server.fail("internal-error").times(15).then("Hello.")
    pause = 0.5
    while post(server, http).status_code == 500:
        server.clock.advance(pause)
        pause = min(2 * pause, 60)


def send_new_input_only(server: MockServer, http: httpx.Client) -> None:
    previous: dict[str, Any] = {}
    for text in ("Continue.", "Continue.", "Continue."):
        developer = {"role": "developer", "content": "Be brief."}
        reply = post(
            server, http, [developer, {"role": "user", "content": text}], instructions=LONG_TEXT, **previous
        )
        previous = {"previous_response_id": reply.json()["id"]}


def send_the_whole_history(server: MockServer, http: httpx.Client) -> None:
    history: list[dict[str, Any]] = [{"role": "system", "content": LONG_TEXT}]
    for text in ("Hi", "And now?", "Bye"):
        server.reply("Hello.")
        history.append({"role": "user", "content": text})
        history += post(server, http, history, tools=TOOLS).json()["output"]


def drop_the_oldest_items(server: MockServer, http: httpx.Client) -> None:
    history: list[dict[str, Any]] = []
    for number in range(6):
        history.append({"role": "user", "content": f"This is the question with the number {number}."})
        history += post(server, http, history[-5:]).json()["output"]


def hand_over_to_another_agent(server: MockServer, http: httpx.Client) -> None:
    first = post(server, http, instructions=LONG_TEXT, tools=TOOLS).json()
    members = {"instructions": "Translate into French, whatever it is.", "tools": TOOLS[:1]}
    post(server, http, "More", previous_response_id=first["id"], **members)


def run_tools(server: MockServer, http: httpx.Client) -> None:
    for minute in range(12):
        server.reply(FunctionCall("time", "{}" if minute % 2 else f'{{"minute":{minute}}}'))
    server.reply("Done.")
    reply = post(server, http, tools=TOOLS).json()
    for minute in range(12):
        outputs = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": f"12:{minute}"}
            for call in reply["output"]
        ]
        reply = post(server, http, outputs, tools=TOOLS, previous_response_id=reply["id"]).json()


def ask_in_equal_conversations(server: MockServer, http: httpx.Client) -> None:
    """Many conversations whose replies are the same text."""
    server.reply("Hello.").always()
    for number in range(4):
        history: list[dict[str, Any]] = [
            {"role": "user", "content": f"Hi, I am visitor {number} of this page."}
        ]
        history += post(server, http, history).json()["output"]
        post(server, http, [*history, {"role": "user", "content": "And now?"}])


SOUND_CLIENTS = [
    survive_server_errors,
    obey_retry_after,
    give_up_on_rejections,
    retry_failed_responses,
    ask_the_same_after_success,
    correct_a_rejected_request,
    renew_a_rejected_key,
    retry_if_told_to,
    wait_long_for_recovery,
    send_new_input_only,
    send_the_whole_history,
    drop_the_oldest_items,
    hand_over_to_another_agent,
    run_tools,
    ask_in_equal_conversations,
]


@pytest.mark.parametrize("run", SOUND_CLIENTS, ids=lambda each: each.__name__)
def test_a_sound_client_brings_no_finding(
    server: MockServer, run: Callable[[MockServer, httpx.Client], None]
) -> None:
    with server.httpx() as http:
        run(server, http)
    assert server.conduct_findings() == []


@pytest.mark.parametrize("fault", ["internal-error", "rate-429", "rate-limit"])
def test_equal_requests_in_parallel_are_no_retries(server: MockServer, fault: str) -> None:
    server.fail(fault).always()
    headers = {"authorization": f"Bearer {server.api_key}"}
    body = {"model": server.model, "input": "Hi"}

    async def load() -> None:
        limits = httpx.Limits(max_connections=8)
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers, limits=limits) as http:
            replies = await asyncio.gather(*(http.post("/responses", json=body) for _ in range(40)))
            assert len({reply.status_code for reply in replies}) == 1

    asyncio.run(load())
    assert server.conduct_findings() == []


def test_the_retries_of_a_counting_client_are_checked_in_parallel_too(server: MockServer) -> None:
    server.fail("rate-429", retry_after=5).always()
    body = json.dumps({"model": server.model, "input": "Hi"})

    def send(count: int) -> None:
        headers = {"x-stainless-retry-count": str(count), "content-type": "application/json"}
        clients[count % 2].post("/responses", content=body, headers=headers)

    with server.httpx() as one, server.httpx() as other:
        clients = (one, other)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(send, [0, 0, 0]))
        other.get("/models")
        server.clock.advance(5)
        send(1)
        assert server.conduct_findings() == []
        send(1)
        send(2)
    assert [(each.finding.rule, each.request_number) for each in server.conduct_findings()] == [
        ("RTY-001", 7)
    ]


def test_check_fails_for_errors_if_asked(server: MockServer) -> None:
    server.fail("http-status", status=400).times(2)
    with server.httpx() as http:
        post(server, http)
        post(server, http)
    server.check()
    server.check(conduct=True, allow=["RTY-003"])
    with pytest.raises(
        ContractError, match=r"^Conduct RTY-003: the same request was rejected.*\[request 2\]$"
    ):
        server.check(conduct=True)


def test_a_session_has_a_verdict_of_its_own(server: MockServer) -> None:
    session = server.session("other")
    for each in (server, session):
        each.fail("http-status", status=400)
        with each.httpx() as http:
            http.post("/responses", json={"model": each.model, "input": "Hi"})
    assert server.conduct_findings() == session.conduct_findings() == []


@pytest.mark.parametrize(("wait", "expected"), [(0.1, ["RTY-001"]), (0.3, [])])
def test_real_waits_count_if_the_clock_stands_still(
    server: MockServer, wait: float, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    for module in ("state.journal", "http.reply_steps"):
        monkeypatch.setattr(f"mockserver.server.{module}.monotonic", lambda: now)
    server.fail("rate-429", retry_after_ms=300).then("Hello.")
    with server.httpx() as http:
        post(server, http)
        now = wait
        post(server, http)
    assert [each.finding.rule for each in server.conduct_findings()] == expected


def start_stream(server: MockBase, http: httpx.Client) -> Any:
    server.reply(chunks=["One ", "two ", "three."] * 200, pace="model:0,1")
    body = {"model": server.model, "input": "Count.", "stream": True}
    return http.stream("POST", "/responses", json=body)


def test_assert_left_waits_for_a_client_that_closes(server: MockServer) -> None:
    with server.httpx() as http:
        with start_stream(server, http) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.clock.advance(3)
        entry = server.assert_left(timeout=60)
    assert entry.left
    assert entry.left_at == entry.stopped_at == entry.at + 3
    assert server.conduct_findings() == []


def test_assert_left_fails_if_the_client_stays(server: MockServer) -> None:
    with server.httpx() as http, start_stream(server, http) as reply:
        lines = reply.iter_lines()
        next(lines)
        with pytest.raises(AssertionError, match="still connected"):
            server.assert_left(timeout=0.01)
    server.reply("Hi.")
    with server.httpx() as http:
        post(server, http)
        with pytest.raises(AssertionError, match="to its end"):
            server.assert_left(timeout=0.01)
