"""The judge of a streamed completion's bytes: framing as for Responses, a marker at the end."""

from __future__ import annotations

from typing import Any

from mockserver.contract.chat.schemas import CHAT
from mockserver.contract.chat.stream import ChatStreamChecker
from mockserver.contract.frames import DONE, Framing
from mockserver.wire import sse

__all__ = ["ChatFrameChecker"]


class ChatFrameChecker(Framing):
    """Judges one streamed completion."""

    def __init__(self, request: Any = None) -> None:
        self.chunks = ChatStreamChecker(request)
        super().__init__(CHAT, self.chunks)
        self._ended = False

    def _data(self, frame: sse.Frame, text: str) -> None:
        if self._ended:
            self._report.say("CHT-007", "", f"something comes after {DONE}", got=text)
        else:
            super()._data(frame, text)

    def _done(self) -> None:
        self._ended = True

    def _end(self) -> None:
        self._report.event = None
        if not self._ended and not self.chunks.failed:
            self._report.say("CHT-007", "", f"the stream does not end with {DONE}")
