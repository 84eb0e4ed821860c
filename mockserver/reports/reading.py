"""What was asked and answered, as values of a report: from a file, or from a request and its reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

from mockserver.contract.coverage import Covered, Crossed, covered
from mockserver.contract.detect import Detected, detect
from mockserver.contract.findings import Finding
from mockserver.contract.operations import find_operation
from mockserver.contract.words import without_keys
from mockserver.errors import InvalidExchange, InvalidJSON
from mockserver.exchanges import Exchange as ExchangeFile
from mockserver.exchanges import parse_exchange, recorded_chunks
from mockserver.profiles import load_profile
from mockserver.reports.events import Piece, read_stream, values_stream
from mockserver.reports.model import Body, Exchange, Mark, Stream
from mockserver.wire import json
from mockserver.wire.redaction import REDACTED, redact

__all__ = ["Asked", "coverage_of", "crossed_in", "read_asked", "read_file"]

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
    return replace(told, profile=profile, about=(*told.about, *about))


def _of_file(name: str, data: bytes, kind: str | None, findings: Iterable[Finding]) -> Exchange:
    found = detect(data)
    marks = tuple(_placed(each, kind) for each in findings)
    if kind == "exchange":
        try:
            return _exchange(redact(name), parse_exchange(data, name), marks)
        except InvalidExchange:
            pass  # the finding says why
    body = _body(_title(found), found.body, _headers(found.headers))
    if kind == "stream":
        stream = _stream(found, [(None, found.body)])
        whole = body if not stream.events else _final(stream, _title(found), body.head)
        return Exchange(
            redact(name), kind, marks=marks, reply=whole, stream=stream if stream.events else None
        )
    if kind in ("request", "chat_request"):
        return Exchange(redact(name), kind, marks=marks, request=replace(body, title="Request"))
    return Exchange(redact(name), kind or "of no known kind", marks=marks, reply=body)


def _placed(finding: Finding, kind: str | None) -> Mark:
    part = {"request": "request", "chat_request": "request", "stream": "stream", "exchange": ""}.get(
        kind or "", "reply"
    )
    clean = without_keys(finding)
    return Mark(clean, part, clean.pointer)


def _title(found: Detected) -> str:
    return "Reply" if found.status is None else f"Reply · {found.status}"


def _stream(found: Detected, pieces: Iterable[Piece], secrets: Sequence[str] = ()) -> Stream:
    if isinstance(found.value, list):
        return values_stream(found.value, secrets)
    return read_stream(pieces, secrets)


def _body(
    title: str, data: bytes, head: tuple[tuple[str, str], ...] = (), secrets: Sequence[str] = ()
) -> Body:
    try:
        json.loads(data)
    except InvalidJSON:
        return Body(title, redact(data.decode(errors="replace"), secrets), head=head)
    return Body(title, redact(data.decode(), secrets), is_json=True, head=head)


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
            value = _value(event.data.encode(errors="replace"))
            if isinstance(value, dict) and isinstance(value.get("response"), dict):
                text = json.dumps(value["response"]).decode()
                return Body(f"{title} · as of {event.type}", text, is_json=True, head=head)
    return Body(f"{title} · a stream without a response", "", head=head)


def _value(data: bytes) -> Any:
    try:
        return json.loads(data)
    except InvalidJSON:
        return None


# Exchange files.


def _exchange(name: str, file: ExchangeFile, marks: Iterable[Mark]) -> Exchange:
    about = [("exchange", file.name), ("source", file.source)]
    request = None if file.request is None else _body("Request", json.dumps(file.request))
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
    )


def _reply_of(file: ExchangeFile) -> tuple[Body, Stream | None, str]:
    """The reply, as a stream where it is one, and the pointer to what is shown as the stream or reply."""
    form, given = next(iter(file.reply.items()))
    if form == "http":
        return *_recorded(given), "/reply/http"
    body = _body("Reply" if form == "body" else f"Reply · as {form}", json.dumps(given))
    if file.shown is None:
        return body, None, "/reply/body"
    if file.shown.kind == "stream":
        lines = "\n".join(file.shown.body).encode()
        return body, read_stream([(None, lines)]), "/shown/body"
    if form == "body":
        return body, None, "/reply/body"
    return _body("Reply · the sample shown", json.dumps(file.shown.body)), None, "/shown/body"


def _recorded(http: Mapping[str, Any]) -> tuple[Body, Stream | None]:
    is_timed = any("at_ms" in chunk for chunk in http["chunks"])
    pieces: list[Piece] = [(at if is_timed else None, data) for at, data in recorded_chunks(http)]
    whole = b"".join(data for _, data in pieces)
    found, head = detect(whole), _headers(http.get("headers", {}))
    title = f"Reply · {http['status']}"
    stream = _stream(found, pieces) if found.kind == "stream" else None
    if stream is None or not stream.events:
        return _body(title, whole, head), None
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
    """Under the profile's base path, or with it."""
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
    found = detect(body) if body else None
    stream = None
    status = "no answer" if given.status is None else str(given.status)
    title, head = f"Reply · {status}", _headers(given.headers or {}, secrets)
    reply = _body(title, body, head, secrets)
    if found is not None and found.kind == "stream":
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
        _body(call, given.request, (), secrets),
        reply,
        stream,
        given.about,
        given.seconds,
    )


