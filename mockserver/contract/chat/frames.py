"""The judge of a streamed completion's bytes: framing first, then each chunk to the stream's judge."""

from __future__ import annotations

from typing import Any

from mockserver.contract.chat.schemas import CHAT
from mockserver.contract.chat.stream import ChatStreamChecker
from mockserver.contract.findings import Finding
from mockserver.contract.frames import looks_like
from mockserver.contract.rules import Report
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.wire import json, sse

__all__ = ["ChatFrameChecker"]

_DONE = "[DONE]"


class ChatFrameChecker:
    """Judges one stream as bytes in any chunking: `feed` the chunks, then `finish`."""

    def __init__(self, request: Any = None) -> None:
        self.chunks = ChatStreamChecker(request)
        self._decoder = sse.Decoder()
        self._report = Report(CHAT, 0)
        self._head = b""
        self._count = 0
        self._done = False
        self._broken = False

    def feed(self, data: bytes) -> list[Finding]:
        """The findings that the next bytes bring."""
        report = self._report
        report.found = []
        if self._broken:
            return report.found
        before, self._head = self._head, (self._head + data)[:64]
        if len(before) < 3 <= len(self._head) and self._head.startswith(b"\xef\xbb\xbf"):
            report.say("SSE-007", "", "the stream begins with a byte order mark")
        try:
            frames = self._decoder.feed(data)
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
        report.event, report.found = None, []
        if self._broken:
            return report.found
        if not self._count:
            report.say("SSE-006", "", f"not an event stream: {looks_like(self._head)}")
        elif self._decoder.pending:
            report.say("SSE-003", "", "the stream ends within an event: what came of it is lost")
        else:
            if not self._done and not self.chunks.failed:
                report.say("CHT-007", "", f"the stream does not end with {_DONE}")
            report.found += self.chunks.finish()
        return report.found

    def _frame(self, frame: sse.Frame) -> None:
        report = self._report
        report.event = self._count
        if not frame.utf8:
            report.say("SSE-009", "", "bytes that are not UTF-8")
        if frame.data is None:
            if frame.fields:
                report.say("SSE-005", "", "a block without data", got=list(frame.fields))
            return
        if self._done:
            report.say("CHT-007", "", f"something comes after {_DONE}", got=frame.data)
            return
        if frame.data.strip() == _DONE:
            self._done = True
            return
        self._count += 1
        self._chunk(frame.data)

    def _chunk(self, text: str) -> None:
        report = self._report
        try:
            data = text.encode()
            chunk = json.loads(data)
        except (InvalidJSON, UnicodeEncodeError) as error:
            report.say("SSE-002", "", f"data is not JSON: {error}", got=text)
            self.chunks.lost()
            return
        for name in json.duplicate_keys(data):
            report.say("SCH-007", "", f"the name {name} is there twice", got=name)
        report.found += self.chunks.feed(chunk)
