"""The endpoint's key in replies that pass through to clients with a key of their own."""

from __future__ import annotations

import asyncio
import gzip
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.live.budgeted_client import Budget
from mockserver.live.client import Timeouts
from mockserver.live.endpoint import parse_endpoint
from mockserver.live.key_filters import KeyFilter, StreamKeyFilter
from mockserver.live.relay import Relay, RelayOptions
from mockserver.profiles import load_profile
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.journal import Journal
from mockserver.wire import json
from mockserver.wire.sse import decode_frames

KEY = "canary-4f1d2c7b9e"
RELAY_KEY = "relay-key-1"
HELLO = {"model": load_profile().models[0], "input": "Hello!", "stream": True}
ESCAPED = "".join(f"\\u{ord(each):04x}" for each in KEY)
TEXT, ARGUMENTS = "response.output_text", "response.function_call_arguments"


def event(kind: str, **members: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **members}))


def delta(text: str, kind: str = TEXT, output_index: int = 0, **members: Any) -> bytes:
    return event(f"{kind}.delta", output_index=output_index, content_index=0, **members, delta=text)


def chat_chunk(delta: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta}]})


def chat_call(arguments: str, **members: Any) -> bytes:
    return chat_chunk({"tool_calls": [{"index": 0, **members, "function": {"arguments": arguments}}]})


def escaped_delta(text: str) -> bytes:
    escapes = "".join(f"\\u{ord(each):04X}" for each in text)
    return delta("TEXT").replace(b"TEXT", escapes.encode())


class ScriptedUpstream:
    """Sends chunks; before None, it waits until the test lets it go on, and after "cut", it closes the connection."""

    def __init__(self, chunks: Sequence[bytes | None], headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._chunks = chunks
        self._headers = headers
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*self._headers]})
        for chunk in self._chunks:
            if chunk is None:
                await asyncio.to_thread(self.go_on.wait, 60)
            else:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def streamed_through(
    chunks: Sequence[bytes | None],
    *,
    content_type: bytes = b"text/event-stream",
    timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
    options: RelayOptions = RelayOptions(),  # noqa: B008 (immutable)
    key: str = RELAY_KEY,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Iterator[tuple[httpx.Response, ScriptedUpstream, Relay]]:
    """The open reply of a client behind a relay, its upstream, and the relay."""
    upstream = ScriptedUpstream(chunks, [(b"content-type", content_type), *headers])
    first = ThreadedServer(upstream, grace_seconds=0.1)
    first.start()
    endpoint = parse_endpoint(first.url, "" if options.forward_keys else KEY)
    relay = Relay(endpoint, load_profile(), RELAY_KEY, Budget(9, 9), timeouts, Journal(), options=options)
    second = ThreadedServer(relay, grace_seconds=0.1)
    second.start()
    try:
        url = f"{second.url}{load_profile().base_path}/responses"
        head = {"authorization": f"Bearer {key}"}
        with (
            httpx.Client(trust_env=False, timeout=60) as client,
            client.stream("POST", url, json=HELLO, headers=head) as reply,
        ):
            yield reply, upstream, relay
    finally:
        upstream.go_on.set()
        second.run(relay.close())
        second.stop()
        first.stop()


def received(chunks: Sequence[bytes | None], **options: Any) -> bytes:
    with streamed_through(chunks, **options) as (reply, _, _):
        return reply.read()


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 3, 6, 9])
@pytest.mark.parametrize(
    "write",
    [
        delta,
        lambda text: delta(text, ARGUMENTS, item_id="fc_1"),
        lambda text: delta(text, "response.reasoning_summary_text", summary_index=0),
        lambda text: delta(text, "response.refusal"),
        escaped_delta,
        lambda text: delta(text).replace(b"\n", b"\r\n"),
        lambda text: chat_chunk({"content": text}),
        lambda text: chat_chunk({"reasoning_content": text}),
        chat_call,
    ],
    ids=[
        "text",
        "arguments",
        "reasoning",
        "refusal",
        "escapes",
        "crlf",
        "chat",
        "chat-reasoning",
        "chat-calls",
    ],
)
def test_key_over_deltas_does_not_reach_a_client_with_another_key(
    write: Callable[[str], bytes], size: int
) -> None:
    deltas = [write(f"a {KEY[:size]}"), *map(write, pieces_of(KEY[size:], size)), write(" and")]
    with_others = [each for one in deltas for each in (one, delta("other ", output_index=1))]
    body = received([b"".join(with_others)])
    frames = decode_frames(body)
    assert len(frames) == len(with_others)
    assert [json.loads(each.data.encode())["delta"] for each in frames[1::2] if each.data] == [
        "other "
    ] * len(deltas)
    mine = "".join(_own_text(each.data or "") for each in frames[0::2])
    assert mine.startswith("a ")
    assert mine.endswith("*** and")
    assert len(mine) == len(f"a {KEY} and")
    assert KEY[:4] not in mine
    assert KEY[3:] not in mine


