"""Check the bytes of a stream: the framing here, each event by the checker of the stream."""

from __future__ import annotations

from typing import Any, Protocol

from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.stream.event_sequence import EventSequenceChecker
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["DONE_MARKER", "FramingChecker", "ResponsesFramingChecker", "describe_content"]

#: The data of the block with which some services end a stream.
DONE_MARKER = "[DONE]"
_BOM = b"\xef\xbb\xbf"


class PayloadChecker(Protocol):
    """Checks the values in the frames, one after another."""

    def feed(self, event: Any, /) -> list[Finding]: ...

    def mark_unreadable(self) -> None: ...

    def finish(self) -> list[Finding]: ...


class FramingChecker:
    """Checks the bytes of one stream of either API, in any chunking: `feed` the chunks, then `finish`."""

    def __init__(self, profile: str, payload_checker: PayloadChecker) -> None:
        self._payload_checker = payload_checker
        self._decoder = sse.Decoder()
        self._report = Report(profile, 0)
        self._head = b""
        self._payload_count = 0
        self._stopped = False

    def feed(self, chunk: bytes) -> list[Finding]:
        """Return the findings of the next bytes."""
        report = self._report
        report.findings = []
        if self._stopped:
            return report.findings
        if len(self._head) < len(_BOM):
            self._check_start(chunk)
        try:
            frames = self._decoder.feed(chunk)
        except EventTooLarge as error:
            self._stopped = True
            report.add("SSE-004", "", str(error))
            return report.findings
        for frame in frames:
            self._check_frame(frame)
        return report.findings

    def finish(self) -> list[Finding]:
        """Return the findings that only the end of the bytes shows."""
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
        self._on_end()
        return report.findings + self._payload_checker.finish()

    def _check_start(self, chunk: bytes) -> None:
        before = self._head
        self._head = (before + chunk)[:64]
        if len(before) < len(_BOM) and self._head.startswith(_BOM):
            self._report.add("SSE-007", "", "the stream begins with a byte order mark")

    def _check_frame(self, frame: sse.Frame) -> None:
        report = self._report
        report.event = self._payload_count
        if not frame.is_valid_utf8:
            report.add("SSE-009", "", "bytes that are not UTF-8")
        if frame.data is not None:
            self._check_data(frame, frame.data)
        elif frame.fields:
            report.add("SSE-005", "", "a block without data", got=list(frame.fields))

    def _check_data(self, frame: sse.Frame, text: str) -> None:
        if text.strip() == DONE_MARKER:
            self._on_done_marker()
            return
        self._payload_count += 1
        report = self._report
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

    # The hooks of each API.

    def _on_done_marker(self) -> None:
        """Handle the marker `[DONE]`."""

    def _check_fields(self, frame: sse.Frame, value: dict[str, Any]) -> None:
        """Check the fields of a frame against its value."""

    def _on_end(self) -> None:
        """Handle the end of the stream between two frames."""


class ResponsesFramingChecker(FramingChecker):
    """Checks the bytes of one stream of the Responses API."""

    def __init__(self, profile: Profile) -> None:
        self.event_checker = EventSequenceChecker(profile)
        super().__init__(profile.name, self.event_checker)
        self._profile = profile
        self._missing_event_field_reported = False

    def _on_done_marker(self) -> None:
        if not self._profile.done_marker:
            self._report.add("SSE-010", "", f"{self._profile.name} sends no {DONE_MARKER}")

    def _check_fields(self, frame: sse.Frame, value: dict[str, Any]) -> None:
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
