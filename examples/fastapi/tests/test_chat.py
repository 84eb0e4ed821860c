"""The backend over a socket, because a client within the process would buffer the stream."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from chat import app

from mockserver import MockServer


@pytest.fixture
async def backend(responses_env: object) -> AsyncIterator[httpx.AsyncClient]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    await asyncio.to_thread(thread.join)


async def events(reply: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    name = ""
    async for line in reply.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def all_events(client: httpx.AsyncClient, **question: str) -> list[tuple[str, str]]:
    async with client.stream("POST", "/ask", json=question) as reply:
        return [event async for event in events(reply)]


async def test_text_arrives_before_the_end(responses_server: MockServer, backend: httpx.AsyncClient) -> None:
    held = responses_server.reply(chunks=["Hel", "lo!"]).hold()
    async with backend.stream("POST", "/ask", json={"text": "Hi!"}) as reply:
        await asyncio.to_thread(held.wait_until_held)
        seen = events(reply)
        first = asyncio.ensure_future(anext(seen))
        while not first.done():
            await asyncio.to_thread(held.step)
            await asyncio.sleep(0.05)
        assert first.result() == ("text", "Hel")
        held.release()
        assert [name async for name, _ in seen] == ["text", "done"]


async def test_the_second_question_continues_the_first(
    responses_server: MockServer, backend: httpx.AsyncClient
) -> None:
    greeting = responses_server.when(contains="Alice").reply("Hello, Alice!")
    responses_server.when("Who am I?", after=greeting).reply("You are Alice.")
    first = await all_events(backend, text="I am Alice.")
    assert first[-1][0] == "done"
    second = await all_events(backend, text="Who am I?", previous=first[-1][1])
    assert "".join(value for name, value in second if name == "text") == "You are Alice."


async def test_a_closed_page_stops_the_model(
    responses_server: MockServer, backend: httpx.AsyncClient
) -> None:
    responses_server.reply(chunks=["word "] * 200, pace="fixed:50")
    async with backend.stream("POST", "/ask", json={"text": "Write a book."}) as reply:
        await anext(events(reply))
    entry = await asyncio.to_thread(responses_server.assert_left)
    assert entry.left


@pytest.mark.parametrize("fault", ["cut-after,after=5", "failed-event,after=5", "close-midway,after=5"])
async def test_a_broken_stream_is_an_error(
    responses_server: MockServer, backend: httpx.AsyncClient, fault: str
) -> None:
    responses_server.reply(chunks=["Hel", "lo!"], fault=fault)
    names = [name for name, _ in await all_events(backend, text="Hi!")]
    assert names[-1] == "error"
