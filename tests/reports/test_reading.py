"""Files and requests as values of a report: what is where, findings in their places, no keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.contract.files import check_file
from mockserver.contract.findings import Severity
from mockserver.reports.covering import coverage_of
from mockserver.reports.events import Piece
from mockserver.reports.model import Exchange
from mockserver.reports.packing import packed, unpacked
from mockserver.reports.reading import Asked, read_asked, read_file
from tests.contract import samples
from tests.reports.making import exchange_file, framed

KEY = "sk-canary-77aa31"
SECRET = "open sesame"
REQUEST = {"model": "qwen3-max-2026-01-23", "input": "Hello!", "temperature": 9}
ANSWERING = "/api/v2/apps/protocols/compatible-mode/v1/responses"


def read(data: bytes, kind: str = "auto") -> Exchange:
    verdict = check_file(data, kind=kind)
    return read_file("a file", data, verdict.kind, verdict.findings, verdict.profile, verdict.profile_reason)


def places(told: Exchange) -> list[tuple[str, str, str]]:
    return [(mark.finding.rule, mark.part, mark.pointer) for mark in told.marks]


def asked(request: Any = REQUEST, reply: bytes = b"", **about: Any) -> Asked:
    pieces: tuple[Piece, ...] = ((0.5, reply),)
    given = {"name": "one", "profile": "qwen-2026-01", "method": "POST", "path": ANSWERING, "status": 200}
    return Asked(request=json.dumps(request).encode(), pieces=pieces, **{**given, **about})


def test_a_request() -> None:
    told = read(json.dumps(REQUEST).encode())
    assert told.request is not None
    assert (told.reply, told.stream) == (None, None)
    assert places(told) == [("REQ-001", "request", "/temperature")]


def test_a_stream_shows_its_last_response_as_the_reply() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    told = read(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\n\r\n" + framed(events)
    )
    assert told.stream is not None
    assert told.reply is not None
    assert ("TXT-001", "stream", "/text") in places(told)
    assert json.loads(told.reply.text) == events[-1]["response"]
    assert told.reply.title == "Reply · 200 · as of response.completed"
    assert told.reply.head == (("content-type", "text/event-stream"), ("set-cookie", "[redacted]"))


@pytest.mark.parametrize("data", [b"", b"<html>", b"{broken", b"\xff\x00", b"[1, 2]", b'{"a": "\\ud800"}'])
def test_any_bytes_are_shown(data: bytes) -> None:
    for kind in ("auto", "request", "response", "stream", "error"):
        told = read(data, kind)
        assert told.worst is Severity.ERROR
        assert told.request or told.reply


def test_a_recording_has_times_and_each_finding_its_part() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    chunks = [{"at_ms": 100 * at, "text": framed([each]).decode()} for at, each in enumerate(events)]
    told = read(exchange_file(chunks, request={**REQUEST, "stream": True}))
    assert told.stream is not None
    assert [event.at for event in told.stream.events] == [at / 10 for at in range(len(events))]
    assert set(places(told)) >= {("REQ-001", "request", "/temperature"), ("TXT-001", "stream", "/text")}


def test_how_a_recording_was_taken_is_told() -> None:
    recorded = {
        "at": "2026-11-25T16:30:00.000000Z",
        "method": "POST",
        "path": "/responses",
        "end": "cut",
        "upstream": "https://example.com/v1",
        "end_ms": 1500,
    }
    told = read(exchange_file([{"at_ms": 1, "text": "data: {}"}], recorded=recorded))
    about = dict(told.about)
    assert (about["asked"], about["ended"]) == ("POST /responses", "the endpoint broke it off")
    assert told.seconds == 1.5


def test_a_recording_without_times_says_nothing_of_them() -> None:
    chunks = [{"text": framed(samples.text_stream()).decode()}]
    told = read(exchange_file(chunks))
    assert told.stream is not None
    assert {event.at for event in told.stream.events} == {None}


def test_a_body_a_script_and_a_sample() -> None:
    body = {"object": "response", "output": [], "status": "completed"}
    told = read(exchange_file([], reply={"body": body}))
    assert told.reply is not None
    assert {part for _, part, _ in places(told)} == {"reply"}
    assert json.loads(told.reply.text) == body
    lines = framed(samples.text_stream()).decode().split("\n")
    told = read(
        exchange_file(
            [],
            reply={"script": {"items": [{"type": "message", "text": "Hi"}]}},
            shown={"kind": "stream", "trimmed": False, "body": lines},
        )
    )
    assert told.reply is not None
    assert told.reply.title == "Reply · as script"
    assert told.stream is not None
    assert len(told.stream.events) == len(samples.text_stream())


def test_a_request_and_its_answer() -> None:
    reply = framed(samples.text_stream())
    told = read_asked(asked(reply=reply, seconds=0.5, group="a test"))
    assert (told.kind, told.profile, told.group, told.seconds) == ("stream", "qwen-2026-01", "a test", 0.5)
    assert told.request is not None
    assert told.request.title == f"POST {ANSWERING}"
    refused = read_asked(asked(reply=b'{"code":"x","message":"y"}', status=400))
    assert refused.reply is not None
    assert (refused.reply.title, refused.reply.schema) == ("Reply · 400", "error")


def test_keys_and_secrets_are_in_nothing() -> None:
    told = f"{KEY} and {SECRET}"
    events = samples.text_stream()
    events[4]["delta"] = told
    events[-1]["response"]["output"][0]["content"][0]["text"] = told
    findings = check_file(json.dumps({**REQUEST, "model": told}).encode()).findings
    shown = read_asked(
        asked(
            {**REQUEST, "input": told},
            framed(events),
            name=told,
            path=f"/{told}",
            headers={"x-request-id": told, "x-other": told},
            asked=findings,
            findings=findings,
            group=told,
            secrets=(SECRET,),
            about=(("more", told),),
        )
    )
    for form in (repr(shown), packed(shown)):
        assert KEY not in form
        assert SECRET not in form
        assert "[redacted]" in form


def test_packing_changes_nothing() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    for told in (
        read(exchange_file([{"at_ms": 3, "text": framed(events).decode()}])),
        read(json.dumps(REQUEST).encode()),
        read_asked(asked(reply=framed(events), headers={"a": "b"}, about=(("c", "d"),))),
        read_asked(asked(status=None)),
    ):
        assert unpacked(packed(told)) == told


def test_coverage_is_of_what_crossed() -> None:
    refused = read_asked(asked(reply=b'{"code":"x","message":"y"}', status=400))
    stream = read_asked(asked({**REQUEST, "stream": True}, framed(samples.text_stream())))
    elsewhere = read_asked(
        asked({"messages": []}, b'{"object":"chat.completion"}', path="/v1/chat/completions")
    )
    (covered,) = coverage_of([refused]).values()
    assert covered.seen == ("error.code", "error.message")
    (covered,) = coverage_of([stream]).values()
    assert {"create_request.stream", "event~response.completed", "message.role"} <= {*covered.seen}
    assert {"TXT-001", "REQ-001", "USE-001"} <= {*covered.rules_checked}
    (covered,) = coverage_of([elsewhere]).values()
    assert (covered.seen, covered.rules_checked) == ((), ())
