"""Strict JSON: parse one value within limits, write compact UTF-8, and read and write JSON Pointers.

Deliberately stricter than the standard: UTF-8 without a byte order mark, no NaN or Infinity, no lone
surrogates, no number beyond a double, at most 100 levels. A duplicate key is legal JSON, and the last one
wins; `find_duplicate_keys` reports it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from mockserver.errors import InvalidJSON

__all__ = [
    "MAX_DEPTH",
    "canonical",
    "dumps",
    "find_duplicate_keys",
    "format_pointer",
    "has_more_values",
    "loads",
    "loads_or_none",
    "parse_pointer",
    "pretty",
]

#: Levels of nested arrays and objects that `loads` accepts.
MAX_DEPTH = 100

#: Bytes that are searched at a time, so that other threads can run in between.
_WINDOW_BYTES = 1 << 18

_CONTAINERS: frozenset[type] = frozenset({dict, list})


def loads(data: bytes) -> Any:
    """Parse a single JSON value. Raises InvalidJSON with the reason and the byte offset."""
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


def pretty(value: Any) -> bytes:
    """Write indented UTF-8 with a final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def find_duplicate_keys(data: bytes) -> list[str]:
    """Return the names that an object in `data`, which must be valid JSON, has more than once."""
    # Every name has a colon. If there are no more colons than members that were kept, no name occurs twice.
    value = orjson.loads(data)
    if value.__class__ is dict and data.count(b":") == len(value):
        return []
    duplicates: list[str] = []

    def build_object(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            duplicates.extend(sorted(name for name, count in counts.items() if count > 1))

    # The names decide, so no value is built: a number of many digits takes quadratic time.
    json.loads(data, object_pairs_hook=build_object, parse_int=_drop, parse_float=_drop)
    return duplicates


def has_more_values(data: bytes, limit: int) -> bool:
    """Whether JSON text has more than `limit` values, without parsing it.

    It counts commas and opening brackets outside of strings, so an empty array or object counts twice.
    """
    count, start, in_string = 1, 0, False
    while start < len(data) and count <= limit:
        window = data[start : start + _WINDOW_BYTES]
        if (len(window) - len(window.rstrip(b"\\"))) % 2 and len(window) == _WINDOW_BYTES:
            window = window[:-1]  # the next window begins with the backslash and what it escapes
        start += len(window)
        parts = window.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        structure = b"".join(parts[in_string::2])
        count += structure.count(b",") + structure.count(b"[") + structure.count(b"{")
        in_string ^= not len(parts) % 2
    return count > limit


def format_pointer(steps: Iterable[Any]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path of names and indices."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parse_pointer(pointer: str) -> list[str]:
    """Return the names and indices in a JSON Pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


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
