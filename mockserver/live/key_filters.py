"""Filters that mask a key in replies that pass through to a client with another key.

A client that holds the key itself gets every byte as the endpoint sent it, without a filter. What may be the start
of the key is held back until the next bytes decide, and passed on unchanged if it is not the key.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote

from mockserver.wire import json
from mockserver.wire.redaction import REDACTED
from mockserver.wire.sse import MAX_EVENT_BYTES

__all__ = ["ByteFilter", "KeyFilter", "StreamKeyFilter", "key_pattern"]

#: A text that ends with fewer characters of the key is not held back: ordinary words do.
_MIN_HELD_CHARACTERS = 4
#: Bytes to hold back at most; the rest of the key is masked even so.
_MAX_HELD_BYTES = MAX_EVENT_BYTES

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE = re.compile(rb"([^\r\n]*)((?>\r\n|\n|\r)?)")
#: The start of an event that has no delta, by its name.
_EVENT_WITHOUT_DELTA = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*event:(?![^\r\n]*delta)[^\r\n]*[\r\n]")

#: Members of an event that tell which text a delta continues.
_INDEX_MEMBERS = ("output_index", "content_index", "summary_index", "index")

Lane: TypeAlias = tuple[Any, ...]


class ByteFilter(Protocol):
    """Changes bytes that pass through in chunks."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be passed on."""

    def finish(self) -> bytes:
        """The rest, at the end of the bytes."""


def key_pattern(key: str) -> re.Pattern[bytes]:
    """A pattern of the key, each character as it is or escaped as in JSON or in a URL."""
    return re.compile(b"".join(b"(?:%s)" % b"|".join(map(re.escape, _spellings(each))) for each in key))


def _spellings(character: str) -> tuple[bytes, ...]:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    percent = "".join(f"%{each:02x}" for each in character.encode("utf-8", "surrogatepass"))
    short = json.dumps(character)[1:-1].decode() if character.isascii() else character
    forms = {
        *(escaped, "\\u" + escaped[2:].upper().replace("\\U", "\\u"), percent, percent.upper(), short),
        *(character, f"\\{character}" if character == "/" else character, quote(character, safe="")),
    }
    return tuple(sorted((each.encode("utf-8", "surrogatepass") for each in forms), key=len, reverse=True))


def _cover(length: int) -> str:
    return REDACTED.ljust(length, "*")[:length]


