"""Pacing and chunking of replies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import log
from statistics import mean, median, stdev

import pytest

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.chunking import apply_chunking, parse_chunking
from mockserver.server.delivery.pacing import Pace, apply_pace, parse_pace
from mockserver.server.delivery.steps import Close, Send, Step, Wait
from mockserver.testing.mock import MockServer
from mockserver.wire import sse
from tests.api_client import wait_until


def delta(text: str) -> Send:
    data = json.dumps({"type": "response.output_text.delta", "delta": text}, separators=(",", ":"))
    return Send(sse.encode(data, event="response.output_text.delta"))


CREATED = Send(sse.encode('{"type":"response.created"}', event="response.created"))
STREAM = [CREATED, delta("One two"), delta(" three"), Send(b"data: end\n\n")]


def waits(steps: list[Step]) -> list[float]:
    return [round(step.seconds * 1000, 3) for step in steps if isinstance(step, Wait)]


def pace(text: str) -> Pace:
    parsed = parse_pace(text)
    assert parsed is not None
    return parsed


def test_a_fixed_pace_waits_before_each_event() -> None:
    assert waits([*apply_pace(STREAM, pace("fixed:20"), 0)]) == [20, 20, 20, 20]
    assert parse_pace("none") is None


def test_a_model_pace_waits_for_the_first_text_and_then_per_token() -> None:
    steps = [*apply_pace(STREAM, pace("model:300,50"), 0)]
    assert waits(steps) == [300, 20]
    assert steps[:2] == [CREATED, Wait(0.3)]


def test_jitter_follows_from_the_seed() -> None:
    one, again, two = (waits([*apply_pace(STREAM * 5, pace("model:100,50,0.5"), seed)]) for seed in (1, 1, 2))
    assert one == again != two
    assert all(10 <= each <= 150 for each in one)


def test_distributions_follow_from_the_seed_of_each_reply() -> None:
    text = "model:ttft=lognormal(300,0.4),tps=normal(50,8)"
    replies = [waits([*apply_pace(STREAM, pace(text), seed)]) for seed in range(2000)]
    assert replies[:20] == [waits([*apply_pace(STREAM, pace(text), seed)]) for seed in range(20)]
    first, next_token = zip(*replies, strict=True)
    assert median(first) == pytest.approx(300, rel=0.05)
    assert stdev(map(log, first)) == pytest.approx(0.4, rel=0.1)
    rates = [1000 / each for each in next_token]
    assert mean(rates) == pytest.approx(50, rel=0.02)
    assert stdev(rates) == pytest.approx(8, rel=0.1)


def test_a_stream_keeps_the_rate_that_it_drew() -> None:
    first, *others = waits([*apply_pace(STREAM * 5, pace("model:ttft=uniform(10,20),tps=uniform(20,80)"), 3)])
    assert 10 <= first <= 20
    by_tokens = {each for each in others if each != min(others)}
    assert by_tokens == {min(others) * 2}


def test_constants_pause_as_without_names() -> None:
    plain, named = "model:100,50,0.5", "model:ttft=constant(100),tps=50,jitter=0.5"
    assert [*apply_pace(STREAM, pace(named), 7)] == [*apply_pace(STREAM, pace(plain), 7)]


def test_tails_are_bounded() -> None:
    text = "model:ttft=lognormal(100,3),tps=normal(50,1000)"
    for seed in range(300):
        first, next_token = waits([*apply_pace(STREAM, pace(text), seed)])
        assert 10 <= first <= 1000
        assert 1000 / 500 <= next_token <= 1000 / 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model:ttft=3", "tps is missing"),
        ("model:ttft=3,tps=0", "tps must be above 0"),
        ("model:ttft=3,tps=uniform(0,5)", "tps must be above 0"),
        ("model:ttft=3,tps=5,ttft=4", "ttft is repeated"),
        ("model:tfft=3,tps=5", "no member 'tfft'; did you mean 'ttft'?"),
        ("model:ttft=3,tps=5,50", "expected NAME=VALUE, not '50'"),
        ("model:ttft=gauss(3,1),tps=5", "ttft: no distribution 'gauss'; choose from: constant, uniform"),
        ("model:ttft=normal(3),tps=5", "ttft: expected normal(MEAN,DEVIATION) with numbers"),
        ("model:ttft=normal(3,x),tps=5", "ttft: expected normal(MEAN,DEVIATION) with numbers"),
        ("model:ttft=normal(0,1),tps=5", "MEAN must be above 0"),
        ("model:ttft=uniform(5,1),tps=5", "LOW must not be above HIGH"),
        ("model:ttft=lognormal(5,9),tps=5", "SIGMA must be from 0 to 3"),
        ("model:ttft=soon,tps=5", "expected a number or a distribution such as normal(50,8), not 'soon'"),
        ("model:ttft=3,tps=5,jitter=2", "jitter must be a number from 0 to 1"),
        ("model:ttft=3,tps=0.001", "a pause may last at most 600000 ms"),
    ],
)
def test_an_invalid_distribution_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse_pace(text)


def test_a_body_waits_once() -> None:
    body = Send(b'{"usage":{"output_tokens":10}}')
    assert waits([*apply_pace([body], pace("fixed:7"), 0)]) == [7]
    assert waits([*apply_pace([body], Pace(per_token_ms=5), 0)]) == [50]


@pytest.mark.parametrize("text", ["bytes:1", "bytes:7", "random", "coalesced"])
def test_chunking_keeps_bytes_and_pauses(text: str) -> None:
    chunking = parse_chunking(text)
    assert chunking is not None
    steps = [*apply_chunking([*STREAM, Wait(1), delta("é"), Close()], chunking, 3)]
    whole = b"".join(step.data for step in [*STREAM, delta("é")])
    assert b"".join(step.data for step in steps if isinstance(step, Send)) == whole
    assert steps[-1] == Close()
    assert [step for step in steps if isinstance(step, Wait)] == [Wait(1)]
    sizes = [len(step.data) for step in steps if isinstance(step, Send)]
    if text.startswith("bytes"):
        assert set(sizes[:-1]) == {int(text[6:])}
    assert (len(sizes) == 1) == (text == "coalesced")
    assert steps == [*apply_chunking([*STREAM, Wait(1), delta("é"), Close()], chunking, 3)]


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:x", "fixed:-1", "model:1", "model:1,0", "model:1,2,1.5", "fixed:999999"]
)
def test_an_invalid_pace_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="pace"):
        parse_pace(text)


@pytest.mark.parametrize("text", ["", "bytes:0", "bytes:x", "events"])
def test_an_invalid_chunking_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="chunking must be"):
        parse_chunking(text)


@pytest.mark.parametrize("chunking", ["event", "coalesced", "bytes:5", "random"])
def test_pace_and_chunking_do_not_change_the_bytes(chunking: str) -> None:
    def body(**settings: str) -> bytes:
        with MockServer(seed=4, strict=False, **settings) as server, server.httpx() as client:  # type: ignore[arg-type]
            request = {"model": server.model, "input": "x", "stream": True}
            return client.post("/responses", json=request).content

    assert body(chunking=chunking, pace="fixed:0.1") == body()


def test_a_reply_can_override_the_pace() -> None:
    with MockServer(pace="fixed:60000") as server, server.httpx() as client:
        server.reply("Quick.", pace="none", chunking="bytes:9")
        reply = client.post("/responses", json={"model": server.model, "input": "x"})
        assert reply.json()["output"][0]["content"][0]["text"] == "Quick."
        with pytest.raises(ConfigurationError, match="pace must be"):
            server.reply("x", pace="slow")


def read_up_to(pieces: Iterator[bytes], end: bytes) -> bytes:
    """Read up to and including `end`."""
    read = b""
    while end not in read:
        read += next(pieces)
    return read


BODY = {"model": "qwen3-max-2026-01-23", "input": "x", "stream": True}


def test_each_event_arrives_when_the_clock_advances() -> None:
    with MockServer(pace="model:2000,1", pauses="clock") as server, server.httpx() as client:
        server.reply(chunks=["One", "two three", "four"])
        start = server.clock.now()
        with client.stream("POST", "/responses", json=BODY) as reply:
            pieces = reply.iter_raw()
            assert b".delta" not in read_up_to(pieces, b"response.content_part.added")
            server.clock.advance(1.999)
            wait_until(lambda: server.clock.waiter_count == 1)
            server.clock.advance(0.001)
            assert b'"delta":"two' not in read_up_to(pieces, b'"delta":"One"')
            server.clock.advance(2)
            assert b'"delta":"four"' not in read_up_to(pieces, b'"delta":"two three"')
            server.clock.advance(1000)
            assert b"response.completed" in b"".join(pieces)
        entry = server.journal.last
        wait_until(lambda: entry.end is not None)
        assert (entry.at, entry.first_byte, entry.end) == (start, start, start + 1004)
        assert not entry.left


def test_a_body_and_a_delay_wait_for_the_clock() -> None:
    with (
        MockServer(pace="fixed:30000", pauses="clock") as server,
        server.httpx() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        server.reply("Slow.")
        start = server.clock.now()
        body, headers = {**BODY, "stream": False}, {"x-mock-delay": "10000"}
        reply = pool.submit(client.post, "/responses", json=body, headers=headers)
        wait_until(lambda: server.clock.waiter_count == 1)
        server.clock.advance(10)
        wait_until(lambda: len(server.journal) == 1 and server.clock.waiter_count == 1)
        assert not reply.done()
        server.clock.advance(30)
        assert reply.result().status_code == 200
        entry = server.journal.last
        wait_until(lambda: entry.end is not None)
        assert (entry.at, entry.first_byte, entry.end) == (start, start + 40, start + 40)


@pytest.mark.parametrize("pauses", ["clock", "machine"])
def test_a_client_that_disconnects_during_a_pause_is_in_the_journal(pauses: str) -> None:
    with MockServer(pace="fixed:600000", pauses=pauses) as server, server.httpx() as client:
        server.reply("Slow.")
        with client.stream("POST", "/responses", json=BODY):
            pass
        entry = server.journal.last
        wait_until(lambda: entry.left and entry.end is not None)
        assert (entry.first_byte, server.clock.waiter_count) == (None, 0)


def test_pauses_by_clock_require_a_seed() -> None:
    with pytest.raises(ConfigurationError, match="needs a seed"):
        MockServer(seed=None, pauses="clock")
    with pytest.raises(ConfigurationError, match="pauses must be machine or clock, not 'none'"):
        MockServer(pauses="none")


def test_a_request_can_ask_for_a_delay() -> None:
    with (
        MockServer(strict=False, pauses="clock") as server,
        server.httpx() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        body = {"model": server.model, "input": "x"}
        reply = pool.submit(client.post, "/responses", json=body, headers={"x-mock-delay": "80"})
        wait_until(lambda: server.clock.waiter_count == 1)
        server.clock.advance(0.079)
        assert (server.clock.waiter_count, reply.done()) == (1, False)
        server.clock.advance(0.002)
        assert reply.result().status_code == 200
        for wrong in ("-1", "soon", "9999999"):
            refused = client.post("/responses", json=body, headers={"x-mock-delay": wrong})
            assert refused.status_code == 400
            assert refused.json()["message"].startswith("x-mock-delay: milliseconds from 0 to 600000, not ")