def _marks(findings: Iterable[Finding], part: str, secrets: Sequence[str]) -> Iterator[Mark]:
    for each in findings:
        clean = without_keys(each, secrets)
        yield Mark(clean, part, clean.pointer)


# Coverage.


def coverage_of(files: Iterable[tuple[str, str | None, bytes]]) -> dict[str, Covered]:
    """What of the contract files show, by profile: each as (profile, kind it was judged as, content)."""
    by_profile: dict[str, list[Iterator[Crossed]]] = {}
    for profile, kind, data in files:
        by_profile.setdefault(profile, []).append(_crossed(kind, data))
    return {name: covered(name, chain.from_iterable(each)) for name, each in sorted(by_profile.items())}


def _crossed(kind: str | None, data: bytes) -> Iterator[Crossed]:
    found = detect(data)
    if kind == "stream":
        yield from _events(_stream(found, [(None, found.body)]))
    elif kind == "exchange":
        yield from _of_exchange(data)
    elif isinstance(found.value, dict) and kind in _SCHEMAS:
        yield Crossed(_error(found.value) if kind == "error" else _SCHEMAS[kind], kind, found.value)


_SCHEMAS = {"request": "create_request", "response": "response", "error": "error"}


def _error(value: Mapping[str, Any]) -> str:
    return "error_wrapped" if "error" in value else "error"


def _events(stream: Stream) -> Iterator[Crossed]:
    for event in stream.events:
        if event.number is not None:
            yield Crossed("event", "stream", _value(event.data.encode(errors="replace")))


def _of_exchange(data: bytes) -> Iterator[Crossed]:
    try:
        file = parse_exchange(data, "exchange")
    except InvalidExchange:
        return
    if file.request is not None:
        yield Crossed("create_request", "request", file.request)
    replies = [json.dumps(file.reply["body"])] if "body" in file.reply else []
    if "http" in file.reply:
        replies.append(b"".join(data for _, data in recorded_chunks(file.reply["http"])))
    if file.shown is not None:
        shown = file.shown
        replies.append("\n".join(shown.body).encode() if shown.kind == "stream" else json.dumps(shown.body))
    for reply in replies:
        yield from _crossed(detect(reply).kind, reply)


def crossed_in(asked: Asked) -> Iterator[Crossed]:
    """The values of a request and its reply, as far as the contract has a schema for them."""
    profile = load_profile(asked.profile)
    operation = find_operation(profile, asked.method, asked.path)
    request, reply = _value(asked.request), _value(asked.body)
    good = asked.status is not None and asked.status < 400
    if operation is not None and operation.request is not None and good and isinstance(request, dict):
        yield Crossed(operation.request, "request", request)
    if isinstance(reply, dict):
        if operation is None or not good:
            yield Crossed(_error(reply), "error", reply)
        else:
            yield Crossed(operation.reply, "response", reply)
    elif asked.body:
        yield from _events(read_stream(asked.pieces))