class KeyFilter:
    """Masks a key in bytes that pass through, also if it is escaped or split over chunks.

    A chunk that ends with the start of the key is held back in that part until the next one arrives.
    """

    def __init__(self, key: str) -> None:
        self._characters = [_spellings(each) for each in key]
        self._pattern = key_pattern(key)
        first = b"".join({re.escape(each[:1]) for each in self._characters[0]})
        self._first_byte = re.compile(b"[%s]" % first)
        self._max_length = sum(len(each[0]) for each in self._characters)
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be passed on."""
        data = self._pattern.sub(lambda match: _cover(len(match[0])).encode(), self._rest + chunk)
        end = self._start_of_key(data)
        self._rest = data[end:]
        return data[:end]

    def finish(self) -> bytes:
        """The rest, at the end of the bytes."""
        rest, self._rest = self._rest, b""
        return rest

    def _start_of_key(self, data: bytes) -> int:
        """Where the start of a key begins with which `data` ends; its length if there is none."""
        for match in self._first_byte.finditer(data, max(0, len(data) - self._max_length + 1)):
            if self._continues(data, match.start()):
                return match.start()
        return len(data)

    def _continues(self, data: bytes, at: int) -> bool:
        """Whether all from `at` on is the start of a key."""
        for spellings in self._characters:
            if any(each.startswith(data[at:]) and len(each) > len(data) - at for each in spellings):
                return True
            spelling = next((each for each in spellings if data.startswith(each, at)), None)
            if spelling is None:
                return False
            at += len(spelling)
        return False


class _Event:
    """A whole event: its bytes, and its JSON value if it has texts to follow."""

    def __init__(self, data: bytes, value: Any = None) -> None:
        self.data = data
        self._value = value
        self._masked: list[_Piece] = []

    def mask(self, piece: _Piece, at: int, cover: str) -> None:
        """Replace one character of a text."""
        if piece not in self._masked:
            self._masked.append(piece)
        piece.characters[at] = cover

    def render(self) -> bytes:
        """The bytes, with the texts that were masked."""
        if not self._masked:
            return self.data
        for piece in self._masked:
            piece.holder[piece.name] = "".join(piece.characters)
        lines, encoded = [], b"data: " + json.dumps(self._value)
        for line in _LINE.finditer(self.data):
            if not line[1].startswith(b"data:"):
                lines.append(line[0])
            elif encoded:
                lines.append(encoded + line[2])
                encoded = b""
        return b"".join(lines)


class _Piece:
    """A text that continues the text of a lane."""

    def __init__(self, event: _Event, holder: Any, name: str | int) -> None:
        self.event = event
        self.holder = holder
        self.name = name
        self.characters = list(holder[name])


class _Character(NamedTuple):
    piece: _Piece
    at: int


class StreamKeyFilter:
    """Masks a key in a stream of events, also if it is split over several deltas of one text.

    An event is held back only while a text so far ends with at least 4 characters of the key, and with it the
    events behind it. If the text goes on differently, or ends, they are passed on unchanged.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._bytes = KeyFilter(key)
        self._buffer = bytearray()
        """The current event, from its first byte."""
        self._passed = 0
        """How many of its bytes are passed on."""
        self._held: deque[_Event] = deque()
        self._tails: dict[Lane, list[_Character]] = {}
        """The start of the key with which a text ends so far, if it does."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be passed on."""
        self._add(self._bytes.feed(chunk))
        return self._release()

    def finish(self) -> bytes:
        """The rest, at the end of the bytes: the start of a key is not the key."""
        self._add(self._bytes.finish())
        rest = bytes(self._buffer[self._passed :])
        for (
            tail
        ) in self._tails.values():  # a client can read an event that is cut, though it is not dispatched
            missing = key_pattern(self._key[len(tail) :])
            if missing.search(rest):
                rest = missing.sub(lambda match: _cover(len(match[0])).encode(), rest)
                self._mask(tail)
        self._tails.clear()
        self._buffer.clear()
        return b"".join([*(each.render() for each in self._held), rest])

    def _add(self, data: bytes) -> None:
        searched = max(0, len(self._buffer) - 3)
        self._buffer += data
        while blank_line := _BLANK_LINE.search(self._buffer, searched):
            data = bytes(self._buffer[: blank_line.end()])
            del self._buffer[: blank_line.end()]
            self._follow(data, data[self._passed :])
            self._passed = searched = 0

    def _release(self) -> bytes:
        """The bytes that need not be held back any longer, in order."""
        is_full = sum(len(each.data) for each in self._held) + len(self._buffer) > _MAX_HELD_BYTES
        pending = {
            character.piece.event
            for tail in self._tails.values()
            if len(tail) >= _MIN_HELD_CHARACTERS and not is_full
            for character in tail
        }
        released = []
        while self._held and self._held[0] not in pending:
            released.append(self._held.popleft().render())
        if not self._held and (is_full or _EVENT_WITHOUT_DELTA.match(self._buffer)):
            released.append(bytes(self._buffer[self._passed :]))
            self._passed = len(self._buffer)
        return b"".join(released)

    def _follow(self, data: bytes, unpassed: bytes) -> None:
        """Hold an event, and add its deltas to the texts of which they are pieces."""
        has_delta = b'"delta"' in data and not self._passed
        value = _event_value(data) if has_delta or (self._tails and b".done" in data) else None
        event = _Event(unpassed, value)
        self._held.append(event)
        if not isinstance(value, dict):
            return
        kind, _, step = str(value.get("type")).rpartition(".")
        lane = (kind, *map(str, map(value.get, _INDEX_MEMBERS)))
        if step == "done":
            self._tails = {each: tail for each, tail in self._tails.items() if each[: len(lane)] != lane}
        for path, holder, name in _delta_texts(value if has_delta else (), lane, is_delta=False):
            self._continue_text(path, _Piece(event, holder, name))

    def _continue_text(self, lane: Lane, piece: _Piece) -> None:
        tail = self._tails.pop(lane, [])
        text, begin = self._key[: len(tail)] + "".join(piece.characters), 0

        def characters(start: int, end: int) -> list[_Character]:
            own = range(max(start - len(tail), 0), end - len(tail))
            return [*tail[start:end], *(_Character(piece, at) for at in own)]

        while (at := text.find(self._key, begin)) >= 0:
            begin = at + len(self._key)
            self._mask(characters(at, begin))
        if length := _length_of_start(text[begin:], self._key):
            self._tails[lane] = characters(len(text) - length, len(text))

    def _mask(self, characters: list[_Character]) -> None:
        for character, cover in zip(characters, _cover(len(self._key)), strict=False):
            character.piece.event.mask(character.piece, character.at, cover)


def _event_value(data: bytes) -> Any:
    """The JSON value of an event; None if it has none."""
    lines = (line[1] for line in _LINE.finditer(data))
    return json.loads_or_none(b"\n".join(line[5:] for line in lines if line.startswith(b"data:")))


def _delta_texts(value: Any, lane: Lane, *, is_delta: bool) -> Iterator[tuple[Lane, Any, str | int]]:
    """(the lane, the holder, and the name or number in it) of each text in a delta."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        is_text = is_delta or name == "delta"
        if isinstance(member, str) and is_text:
            yield (*lane, name), value, name
        elif isinstance(member, dict):
            yield from _delta_texts(member, (*lane, member.get("index", name)), is_delta=is_text)
        elif isinstance(member, list):
            yield from _delta_texts(member, (*lane, name), is_delta=is_text)


def _length_of_start(text: str, key: str) -> int:
    """The length of the longest start of `key`, but not all of it, with which `text` ends."""
    for length in range(min(len(key) - 1, len(text)), 0, -1):
        if text.endswith(key[:length]):
            return length
    return 0
