"""Regular expressions: Python's, and RE2's, which take linear time, so that a document cannot hold the server up."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mockserver.errors import ConfigurationError, install_command
from mockserver.wire import json

__all__ = ["PATTERN_MEMBER", "TextPattern", "compile_linear", "linear_pattern", "python_pattern"]

#: The member of a JSON object that stands for the texts which a regular expression matches.
PATTERN_MEMBER = "matches"


class TextPattern:
    """A regular expression as a value: a text that it matches somewhere equals it."""

    __slots__ = ("_search", "_spelling")

    def __init__(self, search: Callable[[str], Any], spelling: str) -> None:
        self._search = search
        self._spelling = spelling

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return bool(self._search(other))
        return isinstance(other, TextPattern) and self._spelling == other._spelling

    def __hash__(self) -> int:
        return hash(self._spelling)

    def __repr__(self) -> str:
        return self._spelling


def python_pattern(pattern: re.Pattern[str]) -> TextPattern:
    """A pattern of a test, as Python matches it."""
    return TextPattern(pattern.search, repr(pattern))


@lru_cache(maxsize=1024)
def linear_pattern(pattern: str) -> TextPattern:
    """A pattern of a document, as RE2 matches it. Raises ConfigurationError."""
    return TextPattern(compile_linear(pattern).search, json.dumps({PATTERN_MEMBER: pattern}).decode())


def compile_linear(pattern: str) -> Any:
    """Compile a pattern in RE2's syntax. Raises ConfigurationError."""
    try:
        import re2
    except ImportError:
        command = install_command("responses-mockserver[patterns]")
        raise ConfigurationError(f"patterns need RE2: {command}") from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ConfigurationError(f"not a pattern in RE2's syntax: {reason}") from None
