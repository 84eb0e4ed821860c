"""Thousands of stubs, each with a reply of its own, answer as few of them do."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from functools import partial

import pytest

from mockserver.replies.markers import StreamFrames
from mockserver.replies.script import (
    FunctionCall,
    Message,
    Reasoning,
    Script,
    ScriptError,
    ToolCall,
    Usage,
    message_script,
)
from mockserver.server.engine.pipeline import respond
from mockserver.server.state.sessions import Session, open_session
from mockserver.server.state.store import MemoryStore
from mockserver.server.stubs.matchers import build_matcher
from tests.call_counts import count_calls

PROFILE = "qwen-2026-05"
MODELS = ("qwen3-max", "qwen3.5-flash")
SEARCH = ToolCall("web_search", {"action": {"type": "search", "query": "Paris"}})
SCRIPTS = (
    message_script('A "quoted" text with 100 %, a \\, a line\nbreak and 天气.'),
    Script((Message(("",)),)),
    Script(()),
    Script((Reasoning(("Let me ", "think.")), Message(("Yes", ".")))),
    Script((Message(()), Message(("One, ", "", 'two"\\n', "and 三")))),
    message_script("A word. " * 300),
    Script((FunctionCall("get_weather", {"city": "Paris"}), FunctionCall("get_time", "{}", "call_1"))),
    Script((SEARCH, Message(("Found.",)))),
    Script((Message(("Cut",)),), status="incomplete"),
    Script((Message(("Counted.",)),), Usage(7, 11, 3)),
    Script((Message(("From the cache.",)),), Usage(cached_tokens=5)),
    Script((Message(("Half",)),), status="failed", error=ScriptError("server_error", "It broke.")),
)


def session_with(scripts: Mapping[int, Script]) -> Session:
    """A session with a stub for each script, which answers prompts with its number."""
    session = open_session(profile=PROFILE, seed=0)
    for number, script in scripts.items():
        session.stubs.add(script, matcher=build_matcher(contains=f"city {number:05}"), times=None)
    return session


async def reply_to(session: Session, number: int, **members: object) -> tuple[object, ...]:
    """What is sent, the tokens in each frame, and what is stored."""
    body = json.dumps({"model": MODELS[0], "input": f"What is in city {number:05}?", **members})
    store = MemoryStore()
    reply = await respond(session, store, "/v1/responses", body.encode())
    pieces = list(reply.pieces)
    tokens = reply.pieces.token_counts if isinstance(reply.pieces, StreamFrames) else ()
    id_ = re.search(rb'"id":"([^"]+)"', pieces[0])
    assert id_ is not None
    record = store.find(session.name, id_[1].decode())
    assert record is not None
    return pieces, tokens, record.response_body


@pytest.mark.parametrize("rendering", ["wire", "documented"])
def test_a_reply_among_many_has_the_same_bytes_as_one_among_few(rendering: str) -> None:
    scripts = dict(enumerate(SCRIPTS, 1_000))
    few = session_with(scripts)
    many = session_with({**{each: message_script(f"Reply {each}.") for each in range(300)}, **scripts})
    few.rendering = many.rendering = rendering
    for model in MODELS:
        for limit in ({}, {"max_output_tokens": 2}, {"stream": True}):
            for number, script in scripts.items():
                members = {"model": model, **limit}
                replies = [asyncio.run(reply_to(each, number, **members)) for each in (few, many)]
                assert replies[0] == replies[1], script


async def ask_all(session: Session, numbers: Iterable[int], *, stream: bool) -> None:
    for number in numbers:
        await reply_to(session, number, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_among_many_takes_as_many_steps_as_one_among_few(*, stream: bool) -> None:
    calls = []
    for count in (10, 1_100):
        session = session_with({number: message_script(f"Reply {number}.") for number in range(count)})
        asyncio.run(ask_all(session, range(count), stream=stream))
        ask_ten = partial(ask_all, session, range(10), stream=stream)
        calls.append(count_calls(lambda: asyncio.run(ask_ten())))  # noqa: B023 (called at once)
    few, many = calls
    assert many <= 1.1 * few
