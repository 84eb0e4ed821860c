"""Builds the exchanges of a report, from a file or from a request and its reply."""

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
from mockserver.wire.redaction import find_credentials, redact, redact_body, redact_header

__all__ = ["RawExchange", "exchange_from_file", "exchange_from_raw"]

#: Schema of the files of each kind.
_SCHEMA_BY_KIND = {"request": "create_request", "response": "response", "error": "error"}
_STREAM_KINDS = frozenset({"stream", "chat_stream"})
#: Part in which findings are, by the kind of file; in an exchange their pointers tell.
_PART_BY_KIND = {
    **dict.fromkeys(("request", "chat_request"), "request"),
    **dict.fromkeys(("stream", "chat_stream"), "stream"),
    "exchange": "",
}

HeaderPairs: TypeAlias = tuple[tuple[str, str], ...]


def exchange_from_file(
    name: str,
    data: bytes,
    kind: str | None,
    findings: Iterable[Finding],
    profile: str = "",
    profile_reason: str = "",
) -> ReportExchange:
    """A file that `contract.files` checked as a kind; `profile_reason` says why by this profile."""
    exchange = _parse_file(name, data, kind, findings)
    checked_by = (("checked by", f"{profile}, {redact(profile_reason)}"),) if profile else ()
    operation = "createResponse" if kind in ("request", "response", "stream", "exchange") else ""
    return replace(exchange, profile=profile, details=(*exchange.details, *checked_by), operation=operation)


def _parse_file(name: str, data: bytes, kind: str | None, findings: Iterable[Finding]) -> ReportExchange:
    detected = detect_content(data)
    secrets = find_credentials(data)
    located = tuple(_redacted_findings(findings, _PART_BY_KIND.get(kind or "", "reply"), secrets))
    if kind == "exchange":
        try:
            return _from_exchange_file(redact(name), parse_exchange(data, name), located, secrets)
        except InvalidExchange:
            pass  # one of the findings says why
    schema = _SCHEMA_BY_KIND.get(kind or "", "")
    title, headers = _reply_title(detected), _redacted_headers(detected.headers)
    if kind in _STREAM_KINDS:
        stream = _parse_stream(detected, [(None, detected.body)])
        if stream.events:
            whole = _final_response(stream, title, headers)
            return ReportExchange(redact(name), kind, findings=located, reply=whole, stream=stream)
    body = _make_body(title, detected.body, headers, secrets, schema)
    if kind in _STREAM_KINDS:
        return ReportExchange(redact(name), kind, findings=located, reply=body)
    if kind in ("request", "chat_request"):
        return ReportExchange(redact(name), kind, findings=located, request=replace(body, title="Request"))
    return ReportExchange(redact(name), kind or "unknown kind", findings=located, reply=body)


def _redacted_findings(
    findings: Iterable[Finding], part: str, secrets: Sequence[str] = ()
) -> Iterator[ExchangeFinding]:
    """The findings of a part, without secrets."""
    for each in findings:
        members = {**finding_to_json(redact_finding(each, secrets)), "severity": each.severity}
        yield ExchangeFinding(Finding(**members), part, members["pointer"])


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
    """Bytes as a body; `schema` applies if they are a JSON object, with errors in either form."""
    try:
        value = json.loads(data)
    except InvalidJSON:
        return MessageBody(title, redact_body(data.decode(errors="replace"), secrets), headers=headers)
    schema = schema if isinstance(value, dict) else ""
    if schema == "error" and "error" in value:
        schema = "error_wrapped"
    return MessageBody(
        title, redact_body(data.decode(), secrets), is_json=True, headers=headers, schema=schema
    )


def _redacted_headers(headers: Mapping[str, str], secrets: Sequence[str] = ()) -> HeaderPairs:
    return tuple(redact_header(name, value, secrets) for name, value in headers.items())


def _final_response(stream: EventStream, title: str, headers: HeaderPairs) -> MessageBody:
    """The response of the last event that has one."""
    for event in reversed(stream.events):
        if event.index is not None and '"response"' in event.data:
            value = json.loads_or_none(event.data.encode(errors="replace"))
            if isinstance(value, dict) and isinstance(value.get("response"), dict):
                text = json.dumps(value["response"]).decode()
                return MessageBody(f"{title} · as of {event.type}", text, True, headers, event.index)
    return MessageBody(f"{title} · a stream without a response", "", headers=headers)


def _from_exchange_file(
    name: str, file: ExchangeFile, findings: Iterable[ExchangeFinding], secrets: Sequence[str]
) -> ReportExchange:
    details = [("exchange", file.name), ("source", file.source), *_recording_details(file.recorded)]
    request = (
        None
        if file.request is None
        else _make_body("Request", json.dumps(file.request), secrets=secrets, schema="create_request")
    )
    reply, stream, root = _exchange_file_reply(file, secrets)
    parts = {"/request": "request", root: "stream" if stream else "reply", "/reply/body": "reply"}
    return ReportExchange(
        name,
        "exchange",
        findings=tuple(_assign_part(each, parts) for each in findings),
        request=request,
        reply=reply,
        stream=stream,
        details=tuple((what, redact(value)) for what, value in details if value),
        duration=file.recorded.end_ms / 1000 if file.recorded else None,
    )


