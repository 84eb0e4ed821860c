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
from mockserver.reports.events import Piece, read_stream, values_stream
from mockserver.reports.model import Body, Exchange, Mark, Stream
from mockserver.wire import json
from mockserver.wire.redaction import REDACTED, redact

__all__ = ["Asked", "read_asked", "read_file"]

#: What files of each kind are instances of.
_SCHEMAS = {"request": "create_request", "response": "response", "error": "error"}
_STREAMS = frozenset({"stream", "chat_stream"})
#: Where findings are, by the kind of file; those in an exchange tell it by their pointers.
_PARTS = {
    **dict.fromkeys(("request", "chat_request"), "request"),
    **dict.fromkeys(("stream", "chat_stream"), "stream"),
    "exchange": "",
}

Head: TypeAlias = tuple[tuple[str, str], ...]

#: Headers of a reply whose values are shown; of all others the names alone.
_SHOWN = frozenset(
    {
        *("cache-control", "connection", "content-encoding", "content-length", "content-type", "date"),
        *("location", "retry-after", "retry-after-ms", "server", "transfer-encoding", "x-request-id"),
    }
)


def read_file(
    name: str, data: bytes, kind: str | None, findings: Iterable[Finding], profile: str = "", why: str = ""
) -> Exchange:
    """A file that was judged as a kind by a profile, as `contract.files` does; `why` it is that profile."""
    told = _of_file(name, data, kind, findings)
    about = (("judged by", f"{profile}, {redact(why)}"),) if profile else ()
    operation = "createResponse" if kind in ("request", "response", "stream", "exchange") else ""
    return replace(told, profile=profile, about=(*told.about, *about), operation=operation)


def _of_file(name: str, data: bytes, kind: str | None, findings: Iterable[Finding]) -> Exchange:
    found = detect_content(data)
    marks = tuple(_marks(findings, _PARTS.get(kind or "", "reply")))
    if kind == "exchange":
        try:
            return _exchange(redact(name), parse_exchange(data, name), marks)
        except InvalidExchange:
            pass  # the finding says why
    schema = _SCHEMAS.get(kind or "", "")
    body = _body(_title(found), found.body, _headers(found.headers), schema=schema)
    if kind in _STREAMS:
        stream = _stream(found, [(None, found.body)])
        whole = body if not stream.events else _final(stream, _title(found), body.head)
        return Exchange(
            redact(name), kind, marks=marks, reply=whole, stream=stream if stream.events else None
        )
    if kind in ("request", "chat_request"):
        return Exchange(redact(name), kind, marks=marks, request=replace(body, title="Request"))
    return Exchange(redact(name), kind or "of no known kind", marks=marks, reply=body)


def _marks(findings: Iterable[Finding], part: str, secrets: Sequence[str] = ()) -> Iterator[Mark]:
    """The findings in a part, with nothing in them that may not be written down."""
    for each in findings:
        told = {**finding_to_json(redact_finding(each, secrets)), "severity": each.severity}
        yield Mark(Finding(**told), part, told["pointer"])


def _title(found: DetectedContent) -> str:
    return "Reply" if found.status is None else f"Reply · {found.status}"


def _stream(found: DetectedContent, pieces: Iterable[Piece], secrets: Sequence[str] = ()) -> Stream:
    if isinstance(found.value, list):
        return values_stream(found.value, secrets)
    return read_stream(pieces, secrets)


def _body(title: str, data: bytes, head: Head = (), secrets: Sequence[str] = (), schema: str = "") -> Body:
    """Bytes as a body; of the `schema` where they are a JSON object, and an error of either form."""
    try:
        value = json.loads(data)
    except InvalidJSON:
        return Body(title, redact(data.decode(errors="replace"), secrets), head=head)
    known = schema if isinstance(value, dict) else ""
    if known == "error" and "error" in value:
        known = "error_wrapped"
    return Body(title, redact(data.decode(), secrets), is_json=True, head=head, schema=known)


def _headers(headers: Mapping[str, str], secrets: Sequence[str] = ()) -> Head:
    lowered = [each.lower() for each in secrets]
    return tuple(
        (redact(name, lowered), redact(value, secrets) if name.lower() in _SHOWN else REDACTED)
        for name, value in headers.items()
    )


def _final(stream: Stream, title: str, head: Head) -> Body:
    """The response as the last event has it that has one: what the reply came to."""
    for event in reversed(stream.events):
        if event.number is not None and '"response"' in event.data:
            value = json.loads_or_none(event.data.encode(errors="replace"))
            if isinstance(value, dict) and isinstance(value.get("response"), dict):
                text = json.dumps(value["response"]).decode()
                return Body(f"{title} · as of {event.type}", text, True, head, event.number)
    return Body(f"{title} · a stream without a response", "", head=head)


# Exchange files.


