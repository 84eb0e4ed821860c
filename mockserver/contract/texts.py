"""Texts that come in pieces: gathered while they stream, compared once they are whole."""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["KEPT_CHARACTERS", "Stage", "Text", "difference"]

#: Characters of an unfinished text that are kept as they are; longer ones are kept as a hash.
KEPT_CHARACTERS = 1 << 16

_CONTEXT = 20


class Stage(Enum):
    """How far a text is."""

    OPEN = 1
    TOLD = 2
    """Its done event has come."""
    CLOSED = 3
    """The done event of its part has come."""


class Text:
    """One text of an open item: the deltas so far, then the text of its done event."""

    __slots__ = ("_hash", "_pieces", "_size", "announced", "mistold", "part", "spoiled", "stage", "told")

    def __init__(self) -> None:
        self.stage = Stage.OPEN
        self.announced = False
        """Whether a part event opened it, so that one must close it."""
        self.spoiled = False
        """An event of it could not be read: comparing would only repeat that."""
        self.told: str | None = None
        """The text of the done event; where the deltas make another, that one."""
        self.mistold: str | None = None
        """The text of the done event where the deltas make another: it has been said once."""
        self.part: Any = None
        """The part of `response.content_part.done`."""
        self._pieces: list[str] = []
        self._size = 0
        self._hash: Any = None

    def add(self, piece: Any) -> None:
        """Take one delta."""
        if piece.__class__ is not str:
            self.spoiled = True
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > KEPT_CHARACTERS:
            self._fold()

    def finish(self, whole: Any) -> tuple[str, str] | None:
        """Take the text of the done event; what differs from the deltas, as (expected, got), or None."""
        self.stage = Stage.TOLD
        self.told = whole if isinstance(whole, str) else None
        pieces, self._pieces = self._pieces, []
        if self.told is None or self.spoiled:
            self.spoiled = True
            return None
        if self._hash is None:
            differs = difference(made := "".join(pieces), self.told)
            if differs is not None:
                self.told, self.mistold = made, self.told
            return differs
        self._pieces = pieces
        self._fold()
        if self._hash.digest() == _hasher(_bytes(self.told)).digest():
            return None
        self.spoiled = True  # the deltas are kept no longer: whatever comes can not be compared with them
        return ("the deltas", "another text")

    def _fold(self) -> None:
        if self._hash is None:
            self._hash = _hasher()
        self._hash.update(_bytes("".join(self._pieces)))
        self._pieces = []
        self._size = 0


def difference(expected: str, got: str) -> tuple[str, str] | None:
    """Both texts around the first character in which they differ, or None where they are equal."""
    if expected == got:
        return None
    shorter = min(len(expected), len(got))
    at = next((i for i in range(shorter) if expected[i] != got[i]), shorter)
    return _around(expected, at), _around(got, at)


def _around(text: str, at: int) -> str:
    start, end = max(0, at - _CONTEXT), at + _CONTEXT
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _hasher(data: bytes = b"") -> Any:
    from hashlib import blake2b  # slow to load, and few texts are so long

    return blake2b(data)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
