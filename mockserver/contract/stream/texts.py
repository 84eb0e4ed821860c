"""Texts that come in deltas: collected while they stream, compared once they are complete."""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["MAX_BUFFERED_CHARACTERS", "StreamedText", "TextStage", "text_difference"]

#: Characters of an unfinished text to keep; of longer texts only a hash is kept.
MAX_BUFFERED_CHARACTERS = 1 << 16

_CONTEXT_CHARACTERS = 20


class TextStage(Enum):
    """The stage of a text."""

    OPEN = 1
    DONE = 2
    """Its done event has come."""
    CLOSED = 3
    """The done event of its part has come."""


class StreamedText:
    """One text of an open item: the deltas so far, then the text of its done event."""

    __slots__ = (
        "_buffered_characters",
        "_deltas",
        "_hash",
        "conflicting_done_text",
        "done_part",
        "expected_text",
        "has_part_event",
        "incomparable",
        "stage",
    )

    def __init__(self) -> None:
        self.stage = TextStage.OPEN
        self.has_part_event = False
        """Whether a part event opened it, so one must close it."""
        self.incomparable = False
        """An event of it could not be read: a comparison would only repeat that."""
        self.expected_text: str | None = None
        """The text of the done event, or of the deltas if they differ."""
        self.conflicting_done_text: str | None = None
        """The text of the done event if the deltas differ: that is already reported."""
        self.done_part: Any = None
        """The part of `response.content_part.done`."""
        self._deltas: list[str] = []
        self._buffered_characters = 0
        self._hash: Any = None

    def add_delta(self, delta: Any) -> None:
        if delta.__class__ is not str:
            self.incomparable = True
            return
        self._deltas.append(delta)
        self._buffered_characters += len(delta)
        if self._buffered_characters > MAX_BUFFERED_CHARACTERS:
            self._fold_into_hash()

    def finish(self, done_text: Any) -> tuple[str, str] | None:
        """Take the text of the done event. Return its difference from the deltas as (expected, got), or None."""
        self.stage = TextStage.DONE
        self.expected_text = done_text if isinstance(done_text, str) else None
        pieces, self._deltas = self._deltas, []
        if self.expected_text is None or self.incomparable:
            self.incomparable = True
            return None
        if self._hash is None:
            differs = text_difference(joined := "".join(pieces), self.expected_text)
            if differs is not None:
                self.expected_text, self.conflicting_done_text = joined, self.expected_text
            return differs
        self._deltas = pieces
        self._fold_into_hash()
        if self._hash.digest() == _new_hash(_encode(self.expected_text)).digest():
            return None
        # The deltas are gone, so later texts cannot be compared with them.
        self.incomparable = True
        return ("the deltas", "another text")

    def _fold_into_hash(self) -> None:
        if self._hash is None:
            self._hash = _new_hash()
        self._hash.update(_encode("".join(self._deltas)))
        self._deltas = []
        self._buffered_characters = 0


def text_difference(expected: str, got: str) -> tuple[str, str] | None:
    """Both texts around the first character that differs, or None if they are equal."""
    if expected == got:
        return None
    shorter = min(len(expected), len(got))
    at = next((i for i in range(shorter) if expected[i] != got[i]), shorter)
    return _excerpt(expected, at), _excerpt(got, at)


def _excerpt(text: str, at: int) -> str:
    start, end = max(0, at - _CONTEXT_CHARACTERS), at + _CONTEXT_CHARACTERS
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _new_hash(data: bytes = b"") -> Any:
    from hashlib import blake2b  # slow to import, and few texts are this long

    return blake2b(data)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
