"""The conditions of a stub that are patterns or queries: `{"matches": "…"}` in place of a text, and JSONPath."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from mockserver.documents.problems import Problem
from mockserver.errors import ConfigurationError
from mockserver.wire.json import format_pointer
from mockserver.wire.json_paths import parse_json_path
from mockserver.wire.patterns import PATTERN_MEMBER, linear_pattern

__all__ = ["condition_problems", "parse_conditions"]

#: Conditions that hold patterns, at any depth.
_CONDITIONS_WITH_PATTERNS = ("prompt", "instructions", "model", "tool_output", "header", "json_subset")

_T = TypeVar("_T")


def parse_conditions(match: Mapping[str, Any]) -> dict[str, Any]:
    """A `match` without problems, its patterns and queries compiled."""
    conditions = dict(match)
    for name in _CONDITIONS_WITH_PATTERNS:
        if name in match:
            conditions[name] = _with_patterns(match[name])
    if "json_path" in match:
        conditions["json_path"] = {
            parse_json_path(path): _with_patterns(value) for path, value in match["json_path"].items()
        }
    return conditions


def condition_problems(match: Mapping[str, Any]) -> Iterator[Problem]:
    """The patterns and queries of a `match` that cannot be used, each with its pointer."""
    for name in (*_CONDITIONS_WITH_PATTERNS, "json_path"):
        if name in match:
            yield from _pattern_problems(match[name], ("match", name))
    if match.get("ignore_case") and "contains" not in match and _is_pattern(match.get("prompt")):
        yield Problem("/match/ignore_case", "it applies to texts; in a pattern write (?i)")
    paths = match.get("json_path")
    for path in paths if isinstance(paths, Mapping) else ():
        yield from _problem_of(parse_json_path, path, ("match", "json_path", path))


def _is_pattern(value: Any) -> bool:
    return isinstance(value, dict) and [*value] == [PATTERN_MEMBER] and isinstance(value[PATTERN_MEMBER], str)


def _with_patterns(value: Any) -> Any:
    if _is_pattern(value):
        return linear_pattern(value[PATTERN_MEMBER])
    if isinstance(value, dict):
        return {name: _with_patterns(member) for name, member in value.items()}
    return [_with_patterns(each) for each in value] if isinstance(value, list) else value


def _pattern_problems(value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if _is_pattern(value):
        yield from _problem_of(linear_pattern, value[PATTERN_MEMBER], (*path, PATTERN_MEMBER))
    elif isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            yield from _pattern_problems(member, (*path, name))


def _problem_of(parse: Callable[[str], _T], text: str, path: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        parse(text)
    except ConfigurationError as error:
        yield Problem(format_pointer(path), str(error))
