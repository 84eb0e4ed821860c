"""Mutants of bytes: a stream's frames (the SSE family), and the text of a body."""

from __future__ import annotations

import re

from mockserver.profiles import Profile
from mockserver.replies.mutants.registry import Pick, breaks, not_applicable
from mockserver.wire import json, sse

Frames = list[bytes]


@breaks("SSE-001", "frames")
def another_event_field(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    at = pick.one(_with(frames, b"event:"), "frame with an event field")
    frames[at] = re.sub(rb"(?m)^(event: ?)(.*)$", rb"\1\2x", frames[at], count=1)
    return frames


@breaks("SSE-002", "frames")
def data_cut(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    # Deltas and the first event: what follows on any other would be missing its beginning.
    # The arguments of a remote tool come before there is an item that could be known to have missed one.
    deltas = [each for each in _with(frames, b'.delta"') if b"mcp_call_arguments" not in frames[each]]
    at = pick.one([0, *deltas], "event")
    data = _data(frames[at])
    new = pick.one([data[: len(data) // 2], b"[]", b"null", b"<html>", data + b","], "way")
    frames[at] = frames[at].replace(data, new)
    return frames


@breaks("SSE-003", "frames")
def ends_within_an_event(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    return [*frames, pick.one([b"data:{", b"event: response.comp", b"d", b"data:{}\n"], "way")]


@breaks("SSE-004", "frames")
def event_too_large(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    frames.insert(pick.one(range(len(frames)), "event"), b"data:" + b"x" * sse.MAX_EVENT_BYTES + b"\n\n")
    return frames


@breaks("SSE-005", "frames")
def block_without_data(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    frames.insert(
        pick.one(range(len(frames)), "event"), pick.one([b"event: ping\n\n", b"retry: 1\n\n"], "way")
    )
    return frames


@breaks("SSE-006", "frames")
def no_stream_at_all(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    body = b'{"object":"response"}'
    return pick.one([[body], [b""], [b"<html><body>502 Bad Gateway</body></html>"]], "way")


@breaks("SSE-007", "frames")
def byte_order_mark(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    return [b"\xef\xbb\xbf" + frames[0], *frames[1:]]


@breaks("SSE-008", "frames")
def another_id(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    at = pick.one(_with(frames, b"id:"), "frame with an id")
    frames[at] = re.sub(rb"(?m)^(id: ?)(.*)$", rb"\g<1>x\2", frames[at], count=1)
    return frames


@breaks("SSE-009", "frames")
def bytes_that_are_no_text(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    at = pick.one(range(len(frames)), "frame")
    frames[at] = b":" + pick.one([b"\xff", b"\xc3(", b"\xed\xa0\x80"], "way") + b"\n" + frames[at]
    return frames


@breaks("SSE-010", "frames")
def done_marker(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    if profile.done_marker:
        raise not_applicable("end without the marker")
    return [*frames, sse.encode("[DONE]")]


@breaks("SSE-011", "frames")
def no_event_field(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    at = pick.one(_with(frames, b"event:"), "frame with an event field")
    frames[at] = re.sub(rb"(?m)^event:.*\n", b"", frames[at], count=1)
    return frames


@breaks("SCH-007", "frames")
def name_twice(frames: Frames, pick: Pick, profile: Profile) -> Frames:
    at = pick.one(range(len(frames)), "frame")
    frames[at] = re.sub(rb"(?m)^(data: ?\{)", rb'\1"type":"x",', frames[at], count=1)
    return frames


@breaks("SCH-006", "body")
def body_that_is_no_json(body: bytes, pick: Pick, profile: Profile) -> bytes:
    spoiled = b'{"x":' + pick.one([b"NaN", b'"\\ud800"', b'"\xff"', b"[" * 101 + b"]" * 101], "way") + b","
    return pick.one([spoiled + body[1:], body[:-1], b"\xef\xbb\xbf" + body, b"<html>"], "way")


@breaks("SCH-007", "body")
def name_twice_in_a_body(body: bytes, pick: Pick, profile: Profile) -> bytes:
    name = pick.one(sorted(json.loads(body)), "member")
    return b"{" + json.dumps(name) + b":null," + body[1:]


def _with(frames: Frames, mark: bytes) -> list[int]:
    return [at for at, frame in enumerate(frames) if mark in frame]


def _data(frame: bytes) -> bytes:
    found = re.search(rb"(?m)^data: ?(.*)$", frame)
    if found is None:
        raise not_applicable("data")
    return found[1]