def _own_text(data: str) -> str:
    value = json.loads(data.encode())
    if "delta" in value:
        return str(value["delta"])
    part = value["choices"][0]["delta"]
    if "tool_calls" in part:
        return str(part["tool_calls"][0]["function"]["arguments"])
    return str(part.get("content") or part["reasoning_content"])


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_that_split_the_deltas_do_not_matter(size: int) -> None:
    stream = b"".join(
        [*map(delta, pieces_of(f"It is {KEY}!", 3)), event(f"{TEXT}.done", text=f"It is {KEY}!")]
    )
    body = received([stream[at : at + size] for at in range(0, len(stream), size)])
    assert KEY.encode() not in body
    text = "".join(
        str(json.loads((each.data or "").encode()).get("delta", "")) for each in decode_frames(body)
    )
    assert len(text) == len(f"It is {KEY}!")
    assert text.endswith("***!")


def test_what_only_starts_like_the_key_is_unchanged_and_in_its_order() -> None:
    events = [
        delta("It is a canary"),
        delta("x", output_index=1),
        delta("-4f"),
        delta(" bird"),
        delta(KEY[:9]),
    ]
    done = event("response.completed", response={"id": "resp_1"})
    assert received([*events, done]) == b"".join([*events, done])


def test_ordinary_events_are_not_held_back() -> None:
    """Not even one whose text ends with fewer than four characters of the key."""
    events = delta("It is a can") + b": keep-alive\n\n" + event("response.in_progress", response={})
    partial = b"event: response.completed\ndata: {"
    with streamed_through([events, partial, None, b"}\n\n"]) as (reply, upstream, _):
        pieces = reply.iter_raw()
        seen = b""
        while len(seen) < len(events + partial):
            seen += next(pieces)
        assert seen == events + partial
        upstream.go_on.set()
        assert b"".join(pieces) == b"}\n\n"


def test_the_end_of_the_text_releases_what_was_held_back() -> None:
    events = delta("The canary") + event(f"{TEXT}.done", output_index=0, content_index=0, text="The canary")
    with streamed_through([events, None]) as (reply, upstream, _):
        pieces = reply.iter_raw()
        seen = b""
        while len(seen) < len(events):
            seen += next(pieces)
        assert seen == events
        upstream.go_on.set()


@pytest.mark.parametrize("stalls", [False, True], ids=["end", "stall"])
def test_held_event_is_released_if_the_reply_ends_or_stalls(stalls: bool) -> None:
    events, held = delta("It is "), delta("canary-4")
    chunks = [events, held, None] if stalls else [events, held]
    timeouts = Timeouts(stall=0.5) if stalls else Timeouts()
    seen = b""
    with streamed_through(chunks, timeouts=timeouts) as (reply, _, _):
        try:
            for piece in reply.iter_raw():
                seen += piece
        except httpx.RemoteProtocolError:
            assert stalls
    assert seen == events + held


def test_event_that_is_cut_does_not_complete_the_key() -> None:
    body = received([delta("canary-4f1d"), delta("2c7b9e")[:-4]])
    assert b"2c7b9e" not in body
    assert b"canary-4f1d" not in body


