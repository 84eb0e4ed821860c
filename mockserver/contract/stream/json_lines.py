"""Check streams that are saved as JSON Lines: one event a line, in any chunking."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.stream.event_sequence import EventSequenceChecker
from mockserver.contract.stream.framing import describe_content
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json
from mockserver.wire.sse import MAX_EVENT_BYTES

__all__ = ["JSONLinesChecker", "is_event"]


class JSONLinesChecker:
    """Checks one stream of lines: `feed` the chunks, then `finish`.

    If the first line is not an event, but a response or the start of one, it is not a stream: SSE-006.
    """

    def __init__(self, profile: Profile) -> None:
        self.event_checker = EventSequenceChecker(profile)
        self._report = Report(profile.name, 0)
        self._buffer = bytearray()
        self._event_count = 0
        self._stopped = False

    def feed(self, chunk: bytes) -> list[Finding]:
        """Return the findings of the next bytes."""
        found: list[Finding] = []
        self._buffer += chunk
        if b"\n" in chunk:
            *lines, rest = self._buffer.split(b"\n")
            self._buffer = bytearray(rest)
            for line in lines:
                found += self._check_line(bytes(line))
        if len(self._buffer) > MAX_EVENT_BYTES:
            found += self._check_line(bytes(self._buffer))
            self._buffer.clear()
        return found

    def finish(self) -> list[Finding]:
        """Return the findings that only the end of the bytes shows."""
        found = self._check_line(bytes(self._buffer), last=True)
        self._buffer.clear()
        if not self._stopped:
            found += self.event_checker.finish()
        return found + self._report.omitted_findings() + self.event_checker.omitted_findings()

    def _check_line(self, line: bytes, *, last: bool = False) -> list[Finding]:
        report = self._report
        report.findings = []
        line = line.strip()
        if self._stopped or not line:
            return report.findings
        report.event = self._event_count
        if len(line) > MAX_EVENT_BYTES:
            self._stopped = True
            report.add("SSE-004", "", str(EventTooLarge(MAX_EVENT_BYTES)))
            return report.findings
        try:
            event = json.loads(line)
        except InvalidJSON as error:
            self._report_invalid_json(line, error, last=last)
            return report.findings
        if not self._event_count and not is_event(event):
            self._report_not_a_stream(line)
            return report.findings
        self._event_count += 1
        for name in json.find_duplicate_keys(line):
            report.add("SCH-007", "", f"the name {name} occurs twice", got=name)
        return report.findings + self.event_checker.feed(event)

    def _report_invalid_json(self, line: bytes, error: InvalidJSON, *, last: bool) -> None:
        if not self._event_count:
            self._report_not_a_stream(line)
        elif last:
            self._report.add("SSE-003", "", "the stream ends within an event, which clients drop")
        else:
            self._event_count += 1
            text = line[:200].decode(errors="replace")
            self._report.add("SSE-002", "", f"the line is not JSON: {error}", got=text)
            self.event_checker.mark_unreadable()

    def _report_not_a_stream(self, line: bytes) -> None:
        self._stopped = True
        self._report.event = None
        self._report.add("SSE-006", "", f"not an event stream: {describe_content(line)}")


def is_event(value: Any) -> bool:
    """Whether a JSON value looks like an event: it has a type, and is not an API object."""
    return isinstance(value, dict) and isinstance(value.get("type"), str) and "object" not in value
