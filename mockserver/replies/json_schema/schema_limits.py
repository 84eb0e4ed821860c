"""Rejects a schema that is too large, too deep or not JSON, before anything else reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.patterns import count_states
from mockserver.wire.json import format_pointer

__all__ = ["REFERENCE_KEYWORDS", "SchemaNode", "SchemaScan"]

_MAX_DEPTH = 100
_MAX_NODES = 20_000
_MAX_REFERENCES = 2_000
_MAX_CHARACTERS = 1_000_000
_MAX_NAME_CHARACTERS = 500
_MAX_PATTERN_STATES = 300_000
_MAX_PATTERNS = 1_000

REFERENCE_KEYWORDS = ("$ref", "$dynamicRef")


@dataclass(frozen=True, slots=True)
class SchemaNode:
    """A subschema and its JSON pointer in the whole."""

    schema: Any
    pointer: str

    def child(self, *steps: str | int) -> SchemaNode:
        schema = self.schema
        for step in steps:
            schema = schema[step]
        return SchemaNode(schema, self.pointer + format_pointer(steps))


# A path is a linked triple (parent path, step, level), because storing the pointers of all nodes would be
# quadratic in a deep schema.
_Path = tuple[Any, ...]


class SchemaScan:
    """One pass over a schema: checks its size, and collects its anchors and references."""

    def __init__(self) -> None:
        self.node_count = self.character_count = self.pattern_count = self.pattern_states = 0
        self.anchors: dict[str, SchemaNode] = {}
        self.references: list[tuple[SchemaNode, str]] = []

    def walk(self, root: Any) -> None:
        if not isinstance(root, (dict, bool)):
            raise _limit_error((), "neither an object nor a boolean")
        todo: list[tuple[Any, _Path]] = [(root, ())]
        while todo:
            value, path = todo.pop()
            self.node_count += 1
            if self.node_count > _MAX_NODES:
                raise _limit_error(path, f"more than {_MAX_NODES} nodes")
            if isinstance(value, dict):
                parts: Iterable[tuple[Any, Any]] = value.items()
                self.check_members(value, path)
            elif isinstance(value, list):
                parts = enumerate(value)
            else:
                self.check_scalar(value, path)
                continue
            level = path[2] + 1 if path else 1
            if level > _MAX_DEPTH:
                raise _limit_error(path, f"more than {_MAX_DEPTH} levels")
            todo.extend([(part, (path, step, level)) for step, part in parts])

    def check_members(self, value: dict[Any, Any], path: _Path) -> None:
        for name in value:
            if not isinstance(name, str):
                raise _limit_error(path, "a member's name is not a string")
            if len(name) > _MAX_NAME_CHARACTERS:
                raise _limit_error(path, f"a member's name is longer than {_MAX_NAME_CHARACTERS} characters")
            self.check_text(name, path)
        if not _COLLECTED_KEYWORDS.isdisjoint(value):
            self.collect_keywords(value, path)

    def collect_keywords(self, value: dict[str, Any], path: _Path) -> None:
        here = SchemaNode(value, format_pointer(_pointer_steps(path)))
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(value.get(keyword), str):
                self.anchors.setdefault(value[keyword], here)
        self.references += [(here, name) for name in REFERENCE_KEYWORDS if isinstance(value.get(name), str)]
        if len(self.references) > _MAX_REFERENCES:
            raise _limit_error(path, f"more than {_MAX_REFERENCES} references")
        own, several = value.get("pattern"), value.get("patternProperties")
        for pattern in (
            *([own] if isinstance(own, str) else ()),
            *(several if isinstance(several, dict) else ()),
        ):
            self.pattern_count += 1
            self.pattern_states += count_states(pattern) if isinstance(pattern, str) else 0
            if self.pattern_count > _MAX_PATTERNS or self.pattern_states > _MAX_PATTERN_STATES:
                raise _limit_error(
                    (path, "pattern" if own else "patternProperties"), "too many or too large patterns"
                )

    def check_scalar(self, value: Any, path: _Path) -> None:
        if isinstance(value, str):
            self.check_text(value, path)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _limit_error(path, "not a JSON number")
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**64:
                raise _limit_error(path, "a number beyond 64 bits")
        elif value is not None:
            raise _limit_error(path, "not a JSON value")

    def check_text(self, value: str, path: _Path) -> None:
        self.character_count += len(value)
        if self.character_count > _MAX_CHARACTERS:
            raise _limit_error(path, f"more than {_MAX_CHARACTERS} characters")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _limit_error(path, "half of a surrogate pair") from None


_COLLECTED_KEYWORDS = {*REFERENCE_KEYWORDS, "$anchor", "$dynamicAnchor", "pattern", "patternProperties"}


def _limit_error(path: _Path, reason: str) -> UnsatisfiableSchema:
    return UnsatisfiableSchema(format_pointer(_pointer_steps(path)), reason)


def _pointer_steps(path: _Path) -> list[str | int]:
    steps: list[str | int] = []
    while path:
        # The scan may not have checked this name yet.
        steps.append(str(path[1])[:_MAX_NAME_CHARACTERS].encode("utf-8", "replace").decode())
        path = path[0]
    return steps[::-1]