def test_key_in_escapes_and_headers_does_not_reach_the_client() -> None:
    percent = "".join(f"%{ord(each):02X}" for each in KEY)
    text = f'{{"a":"{ESCAPED}","b":"{KEY[:5]}{ESCAPED[30:]}","c":"{percent}"}}'.encode()
    headers = [(b"x-request-id", f"id-{percent}".encode()), (b"retry-after", b"1")]
    with streamed_through(
        [text[at : at + 5] for at in range(0, len(text), 5)],
        content_type=b"application/json",
        headers=headers,
    ) as (reply, _, _):
        value = json.loads(reply.read())
        assert "x-request-id" not in reply.headers
        assert reply.headers["retry-after"] == "1"
    assert [each.rstrip("*") for each in value.values()] == ["[redacted]"] * 3


@pytest.mark.parametrize(("coding", "status"), [("gzip", 200), ("deflate", 200), ("br", 502)])
def test_key_in_a_compressed_reply_does_not_reach_the_client(coding: str, status: int) -> None:
    text = b'{"a":"%s"}' % KEY.encode()
    body = {"gzip": gzip.compress(text), "deflate": zlib.compress(text)}.get(coding, text)
    headers = [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(body))]
    with streamed_through([body], content_type=b"application/json", headers=headers) as (reply, _, _):
        assert reply.status_code == status
        seen = b"".join(reply.iter_raw())
        assert "content-encoding" not in reply.headers
    assert KEY.encode() not in seen
    assert (b"[redacted]" in seen) is (status == 200)


def test_client_that_has_the_key_gets_every_byte() -> None:
    chunks = [delta(each) for each in pieces_of(KEY, 6)]
    options = RelayOptions(forward_keys=True)
    assert received(chunks, options=options, key=KEY) == b"".join(chunks)


@given(st.lists(st.integers(1, 6), max_size=30), st.integers(0, 20))
def test_a_key_that_passes_through_in_pieces_is_masked(sizes: list[int], at: int) -> None:
    data = b"Error: wrong key can, "[:at] + KEY.encode() + b" and can" + KEY[:8].encode()
    key_filter, passed, begin = KeyFilter(KEY), b"", 0
    for size in (*sizes, len(data)):
        passed += key_filter.feed(data[begin : begin + size])
        assert KEY.encode()[:9] not in passed
        begin += size
    passed += key_filter.finish()
    assert passed == data.replace(KEY.encode(), b"[redacted]*******")


@given(st.data())
def test_streams_without_the_key_are_unchanged_in_any_chunks(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from(["can", "canary", "canary-4f1d", "c", "ary", " ", "9e", "é"])))
    lanes = data.draw(st.lists(st.integers(0, 1), min_size=len(texts), max_size=len(texts)))
    by_lane = ["".join(t for t, lane in zip(texts, lanes, strict=True) if lane == one) for one in (0, 1)]
    assert KEY not in "".join(by_lane)
    stream = b"".join(delta(text, output_index=lane) for text, lane in zip(texts, lanes, strict=True))
    stream += data.draw(st.binary(max_size=40))
    size = data.draw(st.integers(1, 300))
    key_filter = StreamKeyFilter(KEY)
    passed = b"".join(key_filter.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert passed + key_filter.finish() == stream


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 1)), min_size=20, max_size=40), st.integers(1, 300)
)
def test_the_key_is_masked_in_any_deltas_and_chunks(cuts: list[tuple[int, int]], chunk_size: int) -> None:
    text, positions, stream = f"is {KEY} and {KEY}.", [0, 0], b""
    for size, lane in (*cuts, (99, 0), (99, 1)):
        at = positions[lane]
        stream += delta(text[at : at + size], output_index=lane)
        positions[lane] += size
    key_filter = StreamKeyFilter(KEY)
    passed = b"".join(
        key_filter.feed(stream[at : at + chunk_size]) for at in range(0, len(stream), chunk_size)
    )
    passed += key_filter.finish()
    values = [json.loads((each.data or "").encode()) for each in decode_frames(passed)]
    for lane in (0, 1):
        mine = "".join(each["delta"] for each in values if each["output_index"] == lane)
        assert len(mine) == len(text)
        assert KEY[:4] not in mine
        assert "2c7b" not in mine
