"""JSONPath (RFC 9535): queries that select values of a JSON document."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from mockserver.errors import ConfigurationError, install_command
from mockserver.slow_imports import require_import
from mockserver.wire.patterns import compile_linear

__all__ = ["JsonPath", "parse_json_path"]


class JsonPath:
    """A query, compiled."""

    __slots__ = ("_query", "text")

    def __init__(self, text: str, query: Any) -> None:
        self.text = text
        self._query = query

    def select(self, value: Any) -> list[Any]:
        """The values that the query selects; none if the document is nested too deeply for it."""
        from jsonpath.exceptions import JSONPathRecursionError

        try:
            return list(self._query.findall(value))
        except JSONPathRecursionError:
            return []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonPath) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(self.text)


@lru_cache(maxsize=1024)
def parse_json_path(text: str) -> JsonPath:
    """Parse a query. Raises ConfigurationError."""
    require_import("jsonpath")
    try:
        from jsonpath import JSONPathError
    except ImportError:
        command = install_command("responses-mockserver[patterns]")
        raise ConfigurationError(f"JSONPath needs python-jsonpath: {command}") from None
    try:
        return JsonPath(text, _environment().compile(text))
    except JSONPathError as error:
        raise ConfigurationError(f"not a JSONPath query (RFC 9535): {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error.args[0] if error.args else error).partition("\n")[0]


@cache
def _environment() -> Any:
    """Queries as in the RFC, whose functions `match` and `search` take linear time."""
    from jsonpath import JSONPathEnvironment
    from jsonpath.function_extensions import Match, Search

    class LinearMatch(Match):
        def __call__(self, value: object, pattern: object) -> bool:
            return _is_found(f"^(?:{pattern})$", pattern, value)

    class LinearSearch(Search):
        def __call__(self, value: object, pattern: object) -> bool:
            return _is_found(str(pattern), pattern, value)

    environment = JSONPathEnvironment(strict=True)
    environment.function_extensions["match"] = LinearMatch()
    environment.function_extensions["search"] = LinearSearch()
    return environment


def _is_found(expression: str, pattern: object, value: object) -> bool:
    if not isinstance(value, str) or not isinstance(pattern, str):
        return False
    try:
        return bool(compile_linear(expression).search(value))
    except ConfigurationError:  # as the RFC says: no match
        return False
