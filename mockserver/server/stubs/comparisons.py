"""Comparing the values of a request with those that a stub expects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.wire.patterns import TextPattern, python_pattern

__all__ = [
    "compares_itself",
    "equals",
    "is_selected",
    "is_text_condition",
    "occurs",
    "subset_differences",
    "with_patterns",
]

#: What JSON consists of beside objects and lists.
_SCALARS = frozenset({str, int, float, bool, type(None)})


def is_text_condition(value: Any) -> bool:
    """Whether a value can equal a text: a text, a pattern, or an object that compares itself."""
    if isinstance(value, str | TextPattern):
        return True
    if isinstance(value, re.Pattern):
        return isinstance(value.pattern, str)
    kind = type(value)
    compares_itself: Any = kind.__eq__
    return compares_itself is not object.__eq__ and kind.__module__ != "builtins"


def compares_itself(value: Any) -> bool:
    """Whether code that is not ours decides what equals a value, or a part of it."""
    if type(value) is dict:
        return any(map(compares_itself, value.values()))
    if type(value) is list:
        return any(map(compares_itself, value))
    return type(value) not in _SCALARS and not isinstance(value, TextPattern)


def with_patterns(value: Any) -> Any:
    """A copy of a value in which Python's patterns are values that compare themselves."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return python_pattern(value)
    if type(value) is dict:
        return {name: with_patterns(member) for name, member in value.items()}
    return [with_patterns(each) for each in value] if type(value) is list else value


def equals(expected: Any, actual: Any) -> bool:
    """Whether a value is the expected one, which compares itself if it is not JSON; they differ if that fails."""
    kind = type(expected)
    if kind in _SCALARS:
        return kind is type(actual) and bool(expected == actual)
    if kind is dict:
        return (
            isinstance(actual, dict)
            and expected.keys() == actual.keys()
            and all(equals(value, actual[name]) for name, value in expected.items())
        )
    if kind is list:
        return (
            isinstance(actual, list) and len(expected) == len(actual) and all(map(equals, expected, actual))
        )
    try:
        return bool(expected == actual)
    except Exception:  # noqa: BLE001 (code of a test: what it cannot compare does not match)
        return False


def occurs(expected: Any, text: str) -> bool:
    """Whether a text has the expected part, or is as the expected value says."""
    return expected in text if isinstance(expected, str) else equals(expected, text)


def is_selected(expected: Any, actual: Any) -> bool:
    if type(expected) is dict and isinstance(actual, dict):
        return next(subset_differences(expected, actual, ""), None) is None
    return equals(expected, actual)


def subset_differences(
    expected: Mapping[str, Any], actual: Mapping[str, Any], pointer: str
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (pointer, expected, actual) for each member that is missing or different."""
    for name, value in expected.items():
        found = actual.get(name)
        if type(value) is dict and isinstance(found, dict):
            yield from subset_differences(value, found, f"{pointer}/{name}")
        elif not equals(value, found):
            yield f"{pointer}/{name}", value, found
