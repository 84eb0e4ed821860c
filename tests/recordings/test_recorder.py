"""Recording: the bytes, chunks and times of replies, and never a key."""

from __future__ import annotations

import gzip
import threading
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver import FunctionCall, Message, MockServer
from mockserver.contract.check import check_stream
from mockserver.contract.findings import Severity
from mockserver.exchanges import recorded_chunks
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import load_profile
from mockserver.recordings.playback_queue import reply_body
from mockserver.server.state.journal import Journal
from mockserver.wire import json
from mockserver.wire.sse import decode_frames
from tests.live.upstream import running_upstream, wait_until
from tests.recordings.conftest import CANARY_KEY, HELLO, PROFILE, Record, RecordingSession, replaying

STREAM = {**HELLO, "stream": True}


def seeded_mock(**settings: Any) -> MockServer:
    return MockServer(seed=3, api_key=CANARY_KEY, strict=False, **settings)


def all_written_text(folder: Path) -> str:
    """The names and contents of all written files."""
    return "\n".join(
        f"{file}\n{file.read_text(errors='replace')}" for file in folder.rglob("*") if file.is_file()
    )


@pytest.mark.parametrize("chunking", ["event", "coalesced", "bytes:7"])
def test_recording_has_the_chunks_of_the_reply(chunking: str, record: Record) -> None:
    with seeded_mock(chunking=chunking) as server, record(server.base_url) as session:
        server.reply("你好，世界。 Ça va?")
        reply = session.client.post("/responses", json=STREAM)
    (exchange,) = session.recordings
    assert reply_body(exchange) == reply.content == b"".join(server.journal.last.reply)
    sizes = [len(data) for _, data in recorded_chunks(exchange.reply["http"])]
    if chunking == "bytes:7":
        assert set(sizes[:-1]) == {7}
        assert any("base64" in chunk for chunk in exchange.reply["http"]["chunks"])
    else:
        assert len(sizes) == (1 if chunking == "coalesced" else reply.text.count("\n\n"))
    assert exchange.recorded is not None
    assert exchange.recorded.end == "complete"
    assert exchange.profile == PROFILE.name


def test_times_are_times_of_arrival(record: Record) -> None:
    with seeded_mock(pace="fixed:30") as server, record(server.base_url) as session:
        session.client.post("/responses", json=STREAM)
    (exchange,) = session.recordings
    times = [at for at, _ in recorded_chunks(exchange.reply["http"])]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 0.03 * (len(times) - 1) - 0.02
    recorded = exchange.recorded
    assert recorded is not None
    assert recorded.end_ms >= times[-1] * 1000 - 0.01


def test_recorder_buffers_nothing(fake_endpoint: str, record: Record) -> None:
    """The first chunks arrive while the endpoint is silent, for longer than the client would wait."""
    with (
        record(f"{fake_endpoint}/stalled{PROFILE.base_path}") as session,
        session.client.stream("POST", "/responses", json=STREAM) as reply,
    ):
        chunks = reply.iter_raw()
        assert [next(chunks)[:3] for _ in range(3)] == [b"id:"] * 3


def test_names_describe_the_request_and_do_not_collide(record: Record, tmp_path: Path) -> None:
    names: list[list[str]] = []
    for number in range(2):
        with seeded_mock() as server, record(server.base_url, folder=tmp_path / str(number)) as session:
            requests = [post_arguments({**STREAM, "input": f"Say {each % 3}!"}) for each in range(18)]
            url = f"{session.url}/responses"
            threads = [threading.Thread(target=httpx.post, args=(url,), kwargs=each) for each in requests]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert not [*session.folder.glob(".*")]
        names.append(sorted(each.name for each in session.recordings))
    assert names[0] == names[1]
    stems = sorted({name.rpartition("-")[0] for name in names[0]})
    assert names[0] == [f"{stem}-{number:03}" for stem in stems for number in range(1, 7)]
    assert [stem.rpartition("-")[0] for stem in stems] == [f"say-{each}-stream" for each in range(3)]


def post_arguments(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "json": body,
        "headers": {"authorization": f"Bearer {CANARY_KEY}"},
        "timeout": 60,
        "trust_env": False,
    }


def test_second_run_continues_the_numbers(record: Record) -> None:
    for _ in range(2):
        with seeded_mock() as server, record(server.base_url) as session:
            session.client.post("/responses", json=HELLO)
    assert [each.name.rpartition("-")[2] for each in session.recordings] == ["001", "002"]


