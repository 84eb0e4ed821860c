"""Writes strings for untrusted regular expressions, from the parsed pattern.

Python's `re` backtracks, so it only parses; the validator's linear-time engine decides whether a string
matches. Lookarounds and backreferences are unsupported, as they are in that engine.
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

__all__ = ["MAX_LENGTH", "UnsupportedPattern", "count_states", "matching_strings"]

#: Length of the longest string that is written, in characters.
MAX_LENGTH = 4_000
_MAX_PATTERN_CHARACTERS = 2_000
_MAX_GROUPS = 50

_PREFERRED_CHARACTERS = ascii_lowercase + ascii_letters[26:] + digits + " -_./:,@#+"
_DOT_CHARACTERS = "a b-c/d.e"
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_SPACE": str.isspace,
}
# Syntax of ECMA-262 and Rust that Python lacks; without brackets inside a class.
_UNICODE_PROPERTIES = {
    "L": "a-zA-Z",
    "Lu": "A-Z",
    "Ll": "a-z",
    "N": "0-9",
    "Nd": "0-9",
    "P": ".,",
    "Zs": " ",
    "Z": " ",
}
_UNICODE_PROPERTIES |= {"Letter": "a-zA-Z", "Alphabetic": "a-zA-Z", "Script=Han": "一-龥", "Han": "一-龥"}
_FOREIGN_SYNTAX = re.compile(r"\\p\{([^}]{1,20})\}|\\(.)|(\[)|(\])|\(\?<(?![=!])", re.DOTALL)


class UnsupportedPattern(ValueError):
    """No string can be written for a pattern; the message is the reason."""


def matching_strings(pattern: str, min_length: int = 0, first_variant: int = 0) -> Iterator[str]:
    """Strings that should match `pattern`, with at least `min_length` characters if repeats allow it.

    `first_variant` selects other alternatives and characters. Raises UnsupportedPattern if there are none.
    """
    parsed = _parse(pattern)
    if isinstance(parsed, UnsupportedPattern):
        raise parsed
    for variant in range(first_variant, first_variant + 6):
        for once in (True, False):
            text = _StringWriter(variant, once).write(parsed)
            yield text
            if len(text) < min_length:
                stretched = _StringWriter(variant, once, min_length - len(text)).write(parsed)
                yield stretched
                if len(stretched) < min_length:
                    yield stretched + "a" * (min_length - len(stretched))


def count_states(pattern: str) -> int:
    """About how many states the pattern compiles to, to bound their sum before compiling."""
    return 10 * len(pattern) if len(pattern) > _MAX_PATTERN_CHARACTERS else _count_states_cached(pattern)


@lru_cache(maxsize=2_048)
def _count_states_cached(pattern: str) -> int:
    parsed = _parse(pattern)
    if isinstance(parsed, UnsupportedPattern):
        return 10 * len(pattern)
    return _states_of(parsed) * (10 if "\\p" in pattern.lower() else 1)


@lru_cache(maxsize=128)
def _parse(pattern: str) -> Any:
    if len(pattern) > _MAX_PATTERN_CHARACTERS or pattern.count("(") > _MAX_GROUPS:
        return UnsupportedPattern("the pattern is too long or has too many groups")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _parser.parse(_to_python_syntax(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            return UnsupportedPattern(f"the pattern cannot be parsed: {error}")


def _to_python_syntax(pattern: str) -> str:
    inside = False

    def translate(match: re.Match[str]) -> str:
        nonlocal inside
        name, escaped, opening, closing = match.groups()
        if name is not None:
            members = _UNICODE_PROPERTIES.get(name, "a-z")
            return members if inside else f"[{members}]"
        if escaped is not None:
            return r"\Z" if escaped == "z" else match[0]
        if opening or closing:
            nested, inside = inside and bool(opening), bool(opening)
            return "\\[" if nested else match[0]
        return "(?P<"

    return _FOREIGN_SYNTAX.sub(translate, pattern)


def _states_of(parsed: Any) -> int:
    total = 0
    for operation, argument in parsed:
        match str(operation):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, repeated = argument
                times = most if most < _parser.MAXREPEAT else least
                total += max(1, int(times)) * _states_of(repeated)
            case "SUBPATTERN":
                total += _states_of(argument[-1])
            case "BRANCH":
                total += sum(_states_of(branch) for branch in argument[1])
            case "ATOMIC_GROUP":
                total += _states_of(argument)
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
class _StringWriter:
    """Writes one string for a parsed pattern."""

    variant: int
    include_optional: bool
    """Whether optional parts are written once."""
    extra_characters: int = 0
    """Characters that repeats should add."""

    def write(self, parsed: Any) -> str:
        text = "".join(self.write_operation(str(operation), argument) for operation, argument in parsed)
        if len(text) > MAX_LENGTH:
            raise UnsupportedPattern(f"the pattern requires more than {MAX_LENGTH} characters")
        return text

    def write_operation(self, operation: str, argument: Any) -> str:
        write = _WRITERS.get(operation)
        if write is None:
            raise UnsupportedPattern(f"{operation.lower().replace('_', ' ')} in a pattern is not supported")
        return write(self, argument)

    def write_repeat(self, argument: tuple[Any, Any, Any]) -> str:
        least, most, repeated = argument
        times = int(least)
        if self.include_optional and times == 0 and most:
            times = 1
        width = max(1, int(repeated.getwidth()[0]))
        more = min(int(most) - times, -(-self.extra_characters // width))
        self.extra_characters -= more * width
        times += more
        if times == 0:
            return ""
        text = replace(self, extra_characters=0).write(repeated)
        if len(text) * times > MAX_LENGTH:
            raise UnsupportedPattern(f"the pattern requires more than {MAX_LENGTH} characters")
        return text * times

    def write_branch(self, argument: tuple[Any, list[Any]]) -> str:
        return self.write(argument[1][self.variant % len(argument[1])])

    def write_class(self, items: list[tuple[Any, Any]]) -> str:
        is_member = _class_predicate(items)
        preferred = list(islice(filter(is_member, _PREFERRED_CHARACTERS), 1 + self.variant % 30))
        if preferred:
            return preferred[self.variant % len(preferred)]
        lows = [
            value if str(kind) == "LITERAL" else value[0]
            for kind, value in items
            if str(kind) in _CODE_POINT_OPERATIONS
        ]
        others = (
            chr(point)
            for point in (*range(0x21, 0x7F), *range(0xA1, 0x300), *lows, 0x4E00)
            if not 0xD800 <= point < 0xE000
        )
        char = next((char for char in islice(others, 1_000) if is_member(char)), None)
        if char is None:
            raise UnsupportedPattern("no character was found for a character class of the pattern")
        return char


_CODE_POINT_OPERATIONS = {"LITERAL", "RANGE"}


def _class_predicate(items: list[tuple[Any, Any]]) -> Callable[[str], bool]:
    """Tells whether a character is in a class; fast for classes with thousands of members too."""
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    listed = {chr(value) for kind, value in items if str(kind) == "LITERAL"}
    others = [(str(kind), value) for kind, value in items if str(kind) in {"RANGE", "CATEGORY"}]
    return lambda char: (
        negated != (char in listed or any(_class_item_matches(*other, char) for other in others))
    )


def _class_item_matches(kind: str, value: Any, char: str) -> bool:
    if kind == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    name = str(value)
    return name.startswith("CATEGORY_NOT_") != _CATEGORIES[name.replace("_NOT", "")](char)


def _write_literal(_: _StringWriter, point: int) -> str:
    if 0xD800 <= point < 0xE000:
        raise UnsupportedPattern("the pattern contains a lone surrogate")
    return chr(point)


_WRITERS: dict[str, Callable[[_StringWriter, Any], str]] = {
    "LITERAL": _write_literal,
    "NOT_LITERAL": lambda _, point: "b" if point == ord("a") else "a",
    "ANY": lambda writer, _: _DOT_CHARACTERS[writer.variant % len(_DOT_CHARACTERS)],
    "IN": _StringWriter.write_class,
    "BRANCH": _StringWriter.write_branch,
    "SUBPATTERN": lambda writer, argument: writer.write(argument[-1]),
    "ATOMIC_GROUP": _StringWriter.write,
    "MAX_REPEAT": _StringWriter.write_repeat,
    "MIN_REPEAT": _StringWriter.write_repeat,
    "POSSESSIVE_REPEAT": _StringWriter.write_repeat,
    "AT": lambda _, __: "",
}
