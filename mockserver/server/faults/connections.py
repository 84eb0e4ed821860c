"""Faults of connections and bodies: what HTTP and its sockets do to an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mockserver.server.faults.registry import AFTER, Options, Outgoing, bodies, cut_place, wire_fault
from mockserver.server.steps import Close, Raw, Reset, Send, Step, Wait

__all__: list[str] = []

#: Milliseconds that a client is kept waiting where it is to give up by itself.
_FOREVER_MS = 3_600_000


def _first(outgoing: Outgoing, options: Options) -> tuple[Step, ...]:
    """The steps up to where it breaks: so many events of a stream, the first half of a body."""
    pieces = bodies(outgoing)
    if outgoing.stream:
        return tuple(Send(piece) for piece in pieces[: cut_place(pieces, options)])
    whole = b"".join(pieces)
    return (Send(whole[: len(whole) // 2]),)


def _promised(outgoing: Outgoing) -> Outgoing:
    """With the length of the whole body in its head, where it is no stream."""
    if outgoing.stream:
        return outgoing
    length = sum(map(len, bodies(outgoing)))
    return replace(outgoing, headers=(*outgoing.headers, (b"content-length", b"%d" % length)))


@wire_fault("empty")
def _empty(outgoing: Outgoing, options: Options) -> Outgoing:
    """The connection is closed without a byte."""
    return replace(outgoing, status=0, steps=(Close(),))


@wire_fault("reset")
def _reset(outgoing: Outgoing, options: Options) -> Outgoing:
    """The connection is reset (TCP RST) without a byte."""
    return replace(outgoing, status=0, steps=(Reset(),))


@wire_fault("garbage")
def _garbage(outgoing: Outgoing, options: Options) -> Outgoing:
    """Bytes that are no HTTP, then the connection is closed."""
    return replace(outgoing, status=0, steps=(Raw(b"\x16\x03\x01\x00\xffno HTTP at all\r\n\r\n"), Close()))


@wire_fault("no-answer", ms=_FOREVER_MS)
def _no_answer(outgoing: Outgoing, options: Options) -> Outgoing:
    """Nothing comes until the client gives up; after `ms` milliseconds the connection is closed."""
    return replace(outgoing, status=0, steps=(Wait(options["ms"] / 1000), Close()))


@wire_fault("bad-chunk", after=AFTER)
def _bad_chunk(outgoing: Outgoing, options: Options) -> Outgoing:
    """In mid-body, after `after` events, a chunk whose length is no number; then the connection is closed."""
    return replace(outgoing, steps=(*_first(outgoing, options), Raw(b"zz\r\nno chunk\r\n"), Close()))


@wire_fault("cut-body", after=AFTER)
def _cut_body(outgoing: Outgoing, options: Options) -> Outgoing:
    """The body ends early (a stream after `after` events) though more was promised; then a close."""
    return replace(_promised(outgoing), steps=(*_first(outgoing, options), Close()))


@wire_fault("reset-midway", after=AFTER)
def _reset_midway(outgoing: Outgoing, options: Options) -> Outgoing:
    """In mid-body (in a stream after `after` events) the connection is reset (TCP RST)."""
    # What was sent is given time to arrive: a reset throws away what has not been read.
    return replace(_promised(outgoing), steps=(*_first(outgoing, options), Wait(0.05), Reset()))


@wire_fault("stall", after=AFTER, ms=_FOREVER_MS)
def _stall(outgoing: Outgoing, options: Options) -> Outgoing:
    """In mid-body (in a stream after `after` events) nothing more comes until the client gives up."""
    steps = (*_first(outgoing, options), Wait(options["ms"] / 1000), Close())
    return replace(_promised(outgoing), steps=steps)


@wire_fault("slow-drip", bytes=16, ms=10)
def _slow_drip(outgoing: Outgoing, options: Options) -> Outgoing:
    """The body comes whole, `bytes` bytes every `ms` milliseconds."""
    whole, size = b"".join(bodies(outgoing)), max(1, options["bytes"])

    def drops() -> Iterator[Step]:
        for at in range(0, len(whole), size):
            yield Wait(options["ms"] / 1000)
            yield Send(whole[at : at + size])

    return replace(_promised(outgoing), steps=tuple(drops()))


@wire_fault("html")
def _html(outgoing: Outgoing, options: Options) -> Outgoing:
    """Status 200 with a page of HTML in place of the answer, as a gateway or a captive portal sends it."""
    page = b"<!doctype html><html><head><title>Gateway</title></head><body>Please sign in.</body></html>"
    headers = [header for header in outgoing.headers if header[0] != b"content-type"]
    head = ((b"content-type", b"text/html; charset=utf-8"), *headers)
    return replace(outgoing, headers=head, steps=(Send(page),))


@wire_fault("empty-body")
def _empty_body(outgoing: Outgoing, options: Options) -> Outgoing:
    """The status and its headers, and nothing behind them."""
    return replace(outgoing, headers=(*outgoing.headers, (b"content-length", b"0")), steps=())


@wire_fault("json-array", on="body")
def _json_array(outgoing: Outgoing, options: Options) -> Outgoing:
    """A JSON array in place of the response."""
    return replace(outgoing, steps=(Send(b"[" + b"".join(bodies(outgoing)) + b"]"),))


@wire_fault("wrong-shape", on="body")
def _wrong_shape(outgoing: Outgoing, options: Options) -> Outgoing:
    """A JSON object in place of the response that is none."""
    return replace(outgoing, steps=(Send(b'{"object":"list","data":[]}'),))


@wire_fault("bad-json", after=AFTER)
def _bad_json(outgoing: Outgoing, options: Options) -> Outgoing:
    """What should be JSON is none: the body, or in a stream the event behind `after` others."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options) if outgoing.stream else 0
    body, end = pieces[at].rstrip(b"\n"), b"\n\n" if outgoing.stream else b""
    pieces[at] = body.removesuffix(b"}") + end
    return replace(outgoing, steps=tuple(map(Send, pieces)))


@wire_fault("bad-utf8", after=AFTER)
def _bad_utf8(outgoing: Outgoing, options: Options) -> Outgoing:
    """A byte that is no UTF-8 in the body, or in a stream in the event behind `after` others."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options) if outgoing.stream else 0
    place = pieces[at].rindex(b'"')
    pieces[at] = pieces[at][:place] + b"\xff" + pieces[at][place:]
    return replace(outgoing, steps=tuple(map(Send, pieces)))
