"""Faults of streams: events that are cut off, lost, repeated, misnamed or inserted."""

from __future__ import annotations

import re

from mockserver.server.delivery.faults.registry import (
    DEFAULT_AFTER,
    Options,
    OutgoingReply,
    body_pieces,
    break_index,
    wire_fault,
)
from mockserver.server.delivery.steps import Close, Send
from mockserver.wire import json, sse

__all__: list[str] = []

_ERROR = {"code": "InternalError", "message": "An internal error has occurred."}


def _with_pieces(outgoing: OutgoingReply, pieces: list[bytes]) -> OutgoingReply:
    return outgoing._replace(steps=tuple(Send(piece) for piece in pieces))


def _insert_frames(outgoing: OutgoingReply, options: Options, *frames: bytes) -> OutgoingReply:
    """Insert frames after the first `after` events."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    return _with_pieces(outgoing, [*pieces[:at], *frames, *pieces[at:]])


@wire_fault("close-midway", target="stream", after=DEFAULT_AFTER)
def _close_midway(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection closes after `after` events, before the end of the HTTP body."""
    pieces = body_pieces(outgoing)
    return outgoing._replace(steps=(*map(Send, pieces[: break_index(pieces, options)]), Close()))


@wire_fault("cut-after", target="stream", after=DEFAULT_AFTER)
def _cut_after(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The stream ends after `after` events without a terminal event; the HTTP body is complete."""
    pieces = body_pieces(outgoing)
    return _with_pieces(outgoing, pieces[: break_index(pieces, options)])


@wire_fault("cut-event", target="stream", after=DEFAULT_AFTER)
def _cut_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The stream ends inside the event after `after` others; the HTTP body is complete."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    return _with_pieces(outgoing, [*pieces[:at], pieces[at][: len(pieces[at]) // 2]])


@wire_fault("cut-character", target="stream", after=DEFAULT_AFTER)
def _cut_character(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The connection closes inside a multi-byte character, after `after` events."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    piece = pieces[at]
    match = re.search(rb"[\xc2-\xf4]", piece)
    # A text without such a character gets the first bytes of one.
    half = piece[: match.end()] if match else piece[: piece.rindex(b'"')] + b"\xe4\xbd"
    return outgoing._replace(steps=(*map(Send, [*pieces[:at], half]), Close()))


@wire_fault("wrong-event-name", target="stream", after=DEFAULT_AFTER)
def _wrong_event_name(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """After `after` events, an `event:` field that does not match the type in the data."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    pieces[at] = re.sub(rb"(?m)^(event: ?)(.*)$", rb"\1response.misnamed", pieces[at], count=1)
    return _with_pieces(outgoing, pieces)


@wire_fault("no-data", target="stream", after=DEFAULT_AFTER)
def _no_data(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A frame without data after `after` events: valid in server-sent events, but some clients fail."""
    return _insert_frames(outgoing, options, b"event: ping\n\n")


@wire_fault("id-only", target="stream", after=DEFAULT_AFTER)
def _id_only(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A frame with only an id after `after` events."""
    return _insert_frames(outgoing, options, b"id: 1\n\n")


@wire_fault("retry-only", target="stream", after=DEFAULT_AFTER)
def _retry_only(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A frame with only a reconnection time after `after` events."""
    return _insert_frames(outgoing, options, b"retry: 10\n\n")


@wire_fault("bom", target="stream")
def _bom(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """A byte order mark at the start of the stream."""
    pieces = body_pieces(outgoing)
    return _with_pieces(outgoing, [b"\xef\xbb\xbf" + pieces[0], *pieces[1:]])


@wire_fault("comment-storm", target="stream", after=DEFAULT_AFTER, count=1000)
def _comment_storm(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """`count` keep-alive comments after `after` events."""
    return _insert_frames(outgoing, options, sse.encode_comment(" keep-alive") * options["count"])


@wire_fault("lost-event", target="stream", after=DEFAULT_AFTER)
def _lost_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The event after `after` others is missing, which leaves a gap in the sequence numbers."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    return _with_pieces(outgoing, [*pieces[:at], *pieces[at + 1 :]])


@wire_fault("doubled-event", target="stream", after=DEFAULT_AFTER)
def _doubled_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """The event after `after` others is sent twice."""
    pieces = body_pieces(outgoing)
    return _insert_frames(outgoing, options, pieces[break_index(pieces, options)])


@wire_fault("huge-event", target="stream", after=DEFAULT_AFTER, bytes=2 << 20)
def _huge_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """An event of `bytes` bytes, with a type unknown to the service, after `after` others."""
    data = b'{"type":"response.huge","padding":"' + b"x" * options["bytes"] + b'"}'
    return _insert_frames(outgoing, options, sse.encode(data, event="response.huge"))


@wire_fault("error-event", target="stream", after=DEFAULT_AFTER)
def _error_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """An `error` event after `after` events, flat as in OpenAI's schema; then the stream ends."""
    return _end_with_error_event(outgoing, options, {**_ERROR, "param": None})


@wire_fault("error-event-nested", target="stream", after=DEFAULT_AFTER)
def _error_event_nested(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """An `error` event after `after` events, nested as in Open Responses; then the stream ends."""
    return _end_with_error_event(
        outgoing, options, {"error": {"type": "server_error", **_ERROR, "param": None}}
    )


def _end_with_error_event(
    outgoing: OutgoingReply, options: Options, members: dict[str, object]
) -> OutgoingReply:
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    data = json.dumps({"type": "error", "sequence_number": at, **members})
    return _with_pieces(outgoing, [*pieces[:at], sse.encode(data, event="error")])


@wire_fault("failed-event", target="stream", after=DEFAULT_AFTER)
def _failed_event(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """`response.failed` after `after` events, with the current item still open; then the stream ends."""
    pieces = body_pieces(outgoing)
    at = break_index(pieces, options)
    frame = sse.Decoder().feed(pieces[0])[0]
    response = {**json.loads((frame.data or "{}").encode())["response"], "status": "failed", "error": _ERROR}
    data = json.dumps({"type": "response.failed", "sequence_number": at, "response": response})
    return _with_pieces(outgoing, [*pieces[:at], sse.encode(data, event="response.failed")])


@wire_fault("json-for-stream", target="stream")
def _json_for_stream(outgoing: OutgoingReply, options: Options) -> OutgoingReply:
    """Status 200 with one JSON object instead of the requested stream."""
    headers = [header for header in outgoing.headers if header[0] != b"content-type"]
    texts = [frame.data or "{}" for frame in sse.Decoder(1 << 24).feed(b"".join(body_pieces(outgoing)))]
    last = next(data for data in reversed(texts) if data != sse.DONE_DATA)
    body = json.dumps(json.loads(last.encode()).get("response"))
    head = ((b"content-type", b"application/json"), *headers)
    return outgoing._replace(headers=head, steps=(Send(body),))
