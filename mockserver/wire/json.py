"""JSON text, strictly: what goes in is one value within limits, what comes out is compact UTF-8.

Stricter than the standard asks, on purpose: UTF-8 without a byte order mark, no NaN or Infinity, no
lone surrogates, no number beyond a double, at most 100 levels. A duplicate key is legal JSON (the
last one wins); `duplicate_keys` finds it for those who want to say so.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from mockserver.errors import InvalidJSON

__all__ = ["MAX_DEPTH", "canonical", "dumps", "find_duplicate_keys", "loads", "loads_or_none", "pretty"]

#: Levels of arrays and objects a value may be nested; deeper is refused.
MAX_DEPTH = 100

_STRING_PATTERN = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def loads(data: bytes) -> Any:
    """The one JSON value in `data`; InvalidJSON says what is wrong and at which byte."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(error.msg, error.pos) from None
    # Counting brackets is cheap and an upper bound of the depth: only suspicious texts are measured.
    brackets = data.count(b"[") + data.count(b"{") if len(data) > 2 * MAX_DEPTH else 0
    if brackets > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise InvalidJSON(f"more than {MAX_DEPTH} levels deep")
    return value


def loads_or_none(data: bytes | str) -> Any:
    """The one JSON value in `data`; None where it is null, or none at all."""
    try:
        return loads(data if isinstance(data, bytes) else data.encode(errors="replace"))
    except InvalidJSON:
        return None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 in the order of the value's members."""
    return orjson.dumps(value)


def canonical(value: Any) -> bytes:
    """Compact UTF-8 with sorted members: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def pretty(value: Any) -> bytes:
    """Indented UTF-8 for people, with a final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def find_duplicate_keys(data: bytes) -> list[str]:
    """Names that some object in `data` has more than once; `data` must be valid JSON."""
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            names = [name for name, _ in pairs]
            found.extend(sorted({name for name in names if names.count(name) > 1}))
        return members

    json.loads(data, object_pairs_hook=note)
    return found


def _depth(data: bytes) -> int:
    level = deepest = 0
    for byte in _STRING_PATTERN.sub(b"", data):
        if byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest
