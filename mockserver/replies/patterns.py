"""Strings for regular expressions of strangers: written from the parsed pattern, never matched here.

Python's own `re` backtracks, so it only parses; whether a string really matches is for the validator's
linear-time engine to say. Lookarounds and backreferences are not generated: that engine refuses them too.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

# A private name, but the only parser of patterns in the standard library (`sre_parse` until 3.11).
from re import _parser
from string import ascii_letters, ascii_lowercase, digits
from typing import Any

__all__ = ["MAX_LENGTH", "UnsupportedPattern", "strings", "weight"]

#: Characters of the longest string that is written.
MAX_LENGTH = 4_000
_MAX_PATTERN = 2_000
_MAX_GROUPS = 50

_PREFERRED = ascii_lowercase + ascii_letters[26:] + digits + " -_./:,@#+"
_ANY = "a b-c/d.e"
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_SPACE": str.isspace,
}
# What ECMA-262 and Rust write and Python does not; inside a class the brackets go.
_PROPERTIES = {
    "L": "a-zA-Z",
    "Lu": "A-Z",
    "Ll": "a-z",
    "N": "0-9",
    "Nd": "0-9",
    "P": ".,",
    "Zs": " ",
    "Z": " ",
}
_PROPERTIES |= {"Letter": "a-zA-Z", "Alphabetic": "a-zA-Z", "Script=Han": "一-龥", "Han": "一-龥"}
_FOREIGN = re.compile(r"\\p\{([^}]{1,20})\}|\\(.)|(\[)|(\])|\(\?<(?![=!])", re.DOTALL)


class UnsupportedPattern(ValueError):
    """No string can be written for a pattern; the message says why."""


def strings(pattern: str, least: int = 0, turn: int = 0) -> Iterator[str]:
    """Strings that should match `pattern`, of `least` characters where repeats can be stretched.

    `turn` starts elsewhere among alternatives and characters. UnsupportedPattern if there are none.
    """
    parsed = _parsed(pattern)
    if isinstance(parsed, UnsupportedPattern):
        raise parsed
    for variant in range(turn, turn + 6):
        for once in (True, False):
            text = _Pen(variant, once).sequence(parsed)
            yield text
            if len(text) < least:
                stretched = _Pen(variant, once, least - len(text)).sequence(parsed)
                yield stretched
                if len(stretched) < least:
                    yield stretched + "a" * (least - len(stretched))


def weight(pattern: str) -> int:
    """About how many states the pattern compiles to, so that their sum can be bounded beforehand."""
    return 10 * len(pattern) if len(pattern) > _MAX_PATTERN else _weight(pattern)


@lru_cache(maxsize=2_048)
def _weight(pattern: str) -> int:
    parsed = _parsed(pattern)
    if isinstance(parsed, UnsupportedPattern):
        return 10 * len(pattern)
    return _states(parsed) * (10 if "\\p" in pattern.lower() else 1)


@lru_cache(maxsize=128)
def _parsed(pattern: str) -> Any:
    if len(pattern) > _MAX_PATTERN or pattern.count("(") > _MAX_GROUPS:
        return UnsupportedPattern("a pattern beyond the limits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _parser.parse(_translated(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            return UnsupportedPattern(f"the pattern can not be read: {error}")


def _translated(pattern: str) -> str:
    inside = False

    def spell(match: re.Match[str]) -> str:
        nonlocal inside
        name, escaped, opening, closing = match.groups()
        if name is not None:
            members = _PROPERTIES.get(name, "a-z")
            return members if inside else f"[{members}]"
        if escaped is not None:
            return r"\Z" if escaped == "z" else match[0]
        if opening or closing:
            nested, inside = inside and bool(opening), bool(opening)
            return "\\[" if nested else match[0]
        return "(?P<"

    return _FOREIGN.sub(spell, pattern)


def _states(parsed: Any) -> int:
    total = 0
    for operation, argument in parsed:
        match str(operation):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, repeated = argument
                times = most if most < _parser.MAXREPEAT else least
                total += max(1, int(times)) * _states(repeated)
            case "SUBPATTERN":
                total += _states(argument[-1])
            case "BRANCH":
                total += sum(_states(branch) for branch in argument[1])
            case "ATOMIC_GROUP":
                total += _states(argument)
            case "IN":
                total += (
                    20 if any(str(kind) in {"NEGATE", "CATEGORY"} for kind, _ in argument) else len(argument)
                )
            case "NOT_LITERAL" | "ANY":
                total += 20
            case _:
                total += 1
    return total + 1


@dataclass(slots=True)
class _Pen:
    """Writes one string for one parsed pattern."""

    turn: int
    once: bool
    """Whether what may be left out is written once."""
    spare: int = 0
    """Characters that repeats should still add."""

    def sequence(self, parsed: Any) -> str:
        written = "".join(self.piece(str(operation), argument) for operation, argument in parsed)
        if len(written) > MAX_LENGTH:
            raise UnsupportedPattern(f"the pattern asks for more than {MAX_LENGTH} characters")
        return written

    def piece(self, operation: str, argument: Any) -> str:
        write = _WRITERS.get(operation)
        if write is None:
            raise UnsupportedPattern(f"{operation.lower().replace('_', ' ')} in a pattern is not supported")
        return write(self, argument)

    def repeat(self, argument: tuple[Any, Any, Any]) -> str:
        least, most, repeated = argument
        times = int(least)
        if self.once and times == 0 and most:
            times = 1
        width = max(1, int(repeated.getwidth()[0]))
        more = min(int(most) - times, -(-self.spare // width))
        self.spare -= more * width
        times += more
        if times == 0:
            return ""
        text = replace(self, spare=0).sequence(repeated)
        if len(text) * times > MAX_LENGTH:
            raise UnsupportedPattern(f"the pattern asks for more than {MAX_LENGTH} characters")
        return text * times

    def branch(self, argument: tuple[Any, list[Any]]) -> str:
        return self.sequence(argument[1][self.turn % len(argument[1])])

    def one_of(self, items: list[tuple[Any, Any]]) -> str:
        belongs = _membership(items)
        found = list(islice(filter(belongs, _PREFERRED), 1 + self.turn % 30))
        if found:
            return found[self.turn % len(found)]
        lows = [
            value if str(kind) == "LITERAL" else value[0] for kind, value in items if str(kind) in _POINTS
        ]
        beyond = (
            chr(point)
            for point in (*range(0x21, 0x7F), *range(0xA1, 0x300), *lows, 0x4E00)
            if not 0xD800 <= point < 0xE000
        )
        char = next((char for char in islice(beyond, 1_000) if belongs(char)), None)
        if char is None:
            raise UnsupportedPattern("a class of the pattern has no character that can be written")
        return char


_POINTS = {"LITERAL", "RANGE"}


def _membership(items: list[tuple[Any, Any]]) -> Callable[[str], bool]:
    """Whether a class has a character, for classes of thousands too."""
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    listed = {chr(value) for kind, value in items if str(kind) == "LITERAL"}
    others = [(str(kind), value) for kind, value in items if str(kind) in {"RANGE", "CATEGORY"}]
    return lambda char: negated != (char in listed or any(_covers(*other, char) for other in others))


def _covers(kind: str, value: Any, char: str) -> bool:
    if kind == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    name = str(value)
    return name.startswith("CATEGORY_NOT_") != _CATEGORIES[name.replace("_NOT", "")](char)


def _literal(_: _Pen, point: int) -> str:
    if 0xD800 <= point < 0xE000:
        raise UnsupportedPattern("half of a surrogate pair in a pattern")
    return chr(point)


_WRITERS: dict[str, Callable[[_Pen, Any], str]] = {
    "LITERAL": _literal,
    "NOT_LITERAL": lambda pen, point: "b" if point == ord("a") else "a",
    "ANY": lambda pen, _: _ANY[pen.turn % len(_ANY)],
    "IN": _Pen.one_of,
    "BRANCH": _Pen.branch,
    "SUBPATTERN": lambda pen, argument: pen.sequence(argument[-1]),
    "ATOMIC_GROUP": _Pen.sequence,
    "MAX_REPEAT": _Pen.repeat,
    "MIN_REPEAT": _Pen.repeat,
    "POSSESSIVE_REPEAT": _Pen.repeat,
    "AT": lambda pen, _: "",
}