def _recording_details(recorded: RecordingMetadata | None) -> list[tuple[str, str]]:
    """Details of a recording."""
    if recorded is None:
        return []
    ended = {"cut": "the endpoint closed the connection", "left": "the client disconnected"}.get(
        recorded.end, recorded.end
    )
    return [
        ("request", f"{recorded.method} {recorded.path}"),
        ("endpoint", recorded.upstream),
        ("recorded", recorded.at),
        ("ended", ended),
        ("masked", ", ".join(recorded.masked)),
    ]


def _exchange_file_reply(
    file: ExchangeFile, secrets: Sequence[str]
) -> tuple[MessageBody, EventStream | None, str]:
    """The reply, its stream if it is one, and the pointer to the value that is shown."""
    form, value = next(iter(file.reply.items()))
    if form == "http":
        return *_recorded_reply(value, secrets), "/reply/http"
    schema = _detected_schema(json.dumps(value)) if form == "body" else ""
    title = "Reply" if form == "body" else f"Reply · as {form}"
    body = _make_body(title, json.dumps(value), secrets=secrets, schema=schema)
    if file.shown is None:
        return body, None, "/reply/body"
    if file.shown.kind == "stream":
        lines = "\n".join(file.shown.body).encode()
        return body, read_stream([(None, lines)], secrets), "/shown/body"
    if form == "body":
        return body, None, "/reply/body"
    sample = _make_body(
        "Reply · the sample shown", json.dumps(file.shown.body), secrets=secrets, schema="response"
    )
    return sample, None, "/shown/body"


def _detected_schema(data: bytes) -> str:
    return _SCHEMA_BY_KIND.get(detect_content(data).kind or "", "")


def _recorded_reply(
    http: Mapping[str, Any], secrets: Sequence[str]
) -> tuple[MessageBody, EventStream | None]:
    is_timed = any("at_ms" in chunk for chunk in http["chunks"])
    chunks: list[TimedChunk] = [(at if is_timed else None, data) for at, data in recorded_chunks(http)]
    whole = b"".join(data for _, data in chunks)
    detected, head = detect_content(whole), _redacted_headers(http.get("headers", {}), secrets)
    title = f"Reply · {http['status']}"
    stream = _parse_stream(detected, chunks, secrets) if detected.kind in _STREAM_KINDS else None
    if stream is None or not stream.events:
        schema = _SCHEMA_BY_KIND.get(detected.kind or "", "")
        return _make_body(title, whole, head, secrets, schema), None
    return _final_response(stream, title, head), stream


def _assign_part(finding: ExchangeFinding, parts: Mapping[str, str]) -> ExchangeFinding:
    for root, part in parts.items():
        if finding.pointer.startswith(root):
            return ExchangeFinding(finding.finding, part, finding.pointer.removeprefix(root))
    return finding


@dataclass(frozen=True, slots=True)
class RawExchange:
    """A request as sent and its reply as received, before secrets are removed."""

    name: str
    profile: str
    method: str
    path: str
    """Path with the base path."""
    status: int | None
    """HTTP status; None if no reply started."""
    request_body: bytes
    chunks: tuple[TimedChunk, ...]
    reply_findings: tuple[Finding, ...] = ()
    """Findings in the reply, unless they are among `request_findings`."""
    request_findings: tuple[Finding, ...] = ()
    reply_headers: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = ()
    group: str = ""
    duration: float | None = None
    details: tuple[tuple[str, str], ...] = ()

    @property
    def reply_body(self) -> bytes:
        """The whole reply."""
        return b"".join(data for _, data in self.chunks)


def exchange_from_raw(raw: RawExchange) -> ReportExchange:
    """A request and its reply as a report shows them."""
    secrets = raw.secrets
    operation = find_operation(load_profile(raw.profile), raw.method, raw.path)
    is_error = (raw.status or 0) >= 400
    stream = _stream_of(raw)
    part = "reply" if stream is None else "stream"
    request_title = redact(f"{raw.method} {raw.path}", secrets)
    request_schema = operation.request_schema if operation and not is_error else None
    reply_title = f"Reply · {'no reply' if raw.status is None else raw.status}"
    reply_head = _redacted_headers(raw.reply_headers or {}, secrets)
    if stream is not None:
        reply = _final_response(stream, reply_title, reply_head)
    else:
        reply_schema = "error" if is_error else operation.response_schema if operation else ""
        reply = _make_body(reply_title, raw.reply_body, reply_head, secrets, reply_schema)
    return ReportExchange(
        redact(raw.name, secrets),
        "stream" if stream else "call",
        raw.profile,
        redact(raw.group, secrets),
        (
            *_redacted_findings(raw.request_findings, "request", secrets),
            *_redacted_findings(raw.reply_findings, part, secrets),
        ),
        _make_body(request_title, raw.request_body, (), secrets, request_schema or ""),
        reply,
        stream,
        tuple((name, redact(value, secrets)) for name, value in raw.details),
        raw.duration,
        operation.name if operation else "",
    )


def _stream_of(raw: RawExchange) -> EventStream | None:
    """The events of the reply; None if it is not a stream."""
    body = raw.reply_body
    detected = detect_content(body) if body else None
    if detected is None or detected.kind not in _STREAM_KINDS:
        return None
    stream = _parse_stream(detected, raw.chunks, raw.secrets)
    return stream if stream.events else None
