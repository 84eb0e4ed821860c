"""Faults of connections and bodies."""

from __future__ import annotations

from collections.abc import Iterator

from mockserver.server.delivery.faults.registry import (
    DEFAULT_AFTER,
    Options,
    OutgoingReply,
    body_pieces,
    break_index,
    wire_fault,
)
from mockserver.server.delivery.steps import Close, Raw, Reset, Send, Step, Wait

__all__: list[str] = []

#: Milliseconds to keep a client waiting that should give up by itself.
_FOREVER_MS = 3_600_000


def _steps_before_break(outgoing: OutgoingReply, options: Options) -> tuple[Step, ...]:
    """The steps before the fault: the first events of a stream, or the first half of a body."""
    pieces = body_pieces(outgoing)
    if outgoing.stream:
        return tuple(Send(piece) for piece in pieces[: break_index(pieces, options)])
    whole = b"".join(pieces)
    return (Send(whole[: len(whole) // 2]),)


def _with_content_length(outgoing: OutgoingReply) -> OutgoingReply:
    """Add the length of the whole body to the headers, unless the reply is a stream."""
    if outgoing.stream:
        return outgoing
    length = sum(map(len, body_pieces(outgoing)))
    return outgoing._replace(headers=(*outgoing.headers, (b"content-length", b"%d" % length)))


@wire_fault("empty")
def _empty(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection closes without a byte."""
    return outgoing._replace(status=0, steps=(Close(),))


@wire_fault("reset")
def _reset(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection is reset (TCP RST) without a byte."""
    return outgoing._replace(status=0, steps=(Reset(),))


@wire_fault("garbage")
def _garbage(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """Bytes that are not HTTP, then the connection closes."""
    return outgoing._replace(status=0, steps=(Raw(b"\x16\x03\x01\x00\xffno HTTP at all\r\n\r\n"), Close()))


@wire_fault("no-answer", ms=_FOREVER_MS)
def _no_answer(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The server sends nothing until the client gives up; after `ms` milliseconds the connection closes."""
    return outgoing._replace(status=0, steps=(Wait(options["ms"] / 1000), Close()))


@wire_fault("bad-chunk", after=DEFAULT_AFTER)
def _bad_chunk(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A chunk with an invalid length in mid-body (in a stream after `after` events), then a close."""
    return outgoing._replace(
        steps=(*_steps_before_break(outgoing, options), Raw(b"zz\r\nno chunk\r\n"), Close())
    )


@wire_fault("cut-body", after=DEFAULT_AFTER)
def _cut_body(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection closes in mid-body (in a stream after `after` events), before the announced length."""
    return _with_content_length(outgoing)._replace(steps=(*_steps_before_break(outgoing, options), Close()))


@wire_fault("reset-midway", after=DEFAULT_AFTER)
def _reset_midway(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection is reset (TCP RST) in mid-body (in a stream after `after` events)."""
    # Wait for the sent bytes to arrive: a reset discards what the client has not read.
    return _with_content_length(outgoing)._replace(
        steps=(*_steps_before_break(outgoing, options), Wait(0.05, from_now=True), Reset()),
    )


@wire_fault("stall", after=DEFAULT_AFTER, ms=_FOREVER_MS)
def _stall(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The body stalls halfway (in a stream after `after` events) until the client gives up."""
    steps = (*_steps_before_break(outgoing, options), Wait(options["ms"] / 1000), Close())
    return _with_content_length(outgoing)._replace(steps=steps)


@wire_fault("slow-drip", bytes=16, ms=10)
def _slow_drip(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The complete body arrives slowly: `bytes` bytes every `ms` milliseconds."""
    whole, size = b"".join(body_pieces(outgoing)), max(1, options["bytes"])

    def small_writes() -> Iterator[Step]:
        for at in range(0, len(whole), size):
            yield Wait(options["ms"] / 1000)
            yield Send(whole[at : at + size])

    return _with_content_length(outgoing)._replace(steps=tuple(small_writes()))


@wire_fault("html")
def _html(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """Status 200 with an HTML page instead of the reply, as from a gateway or a captive portal."""
    page = b"<!doctype html><html><head><title>Gateway</title></head><body>Please sign in.</body></html>"
    headers = [header for header in outgoing.headers if header[0] != b"content-type"]
    head = ((b"content-type", b"text/html; charset=utf-8"), *headers)
    return outgoing._replace(headers=head, steps=(Send(page),))


@wire_fault("empty-body")
def _empty_body(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """Status and headers with an empty body."""
    return outgoing._replace(headers=(*outgoing.headers, (b"content-length", b"0")), steps=())


@wire_fault("json-array", target="body")
def _json_array(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A JSON array instead of the response."""
    return outgoing._replace(steps=(Send(b"[" + b"".join(body_pieces(outgoing)) + b"]"),))


@wire_fault("wrong-shape", target="body")
def _wrong_shape(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A JSON object that is not a response."""
    return outgoing._replace(steps=(Send(b'{"object":"list","data":[]}'),))


@wire_fault("bad-json", after=DEFAULT_AFTER)
def _bad_json(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """Invalid JSON: the body, or in a stream the event after `after` others."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options) if outgoing.stream else 0
    body, end = pieces[at].rstrip(b"\n"), b"\n\n" if outgoing.stream else b""
    pieces[at] = body.removesuffix(b"}") + end
    return outgoing._replace(steps=tuple(map(Send, pieces)))


@wire_fault("bad-utf8", after=DEFAULT_AFTER)
def _bad_utf8(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A byte that is not UTF-8 in the body, or in a stream in the event after `after` others."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options) if outgoing.stream else 0
    quote = pieces[at].rindex(b'"')
    pieces[at] = pieces[at][:quote] + b"\xff" + pieces[at][quote:]
    return outgoing._replace(steps=tuple(map(Send, pieces)))