@pytest.mark.parametrize(("deviation", "end"), [("closed-early", "cut"), ("stalled", "left")])
def test_cut_reply_is_recorded_with_its_end(
    deviation: str, end: str, fake_endpoint: str, record: Record
) -> None:
    with (
        record(f"{fake_endpoint}/{deviation}{PROFILE.base_path}") as session,
        session.client.stream("POST", "/responses", json=STREAM) as reply,
    ):
        chunks = reply.iter_raw()
        first = next(chunks)
        if end == "cut":
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
    (exchange,) = session.recordings
    assert exchange.recorded is not None
    assert exchange.recorded.end == end
    assert reply_body(exchange).startswith(first)
    assert session.results[0].problem == (
        "the endpoint cut the reply" if end == "cut" else "the client disconnected before the end"
    )


def test_redirect_is_passed_on_without_its_location(fake_endpoint: str, record: Record) -> None:
    with record(f"{fake_endpoint}/redirect{PROFILE.base_path}") as session:
        reply = session.client.post("/responses", json=HELLO)
    assert (reply.status_code, reply.headers.get("location")) == (307, None)
    (exchange,) = session.recordings
    assert exchange.reply["http"]["status"] == 307
    assert "location" not in exchange.reply["http"]["headers"]


def test_unreachable_endpoint_leaves_no_recording(record: Record, tmp_path: Path) -> None:
    with record("http://127.0.0.1:9/v1") as session:
        assert session.client.post("/responses", json=HELLO).status_code == 502
    assert session.results[0].problem == "not recorded: the endpoint did not reply"
    assert [*session.folder.iterdir()] == []


def test_only_listed_headers_pass(record: Record) -> None:
    with seeded_mock() as server, record(server.base_url) as session:
        headers = {"cookie": "a=b", "x-secret": "c", "x-dashscope-session-cache": "enable"}
        session.client.post("/responses", json=HELLO, headers=headers)
        forwarded = server.journal.last.headers
    assert "x-dashscope-session-cache" in forwarded
    assert not {"cookie", "x-secret"} & forwarded.keys()
    (exchange,) = session.recordings
    assert exchange.recorded is not None
    assert not {"authorization", "cookie", "x-secret", "host"} & exchange.recorded.headers.keys()


def test_header_named_by_option_passes(record: Record) -> None:
    named = frozenset({b"x-tenant"})
    with seeded_mock() as server, record(server.base_url, extra_headers=named) as session:
        session.client.post("/responses", json=HELLO, headers={"x-tenant": "blue"})
        assert "x-tenant" in server.journal.last.headers


def test_findings_are_reported(fake_endpoint: str, record: Record) -> None:
    with record(f"{fake_endpoint}/usage-total{PROFILE.base_path}") as session:
        session.client.post("/responses", json={**HELLO, "temperature": 1, "no_such": 1})
    found = {each.rule: each.severity for each in session.results[0].findings}
    assert found["USE-001"] is Severity.ERROR
    assert found["REQ-002"] is Severity.INFO


def test_recorded_stream_with_a_masked_key_keeps_the_contract(record: Record) -> None:
    """The deltas still add up to the text and to the arguments, and these are still JSON."""
    key = "response-tokens"
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
    upstream = MockServer(seed=3, chunking="bytes:7", api_key=key)
    with upstream as server, record(server.base_url, key=key) as session:
        text = Message(chunks=(f"It is {key[:6]}", f"{key[6:]}, so it is {key}."))
        server.reply([text, FunctionCall("look_up", {"key": key, "size": 7})])
        reply = session.client.post("/responses", json={**STREAM, "tools": [tool]})
        assert key in reply.text
    (exchange,) = session.recordings
    body = reply_body(exchange)
    assert key not in all_written_text(session.folder)
    assert [each for each in check_stream(body, PROFILE.name) if each.severity is Severity.ERROR] == []
    values = [json.loads(each.data.encode()) for each in decode_frames(body) if each.data]
    texts = {}
    for kind in ("output_text", "function_call_arguments"):
        texts[kind] = "".join(each["delta"] for each in values if each["type"] == f"response.{kind}.delta")
        assert key not in texts[kind]
    assert texts["output_text"].startswith("It is [redacted]")
    assert json.loads(texts["function_call_arguments"].encode())["size"] == 7


