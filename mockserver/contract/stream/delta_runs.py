"""Runs of deltas: events of one text that differ in nothing but their number and their delta.

Nearly all bytes of a stream are such runs. Once an event of a run is checked, the next one needs neither
decoding nor validation if its bytes fit the pattern of the first one: what a rule reads is the same, except for the
number and the delta, which are compared and added to the text as usual. Bytes that do not fit are checked in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mockserver.wire import json, sse

__all__ = ["DeltaRun", "build_delta_run"]

_FIELDS = (("id", "event", "data"), ("event", "data"))
_STATUS_COMMENT = "HTTP_STATUS/200"

#: A string without `\\u`, and a number as every encoder writes it, short enough to be exact.
_TEXT = rb'([^"\\\x00-\x1f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f]*)*)'
_NUMBER = rb"(0|[1-9][0-9]{0,14})"
_ID_LINE = re.compile(rb"^(id: ?)" + _NUMBER + rb"\n")
_DELTA = re.compile(rb'("delta" ?: ?")' + _TEXT + rb'"')
_SEQUENCE_NUMBER = re.compile(rb'("sequence_number" ?: ?)' + _NUMBER + rb"(?=[ ,}\n])")


class DeltaRun:
    """The pattern of a run, and the event it was made from."""

    __slots__ = ("_delta_group", "_event", "_has_id", "_match", "_number_group")

    def __init__(self, pattern: bytes, event: dict[str, Any], *, has_id: bool, number_first: bool) -> None:
        self._match = re.compile(pattern).match
        self._event = event
        self._has_id = has_id
        self._number_group = 1 + has_id + (not number_first)
        self._delta_group = 1 + has_id + number_first

    def match(self, data: bytes, position: int) -> tuple[dict[str, Any], bytes, int] | None:
        """The event at `position`, the id of its block (b"" if it has none) and where the block ends."""
        found = self._match(data, position)
        if found is None:
            return None
        number = int(found[self._number_group])
        event_id = found[1] if self._has_id else b""
        if event_id and int(event_id) != number + 1:
            return None
        try:
            text = _unescape(found[self._delta_group])
        except UnicodeDecodeError:
            return None
        event = self._event.copy()
        event["delta"] = text
        event["sequence_number"] = number
        return event, event_id, found.end()


def _unescape(text: bytes) -> str:
    if b"\\" not in text:
        return text.decode()
    unescaped: str = json.loads(b'"%b"' % text.decode().encode())
    return unescaped


def build_delta_run(block: bytes, frame: sse.Frame, event: dict[str, Any]) -> DeltaRun | None:
    """The run that a valid delta event starts; None if its bytes are unusual.

    `block` is all of the frame's bytes. All that the rules of framing read must be right in them, since it is
    the same in the blocks that follow.
    """
    if not _is_usual(block, frame, event):
        return None
    delta, sequence_number = _DELTA.search(block), _SEQUENCE_NUMBER.search(block)
    if delta is None or sequence_number is None:
        return None
    number = int(sequence_number[2])
    if delta[2].decode() != event.get("delta") or number != event.get("sequence_number"):
        return None
    gaps = [(delta.span(2), _TEXT), (sequence_number.span(2), _NUMBER)]
    has_id = frame.fields[0] == "id"
    if has_id:
        id_line = _ID_LINE.match(block)
        if id_line is None or int(id_line[2]) != number + 1:
            return None
        gaps.append((id_line.span(2), _NUMBER))
    return DeltaRun(
        _pattern_with_gaps(block, gaps),
        event,
        has_id=has_id,
        number_first=sequence_number.start() < delta.start(),
    )


def _is_usual(block: bytes, frame: sse.Frame, event: Mapping[str, Any]) -> bool:
    """Whether the framing breaks no rule, and the members that change are where the patterns find them."""
    return (
        frame.fields in _FIELDS
        and frame.data is not None
        and frame.event == event["type"]
        and frame.is_valid_utf8
        and not frame.blank_lines_before
        and all(each == _STATUS_COMMENT for each in frame.comments)
        and block.count(b'"delta"') == 1
        and block.count(b'"sequence_number"') == 1
        and b"\r" not in block
        and b"\\" not in block
        and not json.find_duplicate_keys(frame.data.encode())
    )


def _pattern_with_gaps(block: bytes, gaps: Iterable[tuple[tuple[int, int], bytes]]) -> bytes:
    """A pattern of blocks that differ from this one only in the gaps, each a span and its own pattern."""
    pattern, end = b"", 0
    for (start, stop), gap in sorted(gaps):
        pattern += re.escape(block[end:start]) + gap
        end = stop
    return pattern + re.escape(block[end:])
