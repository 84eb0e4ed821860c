"""Texts as a report shows them: nothing invisible, JSON as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["escape_invisible", "format_count", "format_duration", "indent_json", "utf16_length"]

#: Invisible characters and those that change the text direction, except line feed and tab. json_tree.js has
#: the same table as INVISIBLE.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CLOSING_BRACKETS = {"{": "}", "[": "]"}


def escape_invisible(text: str) -> str:
    r"""`text` with a JSON escape for each invisible character: the JSON value of the text is unchanged.

    >>> escape_invisible("a\u202eb")
    'a\\u202eb'
    """
    return _INVISIBLE.sub(_unicode_escapes, text)


def _unicode_escapes(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def indent_json(text: str) -> str:
    """JSON text with one line for each member; numbers and repeated names stay as they were written.

    >>> print(indent_json('{"at": 1.0, "at": []}'))
    {
      "at": 1.0,
      "at": []
    }
    """
    return "".join(_indented_tokens(_JSON_TOKEN.findall(text)))


def _indented_tokens(tokens: list[str]) -> Iterator[str]:
    level, before = 0, ""
    for at, piece in enumerate(tokens):
        if piece in _CLOSING_BRACKETS:
            level += 1
            is_empty = tokens[at + 1 : at + 2] == [_CLOSING_BRACKETS[piece]]
            yield piece if is_empty else f"{piece}\n{'  ' * level}"
        elif piece in _CLOSING_BRACKETS.values():
            level = max(0, level - 1)
            yield piece if before in _CLOSING_BRACKETS else f"\n{'  ' * level}{piece}"
        else:
            yield {",": f",\n{'  ' * level}", ":": ": "}.get(piece, piece)
        before = piece


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def format_count(count: int, noun: str) -> str:
    """A number with its noun: "1 event", "2,000 events"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """A duration with its unit: "12.3 ms", "480 ms", "2.35 s"."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"
