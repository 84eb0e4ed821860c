"""Replies that take time: functions that block or are awaited, and replies that a test holds."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event, get_ident
from typing import Any

import httpx
import pytest

from mockserver import ConfigurationError, IncomingRequest, MockServer, Reply

#: Seconds after which a test that is stuck fails.
LIMIT = 30.0


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ask(server: MockServer, prompt: str = "Hi", **members: Any) -> httpx.Response:
    with server.httpx(timeout=LIMIT) as client:
        return client.post("/responses", json={"model": server.model, "input": prompt, **members})


def text(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    message = reply.json()["output"][0]["content"][0]["text"]
    assert isinstance(message, str)
    return message


def test_a_function_that_blocks_holds_up_no_other_client(
    server: MockServer, clients: ThreadPoolExecutor
) -> None:
    others_are_done = Event()

    def wait(request: IncomingRequest) -> str:
        return "They were first." if others_are_done.wait(LIMIT) else "They waited for me."

    server.when("Wait").reply(wait)
    server.when("Do not wait").reply("At once.").always()
    slow = clients.submit(ask, server, "Wait")
    assert [text(ask(server, "Do not wait")) for _ in range(3)] == ["At once."] * 3
    others_are_done.set()
    assert text(slow.result(LIMIT)) == "They were first."


def test_any_number_of_functions_may_block(server: MockServer) -> None:
    count = 50  # more than the threads of anyio's default limit
    together = Barrier(count)

    def meet(request: IncomingRequest) -> str:
        together.wait(LIMIT)
        return "We met."

    server.reply(meet).always()
    with ThreadPoolExecutor(count) as pool:
        replies = list(pool.map(lambda _: ask(server), range(count)))
    assert {text(each) for each in replies} == {"We met."}


def test_coroutine_functions_are_awaited_in_the_loop_of_the_server(server: MockServer) -> None:
    async def answer(request: IncomingRequest) -> str:
        await asyncio.sleep(0)
        return f"{request.prompt} from {get_ident()}"

    server.reply(answer)
    server.reply(partial(answer))
    server.reply(lambda request: [answer(request)][0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replies = {text(ask(server)) for _ in server.stubs}
        gc.collect()
    assert len(replies) == 1, replies
    assert replies.pop().startswith("Hi from ")


def test_a_coroutine_function_that_fails_is_an_error_response(server: MockServer) -> None:
    async def broken(request: IncomingRequest) -> str:
        raise KeyError(request.prompt)

    server.reply(broken)
    reply = ask(server)
    assert (reply.status_code, reply.json()["code"]) == (400, "ReplyFunctionFailed")
    assert reply.json()["message"] == "The reply function broken failed: KeyError: 'Hi'"


def test_the_end_of_an_iterator_is_reported_as_such(server: MockServer) -> None:
    lines = iter(["Only one line."])
    server.reply(lambda request: next(lines)).times(2)
    assert text(ask(server)) == "Only one line."
    assert "raised StopIteration" in ask(server).json()["message"]


def test_functions_answer_chat_completions_too(server: MockServer) -> None:
    async def answer(request: IncomingRequest) -> str:
        await asyncio.sleep(0)
        return f"You said {request.prompt}."

    server.reply(answer)
    body = {"model": server.model, "messages": [{"role": "user", "content": "Hi"}]}
    reply = httpx.post(
        f"{server.chat_base_url}/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {server.api_key}"},
    )
    assert reply.json()["choices"][0]["message"]["content"] == "You said Hi."


def test_the_order_of_requests_decides_the_ids_not_that_of_the_functions(
    clients: ThreadPoolExecutor,
) -> None:
    def ids(*, first_waits: bool) -> list[str]:
        second_is_done = Event()
        if not first_waits:
            second_is_done.set()
        arrived = Event()

        def answer(request: IncomingRequest) -> str:
            arrived.set()
            second_is_done.wait(LIMIT)
            return "Hi."

        with MockServer(seed=5) as server:
            server.reply(answer).then("Hi.")
            first = clients.submit(ask, server)
            assert arrived.wait(LIMIT)
            second = ask(server).json()["id"]
            second_is_done.set()
            return [first.result(LIMIT).json()["id"], second]

    assert ids(first_waits=True) == ids(first_waits=False)


def test_a_server_stops_while_a_function_blocks(clients: ThreadPoolExecutor) -> None:
    is_called, is_over = Event(), Event()

    def wait(request: IncomingRequest) -> str:
        is_called.set()
        is_over.wait(LIMIT)
        return "Too late."

    with MockServer() as server:
        server.reply(wait)
        reply = clients.submit(ask, server)
        assert is_called.wait(LIMIT)
    assert isinstance(reply.exception(LIMIT), httpx.TransportError)
    is_over.set()


def test_coroutine_functions_are_no_predicates(server: MockServer) -> None:
    async def is_long(request: IncomingRequest) -> bool:
        return len(request.prompt) > 10

    with pytest.raises(ConfigurationError, match="predicate is_long is a coroutine function"):
        server.when(predicate=is_long)  # type: ignore[arg-type]
    server.when(predicate=lambda each: is_long(each)).reply("Never.")  # type: ignore[arg-type,return-value] # noqa: PLW0108
    assert "returned a coroutine" in ask(server).json()["message"]


def start(clients: ThreadPoolExecutor, server: MockServer, **members: Any) -> Future[httpx.Response]:
    return clients.submit(ask, server, **members)


def test_a_held_reply_waits_until_its_release(server: MockServer, clients: ThreadPoolExecutor) -> None:
    held = server.reply("At last.").times(2).hold()
    reply = start(clients, server)
    held.wait_until_held()
    assert not reply.done()
    held.release()
    assert text(reply.result(LIMIT)) == "At last."
    assert text(ask(server)) == "At last.", "later replies are not held"


def test_a_held_stream_is_sent_event_by_event(server: MockServer) -> None:
    held = server.reply(chunks=["Once ", "upon ", "a time"]).hold()
    body = {"model": server.model, "input": "Tell me", "stream": True}
    seen = []
    held_once = ThreadPoolExecutor(1)
    with held_once, server.httpx(timeout=LIMIT) as client:
        held_once.submit(held.step)
        with client.stream("POST", "/responses", json=body) as reply:
            pieces = reply.iter_raw()
            seen.append(next(pieces))
            for _ in range(4):
                held.step()
                seen.append(next(pieces))
            held.release()
            rest = b"".join(pieces)
    kinds = [piece.split(b"event:")[1].split(b"\n")[0].decode() for piece in seen]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    assert b"response.completed" in rest


@pytest.mark.parametrize("options", [{"pace": "fixed:1"}, {"chunking": "bytes:50"}, {"delay_ms": 1}])
def test_a_held_reply_keeps_its_delivery(
    server: MockServer, clients: ThreadPoolExecutor, options: dict[str, Any]
) -> None:
    held = server.reply("At last.", **options).hold()
    reply = start(clients, server, stream=True)
    for _ in range(3):
        held.step()
    held.wait_until_held()
    held.release()
    assert reply.result(LIMIT).text.count("data:") == 10


def test_errors_and_results_of_functions_are_held(server: MockServer, clients: ThreadPoolExecutor) -> None:
    stubs = server.reply(lambda request: Reply("Computed.", delay_ms=1)), server.fail("internal-error")
    for stub, status in zip(stubs, (200, 500), strict=True):
        held = stub.hold()
        reply = start(clients, server)
        held.step()
        assert reply.result(LIMIT).status_code == status


def test_a_step_without_a_request_fails(server: MockServer) -> None:
    held = server.reply("Hi.").always().hold()
    with pytest.raises(AssertionError, match=r"no reply was held within 0\.01 s"):
        held.step(timeout=0.01)
    held.release()
    with pytest.raises(AssertionError, match="the hold has been released"):
        held.wait_until_held()


def test_a_client_that_leaves_ends_its_reply(server: MockServer) -> None:
    held = server.reply("Hi.").hold()

    async def ask_and_leave() -> None:
        headers = {"authorization": f"Bearer {server.api_key}"}
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers, trust_env=False) as client:
            body = {"model": server.model, "input": "Hi"}
            request = asyncio.create_task(client.post("/responses", json=body))
            await asyncio.to_thread(held.wait_until_held)
            request.cancel()

    asyncio.run(ask_and_leave())
    server.reply("Another one.").always()
    while not server.journal[0].left:  # the server learns of it between two of these requests
        ask(server)
    with pytest.raises(AssertionError, match="no reply was held"):
        held.step(timeout=0.3)


@pytest.mark.parametrize("end", ["stop", "reset", "close"])
def test_held_replies_end_with_their_server_and_session(clients: ThreadPoolExecutor, end: str) -> None:
    with MockServer() as server:
        session = server.session("alice")
        target = session if end == "close" else server
        held = target.reply("Hi.").hold()
        body = {"model": server.model, "input": "Hi"}
        reply = clients.submit(target.httpx(timeout=LIMIT).post, "/responses", json=body)
        held.wait_until_held()
        {"stop": server.stop, "reset": server.reset, "close": session.close}[end]()
        if end == "stop":
            assert isinstance(reply.exception(LIMIT), httpx.TransportError)
        else:
            assert text(reply.result(LIMIT)) == "Hi."
