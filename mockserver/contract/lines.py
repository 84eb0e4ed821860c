"""The judge of streams that were kept as JSON Lines: one event a line, as bytes in any chunking."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.frames import looks_like
from mockserver.contract.rules import Report
from mockserver.contract.stream import StreamChecker
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json
from mockserver.wire.sse import MAX_EVENT_BYTES

__all__ = ["LineChecker", "is_event"]


class LineChecker:
    """Judges one stream of lines: `feed` the chunks, then `finish`.

    A first line that is no event, but a whole answer or the start of one, is no stream: SSE-006.
    """

    def __init__(self, profile: Profile) -> None:
        self.events = StreamChecker(profile)
        self._report = Report(profile.name, 0)
        self._rest = bytearray()
        self._count = 0
        self._broken = False

    def feed(self, chunk: bytes) -> list[Finding]:
        """The findings that the next bytes bring."""
        found: list[Finding] = []
        self._rest += chunk
        if b"\n" in chunk:
            *lines, rest = self._rest.split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                found += self._line(bytes(line))
        if len(self._rest) > MAX_EVENT_BYTES:
            found += self._line(bytes(self._rest))
            self._rest.clear()
        return found

    def finish(self) -> list[Finding]:
        """The findings that the end of the bytes brings."""
        found = self._line(bytes(self._rest), last=True)
        self._rest.clear()
        if not self._broken:
            found += self.events.finish()
        return found

    def _line(self, line: bytes, *, last: bool = False) -> list[Finding]:
        report = self._report
        report.found = []
        line = line.strip()
        if self._broken or not line:
            return report.found
        report.event = self._count
        if len(line) > MAX_EVENT_BYTES:
            self._broken = True
            report.say("SSE-004", "", str(EventTooLarge(MAX_EVENT_BYTES)))
            return report.found
        try:
            event = json.loads(line)
        except InvalidJSON as error:
            self._unreadable(line, error, last=last)
            return report.found
        if not self._count and not is_event(event):
            self._no_stream(line)
            return report.found
        self._count += 1
        for name in json.duplicate_keys(line):
            report.say("SCH-007", "", f"the name {name} is there twice", got=name)
        return report.found + self.events.feed(event)

    def _unreadable(self, line: bytes, error: InvalidJSON, *, last: bool) -> None:
        if not self._count:
            self._no_stream(line)
        elif last:
            self._report.say("SSE-003", "", "the stream ends within an event: what came of it is lost")
        else:
            self._count += 1
            text = line[:200].decode(errors="replace")
            self._report.say("SSE-002", "", f"the line is not JSON: {error}", got=text)
            self.events.lost()

    def _no_stream(self, line: bytes) -> None:
        self._broken = True
        self._report.event = None
        self._report.say("SSE-006", "", f"not an event stream: {looks_like(line)}")


def is_event(value: Any) -> bool:
    """Whether a JSON value has the mark of an event: a type, and not that it is a response."""
    return isinstance(value, dict) and isinstance(value.get("type"), str) and "object" not in value
