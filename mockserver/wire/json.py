"""Strict JSON: parse one value within limits, write compact UTF-8, and read and write JSON Pointers.

Deliberately stricter than the standard: UTF-8 without a byte order mark, no NaN or Infinity, no lone
surrogates, no number beyond a double, at most 100 levels. A duplicate key is legal JSON, and the last one
wins; `find_duplicate_keys` reports it.

Other threads cannot run while orjson works, so a large text is read and written in parts: its long strings one
by one, and the rest.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from mockserver.errors import InvalidJSON
from mockserver.named_tuples import NamedTuple

__all__ = [
    "MAX_DEPTH",
    "JSONSize",
    "canonical",
    "canonical_pieces",
    "dumps",
    "find_duplicate_keys",
    "format_pointer",
    "loads",
    "loads_or_none",
    "measure",
    "parse_pointer",
    "pretty",
]

#: Levels of nested arrays and objects that `loads` accepts.
MAX_DEPTH = 100

#: Bytes that are searched at a time, so that other threads can run in between.
_WINDOW_BYTES = 1 << 18

#: Bytes of a text that is parsed by one call, which takes up to 15 ms.
_MAX_BYTES_AT_ONCE = 8 << 20

#: Bytes of a string in a larger text that is parsed by itself.
_MIN_LONG_STRING = 256

#: What a string has up to its closing quote.
_STRING_CONTENT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)

#: Begins what stands for a long string in the rest of a text; nobody can guess it.
_PLACEHOLDER = os.urandom(16).hex()

_BACKSLASH = ord("\\")

_CONTAINERS: frozenset[type] = frozenset({dict, list})


def loads(data: bytes) -> Any:
    """Parse a single JSON value. Raises InvalidJSON with the reason and the byte offset."""
    if len(data) > _MAX_BYTES_AT_ONCE:
        return _LargeText(data).parse()
    return _parse(data)


def _parse(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(error.msg, error.pos) from None
    # The number of brackets is a cheap upper bound of the depth.
    brackets = data.count(b"[") + data.count(b"{") if len(data) > 2 * MAX_DEPTH else 0
    if brackets > MAX_DEPTH and _is_too_deep(value):
        raise InvalidJSON(f"more than {MAX_DEPTH} levels deep")
    return value


def loads_or_none(data: bytes | str) -> Any:
    """Parse a single JSON value; None if it is null or invalid."""
    try:
        return loads(data if isinstance(data, bytes) else data.encode(errors="replace"))
    except InvalidJSON:
        return None


def dumps(value: Any) -> bytes:
    """Write compact UTF-8, members in their own order."""
    return orjson.dumps(value)


def canonical(value: Any) -> bytes:
    """Write compact UTF-8 with sorted members, so that equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_pieces(value: Any) -> Iterator[bytes]:
    """The bytes of `canonical` in pieces, so that other threads can run in between."""
    if value.__class__ is str and len(value) > _WINDOW_BYTES:
        yield b'"'
        for start in range(0, len(value), _WINDOW_BYTES):
            yield orjson.dumps(value[start : start + _WINDOW_BYTES])[1:-1]
        yield b'"'
    elif value.__class__ is dict:
        yield b"{"
        for at, name in enumerate(sorted(value)):
            yield b"," if at else b""
            yield from canonical_pieces(name)
            yield b":"
            yield from canonical_pieces(value[name])
        yield b"}"
    elif value.__class__ is list:
        yield b"["
        for at, each in enumerate(value):
            yield b"," if at else b""
            yield from canonical_pieces(each)
        yield b"]"
    else:
        yield orjson.dumps(value)


