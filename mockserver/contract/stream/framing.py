"""Check the bytes of a stream: the framing here, each event by the checker of the stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.stream.delta_runs import DeltaRun, build_delta_run
from mockserver.contract.stream.event_sequence import EventSequenceChecker
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["FramingChecker", "ResponsesFramingChecker", "describe_content"]

_BOM = b"\xef\xbb\xbf"
#: The comment in which the service repeats the HTTP status (API reference, sample of 26 January 2026).
_STATUS_COMMENT = "HTTP_STATUS/"
_BLOCK_END = b"\n\n"
#: How many bytes to decode at a time: their frames are in memory at once.
_PIECE_BYTES = 1 << 16


class PayloadChecker(Protocol):
    """Checks the values in the frames, one after another."""

    @property
    def ended(self) -> bool:
        """Whether the stream is complete, so that only the marker may follow."""

    def feed(self, event: Any, /) -> list[Finding]: ...

    def mark_unreadable(self) -> None: ...

    def finish(self) -> list[Finding]: ...

    def omitted_findings(self) -> list[Finding]: ...


class FramingChecker:
    """Checks the bytes of one stream of either API, in any chunking: `feed` the chunks, then `finish`."""

    def __init__(
        self, profile: str, payload_checker: PayloadChecker, *, done_rule: str, requires_done_marker: bool
    ) -> None:
        self._payload_checker = payload_checker
        self._done_rule = done_rule
        self._requires_done_marker = requires_done_marker
        self._done_marker_seen = False
        self._after_done_reported = False
        self._last_event_id = ""
        self._reported_blocks: set[str] = set()
        self._decoder = sse.Decoder()
        self._report = Report(profile, 0)
        self._head = b""
        self._payload_count = 0
        self._stopped = False

    def feed(self, chunk: bytes) -> list[Finding]:
        """Return the findings of the next bytes."""
        report = self._report
        report.findings = []
        for start in range(0, len(chunk), _PIECE_BYTES):
            if self._stopped:
                break
            self._check_piece(chunk[start : start + _PIECE_BYTES])
        return report.findings

    def _check_piece(self, piece: bytes) -> None:
        if len(self._head) < len(_BOM):
            self._check_start(piece)
        try:
            self._check_blocks(piece)
        except EventTooLarge as error:
            self._check_frames(error.frames)
            self._stopped = True
            self._report.event = self._payload_count
            self._report.add("SSE-004", "", str(error))

    def _check_frames(self, frames: Iterable[sse.Frame]) -> None:
        for frame in frames:
            self._check_frame(frame)

    def finish(self) -> list[Finding]:
        """Return the findings that only the end of the bytes shows."""
        found = self._finish()
        return found + self._report.omitted_findings() + self._payload_checker.omitted_findings()

    def _finish(self) -> list[Finding]:
        report = self._report
        report.findings = []
        if self._stopped:
            return report.findings
        if not self._payload_count:
            report.event = None
            report.add("SSE-006", "", f"not an event stream: {describe_content(self._head)}")
            return report.findings
        if self._decoder.has_partial_event:
            # A missing terminal event is not reported: it may be the truncated one.
            report.add("SSE-003", "", "the stream ends within an event, which clients drop")
            return report.findings
        report.event = self._payload_count
        self._check_blank_lines(self._decoder.extra_blank_lines)
        self._on_end()
        report.event = None
        if self._requires_done_marker and not self._done_marker_seen and self._payload_checker.ended:
            report.add(self._done_rule, "", f"the stream does not end with {sse.DONE_DATA}")
        return report.findings + self._payload_checker.finish()

    def _check_start(self, chunk: bytes) -> None:
        before = self._head
        self._head = (before + chunk)[:64]
        if len(before) < len(_BOM) and self._head.startswith(_BOM):
            self._report.add("SSE-007", "", "the stream begins with a byte order mark")

    def _check_frame(self, frame: sse.Frame) -> None:
        report = self._report
        report.event = self._payload_count
        self._check_blank_lines(frame.blank_lines_before)
        self._last_event_id = frame.last_event_id
        if not frame.is_valid_utf8:
            report.add("SSE-009", "", "bytes that are not UTF-8")
        if frame.data is not None:
            self._check_data(frame, frame.data)
        elif frame.fields:
            report.add("SSE-005", "", "a block without data", got=list(frame.fields))
        elif frame.last_event_id:
            self._report_empty_block("a comment block after an event with an id")

    def _check_blank_lines(self, count: int) -> None:
        if count and self._last_event_id:
            self._report_empty_block("an extra blank line after an event with an id")

    def _report_empty_block(self, message: str) -> None:
        """Report SSE-005 once for each kind of block: a keep-alive comes often."""
        if message not in self._reported_blocks:
            self._reported_blocks.add(message)
            self._report.add("SSE-005", "", message)

    def _check_data(self, frame: sse.Frame, text: str) -> None:
        if text.strip() == sse.DONE_DATA:
            self._handle_done_marker()
            return
        self._payload_count += 1
        report = self._report
        if self._done_marker_seen:
            self._check_after_done(text)
            return
        try:
            data = text.encode()
            value = json.loads(data)
        except (InvalidJSON, UnicodeEncodeError) as error:
            report.add("SSE-002", "", f"data is not JSON: {error}", got=text)
            self._payload_checker.mark_unreadable()
            return
        for name in json.find_duplicate_keys(data):
            report.add("SCH-007", "", f"the name {name} occurs twice", got=name)
        if isinstance(value, dict):
            self._check_fields(frame, value)
        report.findings += self._payload_checker.feed(value)

    def _handle_done_marker(self) -> None:
        if self._done_marker_seen and self._requires_done_marker:
            self._report.add(self._done_rule, "", f"{sse.DONE_DATA} comes again")
        self._done_marker_seen = True

    def _check_after_done(self, text: str) -> None:
        """Report the first event after the marker. Later findings would be its consequences."""
        value = json.loads_or_none(text.encode(errors="replace"))
        if not self._after_done_reported:
            self._after_done_reported = True
            got = value.get("type", text) if isinstance(value, dict) else text
            self._report.add(self._done_rule, "", f"an event comes after {sse.DONE_DATA}", got=got)
        if value is None:
            self._payload_checker.mark_unreadable()
        else:
            self._payload_checker.feed(value)

    # The hooks of each API.

    def _check_blocks(self, piece: bytes) -> None:
        """Check bytes in any chunking. Raises EventTooLarge, which has the frames before it."""
        self._check_frames(self._decoder.feed(piece))

    def _check_fields(self, frame: sse.Frame, value: dict[str, Any]) -> None:
        """Check the fields of a frame against its value."""

    def _on_end(self) -> None:
        """Handle the end of the stream between two frames."""


#: Members that name the text an event belongs to.
_TEXT_MEMBERS = ("type", "item_id", "output_index", "content_index", "summary_index")


class ResponsesFramingChecker(FramingChecker):
    """Checks the bytes of one stream of the Responses API."""

    def __init__(self, profile: Profile) -> None:
        self.event_checker = EventSequenceChecker(profile)
        super().__init__(
            profile.name,
            self.event_checker,
            done_rule="SSE-012",
            requires_done_marker=profile.requires_done_marker,
        )
        self._profile = profile
        self._missing_event_field_reported = False
        self._status_comment_reported = False
        self._event: dict[str, Any] = {}
        self._run: DeltaRun | None = None
        self._run_key: tuple[Any, ...] = ()

    def _check_blocks(self, piece: bytes) -> None:
        position = 0
        while position < len(piece):
            is_whole = self._decoder.is_between_blocks
            if is_whole and self._run is not None and not self._done_marker_seen:
                position = self._check_run(self._run, piece, position)
            end = piece.find(_BLOCK_END, position)
            block = piece[position:] if end < 0 else piece[position : end + len(_BLOCK_END)]
            position += len(block)
            self._event = {}
            frames = self._decoder.feed(block)
            self._check_frames(frames)
            if is_whole and len(frames) == 1 and self._decoder.is_between_blocks:
                self._begin_run(block, frames[0])

    def _begin_run(self, block: bytes, frame: sse.Frame) -> None:
        """Build a pattern from the first delta of a text; the following ones are tried against it."""
        event = self._event
        key = tuple(event.get(name) for name in _TEXT_MEMBERS)
        if key != self._run_key and isinstance(event.get("delta"), str):
            self._run_key = key
            is_valid = self.event_checker.is_valid_item_event(event)
            self._run = build_delta_run(block, frame, event) if is_valid else None

    def _check_run(self, run: DeltaRun, piece: bytes, position: int) -> int:
        """Check the deltas at `position` that fit the pattern; return where they end."""
        feed, count, last_id = self.event_checker.feed, 0, b""
        while (found := run.match(piece, position)) is not None:
            event, last_id, position = found
            count += 1
            if findings := feed(event, is_valid=True):
                self._report.findings += findings
        self._payload_count += count
        if last_id:
            self._last_event_id = self._decoder.last_event_id = last_id.decode()
        return position

    def _on_end(self) -> None:
        if self._done_marker_seen and not (self._profile.done_marker or self._after_done_reported):
            self._report.add("SSE-010", "", f"{self._profile.name} sends no {sse.DONE_DATA}")

    def _check_fields(self, frame: sse.Frame, value: dict[str, Any]) -> None:
        self._event = value
        report, kind, number = self._report, value.get("type"), value.get("sequence_number")
        if frame.event and isinstance(kind, str) and frame.event != kind:
            report.add("SSE-001", "/type", "is not the event field", expected=frame.event, got=kind)
        if not frame.event and not self._missing_event_field_reported:
            # Reported once: a service either names its events or does not.
            self._missing_event_field_reported = True
            report.add("SSE-011", "", "a block without an event field")
        if "id" in frame.fields and isinstance(number, int) and frame.last_event_id != str(number + 1):
            message = "id is not sequence_number plus one"
            report.add("SSE-008", "", message, expected=str(number + 1), got=frame.last_event_id)
        self._check_status_comment(frame, kind)

    def _check_status_comment(self, frame: sse.Frame, kind: Any) -> None:
        is_error = not isinstance(kind, str) or kind in ("response.failed", "error")
        if is_error or self._status_comment_reported:
            return
        for comment in frame.comments:
            if comment.startswith(_STATUS_COMMENT) and comment != f"{_STATUS_COMMENT}200":
                self._status_comment_reported = True
                message = "the status comment of an event that is not an error"
                self._report.add("SSE-015", "", message, expected=f"{_STATUS_COMMENT}200", got=comment)


def describe_content(data: bytes) -> str:
    """Describe bytes that are not an event stream, in a few words."""
    head = data.removeprefix(_BOM).lstrip()
    if not head:
        return "it is empty"
    if head[:1] in b"{[":
        return "it looks like JSON"
    if head[:1] == b"<":
        return "it looks like HTML"
    return "it has no complete event"
