"""The judge of server-sent bytes: framing first, then each event to the stream's judge."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.stream import StreamChecker
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["FrameChecker", "looks_like"]

_BOM = b"\xef\xbb\xbf"
_DONE = "[DONE]"


class FrameChecker:
    """Judges one stream as bytes in any chunking: `feed` the chunks, then `finish`."""

    def __init__(self, profile: Profile) -> None:
        self.events = StreamChecker(profile)
        self._profile = profile
        self._decoder = sse.Decoder()
        self._report = Report(profile.name, 0)
        self._head = b""
        self._count = 0
        self._unnamed = False
        self._broken = False

    def feed(self, chunk: bytes) -> list[Finding]:
        """The findings that the next bytes bring."""
        report = self._report
        report.found = []
        if self._broken:
            return report.found
        if len(self._head) < len(_BOM):
            self._begin(chunk)
        try:
            frames = self._decoder.feed(chunk)
        except EventTooLarge as error:
            self._broken = True
            report.say("SSE-004", "", str(error))
            return report.found
        for frame in frames:
            self._frame(frame)
        return report.found

    def finish(self) -> list[Finding]:
        """The findings that the end of the bytes brings."""
        report = self._report
        report.found = []
        if self._broken:
            return report.found
        if not self._count:
            report.event = None
            report.say("SSE-006", "", f"not an event stream: {looks_like(self._head)}")
            return report.found
        if self._decoder.pending:
            # That there is no terminal event then says nothing new: it may have been the one that was cut.
            report.say("SSE-003", "", "the stream ends within an event: what came of it is lost")
            return report.found
        return report.found + self.events.finish()

    def _begin(self, chunk: bytes) -> None:
        before = self._head
        self._head = (before + chunk)[:64]
        if len(before) < len(_BOM) and self._head.startswith(_BOM):
            self._report.say("SSE-007", "", "the stream begins with a byte order mark")

    def _frame(self, frame: sse.Frame) -> None:
        report = self._report
        report.event = self._count
        if not frame.utf8:
            report.say("SSE-009", "", "bytes that are not UTF-8")
        if frame.data is None:
            if frame.fields:
                report.say("SSE-005", "", "a block without data", got=list(frame.fields))
        elif frame.data.strip() == _DONE:
            self._done()
        else:
            self._count += 1
            self._event(frame, frame.data)

    def _done(self) -> None:
        if not self._profile.done_marker:
            self._report.say("SSE-010", "", f"{self._profile.name} sends no {_DONE}")

    def _event(self, frame: sse.Frame, text: str) -> None:
        report = self._report
        try:
            data = text.encode()
            event = json.loads(data)
        except (InvalidJSON, UnicodeEncodeError) as error:
            report.say("SSE-002", "", f"data is not JSON: {error}", got=text)
            self.events.lost()
            return
        for name in json.duplicate_keys(data):
            report.say("SCH-007", "", f"the name {name} is there twice", got=name)
        if isinstance(event, dict):
            self._names(frame, event)
        report.found += self.events.feed(event)

    def _names(self, frame: sse.Frame, event: dict[str, Any]) -> None:
        report, kind, number = self._report, event.get("type"), event.get("sequence_number")
        if frame.event and isinstance(kind, str) and frame.event != kind:
            report.say("SSE-001", "/type", "is not the event field", expected=frame.event, got=kind)
        if not frame.event and not self._unnamed:
            # Said once: a service that does not name its events names none.
            self._unnamed = True
            report.say("SSE-011", "", "a block without an event field")
        if "id" in frame.fields and isinstance(number, int) and frame.last_event_id != str(number + 1):
            message = "id is not sequence_number plus one"
            report.say("SSE-008", "", message, expected=str(number + 1), got=frame.last_event_id)


def looks_like(data: bytes) -> str:
    """What bytes that are no event stream seem to be, in a few words."""
    head = data.removeprefix(_BOM).lstrip()
    if not head:
        return "it is empty"
    if head[:1] in b"{[":
        return "it looks like JSON"
    if head[:1] == b"<":
        return "it looks like HTML"
    return "it has no whole event"