def test_header_with_a_key_is_masked_as_a_whole(fake_endpoint: str, record: Record) -> None:
    with record(f"{fake_endpoint}{PROFILE.base_path}") as session:
        session.client.post("/responses", json=HELLO, headers={"user-agent": f"mine/1 ({CANARY_KEY})"})
    (exchange,) = session.recordings
    assert exchange.recorded is not None
    assert exchange.recorded.headers["user-agent"] == "[redacted]"


SECRETS = ("sk-mcp-0123456789abcdef", "a-quiet-secret-99", "sk-of-somebody-else-4711aa")


def test_no_key_is_written_whoever_sends_it(fake_endpoint: str, record: Record, tmp_path: Path) -> None:
    """The endpoint sends the key back in headers and bodies, in one chunk and across chunks."""
    tools = [
        {"type": "mcp", "server_label": "s", "headers": {"X-Api": SECRETS[0]}, "authorization": SECRETS[1]}
    ]
    body = {
        **HELLO,
        "input": f"My key is {CANARY_KEY}, and {SECRETS[2]}",
        "tools": tools,
        "user": "private-person",
    }
    with record(f"{fake_endpoint}/key-in-body{PROFILE.base_path}", masks=("/user",)) as session:
        for stream in (False, True):
            reply = session.client.post("/responses", json={**body, "stream": stream})
            assert reply.status_code == 200
            assert CANARY_KEY in reply.text  # the client has the key, and gets the bytes as they are
        session.client.get(f"/responses/{CANARY_KEY}?note={SECRETS[2]}")
    text = all_written_text(tmp_path)
    for secret in (CANARY_KEY, *SECRETS, "private-person"):
        assert secret not in text
        assert secret.lower() not in str([*tmp_path.rglob("*")]).lower()
    first = session.recordings[0]
    assert first.request is not None
    assert first.request["user"] == "[masked]"
    assert first.request["tools"][0]["authorization"] == "[masked]"
    assert len(session.recordings) == 3


def test_key_across_chunks_is_masked_in_place(record: Record) -> None:
    with seeded_mock(chunking="bytes:5") as server, record(server.base_url) as session:
        server.reply(chunks=[f"Yours is {CANARY_KEY}!"])
        reply = session.client.post("/responses", json={**STREAM, "input": "Which key?"})
    (exchange,) = session.recordings
    body = reply_body(exchange)
    assert CANARY_KEY.encode() in reply.content
    assert CANARY_KEY.encode() not in body
    assert len(body) == len(reply.content)
    assert body.count(b"Yours is [redacted]**********!") == reply.text.count(f"Yours is {CANARY_KEY}!") > 1
    assert {len(data) for _, data in recorded_chunks(exchange.reply["http"])} <= {5, len(body) % 5}


@pytest.mark.parametrize(
    "path",
    ["/responses/a%20b", "/responses/%e4?x=%C3%A9&y=a b", "/responses/a%2Fb", f"/responses/{'x' * 5000}"],
)
def test_odd_paths_are_forwarded_as_received(path: str, record: Record) -> None:
    with seeded_mock() as server, record(server.base_url) as session:
        reply = session.client.get(path)
        direct = server.httpx().get(path)
    assert (reply.status_code, reply.json()["code"]) == (direct.status_code, direct.json()["code"])
    if len(path) > 4000:
        assert session.results[0].problem.startswith("not recorded: ")
        assert [*session.folder.iterdir()] == []
        return
    (exchange,) = session.recordings
    assert exchange.recorded is not None
    assert exchange.recorded.path == path.replace(" ", "%20")


def test_compressed_reply_is_passed_on_and_not_recorded(fake_endpoint: str, record: Record) -> None:
    """A key in it could not be masked. The fake endpoint only claims that it is compressed."""
    with (
        record(f"{fake_endpoint}/compressed{PROFILE.base_path}") as session,
        session.client.stream("POST", "/responses", json=HELLO) as reply,
    ):
        assert b"".join(reply.iter_raw()).startswith(b"{")
    assert "is compressed" in session.results[0].problem
    assert [*session.folder.iterdir()] == []


