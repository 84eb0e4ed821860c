"""Endpoints that never come to an end, answer with floods, or lead requests astray."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from mockserver.cli import main
from mockserver.live.client import Client, LiveRequest, ReplyEnd, Timeouts, unreachable_reason
from mockserver.live.endpoint import parse_endpoint
from mockserver.profiles import load_profile
from mockserver.server.http.listeners import bind_socket
from mockserver.wire import json
from tests.live.conftest import CANARY_KEY, Verify, child_environment, fake_endpoint, fake_endpoints, verify
from tests.live.upstream import running_upstream, wait_until

__all__ = ["fake_endpoint", "fake_endpoints", "verify"]

PROFILE = load_profile()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

#: A piece that is sent at once, and one that is repeated until the client leaves.
ENDLESS_REPLIES = {
    "head": (b"HTTP/1.1 200 OK\r\nx-pad: ", b"a"),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk-extension": (HEAD + b"5;", b"a"),
    "comments": (HEAD, b"3\r\n:\n\n\r\n"),
    "trailers": (HEAD + b"3\r\n:\n\n\r\n0\r\nx-pad: ", b"a"),
}


@contextmanager
def raw_endpoint(
    pieces: Callable[[], Iterable[bytes]], seconds: float = 0.02
) -> Iterator[tuple[str, list[bytes]]]:
    """An endpoint that sends these pieces with pauses: (its URL, the starts of its requests)."""
    listener, requests, stopping = bind_socket("127.0.0.1", 0), [], threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            data = connection.recv(1 << 16)
            if not data:
                return  # the probe of the connection
            requests.append(data)
            for piece in pieces():
                connection.sendall(piece)
                if stopping.wait(seconds):
                    return

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        stopping.set()
        listener.close()


def endless(name: str) -> Callable[[], Iterator[bytes]]:
    first, rest = ENDLESS_REPLIES[name]

    def pieces() -> Iterator[bytes]:
        yield first
        yield from repeat(rest)

    return pieces


@contextmanager
def client_of(url: str, timeouts: Timeouts) -> Iterator[Client]:
    client = Client(parse_endpoint(url, CANARY_KEY), timeouts)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDLESS_REPLIES)
def test_reply_that_never_ends_is_timed_out(name: str) -> None:
    """Each piece comes long before the limits on silence; the test ends only if the total is kept."""
    with raw_endpoint(endless(name)) as (url, _), client_of(url, Timeouts(total=1.5, stall=30)) as client:
        interaction = client.send(LiveRequest({"stream": True}))
    assert interaction.end is ReplyEnd.TIMED_OUT
    assert interaction.detail == "no complete reply within 1.5 s"
    assert (interaction.status is None) == (name in ("head", "informational"))


def test_handshake_that_never_ends_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.live.client.CONNECT_TIMEOUT", 0.5)
    with raw_endpoint(lambda: [b"\x16\x03\x03\x40\x00", *repeat(b"\x02", 10_000)]) as (url, _):
        endpoint = parse_endpoint(url.replace("http:", "https:"), CANARY_KEY)
        assert unreachable_reason(endpoint) == "no connection within 0.5 s"


def test_command_ends_although_the_head_never_does(verify_url: VerifyUrl) -> None:
    with raw_endpoint(endless("head")) as (url, requests):
        status, report, _ = verify_url(url, "--only", "basic", "--timeout", "0.5")
    assert status == 1
    assert [each["rule"] for each in report["findings"]] == ["LIV-001"]
    assert len(requests) == 1


VerifyUrl = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def verify_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> VerifyUrl:
    """Run `mockserver verify` against a URL: (exit status, JSON report, output)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)

    def run(url: str, *options: str) -> tuple[int, dict[str, Any], str]:
        arguments = ["verify", "--base-url", url, "--profile", PROFILE.name, "--rate", "0"]
        monkeypatch.setattr(sys, "argv", ["mockserver", *arguments, "--report", "json=out.json", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        target = tmp_path / "out.json"
        value = json.loads(target.read_bytes()) if target.exists() else {}
        return int(ended.value.code or 0), value, (out + err).decode()

    return run


def reply_of(body: bytes, content_type: bytes = b"application/json") -> Callable[[], list[bytes]]:
    """A whole reply in one piece."""
    return lambda: [
        b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (content_type, len(body), body)
    ]


def test_reply_of_too_many_chunks_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a time of its own, so their number counts and not only their size."""
    monkeypatch.setattr("mockserver.live.client.MAX_REPLY_CHUNKS", 1000)
    flood = b"1\r\n:\r\n" * 5000
    with raw_endpoint(lambda: [HEAD, *repeat(flood, 10)]) as (url, _), client_of(url, Timeouts()) as client:
        interaction = client.send(LiveRequest({"stream": True}))
    assert interaction.end is ReplyEnd.TOO_LONG
    assert len(interaction.chunks) == 1001


def test_run_ends_when_its_replies_are_too_large_together(
    verify_url: VerifyUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mockserver.live.budgeted_client._MAX_RUN_BYTES", 1 << 20)
    with raw_endpoint(reply_of(b'{"a":"%b"}' % (b"x" * (600 << 10)))) as (url, requests):
        _, report, _ = verify_url(url)
    assert len(requests) == 2
    assert "the replies have more than 1 MiB" in {each["reason"] for each in report["probes"]}
    assert report["plan"]["incomplete"]


#: Replies in which every member or item is wrong; all names differ.
FLOODS = {
    "members": b'{"object":"response",%b}' % b",".join(b'"n%d":0' % number for number in range(20_000)),
    "items": b'{"object":"response","output":[%b]}'
    % b",".join(b'{"type":"t%d"}' % number for number in range(20_000)),
    "bad-items": b'{"object":"response","output":[%b]}' % b",".join([b'{"type":"message","id":1}'] * 20_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_flood_of_wrong_members_gets_a_small_report(name: str, verify_url: VerifyUrl, tmp_path: Path) -> None:
    forms = ("text", "junit", "markdown", "html")
    reports = [option for form in forms for option in ("--report", f"{form}={form}.out")]
    with raw_endpoint(reply_of(FLOODS[name])) as (url, _):
        status, report, printed = verify_url(url, "--only", "basic", *reports)
    assert status == 1
    assert 0 < len(report["findings"]) <= 1000
    assert report["findings"][0]["verdict"] == "fail"
    sizes = {form: (tmp_path / f"{form}.out").stat().st_size for form in forms}
    assert max(sizes.values()) < 8 << 20, sizes
    assert len(printed) < 8 << 20
    if report["findings_left_out"]:
        assert f"and {report['findings_left_out']:,} more findings" in printed


def test_page_shows_the_start_of_a_large_reply(verify_url: VerifyUrl, tmp_path: Path) -> None:
    """It is cut before the string that is too long, since that may be a credential."""
    start = b'{"object":"response","note":"'
    body = start + b"x" * (4 << 20) + b'"}'
    with raw_endpoint(reply_of(body)) as (url, _):
        verify_url(url, "--only", "basic", "--report", "html=page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"the first {len(start)} of {len(body):,} bytes" in page
    assert len(page) < 1 << 20


def test_page_shows_the_first_events_of_a_large_stream(verify_url: VerifyUrl, tmp_path: Path) -> None:
    event = b'data: {"type":"response.note","note":"%b"}\n\n' % (b"x" * 1000)
    body = event * 2000
    with raw_endpoint(reply_of(body, b"text/event-stream")) as (url, _):
        verify_url(url, "--only", "stream", "--report", "html=page.html")
    page = (tmp_path / "page.html").read_text()
    shown = (512 << 10) // len(event) * len(event)
    assert f"the first {shown:,} of {len(body):,} bytes" in page


def test_reports_are_written_once(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewriting all of them after each probe takes time that grows with the square of the probes."""
    written: list[Path] = []
    monkeypatch.setattr("mockserver.cli.verify.replace_report", lambda target, text: written.append(target))
    verify(
        "honest", "--only", "basic", "--only", "incomplete", "--only", "stream", "--report", "html=page.html"
    )
    assert len(written) == 2


@pytest.mark.parametrize("replay", [False, True])
def test_report_that_cannot_be_written_costs_no_request(
    replay: bool, verify_url: VerifyUrl, tmp_path: Path
) -> None:
    options = ["--replay", str(_recording(tmp_path, "/responses"))] if replay else []
    with raw_endpoint(reply_of(b"{}")) as (url, requests):
        status, _, printed = verify_url(url, *options, "--report", "text=no-such-folder/out.txt")
    assert status == 2
    assert printed.splitlines()[-1] == (
        "mockserver: cannot write no-such-folder/out.txt: No such file or directory"
    )
    assert requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right")
def test_report_through_a_link_is_written_where_it_leads(verify_url: VerifyUrl, tmp_path: Path) -> None:
    """Else root would replace the device of `--report text=/dev/stdout`."""
    link = tmp_path / "link"
    link.symlink_to("target")
    with raw_endpoint(reply_of(b"{}")) as (url, _):
        verify_url(url, "--only", "basic", "--report", f"text={link}")
    assert link.is_symlink()
    assert url in (tmp_path / "target").read_text()


@pytest.mark.parametrize("path", ["/../other", "/%2e%2e/other", "/responses/..%2f..%5cother"])
def test_client_keeps_requests_below_the_base_path(path: str) -> None:
    """The path may hold an id that the endpoint chose, or come from a recording of somebody else."""
    with running_upstream() as upstream, client_of(f"{upstream.url}/v1", Timeouts()) as client:
        interaction = client.send(LiveRequest(method="GET", path=path))
    assert (interaction.end, interaction.status) == (ReplyEnd.NOT_SENT, None)
    assert upstream.targets == []


def test_id_that_leads_elsewhere_is_a_finding(verify_url: VerifyUrl) -> None:
    later = load_profile("qwen-2026-09")
    body = json.dumps({"id": "../../other", "object": "response", "status": "completed"})
    with raw_endpoint(reply_of(body)) as (url, requests):
        status, report, _ = verify_url(url, "--profile", later.name, "--only", "retrieve")
    assert status == 1
    assert [request.split(b" ")[1] for request in requests] == [b"/responses"]
    assert report["probes"][0]["requests"][-1]["end"] == "not sent"


def _recording(folder: Path, path: str) -> Path:
    recorded = {
        "at": "2026-05-01T00:00:00.000000Z",
        "method": "POST",
        "path": path,
        "upstream": "https://example.com/v1",
        "headers": {},
        "head_ms": 1,
        "end_ms": 2,
        "end": "complete",
        "tool": "made",
    }
    value = {
        "format": 1,
        "name": "made",
        "source": "made",
        "profile": PROFILE.name,
        "request": {"model": PROFILE.models[0], "input": "Hello!"},
        "match": {},
        "reply": {"http": {"status": 200, "headers": {}, "chunks": [{"at_ms": 1, "text": "{}"}]}},
        "recorded": recorded,
    }
    file = folder / "made.json"
    file.write_bytes(json.dumps(value))
    return file


def test_recorded_path_that_leads_elsewhere_is_not_sent(verify_url: VerifyUrl, tmp_path: Path) -> None:
    recording = _recording(tmp_path, "/../../other")
    with raw_endpoint(reply_of(b"{}")) as (url, requests):
        status, _, printed = verify_url(url, "--replay", str(recording))
    assert status == 2
    assert "not sent: its path could leave the base path" in printed
    assert requests == []


def test_interrupt_before_the_first_probe_exits_with_2() -> None:
    """The reply that detects the profile does not end."""
    with raw_endpoint(endless("head")) as (url, requests):
        process = subprocess.Popen(
            [sys.executable, "-m", "mockserver", "verify", "--base-url", url],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: bool(requests))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == b"mockserver: interrupted\n"


def test_interrupt_ends_a_request_under_way() -> None:
    """The client closes although the endpoint says nothing for minutes."""
    with running_upstream(None) as upstream:
        client = Client(parse_endpoint(upstream.url, CANARY_KEY), Timeouts(total=600))
        thread = threading.Thread(
            target=lambda: _ignore_errors(lambda: client.send(LiveRequest({}))), daemon=True
        )
        thread.start()
        wait_until(lambda: bool(upstream.targets))
        client.close()
        thread.join(60)
        assert not thread.is_alive()


def _ignore_errors(work: Callable[[], Any]) -> None:
    with suppress(BaseException):
        work()
