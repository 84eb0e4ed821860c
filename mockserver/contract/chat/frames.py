"""The judge of a streamed completion's bytes: framing as for Responses, a marker at the end."""

from __future__ import annotations

from typing import Any

from mockserver.contract.chat.schemas import CHAT_PROFILE
from mockserver.contract.chat.stream import ChunkSequenceChecker
from mockserver.contract.frames import DONE_MARKER, FramingChecker
from mockserver.wire import sse

__all__ = ["ChatFramingChecker"]


class ChatFramingChecker(FramingChecker):
    """Judges one streamed completion."""

    def __init__(self, request: Any = None) -> None:
        self.chunk_checker = ChunkSequenceChecker(request)
        super().__init__(CHAT_PROFILE, self.chunk_checker)
        self._done_marker_seen = False

    def _check_data(self, frame: sse.Frame, text: str) -> None:
        if self._done_marker_seen:
            self._report.add("CHT-007", "", f"something comes after {DONE_MARKER}", got=text)
        else:
            super()._check_data(frame, text)

    def _on_done_marker(self) -> None:
        self._done_marker_seen = True

    def _on_end(self) -> None:
        self._report.event = None
        if not self._done_marker_seen and not self.chunk_checker.failed:
            self._report.add("CHT-007", "", f"the stream does not end with {DONE_MARKER}")
