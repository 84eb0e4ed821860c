"""What was asked and answered, as values of a report: from a file, or from a request and its reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from mockserver.contract.detection import DetectedContent, detect_content
from mockserver.contract.findings import Finding
from mockserver.contract.formatting import finding_to_json, redact_finding
from mockserver.contract.operations import find_operation
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.exchanges import Exchange as ExchangeFile
from mockserver.exchanges import RecordingMetadata, parse_exchange, recorded_chunks
from mockserver.profiles import load_profile
from mockserver.reports.model import EventStream, ExchangeFinding, MessageBody, ReportExchange
from mockserver.reports.stream_events import TimedChunk, read_stream, stream_from_values
from mockserver.wire import json
from mockserver.wire.redaction import REDACTED, redact

__all__ = ["RawExchange", "exchange_from_file", "exchange_from_raw"]

#: What files of each kind are instances of.
_SCHEMA_BY_KIND = {"request": "create_request", "response": "response", "error": "error"}
_STREAM_KINDS = frozenset({"stream", "chat_stream"})
#: Where findings are, by the kind of file; those in an exchange tell it by their pointers.
_PART_BY_KIND = {
    **dict.fromkeys(("request", "chat_request"), "request"),
    **dict.fromkeys(("stream", "chat_stream"), "stream"),
    "exchange": "",
}

HeaderPairs: TypeAlias = tuple[tuple[str, str], ...]

#: Headers of a reply whose values are shown; of all others the names alone.
_UNMASKED_HEADERS = frozenset(
    {
        *("cache-control", "connection", "content-encoding", "content-length", "content-type", "date"),
        *("location", "retry-after", "retry-after-ms", "server", "transfer-encoding", "x-request-id"),
    }
)


def exchange_from_file(
    name: str,
    data: bytes,
    kind: str | None,
    findings: Iterable[Finding],
    profile: str = "",
    profile_reason: str = "",
) -> ReportExchange:
    """A file that was judged as a kind by a profile, as `contract.files` does; `why` it is that profile."""
    told = _parse_file(name, data, kind, findings)
    about = (("judged by", f"{profile}, {redact(profile_reason)}"),) if profile else ()
    operation = "createResponse" if kind in ("request", "response", "stream", "exchange") else ""
    return replace(told, profile=profile, details=(*told.details, *about), operation=operation)


def _parse_file(name: str, data: bytes, kind: str | None, findings: Iterable[Finding]) -> ReportExchange:
    found = detect_content(data)
    marks = tuple(_redacted_findings(findings, _PART_BY_KIND.get(kind or "", "reply")))
    if kind == "exchange":
        try:
            return _from_exchange_file(redact(name), parse_exchange(data, name), marks)
        except InvalidExchange:
            pass  # the finding says why
    schema = _SCHEMA_BY_KIND.get(kind or "", "")
    body = _make_body(_reply_title(found), found.body, _masked_headers(found.headers), schema=schema)
    if kind in _STREAM_KINDS:
        stream = _parse_stream(found, [(None, found.body)])
        whole = body if not stream.events else _final_response(stream, _reply_title(found), body.headers)
        return ReportExchange(
            redact(name), kind, findings=marks, reply=whole, stream=stream if stream.events else None
        )
    if kind in ("request", "chat_request"):
        return ReportExchange(redact(name), kind, findings=marks, request=replace(body, title="Request"))
    return ReportExchange(redact(name), kind or "of no known kind", findings=marks, reply=body)


def _redacted_findings(
    findings: Iterable[Finding], part: str, secrets: Sequence[str] = ()
) -> Iterator[ExchangeFinding]:
    """The findings in a part, with nothing in them that may not be written down."""
    for each in findings:
        told = {**finding_to_json(redact_finding(each, secrets)), "severity": each.severity}
        yield ExchangeFinding(Finding(**told), part, told["pointer"])


def _reply_title(detected: DetectedContent) -> str:
    return "Reply" if detected.status is None else f"Reply · {detected.status}"


def _parse_stream(
    detected: DetectedContent, chunks: Iterable[TimedChunk], secrets: Sequence[str] = ()
) -> EventStream:
    if isinstance(detected.value, list):
        return stream_from_values(detected.value, secrets)
    return read_stream(chunks, secrets)


def _make_body(
    title: str, data: bytes, headers: HeaderPairs = (), secrets: Sequence[str] = (), schema: str = ""
) -> MessageBody:
    """Bytes as a body; of the `schema` where they are a JSON object, and an error of either form."""
    try:
        value = json.loads(data)
    except InvalidJSON:
        return MessageBody(title, redact(data.decode(errors="replace"), secrets), headers=headers)
    known = schema if isinstance(value, dict) else ""
    if known == "error" and "error" in value:
        known = "error_wrapped"
    return MessageBody(title, redact(data.decode(), secrets), is_json=True, headers=headers, schema=known)


def _masked_headers(headers: Mapping[str, str], secrets: Sequence[str] = ()) -> HeaderPairs:
    lowered = [each.lower() for each in secrets]
    return tuple(
        (redact(name, lowered), redact(value, secrets) if name.lower() in _UNMASKED_HEADERS else REDACTED)
        for name, value in headers.items()
    )


def _final_response(stream: EventStream, title: str, headers: HeaderPairs) -> MessageBody:
    """The response as the last event has it that has one: what the reply came to."""
    for event in reversed(stream.events):
        if event.index is not None and '"response"' in event.data:
            value = json.loads_or_none(event.data.encode(errors="replace"))
            if isinstance(value, dict) and isinstance(value.get("response"), dict):
                text = json.dumps(value["response"]).decode()
                return MessageBody(f"{title} · as of {event.type}", text, True, headers, event.index)
    return MessageBody(f"{title} · a stream without a response", "", headers=headers)


# Exchange files.


def _from_exchange_file(name: str, file: ExchangeFile, findings: Iterable[ExchangeFinding]) -> ReportExchange:
    about = [("exchange", file.name), ("source", file.source), *_recording_details(file.recorded)]
    request = (
        None
        if file.request is None
        else _make_body("Request", json.dumps(file.request), schema="create_request")
    )
    reply, stream, root = _exchange_file_reply(file)
    parts = {"/request": "request", root: "stream" if stream else "reply", "/reply/body": "reply"}
    return ReportExchange(
        name,
        "exchange",
        findings=tuple(_assign_part(each, parts) for each in findings),
        request=request,
        reply=reply,
        stream=stream,
        details=tuple((what, redact(value)) for what, value in about if value),
        duration=file.recorded.end_ms / 1000 if file.recorded else None,
    )


def _recording_details(recorded: RecordingMetadata | None) -> list[tuple[str, str]]:
    """How a recording was taken."""
    if recorded is None:
        return []
    ended = {"cut": "the endpoint broke it off", "left": "the client went away"}.get(
        recorded.end, recorded.end
    )
    return [
        ("asked", f"{recorded.method} {recorded.path}"),
        ("of", recorded.upstream),
        ("recorded", recorded.at),
        ("ended", ended),
        ("masked", ", ".join(recorded.masked)),
    ]


def _exchange_file_reply(file: ExchangeFile) -> tuple[MessageBody, EventStream | None, str]:
    """The reply, as a stream where it is one, and the pointer to what is shown as the stream or reply."""
    form, given = next(iter(file.reply.items()))
    if form == "http":
        return *_recorded_reply(given), "/reply/http"
    schema = _detected_schema(json.dumps(given)) if form == "body" else ""
    body = _make_body("Reply" if form == "body" else f"Reply · as {form}", json.dumps(given), schema=schema)
    if file.shown is None:
        return body, None, "/reply/body"
    if file.shown.kind == "stream":
        lines = "\n".join(file.shown.body).encode()
        return body, read_stream([(None, lines)]), "/shown/body"
    if form == "body":
        return body, None, "/reply/body"
    sample = _make_body("Reply · the sample shown", json.dumps(file.shown.body), schema="response")
    return sample, None, "/shown/body"


def _detected_schema(data: bytes) -> str:
    return _SCHEMA_BY_KIND.get(detect_content(data).kind or "", "")


def _recorded_reply(http: Mapping[str, Any]) -> tuple[MessageBody, EventStream | None]:
    is_timed = any("at_ms" in chunk for chunk in http["chunks"])
    pieces: list[TimedChunk] = [(at if is_timed else None, data) for at, data in recorded_chunks(http)]
    whole = b"".join(data for _, data in pieces)
    found, head = detect_content(whole), _masked_headers(http.get("headers", {}))
    title = f"Reply · {http['status']}"
    stream = _parse_stream(found, pieces) if found.kind in _STREAM_KINDS else None
    if stream is None or not stream.events:
        return _make_body(title, whole, head, schema=_SCHEMA_BY_KIND.get(found.kind or "", "")), None
    return _final_response(stream, title, head), stream


def _assign_part(finding: ExchangeFinding, parts: Mapping[str, str]) -> ExchangeFinding:
    for root, part in parts.items():
        if finding.pointer.startswith(root):
            return ExchangeFinding(finding.finding, part, finding.pointer.removeprefix(root))
    return finding


# Requests and replies.


@dataclass(frozen=True, slots=True)
class RawExchange:
    """A request as it went out and what came back, before it is cleared of keys."""

    name: str
    profile: str
    method: str
    path: str
    """With the base path."""
    status: int | None
    """None where no answer began."""
    request_body: bytes
    chunks: tuple[TimedChunk, ...]
    reply_findings: tuple[Finding, ...] = ()
    """Of the answer, unless they are among `asked`."""
    request_findings: tuple[Finding, ...] = ()
    """Of the request."""
    reply_headers: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = ()
    group: str = ""
    duration: float | None = None
    details: tuple[tuple[str, str], ...] = ()

    @property
    def reply_body(self) -> bytes:
        """All of the answer."""
        return b"".join(data for _, data in self.chunks)


def exchange_from_raw(raw: RawExchange) -> ReportExchange:
    """A request and its reply as a report shows them."""
    secrets = raw.secrets
    body = raw.reply_body
    found = detect_content(body) if body else None
    stream = None
    status = "no answer" if raw.status is None else str(raw.status)
    title, head = f"Reply · {status}", _masked_headers(raw.reply_headers or {}, secrets)
    operation = find_operation(load_profile(raw.profile), raw.method, raw.path)
    good = (raw.status or 0) < 400
    schema = "error" if not good else operation.response_schema if operation else ""
    reply = _make_body(title, body, head, secrets, schema)
    if found is not None and found.kind in _STREAM_KINDS:
        read = _parse_stream(found, raw.chunks, secrets)
        if read.events:
            stream, reply = read, _final_response(read, title, head)
    part = "reply" if stream is None else "stream"
    call = redact(f"{raw.method} {raw.path}", secrets)
    return ReportExchange(
        redact(raw.name, secrets),
        "stream" if stream else "call",
        raw.profile,
        redact(raw.group, secrets),
        (
            *_redacted_findings(raw.request_findings, "request", secrets),
            *_redacted_findings(raw.reply_findings, part, secrets),
        ),
        _make_body(
            call,
            raw.request_body,
            (),
            secrets,
            (operation.request_schema or "") if operation and good else "",
        ),
        reply,
        stream,
        tuple((what, redact(value, secrets)) for what, value in raw.details),
        raw.duration,
        operation.name if operation else "",
    )
