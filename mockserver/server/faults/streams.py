"""Faults of streams: frames cut, lost, doubled, misnamed, or put where none should be."""

from __future__ import annotations

import re
from dataclasses import replace

from mockserver.server.faults.registry import AFTER, Options, Outgoing, bodies, cut_place, wire_fault
from mockserver.server.steps import Close, Send
from mockserver.wire import json, sse

__all__: list[str] = []

_ERROR = {"code": "InternalError", "message": "An internal error has occurred."}


def _pieces(outgoing: Outgoing, pieces: list[bytes]) -> Outgoing:
    return replace(outgoing, steps=tuple(Send(piece) for piece in pieces))


def _with(outgoing: Outgoing, options: Options, *more: bytes) -> Outgoing:
    """With more frames behind the first events."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    return _pieces(outgoing, [*pieces[:at], *more, *pieces[at:]])


@wire_fault("close-midway", on="stream", after=AFTER)
def _close_midway(outgoing: Outgoing, options: Options) -> Outgoing:
    """The connection is closed after `after` events, in the middle of HTTP's framing."""
    pieces = bodies(outgoing)
    kept = pieces[: cut_place(pieces, options)]
    return replace(outgoing, steps=(*map(Send, kept), Close()))


@wire_fault("cut-after", on="stream", after=AFTER)
def _cut_after(outgoing: Outgoing, options: Options) -> Outgoing:
    """The stream ends after `after` events, orderly as far as HTTP goes: no terminal event."""
    pieces = bodies(outgoing)
    return _pieces(outgoing, pieces[: cut_place(pieces, options)])


@wire_fault("cut-event", on="stream", after=AFTER)
def _cut_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """The stream ends inside the event behind `after` others, orderly as far as HTTP goes."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    return _pieces(outgoing, [*pieces[:at], pieces[at][: len(pieces[at]) // 2]])


@wire_fault("cut-character", on="stream", after=AFTER)
def _cut_character(outgoing: Outgoing, options: Options) -> Outgoing:
    """The connection is closed inside a character of several bytes, behind `after` events."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    piece = pieces[at]
    found = re.search(rb"[\xc2-\xf4]", piece)
    # A text without such a character gets the beginning of one.
    half = piece[: found.end()] if found else piece[: piece.rindex(b'"')] + b"\xe4\xbd"
    return replace(outgoing, steps=(*map(Send, [*pieces[:at], half]), Close()))


@wire_fault("wrong-event-name", on="stream", after=AFTER)
def _wrong_event_name(outgoing: Outgoing, options: Options) -> Outgoing:
    """The `event:` field behind `after` events names another event than the data."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    pieces[at] = re.sub(rb"(?m)^(event: ?)(.*)$", rb"\1response.misnamed", pieces[at], count=1)
    return _pieces(outgoing, pieces)


@wire_fault("no-data", on="stream", after=AFTER)
def _no_data(outgoing: Outgoing, options: Options) -> Outgoing:
    """A frame without data behind `after` events: legal server-sent events, which clients trip over."""
    return _with(outgoing, options, b"event: ping\n\n")


@wire_fault("id-only", on="stream", after=AFTER)
def _id_only(outgoing: Outgoing, options: Options) -> Outgoing:
    """A frame with an id and nothing else behind `after` events."""
    return _with(outgoing, options, b"id: 1\n\n")


@wire_fault("retry-only", on="stream", after=AFTER)
def _retry_only(outgoing: Outgoing, options: Options) -> Outgoing:
    """A frame that only sets the time to reconnect, behind `after` events."""
    return _with(outgoing, options, b"retry: 10\n\n")


@wire_fault("bom", on="stream")
def _bom(outgoing: Outgoing, options: Options) -> Outgoing:
    """A byte order mark at the beginning of the stream."""
    pieces = bodies(outgoing)
    return _pieces(outgoing, [b"\xef\xbb\xbf" + pieces[0], *pieces[1:]])


@wire_fault("comment-storm", on="stream", after=AFTER, count=1000)
def _comment_storm(outgoing: Outgoing, options: Options) -> Outgoing:
    """`count` keep-alive comments behind `after` events."""
    return _with(outgoing, options, sse.comment(" keep-alive") * options["count"])


@wire_fault("lost-event", on="stream", after=AFTER)
def _lost_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """The event behind `after` others does not come; the numbers tell."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    return _pieces(outgoing, [*pieces[:at], *pieces[at + 1 :]])


@wire_fault("doubled-event", on="stream", after=AFTER)
def _doubled_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """The event behind `after` others comes twice."""
    pieces = bodies(outgoing)
    return _with(outgoing, options, pieces[cut_place(pieces, options)])


@wire_fault("huge-event", on="stream", after=AFTER, bytes=2 << 20)
def _huge_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """An event of `bytes` bytes behind `after` others, of a type that the service has not."""
    data = b'{"type":"response.huge","padding":"' + b"x" * options["bytes"] + b'"}'
    return _with(outgoing, options, sse.encode(data, event="response.huge"))


@wire_fault("error-event", on="stream", after=AFTER)
def _error_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """Behind `after` events an `error` event, flat as OpenAI's schema has it; then the stream ends."""
    return _failing(outgoing, options, {**_ERROR, "param": None})


@wire_fault("error-event-nested", on="stream", after=AFTER)
def _error_event_nested(outgoing: Outgoing, options: Options) -> Outgoing:
    """Behind `after` events an `error` event, nested as Open Responses has it; then the stream ends."""
    return _failing(outgoing, options, {"error": {"type": "server_error", **_ERROR, "param": None}})


def _failing(outgoing: Outgoing, options: Options, members: dict[str, object]) -> Outgoing:
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    data = json.dumps({"type": "error", "sequence_number": at, **members})
    return _pieces(outgoing, [*pieces[:at], sse.encode(data, event="error")])


@wire_fault("failed-event", on="stream", after=AFTER)
def _failed_event(outgoing: Outgoing, options: Options) -> Outgoing:
    """Behind `after` events the stream ends with `response.failed`, its item left open."""
    pieces = bodies(outgoing)
    at = cut_place(pieces, options)
    frame = sse.Decoder().feed(pieces[0])[0]
    response = {**json.loads((frame.data or "{}").encode())["response"], "status": "failed", "error": _ERROR}
    data = json.dumps({"type": "response.failed", "sequence_number": at, "response": response})
    return _pieces(outgoing, [*pieces[:at], sse.encode(data, event="response.failed")])


@wire_fault("json-for-stream", on="stream")
def _json_for_stream(outgoing: Outgoing, options: Options) -> Outgoing:
    """One JSON object with status 200 where a stream was asked for."""
    headers = [header for header in outgoing.headers if header[0] != b"content-type"]
    told = [frame.data or "{}" for frame in sse.Decoder(1 << 24).feed(b"".join(bodies(outgoing)))]
    last = next(data for data in reversed(told) if data != "[DONE]")
    body = json.dumps(json.loads(last.encode()).get("response"))
    head = ((b"content-type", b"application/json"), *headers)
    return replace(outgoing, headers=head, steps=(Send(body),))
