"""The judge of server-sent bytes: framing first, then each event to the stream's judge."""

from __future__ import annotations

from typing import Any, Protocol

from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.stream import StreamChecker
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["DONE", "FrameChecker", "Framing", "looks_like"]

#: The data of the frame that some services end a stream with.
DONE = "[DONE]"
_BOM = b"\xef\xbb\xbf"


class Carried(Protocol):
    """Judges what the frames carry, one value after the other."""

    def feed(self, event: Any, /) -> list[Finding]: ...

    def lost(self) -> None: ...

    def finish(self) -> list[Finding]: ...


class Framing:
    """Judges one stream as bytes in any chunking, whichever API's: `feed` the chunks, then `finish`."""

    def __init__(self, profile: str, carried: Carried) -> None:
        self._carried = carried
        self._decoder = sse.Decoder()
        self._report = Report(profile, 0)
        self._head = b""
        self._count = 0
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
        self._end()
        return report.found + self._carried.finish()

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
        if frame.data is not None:
            self._data(frame, frame.data)
        elif frame.fields:
            report.say("SSE-005", "", "a block without data", got=list(frame.fields))

    def _data(self, frame: sse.Frame, text: str) -> None:
        if text.strip() == DONE:
            self._done()
            return
        self._count += 1
        report = self._report
        try:
            data = text.encode()
            value = json.loads(data)
        except (InvalidJSON, UnicodeEncodeError) as error:
            report.say("SSE-002", "", f"data is not JSON: {error}", got=text)
            self._carried.lost()
            return
        for name in json.duplicate_keys(data):
            report.say("SCH-007", "", f"the name {name} is there twice", got=name)
        if isinstance(value, dict):
            self._names(frame, value)
        report.found += self._carried.feed(value)

    # What is particular to an API.

    def _done(self) -> None:
        """The marker came."""

    def _names(self, frame: sse.Frame, value: dict[str, Any]) -> None:
        """A frame's fields, beside what it carries."""

    def _end(self) -> None:
        """The stream ended between two frames."""


class FrameChecker(Framing):
    """Judges one stream of the Responses API."""

    def __init__(self, profile: Profile) -> None:
        self.events = StreamChecker(profile)
        super().__init__(profile.name, self.events)
        self._profile = profile
        self._unnamed = False

    def _done(self) -> None:
        if not self._profile.done_marker:
            self._report.say("SSE-010", "", f"{self._profile.name} sends no {DONE}")

    def _names(self, frame: sse.Frame, value: dict[str, Any]) -> None:
        report, kind, number = self._report, value.get("type"), value.get("sequence_number")
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
