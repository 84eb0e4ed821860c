"""Files and requests become exchanges of a report, findings at their locations, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.contract.files import check_file
from mockserver.contract.findings import Severity
from mockserver.reports.coverage import coverage_by_profile
from mockserver.reports.model import ReportExchange, exchange_from_json, exchange_to_json
from mockserver.reports.report_exchanges import RawExchange, exchange_from_file, exchange_from_raw
from mockserver.reports.stream_events import TimedChunk
from tests.contract import samples
from tests.reports.report_samples import exchange_file, sse_frames

KEY = "sk-canary-77aa31"
SECRET = "open sesame"
REQUEST = {"model": "qwen3-max-2026-01-23", "input": "Hello!", "temperature": 9}
CREATE_PATH = "/api/v2/apps/protocols/compatible-mode/v1/responses"


def check_and_read(data: bytes, kind: str = "auto") -> ReportExchange:
    verdict = check_file(data, kind=kind)
    return exchange_from_file(
        "a file", data, verdict.kind, verdict.findings, verdict.profile, verdict.profile_reason
    )


def locations(exchange: ReportExchange) -> list[tuple[str, str, str]]:
    return [(mark.finding.rule, mark.part, mark.pointer) for mark in exchange.findings]


def raw_exchange(request: Any = REQUEST, reply: bytes = b"", **options: Any) -> RawExchange:
    chunks: tuple[TimedChunk, ...] = ((0.5, reply),)
    defaults = {
        "name": "one",
        "profile": "qwen-2026-01",
        "method": "POST",
        "path": CREATE_PATH,
        "status": 200,
    }
    return RawExchange(request_body=json.dumps(request).encode(), chunks=chunks, **{**defaults, **options})


def test_a_request() -> None:
    exchange = check_and_read(json.dumps(REQUEST).encode())
    assert exchange.request is not None
    assert (exchange.reply, exchange.stream) == (None, None)
    assert locations(exchange) == [("REQ-001", "request", "/temperature")]


def test_the_reply_of_a_stream_is_its_last_response() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    exchange = check_and_read(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\n\r\n" + sse_frames(events)
    )
    assert exchange.stream is not None
    assert exchange.reply is not None
    assert ("TXT-001", "stream", "/text") in locations(exchange)
    assert json.loads(exchange.reply.text) == events[-1]["response"]
    assert exchange.reply.title == "Reply · 200 · as of response.completed"
    assert exchange.reply.headers == (("content-type", "text/event-stream"), ("set-cookie", "[redacted]"))


@pytest.mark.parametrize("data", [b"", b"<html>", b"{broken", b"\xff\x00", b"[1, 2]", b'{"a": "\\ud800"}'])
def test_any_bytes_can_be_shown(data: bytes) -> None:
    for kind in ("auto", "request", "response", "stream", "error"):
        exchange = check_and_read(data, kind)
        assert exchange.worst_severity is Severity.ERROR
        assert exchange.request or exchange.reply


def test_a_recording_has_times_and_findings_have_their_part() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    chunks = [{"at_ms": 100 * at, "text": sse_frames([each]).decode()} for at, each in enumerate(events)]
    exchange = check_and_read(exchange_file(chunks, request={**REQUEST, "stream": True}))
    assert exchange.stream is not None
    assert [event.elapsed for event in exchange.stream.events] == [at / 10 for at in range(len(events))]
    assert set(locations(exchange)) >= {
        ("REQ-001", "request", "/temperature"),
        ("TXT-001", "stream", "/text"),
    }


def test_details_of_a_recording() -> None:
    recorded = {
        "at": "2026-11-25T16:30:00.000000Z",
        "method": "POST",
        "path": "/responses",
        "end": "cut",
        "upstream": "https://example.com/v1",
        "end_ms": 1500,
    }
    exchange = check_and_read(exchange_file([{"at_ms": 1, "text": "data: {}"}], recorded=recorded))
    details = dict(exchange.details)
    assert (details["request"], details["ended"]) == ("POST /responses", "the endpoint closed the connection")
    assert exchange.duration == 1.5


def test_a_recording_without_times() -> None:
    chunks = [{"text": sse_frames(samples.text_stream()).decode()}]
    exchange = check_and_read(exchange_file(chunks))
    assert exchange.stream is not None
    assert {event.elapsed for event in exchange.stream.events} == {None}


def test_a_body_a_script_and_a_sample() -> None:
    body = {"object": "response", "output": [], "status": "completed"}
    exchange = check_and_read(exchange_file([], reply={"body": body}))
    assert exchange.reply is not None
    assert {part for _, part, _ in locations(exchange)} == {"reply"}
    assert json.loads(exchange.reply.text) == body
    lines = sse_frames(samples.text_stream()).decode().split("\n")
    exchange = check_and_read(
        exchange_file(
            [],
            reply={"script": {"items": [{"type": "message", "text": "Hi"}]}},
            shown={"kind": "stream", "trimmed": False, "body": lines},
        )
    )
    assert exchange.reply is not None
    assert exchange.reply.title == "Reply · as script"
    assert exchange.stream is not None
    assert len(exchange.stream.events) == len(samples.text_stream())


def test_a_request_and_its_reply() -> None:
    reply = sse_frames(samples.text_stream())
    exchange = exchange_from_raw(raw_exchange(reply=reply, duration=0.5, group="a test"))
    assert (exchange.kind, exchange.profile, exchange.group, exchange.duration) == (
        "stream",
        "qwen-2026-01",
        "a test",
        0.5,
    )
    assert exchange.request is not None
    assert exchange.request.title == f"POST {CREATE_PATH}"
    refused = exchange_from_raw(raw_exchange(reply=b'{"code":"x","message":"y"}', status=400))
    assert refused.reply is not None
    assert (refused.reply.title, refused.reply.schema) == ("Reply · 400", "error")


def test_keys_and_secrets_are_redacted_everywhere() -> None:
    secret_text = f"{KEY} and {SECRET}"
    events = samples.text_stream()
    events[4]["delta"] = secret_text
    events[-1]["response"]["output"][0]["content"][0]["text"] = secret_text
    findings = check_file(json.dumps({**REQUEST, "model": secret_text}).encode()).findings
    shown = exchange_from_raw(
        raw_exchange(
            {**REQUEST, "input": secret_text},
            sse_frames(events),
            name=secret_text,
            path=f"/{secret_text}",
            reply_headers={"x-request-id": secret_text, "x-other": secret_text},
            request_findings=findings,
            reply_findings=findings,
            group=secret_text,
            secrets=(SECRET,),
            details=(("more", secret_text),),
        )
    )
    for form in (repr(shown), exchange_to_json(shown)):
        assert KEY not in form
        assert SECRET not in form
        assert "[redacted]" in form


def test_an_exchange_round_trips_through_json() -> None:
    events = samples.text_stream()
    events[7]["text"] = "another"
    for exchange in (
        check_and_read(exchange_file([{"at_ms": 3, "text": sse_frames(events).decode()}])),
        check_and_read(json.dumps(REQUEST).encode()),
        exchange_from_raw(
            raw_exchange(reply=sse_frames(events), reply_headers={"a": "b"}, details=(("c", "d"),))
        ),
        exchange_from_raw(raw_exchange(status=None)),
    ):
        assert exchange_from_json(exchange_to_json(exchange)) == exchange


def test_coverage_of_exchanges() -> None:
    refused = exchange_from_raw(raw_exchange(reply=b'{"code":"x","message":"y"}', status=400))
    stream = exchange_from_raw(raw_exchange({**REQUEST, "stream": True}, sse_frames(samples.text_stream())))
    elsewhere = exchange_from_raw(
        raw_exchange({"messages": []}, b'{"object":"chat.completion"}', path="/v1/chat/completions")
    )
    (covered,) = coverage_by_profile([refused]).values()
    assert covered.seen == ("error.code", "error.message")
    (covered,) = coverage_by_profile([stream]).values()
    assert {"create_request.stream", "event~response.completed", "message.role"} <= {*covered.seen}
    assert {"TXT-001", "REQ-001", "USE-001"} <= {*covered.rules_checked}
    (covered,) = coverage_by_profile([elsewhere]).values()
    assert (covered.seen, covered.rules_checked) == ((), ())
