"""Sessions: stored responses, exchanges, seeds and models."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mockserver.clock import SteppedClock
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange, Match
from mockserver.server.delivery.steps import Send, Wait
from mockserver.server.engine.pipeline import respond
from mockserver.server.engine.rendered_replies import RenderedReply
from mockserver.server.errors import ApiError
from mockserver.server.state.sessions import AnyModel, Session, open_session
from mockserver.server.state.store import MemoryStore, Store
from mockserver.wire import json

PROFILE = "qwen-2026-01"
MODEL = "qwen3-max-2026-01-23"


def ask(session: Session, store: Store, **members: Any) -> RenderedReply:
    body = json.dumps({"model": MODEL, "input": "hi", **members})
    return asyncio.run(respond(session, store, "/v1/responses", body))


def refusal(session: Session, store: Store, **members: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        ask(session, store, **members)
    return caught.value


def test_response_ids_expire_after_seven_days() -> None:
    session, store = open_session(profile=PROFILE, seed=1), MemoryStore(1)
    first = ask(session, store).request_id
    assert isinstance(session.clock, SteppedClock)
    session.clock.advance(7 * 24 * 3600 - 1)
    assert ask(session, MemoryStore(1)).status == 200
    continued = ask(session, store, previous_response_id=first)
    assert continued.status == 200
    session.clock.advance(7 * 24 * 3600)
    expired = refusal(session, store, previous_response_id=continued.request_id)
    assert expired.message == f"Not found previous_response_id: {continued.request_id}"
    assert "expired" in expired.detail


def test_only_the_log_distinguishes_evicted_from_unknown_ids() -> None:
    session, store = open_session(profile=PROFILE, seed=1), MemoryStore(1)
    first = ask(session, store).request_id
    ask(session, store)
    evicted = refusal(session, store, previous_response_id=first)
    unknown = refusal(session, store, previous_response_id="0000")
    assert ("evicted" in evicted.detail, "unknown" in unknown.detail) == (True, True)
    assert evicted.message.replace(first, "0000") == unknown.message


def test_an_id_of_another_session_is_unknown() -> None:
    store = MemoryStore()
    first = ask(open_session("one", profile=PROFILE, seed=1), store).request_id
    other = open_session("two", profile=PROFILE, seed=1)
    assert "unknown" in refusal(other, store, previous_response_id=first).detail


def test_sessions_with_the_same_seed_have_different_ids() -> None:
    one, two = (open_session(name, profile=PROFILE, seed=1) for name in ("one", "two"))
    assert ask(one, MemoryStore()).request_id != ask(two, MemoryStore()).request_id


def exchange(reply: dict[str, Any], **match: Any) -> Exchange:
    return Exchange("it", Match(**match), reply)


def test_a_recorded_reply_keeps_status_headers_and_timing() -> None:
    http = {
        "status": 202,
        "headers": {"Content-Type": "text/plain", "Transfer-Encoding": "chunked", "X-A": "b"},
        "chunks": [{"text": "a"}, {"at_ms": 500, "base64": "/w=="}, {"at_ms": 500, "text": "c"}],
    }
    session = open_session(profile=PROFILE, exchanges=[exchange({"http": http})])
    answer = ask(session, MemoryStore())
    assert answer.status == 202
    assert answer.headers == ((b"content-type", b"text/plain"), (b"x-a", b"b"))
    assert answer.steps == (Send(b"a"), Wait(0.5), Send(b"\xff"), Send(b"c"))


def test_an_exchange_can_reply_with_an_error_or_a_body() -> None:
    error = {"status": 429, "code": "Throttling", "message": "Slow down."}
    session = open_session(profile=PROFILE, exchanges=[exchange({"error": error}, prompt="hi")])
    refused = refusal(session, MemoryStore())
    assert (refused.status, refused.code, refused.message) == (429, "Throttling", "Slow down.")
    session = open_session(profile=PROFILE, exchanges=[exchange({"body": {"b": 1, "a": 2}})])
    assert ask(session, MemoryStore()).pieces == (b'{"b":1,"a":2}',)


def test_an_exchange_answers_only_matching_requests() -> None:
    says = {"script": {"items": [{"type": "message", "text": "matched"}]}}

    def matched(match: dict[str, Any], **members: Any) -> bool:
        session = open_session(profile=PROFILE, seed=1, exchanges=[exchange(says, **match)])
        return b"matched" in b"".join(ask(session, MemoryStore(), **members).pieces)

    searching = {"tools": [{"type": "web_search"}]}
    assert matched({"prompt": "hi"})
    assert not matched({"prompt": "Hi"})
    assert matched({})
    assert not matched({}, **searching)
    assert matched({"tools": frozenset({"web_search"})}, **searching)
    assert not matched({"tools": frozenset({"web_search", "web_extractor"})}, **searching)
    assert not matched({}, enable_thinking=True)
    assert matched({"thinking": True}, enable_thinking=True)
    assert matched({"stream": True}, stream=True)
    assert not matched({"stream": True})
    assert not matched({"after": "it"})


def test_the_first_matching_exchange_answers() -> None:
    def says(name: str, match: Match) -> Exchange:
        return Exchange(name, match, {"script": {"items": [{"type": "message", "text": name}]}})

    both = [says("any", Match()), says("exact", Match(prompt="hi"))]
    for exchanges in (both, both[::-1]):
        session = open_session(profile=PROFILE, seed=1, exchanges=exchanges)
        assert ask(session, MemoryStore()).details.stub_name == exchanges[0].name


def test_a_tool_that_the_profile_lacks_is_an_error_on_opening() -> None:
    reply = {"script": {"items": [{"type": "teleport"}]}}
    with pytest.raises(InvalidExchange, match=r"the exchange it#/reply: .*teleport"):
        open_session(profile=PROFILE, exchanges=[exchange(reply)])


def test_a_session_accepts_named_models_or_any() -> None:
    named = open_session(profile=PROFILE, models={"mine"})
    assert ask(named, MemoryStore(), model="mine").status == 200
    assert "Unsupported model" in refusal(named, MemoryStore()).message
    everything = open_session(profile=PROFILE, models=AnyModel())
    assert ask(everything, MemoryStore(), model="whatever").status == 200


def test_an_unknown_rendering_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="wire, documented"):
        open_session(profile=PROFILE, rendering="fancy")