def _exchange(name: str, file: ExchangeFile, marks: Iterable[Mark]) -> Exchange:
    about = [("exchange", file.name), ("source", file.source), *_recording(file.recorded)]
    request = (
        None if file.request is None else _body("Request", json.dumps(file.request), schema="create_request")
    )
    reply, stream, root = _reply_of(file)
    parts = {"/request": "request", root: "stream" if stream else "reply", "/reply/body": "reply"}
    return Exchange(
        name,
        "exchange",
        marks=tuple(_within(each, parts) for each in marks),
        request=request,
        reply=reply,
        stream=stream,
        about=tuple((what, redact(value)) for what, value in about if value),
        seconds=file.recorded.end_ms / 1000 if file.recorded else None,
    )


def _recording(told: RecordingMetadata | None) -> list[tuple[str, str]]:
    """How a recording was taken."""
    if told is None:
        return []
    ended = {"cut": "the endpoint broke it off", "left": "the client went away"}.get(told.end, told.end)
    return [
        ("asked", f"{told.method} {told.path}"),
        ("of", told.upstream),
        ("recorded", told.at),
        ("ended", ended),
        ("masked", ", ".join(told.masked)),
    ]


def _reply_of(file: ExchangeFile) -> tuple[Body, Stream | None, str]:
    """The reply, as a stream where it is one, and the pointer to what is shown as the stream or reply."""
    form, given = next(iter(file.reply.items()))
    if form == "http":
        return *_recorded(given), "/reply/http"
    schema = _kind_schema(json.dumps(given)) if form == "body" else ""
    body = _body("Reply" if form == "body" else f"Reply · as {form}", json.dumps(given), schema=schema)
    if file.shown is None:
        return body, None, "/reply/body"
    if file.shown.kind == "stream":
        lines = "\n".join(file.shown.body).encode()
        return body, read_stream([(None, lines)]), "/shown/body"
    if form == "body":
        return body, None, "/reply/body"
    sample = _body("Reply · the sample shown", json.dumps(file.shown.body), schema="response")
    return sample, None, "/shown/body"


def _kind_schema(data: bytes) -> str:
    return _SCHEMAS.get(detect_content(data).kind or "", "")


def _recorded(http: Mapping[str, Any]) -> tuple[Body, Stream | None]:
    is_timed = any("at_ms" in chunk for chunk in http["chunks"])
    pieces: list[Piece] = [(at if is_timed else None, data) for at, data in recorded_chunks(http)]
    whole = b"".join(data for _, data in pieces)
    found, head = detect_content(whole), _headers(http.get("headers", {}))
    title = f"Reply · {http['status']}"
    stream = _stream(found, pieces) if found.kind in _STREAMS else None
    if stream is None or not stream.events:
        return _body(title, whole, head, schema=_SCHEMAS.get(found.kind or "", "")), None
    return _final(stream, title, head), stream


def _within(mark: Mark, parts: Mapping[str, str]) -> Mark:
    for root, part in parts.items():
        if mark.pointer.startswith(root):
            return Mark(mark.finding, part, mark.pointer.removeprefix(root))
    return mark


# Requests and replies.


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it went out and what came back, before it is cleared of keys."""

    name: str
    profile: str
    method: str
    path: str
    """With the base path."""
    status: int | None
    """None where no answer began."""
    request: bytes
    pieces: tuple[Piece, ...]
    findings: tuple[Finding, ...] = ()
    """Of the answer, unless they are among `asked`."""
    asked: tuple[Finding, ...] = ()
    """Of the request."""
    headers: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = ()
    group: str = ""
    seconds: float | None = None
    about: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """All of the answer."""
        return b"".join(data for _, data in self.pieces)


def read_asked(given: Asked) -> Exchange:
    """A request and its reply as a report shows them."""
    secrets = given.secrets
    body = given.body
    found = detect_content(body) if body else None
    stream = None
    status = "no answer" if given.status is None else str(given.status)
    title, head = f"Reply · {status}", _headers(given.headers or {}, secrets)
    operation = find_operation(load_profile(given.profile), given.method, given.path)
    good = (given.status or 0) < 400
    schema = "error" if not good else operation.response_schema if operation else ""
    reply = _body(title, body, head, secrets, schema)
    if found is not None and found.kind in _STREAMS:
        read = _stream(found, given.pieces, secrets)
        if read.events:
            stream, reply = read, _final(read, title, head)
    part = "reply" if stream is None else "stream"
    call = redact(f"{given.method} {given.path}", secrets)
    return Exchange(
        redact(given.name, secrets),
        "stream" if stream else "call",
        given.profile,
        redact(given.group, secrets),
        (
            *_marks(given.asked, "request", secrets),
            *_marks(given.findings, part, secrets),
        ),
        _body(
            call, given.request, (), secrets, (operation.request_schema or "") if operation and good else ""
        ),
        reply,
        stream,
        tuple((what, redact(value, secrets)) for what, value in given.about),
        given.seconds,
        operation.name if operation else "",
    )
