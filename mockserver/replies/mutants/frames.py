"""Mutants of bytes: of the frames of a stream (the SSE rules), and of the text of a body."""

from __future__ import annotations

import re

from mockserver.profiles import Profile
from mockserver.replies.mutants.registry import Chooser, breaks, not_applicable
from mockserver.wire import json, sse

Frames = list[bytes]


@breaks("SSE-001", "frames")
def change_event_field(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    at = chooser.choose(_frames_containing(frames, b"event:"), "frame with an event field")
    frames[at] = re.sub(rb"(?m)^(event: ?)(.*)$", rb"\1\2x", frames[at], count=1)
    return frames


@breaks("SSE-002", "frames")
def truncate_data(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    # Only deltas and the first event: without any other, the events after it would break rules too.
    # Deltas of a remote tool's arguments come before their item, so a missing one goes unnoticed.
    deltas = [at for at in _frames_containing(frames, b'.delta"') if b"mcp_call_arguments" not in frames[at]]
    at = chooser.choose([0, *deltas], "event")
    data = _frame_data(frames[at])
    new = chooser.choose([data[: len(data) // 2], b"[]", b"null", b"<html>", data + b","], "way")
    frames[at] = frames[at].replace(data, new)
    return frames


@breaks("SSE-003", "frames")
def end_within_event(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    return [*frames, chooser.choose([b"data:{", b"event: response.comp", b"d", b"data:{}\n"], "way")]


@breaks("SSE-004", "frames")
def insert_oversized_event(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    frames.insert(
        chooser.choose(range(len(frames)), "event"), b"data:" + b"x" * sse.MAX_EVENT_BYTES + b"\n\n"
    )
    return frames


@breaks("SSE-005", "frames")
def insert_block_without_data(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    frames.insert(
        chooser.choose(range(len(frames)), "event"),
        chooser.choose([b"event: ping\n\n", b"retry: 1\n\n"], "way"),
    )
    return frames


@breaks("SSE-006", "frames")
def replace_stream(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    body = b'{"object":"response"}'
    return chooser.choose([[body], [b""], [b"<html><body>502 Bad Gateway</body></html>"]], "way")


@breaks("SSE-007", "frames")
def prepend_byte_order_mark(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    return [b"\xef\xbb\xbf" + frames[0], *frames[1:]]


@breaks("SSE-008", "frames")
def change_id_field(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    at = chooser.choose(_frames_containing(frames, b"id:"), "frame with an id")
    frames[at] = re.sub(rb"(?m)^(id: ?)(.*)$", rb"\g<1>x\2", frames[at], count=1)
    return frames


@breaks("SSE-009", "frames")
def insert_invalid_utf8(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    at = chooser.choose(range(len(frames)), "frame")
    frames[at] = b":" + chooser.choose([b"\xff", b"\xc3(", b"\xed\xa0\x80"], "way") + b"\n" + frames[at]
    return frames


@breaks("SSE-010", "frames")
def append_done_marker(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    if profile.done_marker:
        raise not_applicable("end without the marker")
    return [*frames, sse.encode("[DONE]")]


@breaks("SSE-011", "frames")
def drop_event_field(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    at = chooser.choose(_frames_containing(frames, b"event:"), "frame with an event field")
    frames[at] = re.sub(rb"(?m)^event:.*\n", b"", frames[at], count=1)
    return frames


@breaks("SSE-012", "frames")
def misplace_done_marker(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    marker = sse.encode(sse.DONE_DATA)
    events = [frame for frame in frames if frame != marker]
    at = chooser.choose(range(len(events)), "event")
    early = [*events[:at], marker, *events[at:]]
    if not profile.requires_done_marker:
        return early
    return chooser.choose([early, events, [*events, marker, marker]], "way")


@breaks("SSE-015", "frames")
def change_status_comment(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    commented = _frames_containing(frames, b"HTTP_STATUS/200")
    usual = [at for at in commented if b'"type":"response.' in frames[at] and b"failed" not in frames[at]]
    at = chooser.choose(usual, "status comment of an event that is not an error")
    frames[at] = frames[at].replace(b"HTTP_STATUS/200", b"HTTP_STATUS/500")
    return frames


@breaks("SCH-007", "frames")
def duplicate_member_in_frame(frames: Frames, chooser: Chooser, profile: Profile) -> Frames:
    at = chooser.choose(_frames_containing(frames, b"{"), "frame with an event")
    frames[at] = re.sub(rb"(?m)^(data: ?\{)", rb'\1"type":"x",', frames[at], count=1)
    return frames


@breaks("SCH-006", "body")
def break_json_body(body: bytes, chooser: Chooser, profile: Profile) -> bytes:
    invalid_value = chooser.choose([b"NaN", b'"\\ud800"', b'"\xff"', b"[" * 101 + b"]" * 101], "way")
    invalid_start = b'{"x":' + invalid_value + b","
    return chooser.choose([invalid_start + body[1:], body[:-1], b"\xef\xbb\xbf" + body, b"<html>"], "way")


@breaks("SCH-007", "body")
def duplicate_member_in_body(body: bytes, chooser: Chooser, profile: Profile) -> bytes:
    name = chooser.choose(sorted(json.loads(body)), "member")
    return b"{" + json.dumps(name) + b":null," + body[1:]


def _frames_containing(frames: Frames, text: bytes) -> list[int]:
    return [at for at, frame in enumerate(frames) if text in frame]


def _frame_data(frame: bytes) -> bytes:
    match = re.search(rb"(?m)^data: ?(.*)$", frame)
    if match is None:
        raise not_applicable("data")
    return match[1]