@pytest.mark.parametrize(("deviation", "status"), [("key-refused", 401), ("throttled", 429), ("broken", 503)])
def test_access_error_does_not_take_the_place_of_a_good_recording(
    deviation: str, status: int, fake_endpoint: str, record: Record
) -> None:
    """A replay would play it after the good recording of the same request, and repeat it."""
    for path in (deviation, "honest", deviation):
        with record(f"{fake_endpoint}/{path}{PROFILE.base_path}") as session:
            session.client.post("/responses", json=HELLO)
    assert [each.reply["http"]["status"] for each in session.recordings] == [status, 200]
    assert session.results[0].problem == (
        f"not recorded: HTTP status {status}, and the request has a good recording; "
        "--record-errors records it"
    )
    with record(f"{fake_endpoint}/{deviation}{PROFILE.base_path}", record_errors=True) as session:
        session.client.post("/responses", json=HELLO)
    assert [each.reply["http"]["status"] for each in session.recordings] == [status, 200, status]


def test_wrong_key_leaves_good_recordings_as_they_are(record: Record) -> None:
    with seeded_mock() as server:
        for key in (CANARY_KEY, "sk-wrong-0123456789"):
            with record(server.base_url, key=key) as session:
                session.client.post("/responses", json=HELLO)
    (exchange,) = session.recordings
    assert exchange.reply["http"]["status"] == 200


@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-09"])
def test_first_reply_decides_the_profile_of_recordings(profile: str, record: Record) -> None:
    """`/v1` is the path of every gateway, so it decides nothing."""
    model = load_profile(profile).models[0]
    with MockServer(seed=3, api_key=CANARY_KEY, profile=profile) as server:
        root = server.base_url.removesuffix(load_profile(profile).base_path)
        with record(f"{root}/v1", detect_profile=True) as session:
            session.client.post("/responses", json={"model": "no-such-model", "input": "Hello!"})
            session.client.post("/responses", json={"model": model, "input": "Hello!", "stream": True})
            session.client.post("/responses", json={"model": model, "input": "Hello!"})
    assert [each.profile for each in session.recordings][1:] == [profile, profile]
    assert [each.rule for result in session.results[1:] for each in result.findings] == []


def post(session: RecordingSession, content: Any, **headers: str) -> httpx.Response:
    head = {"content-type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}
    return session.client.post("/responses", content=content, headers=head)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_above_the_limit_is_passed_on_and_not_recorded(is_chunked: bool, record: Record) -> None:
    body = json.dumps({**HELLO, "input": "x" * (3 << 20)})
    content = (body[at : at + 100_000] for at in range(0, len(body), 100_000)) if is_chunked else body
    with seeded_mock() as server, record(server.base_url, max_body=1 << 20, forward_unread=True) as session:
        reply = post(session, (each for each in content) if is_chunked else body)
        assert server.journal.last.body == body
        again = post(session, json.dumps(HELLO))
    assert (reply.status_code, again.status_code) == (200, 200)
    assert session.results[0].problem == (
        "not recorded: the request's body has more than 1048576 bytes (--max-body)"
    )
    (exchange,) = session.recordings
    assert exchange.request == HELLO
    assert exchange.name.endswith("-001")


def test_a_body_that_the_endpoint_finds_too_large_gets_its_reply(record: Record) -> None:
    with (
        seeded_mock(max_body="2MiB") as server,
        record(server.base_url, max_body=1 << 20, forward_unread=True) as session,
    ):
        reply = post(session, json.dumps({**HELLO, "input": "x" * (8 << 20)}))
    assert (reply.status_code, reply.json()["code"]) == (413, "BadRequest.TooLarge")
    assert [*session.folder.iterdir()] == []


def test_a_compressed_request_is_recorded_as_it_reads(record: Record) -> None:
    body = {**HELLO, "tools": [{"type": "mcp", "server_label": "s", "authorization": SECRETS[1]}]}
    with seeded_mock() as server, record(server.base_url) as session:
        for coding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
            data = compress(json.dumps(body))
            assert post(session, data, content_encoding=coding).status_code == 200
            assert server.journal.last.request_head.headers.count((b"content-encoding", coding.encode())) == 1
        assert post(session, gzip.compress(json.dumps(HELLO)), content_encoding="gzip").status_code == 200
    text = all_written_text(session.folder)
    assert SECRETS[1] not in text
    assert "content-encoding" not in text
    assert [(each.request or {}).keys() for each in session.recordings].count(HELLO.keys()) == 1
    with replaying(session.recordings) as (client, _):
        head = {"content-type": "application/json", "content-encoding": "deflate"}
        again = client.post("/responses", content=zlib.compress(json.dumps(HELLO)), headers=head)
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("content", "coding", "problem", "rules"),
    [
        (b"anything", "compress", "the request's body cannot be read: its Content-Encoding 'compress'", []),
        (json.dumps(HELLO), "gzip", "the request's body is not gzip data", ["SCH-006"]),
        (gzip.compress(b" " * (2 << 20)), "gzip", "the request's decoded body has more than 1048576", []),
        (b'{"input": "\xff"}', "identity", "the request's body is not UTF-8", ["SCH-006"]),
        (b'{"tools": [{"authorization": "quiet-', "identity", "the request's body is not JSON", ["SCH-006"]),
        (b'{"user": "quiet-', "identity", "the request's body is not JSON", ["SCH-006"]),
        (b'{"\\u0075ser": "quiet-', "identity", "the request's body is not JSON", ["SCH-006"]),
    ],
)
def test_a_request_that_cannot_be_read_is_passed_on_and_not_recorded(
    content: bytes, coding: str, problem: str, rules: list[str], record: Record
) -> None:
    """A key in it could not be masked."""
    with (
        seeded_mock() as server,
        record(server.base_url, masks=("/user",), max_body=1 << 20, forward_unread=True) as session,
    ):
        status = post(session, content, content_encoding=coding).status_code
        assert status == post_directly(server, content, coding)
        assert len(server.journal) == 2
    assert session.results[0].problem.startswith(f"not recorded: {problem}")
    assert [each.rule for each in session.results[0].findings if each.rule == "SCH-006"] == rules
    assert [*session.folder.iterdir()] == []