def pretty(value: Any) -> bytes:
    """Write indented UTF-8 with a final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def find_duplicate_keys(data: bytes) -> list[str]:
    """Return the names that an object in `data`, which must be valid JSON, has more than once."""
    large = _LargeText(data) if len(data) > _MAX_BYTES_AT_ONCE else None
    text = data if large is None else large.rest
    if _has_distinct_keys(text):
        return []
    duplicates: list[str] = []

    def build_object(pairs: list[tuple[str, Any]]) -> None:
        if large is not None:
            pairs = [(large.restore(name), None) for name, _ in pairs]
        if len(dict(pairs)) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            duplicates.extend(sorted(name for name, count in counts.items() if count > 1))

    # The names decide, so no value is built: a number of many digits takes quadratic time.
    json.loads(text, object_pairs_hook=build_object, parse_int=_drop, parse_float=_drop)
    return duplicates


class JSONSize(NamedTuple):
    """What the time to parse a JSON text depends on."""

    values: int
    """Commas and opening brackets outside of strings, and one more: an empty array or object counts twice."""
    longest_string: int
    """Bytes of its longest string."""


def measure(data: bytes) -> JSONSize:
    """Measure JSON text without parsing it."""
    values, longest, start, in_string, string_start = 1, 0, 0, False, 0
    while start < len(data):
        window = data[start : start + _WINDOW_BYTES]
        if (len(window) - len(window.rstrip(b"\\"))) % 2 and len(window) == _WINDOW_BYTES:
            window = window[:-1]  # the next window begins with the backslash and what it escapes
        parts = window.replace(b"\\\\", b"..").replace(b'\\"', b"..").split(b'"')
        structure = b"".join(parts[in_string::2])
        values += structure.count(b",") + structure.count(b"[") + structure.count(b"{")
        if in_string:
            longest = max(longest, start + len(parts[0]) - string_start)
        longest = max(longest, *map(len, parts[not in_string :: 2]), 0)
        if len(parts) > 1:
            string_start = start + len(window) - len(parts[-1])
            in_string ^= not len(parts) % 2
        start += len(window)
    return JSONSize(values, longest)


def format_pointer(steps: Iterable[Any]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path of names and indices."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parse_pointer(pointer: str) -> list[str]:
    """Return the names and indices in a JSON Pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _has_distinct_keys(data: bytes) -> bool:
    """Whether JSON text is one object without duplicate keys and without inner objects: cheap to tell."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:  # a number beyond a double
        return False
    # Every key has a colon. If there are no more colons than members that were kept, no key occurs twice.
    return value.__class__ is dict and data.count(b":") == len(value)


def _drop(_: str) -> None:
    """Parse a number whose value does not matter."""


def _is_too_deep(value: Any) -> bool:
    """Whether arrays and objects are nested in more than `MAX_DEPTH` levels: one pass over the values."""
    level: list[Any] = [value] if value.__class__ in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for container in level
            for inner in (container.values() if container.__class__ is dict else container)
            if inner.__class__ in _CONTAINERS
        ]
        if not level:
            return False
    return True


class _LargeText:
    """A JSON text, and apart from it its long strings, each of which is parsed by a call of its own."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._strings: list[tuple[int, int]] = []
        """The start and the end of each long string, without its quotes."""
        pieces: list[bytes] = []
        end = 0
        for start, string_end in _long_strings(data):
            pieces += data[end:start], b"%b%d" % (_PLACEHOLDER.encode(), len(self._strings))
            self._strings.append((start, string_end))
            end = string_end
        self.rest = b"".join((*pieces, data[end:]))
        """The text with a placeholder for each long string."""

    def parse(self) -> Any:
        """Parse the value. Raises InvalidJSON."""
        try:
            value = _parse(self.rest)
        except InvalidJSON as error:
            offset = None if error.offset is None else self._offset_in_data(error.offset)
            raise InvalidJSON(error.reason, offset) from None
        return self._restore_value(value)

    def restore(self, text: str) -> str:
        """The string that a placeholder stands for; any other text as it is. Raises InvalidJSON."""
        if not text.startswith(_PLACEHOLDER):
            return text
        start, end = self._strings[int(text.removeprefix(_PLACEHOLDER))]
        try:
            restored: str = orjson.loads(self._data[start - 1 : end + 1])
        except orjson.JSONDecodeError as error:
            raise InvalidJSON(error.msg, start - 1 + error.pos) from None
        return restored

    def _restore_value(self, value: Any) -> Any:
        if value.__class__ is str:
            return self.restore(value)
        if value.__class__ is dict:
            return {self.restore(name): self._restore_value(each) for name, each in value.items()}
        if value.__class__ is list:
            return [self._restore_value(each) for each in value]
        return value

    def _offset_in_data(self, offset: int) -> int:
        """Where a position of the rest is in the whole text."""
        for number, (start, end) in enumerate(self._strings):
            if offset <= start:
                break
            offset += end - start - len(_PLACEHOLDER) - len(str(number))
        return offset


def _long_strings(data: bytes) -> Iterator[tuple[int, int]]:
    """The start and the end of each long string in JSON text, without its quotes."""
    quote = data.find(b'"')
    while quote >= 0:
        start = quote + 1
        end = data.find(b'"', start)
        if data[end - 1] == _BACKSLASH:  # which may escape the quote
            end = _string_end(data, start)
        if end < 0:
            return  # the string does not end: the parser reports it
        if end - start > _MIN_LONG_STRING:
            yield start, end
        quote = data.find(b'"', end + 1)


def _string_end(data: bytes, start: int) -> int:
    """Where the quote is that ends a string; -1: nowhere."""
    end = start
    while match := _STRING_CONTENT.match(data, end, end + _WINDOW_BYTES):
        if match.end() == end:
            break
        end = match.end()
    return end if data[end : end + 1] == b'"' else -1
