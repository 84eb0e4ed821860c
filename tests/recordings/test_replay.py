"""Replay: the recorded bytes for the right request, at the recorded pace or another."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive

from mockserver import MockServer
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange, RecordingMetadata, parse_exchange, recorded_chunks
from mockserver.live.pass_through import PassThroughExchange
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.recordings.playback_queue import PlaybackQueue, reply_body
from mockserver.recordings.recording_folder import load_recordings
from mockserver.recordings.recording_warnings import recording_warnings
from mockserver.recordings.replay import INSTANT, REALTIME, PlaybackTimer, Speed, parse_speed, play_recording
from mockserver.server.state.journal import Entry, Journal
from mockserver.wire import json
from tests.api_client import wait_until
from tests.recordings.conftest import CANARY_KEY, HELLO, MODEL, PROFILE, Record, replaying

STREAM = {**HELLO, "stream": True}


def timed_chunks(client: httpx.Client, body: Any = STREAM) -> list[tuple[float, bytes]]:
    """The chunks of a reply, each with the seconds since the request."""
    started = time.perf_counter()
    with client.stream("POST", "/responses", json=body) as reply:
        return [(time.perf_counter() - started, piece) for piece in reply.iter_raw()]


def recorded(at: float = 0, end: str = "complete", head: float = 0, **more: Any) -> RecordingMetadata:
    return RecordingMetadata(
        "2026-11-25T12:00:00Z", "POST", "/responses", end, head_ms=head, end_ms=at, **more
    )


def exchange(*chunks: tuple[float, str], name: str = "one", **more: Any) -> Exchange:
    about = {
        "format": 1,
        "name": name,
        "request": STREAM,
        "match": {},
        "reply": {
            "http": {"status": 200, "chunks": [{"at_ms": at, "text": text} for at, text in chunks]},
        },
    }
    last = max([at for at, _ in chunks], default=0)
    return parse_exchange(json.dumps(about), name)._replace(recorded=more.get("recorded") or recorded(last))


@pytest.mark.parametrize("chunking", ["event", "bytes:11", "random"])
def test_replay_has_the_recorded_bytes(chunking: str, record: Record, tmp_path: Path) -> None:
    """A recording of the replay has the same chunks."""
    with (
        MockServer(seed=3, chunking=chunking, api_key=CANARY_KEY) as server,
        record(server.base_url) as session,
    ):
        server.reply("你好，世界。")
        first = session.client.post("/responses", json=STREAM)
    with replaying(session.recordings) as (client, url):
        assert client.post("/responses", json=STREAM).content == first.content
        with record(url, folder=tmp_path / "again") as again:
            second = again.client.post("/responses", json=STREAM)
    assert second.content == first.content
    once, twice = (
        [data for _, data in recorded_chunks(each.reply["http"])]
        for each in (*session.recordings, *again.recordings)
    )
    assert once == twice
    for name in ("content-type", "x-request-id", "date"):
        assert second.headers[name] == first.headers[name]


@pytest.mark.parametrize(("body", "status"), [(HELLO, 200), ({**HELLO, "temperature": 9}, 400)])
def test_reply_in_one_chunk_keeps_its_length(body: Any, status: int, record: Record) -> None:
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        first = session.client.post("/responses", json=body)
    with replaying(session.recordings) as (client, _):
        second = client.post("/responses", json=body)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.status_code == status
    assert second.headers == first.headers


class FakeTimer:
    """A clock that advances only while waiting; sending a chunk takes 3 ms."""

    def __init__(self) -> None:
        self.time = 100.0
        self.sent: list[float] = []

    async def send(self, message: Any) -> None:
        if message.get("body"):
            self.sent.append(self.time - 100.0)
            self.time += 0.003

    async def wait_for_disconnect(self, receive: Receive, deadline: float) -> bool:
        self.time = max(self.time, deadline)
        return False

    def play(self, each: Exchange, speed: Speed) -> list[float]:
        """When each chunk is sent, in seconds since the request."""

        async def receive() -> Any:
            return {"type": "http.request"}

        async def run() -> None:
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/responses",
                "headers": [],
                "extensions": {},
            }
            timer = PlaybackTimer(lambda: self.time, self.wait_for_disconnect)
            await play_recording(each, PassThroughExchange(scope, self.send), receive, speed, timer)

        asyncio.run(run())
        return self.sent


GAPS = [0.5, 0.02, 0.02, 0.3, 0.02, 1.25, *[0.01] * 200]


@pytest.mark.parametrize(("speed", "factor"), [(REALTIME, 1.0), (Speed(2), 0.5), (Speed(0.5), 2.0)])
def test_gaps_are_kept_and_delays_do_not_add_up(speed: Speed, factor: float) -> None:
    at = [*itertools.accumulate(GAPS)]
    sent = FakeTimer().play(exchange(*[(each * 1000, f"data:{n}\n\n") for n, each in enumerate(at)]), speed)
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *sent])]
    assert all(abs(gap - wanted * factor) < 0.02 for gap, wanted in zip(gaps, GAPS, strict=True))
    assert abs(sent[-1] - at[-1] * factor) < 0.02


def test_instant_replay_does_not_wait() -> None:
    clock = FakeTimer()
    clock.play(exchange((5_000, "a"), (9_000, "b"), recorded=recorded(9_000, head=4_000)), INSTANT)
    assert clock.sent == [0.0, pytest.approx(0.003)]


def test_pacing_on_a_real_connection() -> None:
    deadlines: list[float] = []

    async def wait_for_disconnect(receive: Receive, deadline: float) -> bool:
        deadlines.append(deadline)
        return False

    found = exchange(*[(20.0 * n, f"data:{n}\n\n") for n in range(1, 41)])
    timer = PlaybackTimer(lambda: 0.0, wait_for_disconnect)
    with replaying((found,), REALTIME, timer=timer) as (client, _):
        assert client.post("/responses", json=STREAM).text.count("data:") == 40
    assert deadlines[:40] == [pytest.approx(0.02 * n) for n in range(1, 41)]


@pytest.mark.soak
def test_each_gap_on_a_real_connection() -> None:
    found = exchange(*[(100.0 * n, f"data:{n}\n\n") for n in range(1, 101)])
    with replaying((found,), REALTIME) as (client, _):
        times = [at for at, _ in timed_chunks(client)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(abs(gap - 0.1) < 0.02 for gap in gaps)


def test_nth_occurrence_of_a_request_gets_the_nth_recording(record: Record) -> None:
    with MockServer(seed=3, api_key=CANARY_KEY, strict=False) as server, record(server.base_url) as session:
        bodies = [HELLO, STREAM, HELLO, {**HELLO, "input": "Bye!"}]
        replies = [session.client.post("/responses", json=body).content for body in bodies]
    assert replies[0] != replies[2]
    for once in (False, True):
        with replaying(session.recordings, once=once) as (client, _):
            order = [3, 0, 2, 1]
            assert [client.post("/responses", json=bodies[each]).content for each in order] == [
                replies[each] for each in order
            ]
            more = client.post("/responses", json=HELLO)
            assert more.content == replies[2] if not once else more.json()["code"] == "UnrecordedRequest"


def test_recordings_in_several_files_may_share_a_name() -> None:
    one, other = exchange((0, "a")), exchange((0, "b"))
    queue = PlaybackQueue((one, other._replace(request=HELLO)))
    assert queue.take(queue.canonicalize("POST", "/responses", json.dumps(HELLO))) is not None
    assert queue.unplayed == [one]


def test_requests_match_however_their_json_is_written(record: Record) -> None:
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        first = session.client.post("/responses", json=HELLO)
    with replaying(session.recordings) as (client, _):
        head = {"content-type": "application/json"}
        text = f'{{ "input": "Hello\\u0021",\n "model": "{MODEL}" }}'
        assert client.post("/responses", content=text, headers=head).content == first.content


def test_unrecorded_request_is_an_error_that_names_the_nearest_recording(record: Record) -> None:
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        session.client.post("/responses", json=STREAM)
        session.client.get("/responses/abc")
    with replaying(session.recordings) as (client, _):
        refused = client.post("/responses", json={**STREAM, "input": "Hallo!", "top_p": 0.5})
        assert (refused.status_code, refused.headers["x-should-retry"]) == (400, "false")
        message = refused.json()["message"]
        assert "The nearest is hello-stream-" in message
        assert '/input: recorded "Hello!", got "Hallo!"; /top_p: not recorded, got 0.5' in message
        assert client.get("/responses/abc").status_code == 404
        assert client.post("/elsewhere", json=STREAM).status_code == 400
        assert client.get(str(client.base_url.join("/nowhere"))).status_code == 404


def test_masked_members_do_not_distinguish_requests(record: Record) -> None:
    masks = ("/metadata/*",)
    with (
        MockServer(seed=3, api_key=CANARY_KEY) as server,
        record(server.base_url, masks=masks) as session,
    ):
        body = {**HELLO, "metadata": {"user": "Ann"}}
        first = session.client.post("/responses", json=body)
    with replaying(session.recordings) as (client, _):
        again = client.post("/responses", json={**HELLO, "metadata": {"user": "Bob"}})
        assert again.content == first.content
        assert client.post("/responses", json={**HELLO, "metadata": {"name": "Bob"}}).status_code == 400


@pytest.mark.parametrize("end", ["cut", "left"])
def test_cut_recording_is_cut_again(end: str) -> None:
    found = exchange((0, "data:1\n\n"), recorded=recorded(1, end))
    with (
        replaying((found,)) as (client, _),
        client.stream("POST", "/responses", json=STREAM) as reply,
    ):
        parts = reply.iter_raw()
        assert next(parts) == b"data:1\n\n"
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)


def test_client_disconnect_stops_the_replay() -> None:
    """The server stops without waiting for the next chunk."""
    found = exchange((0, "data:1\n\n"), (600_000, "data:2\n\n"))
    with (
        replaying((found,), REALTIME) as (client, _),
        client.stream("POST", "/responses", json=STREAM) as reply,
    ):
        assert next(reply.iter_raw()) == b"data:1\n\n"


@pytest.mark.parametrize(
    ("text", "factor"), [("realtime", 1), ("instant", 0), ("2x", 2), ("0.5", 0.5), ("10×", 10)]
)
def test_speed_is_parsed(text: str, factor: float) -> None:
    assert parse_speed(text) == Speed(factor)


@pytest.mark.parametrize("text", ["", "fast", "0", "-1x", "1e3", "x2", "nan", "0.0x", "9" * 20])
def test_invalid_speed_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--speed must be"):
        parse_speed(text)


CHUNK = {"text": "x"}


@pytest.mark.parametrize(
    ("about", "pointer"),
    [
        ({"chunks": [{"base64": "A"}]}, "/reply/http/chunks/0"),
        ({"chunks": [{"text": "x", "at_ms": -1}]}, "/reply/http/chunks/0/at_ms"),
        ({"chunks": [{"text": "x", "at_ms": 1e12}]}, "/reply/http/chunks"),
        ({"chunks": [CHUNK], "headers": {"a": "b\r\nset-cookie: c"}}, "/reply/http/headers/a"),
        ({"chunks": [CHUNK], "status": 99}, "/reply/http/status"),
    ],
)
def test_hostile_files_are_rejected(about: dict[str, Any], pointer: str, tmp_path: Path) -> None:
    value = {
        "format": 1,
        "name": "x",
        "request": {},
        "match": {},
        "reply": {"http": {"status": 200, **about}},
    }
    for form in (value, [value]):
        (tmp_path / "one.json").write_bytes(json.dumps(form))
        with pytest.raises(InvalidExchange) as refused:
            load_recordings(tmp_path)
        assert refused.value.pointer.endswith(pointer)


@pytest.mark.parametrize(
    "about",
    [
        {"path": "http://elsewhere/"},
        {"path": "/a b"},
        {"method": "get"},
        {"end": "perhaps"},
        {"upstream": "file:///etc"},
        {"masked": ["x"]},
        {"headers": {"a b": "c"}},
        {"unknown": 1},
        {"at": "yesterday"},
    ],
)
def test_hostile_metadata_of_recordings_is_rejected(about: dict[str, Any], tmp_path: Path) -> None:
    recorded_member = {
        "at": "2026-11-25T12:00:00Z",
        "method": "POST",
        "path": "/responses",
        "end": "complete",
        **about,
    }
    value = {"format": 1, "name": "x", "match": {}, "reply": {"http": {"status": 200, "chunks": []}}}
    (tmp_path / "one.json").write_bytes(json.dumps({**value, "recorded": recorded_member}))
    with pytest.raises(InvalidExchange):
        load_recordings(tmp_path)


def test_wrong_content_length_is_left_out() -> None:
    found = exchange((0, "data:1\n\n"))
    http_ = {**found.reply["http"], "headers": {"content-length": "3", "transfer-encoding": "chunked"}}
    with replaying((found._replace(reply={"http": http_}),)) as (client, _):
        assert client.post("/responses", json=STREAM).content == b"data:1\n\n"


def test_exchange_that_is_not_a_recording_is_rejected(tmp_path: Path) -> None:
    value = {"format": 1, "name": "x", "match": {}, "reply": {"script": {"items": []}}}
    (tmp_path / "x.json").write_bytes(json.dumps(value))
    with pytest.raises(
        InvalidExchange, match="is not a recording; serve it with `mockserver serve --exchanges`"
    ):
        load_recordings(tmp_path)
    (tmp_path / "x.json").unlink()
    with pytest.raises(ConfigurationError, match="there are no recordings"):
        load_recordings(tmp_path)


def test_mock_serves_recordings_as_exchanges(record: Record) -> None:
    """Recordings of create requests match by prompt, tools and stream, as all exchanges do."""
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        first = session.client.post("/responses", json=STREAM)
        session.client.get("/responses/abc")
    with MockServer(exchanges=session.folder) as server, server.httpx() as client:
        assert client.post("/responses", json={**STREAM, "temperature": 1}).content == first.content
        assert client.post("/responses", json={**HELLO, "input": "Else?"}).json()["status"] == "completed"


def test_old_and_unusual_recordings_are_warned_about() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 12, 30, 12, tzinfo=UTC)
    old = exchange(name="old")._replace(profile="qwen-2026-09")
    cut = old._replace(name="cut", recorded=recorded(end="cut"))
    new = old._replace(name="new", recorded=recorded()._replace(at="2026-12-30T11:00:00.123456Z"))
    none = old._replace(name="none", recorded=None)
    january = new._replace(name="january", profile=PROFILE.name)
    strange = new._replace(name="strange", profile="qwen-1999")
    advice = "check them with `mockserver verify --replay`"
    assert [*recording_warnings([new], "qwen-2026-09", now=now)] == []
    assert [*recording_warnings([old, cut, new, none, january, strange], "qwen-2026-09", now=now)] == [
        f"2 recordings older than 30 days (oldest: 35 days); {advice}",
        "1 recording without a date",
        "1 recording with the unknown profile qwen-1999",
        "1 recording with the profile qwen-2026-01, checked against qwen-2026-09",
        "1 recording cut by the endpoint; the replay is cut there too",
    ]
    assert [*recording_warnings([january], PROFILE.name, now=now)] == [
        "1 recording with the profile qwen-2026-01, which is older than qwen-2026-09"
    ]


def test_body_that_is_not_json_is_recorded_and_replayed(record: Record) -> None:
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        head = {"content-type": "application/json"}
        bodies = [b'{"model": ', b"[1,2]", b""]
        replies = [session.client.post("/responses", content=each, headers=head) for each in bodies]
    assert {each.status_code for each in replies} == {400}
    with replaying(session.recordings) as (client, _):
        again = [client.post("/responses", content=each, headers=head).content for each in bodies]
    assert again == [each.content for each in replies]
    assert [reply_body(each) for each in session.recordings] == again


def test_exchanges_are_checked_beside_the_event_loop(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [HELLO, {**HELLO, "input": "Hello, world. " * 10_000}]
    with MockServer(seed=3, api_key=CANARY_KEY) as server, record(server.base_url) as session:
        for body in bodies:
            session.client.post("/responses", json=body)
    threads: list[str] = []
    check = PassThroughChecker.journal_entry

    def check_and_note(self: PassThroughChecker, *arguments: Any) -> Entry:
        threads.append(threading.current_thread().name)
        return check(self, *arguments)

    monkeypatch.setattr(PassThroughChecker, "journal_entry", check_and_note)
    journal = Journal()
    with replaying(session.recordings, journal=journal) as (client, _):
        for body in bodies:
            assert client.post("/responses", json=body).status_code == 200
        wait_until(lambda: len(journal) == len(bodies))
    assert [each.findings for each in journal] == [[], []]
    assert len(threads) == 2
    assert "mockserver" not in threads  # the thread of the loop