def post_directly(server: MockServer, content: bytes, coding: str) -> int:
    head = {
        "content-type": "application/json",
        "content-encoding": coding,
        "authorization": f"Bearer {CANARY_KEY}",
    }
    return httpx.post(
        f"{server.base_url}/responses", content=content, headers=head, trust_env=False
    ).status_code


def test_requests_that_only_look_alike_are_different(record: Record) -> None:
    """What is not UTF-8 becomes a replacement character as text."""
    with seeded_mock() as server, record(server.base_url) as session:
        post(session, '"\ufffd"'.encode())
    with replaying(session.recordings) as (client, _):
        head = {"content-type": "application/json"}
        assert (
            client.post("/responses", content=b'"\xff"', headers=head).json()["code"] == "UnrecordedRequest"
        )


def test_slow_check_delays_no_recording(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    release, check = threading.Event(), PassThroughChecker.journal_entry

    def check_late(*arguments: Any) -> Any:
        assert release.wait(60)
        return check(*arguments)

    monkeypatch.setattr(PassThroughChecker, "journal_entry", check_late)
    with seeded_mock() as server, record(server.base_url) as session:
        for _ in range(3):
            session.client.post("/responses", json={**HELLO, "temperature": 9})
        wait_until(lambda: len([*session.folder.glob("*.json")]) == 3)
        assert session.results == []
        release.set()
    assert [each.file is not None for each in session.results] == [True] * 3
    assert [each.unchecked_reason for each in session.results] == [""] * 3
    assert {finding.rule for each in session.results for finding in each.findings} == {"REQ-001"}


def test_check_that_does_not_end_is_reported(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(PassThroughChecker, "journal_entry", lambda *_: release.wait(60))
    with seeded_mock() as server, record(server.base_url, check_seconds=0.05) as session:
        for _ in range(2):
            session.client.post("/responses", json=HELLO)
    release.set()
    assert [each.unchecked_reason for each in session.results] == ["the checks took too long"] * 2
    assert [each.problem for each in session.results] == [""] * 2
    assert len(session.recordings) == 2


def test_check_that_fails_is_reported(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise TypeError(CANARY_KEY)

    monkeypatch.setattr(PassThroughChecker, "journal_entry", fail)
    with seeded_mock() as server, record(server.base_url) as session:
        session.client.post("/responses", json=HELLO)
    assert session.results[0].unchecked_reason.startswith("internal error: TypeError in fail:")
    assert len(session.recordings) == 1


def test_replies_that_wait_for_their_check_are_bounded(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(PassThroughChecker, "journal_entry", lambda *_: release.wait(60))
    monkeypatch.setattr("mockserver.recordings.recorder._MAX_UNCHECKED_BYTES", 3000)
    with seeded_mock() as server, record(server.base_url, check_seconds=0.05) as session:
        for _ in range(9):
            session.client.post("/responses", json=HELLO)
        wait_until(lambda: bool(session.results))
    release.set()
    reasons = [each.unchecked_reason for each in session.results]
    assert len(reasons) == len(session.recordings) == 9
    assert 0 < reasons.count("the checks took too long") < 9
    assert reasons.count("too many replies wait for their check") > 0


def test_recording_that_cannot_be_written_is_lost(record: Record) -> None:
    """The folder is gone for a while; what comes later is recorded."""
    with seeded_mock() as server, record(server.base_url) as session:
        session.folder.rmdir()
        session.client.post("/responses", json=HELLO)
        wait_until(lambda: len(session.results) == 1)
        session.folder.mkdir()
        session.client.post("/responses", json=STREAM)
    assert session.results[0].problem == "not recorded: No such file or directory"
    assert [each.is_lost for each in session.results] == [True, False]
    assert len(session.recordings) == 1


def test_strange_file_in_the_folder_costs_no_recording(fake_endpoint: str, record: Record) -> None:
    """Whether an error is recorded depends on the earlier recordings of the request."""
    upstream = f"{fake_endpoint}/broken{PROFILE.base_path}"
    with record(upstream) as session:
        session.client.post("/responses", json=HELLO)
    (file,) = session.folder.glob("*.json")
    for number, content in enumerate([b"{}", b"[1", b"null", b'{"reply":{"body":{}}}'], start=2):
        file.with_name(file.name.replace("001", f"00{number}")).write_bytes(content)
    with record(upstream) as session:
        session.client.post("/responses", json=HELLO)
    assert [each.problem for each in session.results] == [""]
    assert session.results[0].file is not None


def test_client_that_leaves_before_the_reply_has_no_recording(record: Record) -> None:
    with running_upstream(None) as upstream, record(upstream.url + "/v1") as session:
        with pytest.raises(httpx.ReadTimeout):
            session.client.post("/responses", json=HELLO, timeout=0.2)
        wait_until(lambda: bool(session.results))
        assert upstream.open_count == 0
    (result,) = session.results
    assert result.problem == "not recorded: the client disconnected before the endpoint replied"
    assert not result.is_lost


LATER = load_profile("qwen-2026-09")
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]


@pytest.mark.parametrize("member", ["previous_response_id", "conversation"])
def test_recording_and_replay_compare_a_turn_with_the_one_before(member: str, record: Record) -> None:
    with seeded_mock(profile=LATER.name) as server:
        server.reply(FunctionCall("f", "{}", call_id="call_1"))
        server.reply("Done.").always()
        with record(server.base_url, key=server.api_key, profile=LATER) as session:
            conversation = session.client.post("/conversations", json={}).json()["id"]
            first = {"model": server.model, "input": "Call f.", "tools": TOOLS}
            if member == "conversation":
                first[member] = conversation
            response = session.client.post("/responses", json=first).json()
            parent = conversation if member == "conversation" else response["id"]
            output = {"type": "function_call_output", "call_id": "call_2", "output": "1"}
            wrong = {**first, "input": [output], member: parent}
            session.client.post("/responses", json=wrong)
    assert [each.rule for each in session.results[-1].findings] == ["REQ-007"]

    journal = Journal()
    with replaying(session.recordings, profile=LATER, journal=journal) as (client, _):
        for path, body in (("/conversations", {}), ("/responses", first), ("/responses", wrong)):
            client.post(path, json=body)
    assert [each.rule for each in journal.last.findings] == ["REQ-007"]


def test_chat_requests_are_checked_while_they_are_recorded(record: Record) -> None:
    with (
        seeded_mock(profile=LATER.name) as server,
        record(server.base_url, key=server.api_key, profile=LATER) as session,
    ):
        tool = {"role": "tool", "tool_call_id": "call_zzz", "content": "1"}
        messages = [{"role": "user", "content": "Hello!"}, tool]
        session.client.post("/chat/completions", json={"model": server.model, "messages": messages})
    assert [each.rule for each in session.results[-1].findings] == ["REQ-007"]
