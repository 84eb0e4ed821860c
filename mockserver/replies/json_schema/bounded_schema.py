"""A stranger's JSON Schema, held to limits: resolved locally, and asked whether a value is valid.

The validator reads nothing from network or disk and matches patterns in linear time; what could still
take long (nests of `$ref`, large patterns) is counted before it is run. Everything raised is Unsatisfiable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.patterns import count_states
from mockserver.wire.json import format_pointer, parse_pointer

__all__ = ["BoundedSchema", "SchemaNode"]

_MAX_DEPTH = 100
_MAX_NODES = 20_000
_MAX_REFERENCES = 2_000
_MAX_CHARACTERS = 1_000_000
_MAX_NAME_CHARACTERS = 500
_MAX_PATTERN_STATES = 300_000
_MAX_PATTERNS = 1_000
# Pairs of schema and value that are counted, in Python; evaluations that are run, at some 10 ns each.
_MAX_VISITS = 10_000
_MAX_EVALUATIONS = 1_500_000
_MAX_NESTING = 150
_MAX_EXPLAINED_ERRORS = 10

_REFERENCE_KEYWORDS = ("$ref", "$dynamicRef")
_ROOT_URI = "urn:mockserver:schema"


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


@dataclass(slots=True)
class BoundedSchema:
    """A schema within the limits that is itself valid; Unsatisfiable, naming the place, if it is not."""

    root: Any
    anchors: dict[str, SchemaNode] = field(init=False)
    _node_count: int = field(init=False)
    _validator: Any = field(init=False)
    _registry: Any = field(init=False, default=None)
    _node_validators: dict[str, Any] = field(init=False, default_factory=dict)
    _pattern_validators: dict[str, Any] = field(init=False, default_factory=dict)
    _visit_count: int = field(init=False, default=0)
    _evaluation_count: int = field(init=False, default=0)
    _error_count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        scan = _SchemaScan()
        scan.walk(self.root)
        self.anchors, self._node_count = scan.anchors, scan.node_count
        if isinstance(self.root, dict):
            # The dialect is always 2020-12: what clients write there is mostly a habit of their generator.
            self.root = {name: value for name, value in self.root.items() if name not in {"$schema", "$id"}}
        try:
            self._validator = _build_validator(self.root)
        except UnsatisfiableSchema as error:
            # Of references that lead nowhere the validator says what, not where.
            for node, keyword in () if error.pointer else scan.references:
                self.resolve(node, keyword)
            raise

    def resolve(self, node: SchemaNode, keyword: str = "$ref") -> SchemaNode:
        """What the reference in `node` names within this schema."""
        reference = node.schema[keyword]
        fragment = unquote(reference.removeprefix("#"))
        if not reference.startswith("#"):
            raise UnsatisfiableSchema(
                node.pointer + format_pointer((keyword,)), "only references within the schema are followed"
            )
        if fragment in self.anchors:
            return self.anchors[fragment]
        found = SchemaNode(self.root, "")
        try:
            for name in parse_pointer(fragment):
                found = found.child(int(name) if isinstance(found.schema, list) else name)
        except (KeyError, IndexError, TypeError, ValueError):
            raise UnsatisfiableSchema(
                node.pointer + format_pointer((keyword,)), "the reference leads nowhere"
            ) from None
        return found

    def find_error(self, value: Any) -> UnsatisfiableSchema | None:
        """Why `value` is not valid under the whole schema, naming the keyword; None if it is valid."""
        self._visit_count = 0
        if self._validation_cost(SchemaNode(self.root, ""), value) > _MAX_EVALUATIONS:
            return UnsatisfiableSchema("", "too much to check")
        return None if self._validator.is_valid(value) else _first_error(self._validator, value)

    def find_node_error(self, nodes: Iterable[SchemaNode], value: Any) -> UnsatisfiableSchema | None:
        """Like `fault` for parts of the schema, as long as checks are affordable; then None."""
        for node in nodes:
            if isinstance(node.schema, bool):
                if not node.schema:
                    return UnsatisfiableSchema(node.pointer, "nothing is valid here")
                continue
            if not self._is_affordable(node, value):
                return None
            part = self._node_validator(node)
            if not part.is_valid(value):
                # The library's errors carry those of all branches: dear, and only the first are read.
                self._error_count += 1
                few = self._error_count <= _MAX_EXPLAINED_ERRORS
                return (
                    _first_error(part, value)
                    if few
                    else UnsatisfiableSchema(node.pointer, "no value was found")
                )
        return None

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the validator finds `pattern` in `text`; False beyond what is affordable."""
        if self._evaluation_count >= _MAX_EVALUATIONS:
            return False
        if pattern not in self._pattern_validators:
            self._pattern_validators[pattern] = _build_validator({"pattern": pattern})
            self._evaluation_count += 5_000
        self._evaluation_count += 200 + _pattern_cost(pattern, text)
        return bool(self._pattern_validators[pattern].is_valid(text))

    def _is_affordable(self, node: SchemaNode, value: Any) -> bool:
        if self._evaluation_count >= _MAX_EVALUATIONS:
            return False
        try:
            self._evaluation_count += self._validation_cost(node, value)
        except UnsatisfiableSchema:
            # Whether that is in the way of a value is for the check of the whole to say.
            self._evaluation_count = _MAX_EVALUATIONS
        if node.pointer not in self._node_validators:
            self._evaluation_count += 100 * _compiled_node_count(node.schema, self._node_count)
        return self._evaluation_count < _MAX_EVALUATIONS

    def _node_validator(self, node: SchemaNode) -> Any:
        if node.pointer not in self._node_validators:
            if self._registry is None:
                self._registry = _build_registry(self.root)
            reference = {"$ref": f"{_ROOT_URI}#{quote(node.pointer)}"}
            self._node_validators[node.pointer] = _build_validator(reference, self._registry)
        return self._node_validators[node.pointer]

    def _validation_cost(self, node: SchemaNode, value: Any) -> int:
        return self._count_evaluations(node.schema, value, {}, node.pointer, 0)

    def _count_evaluations(
        self, schema: Any, value: Any, seen: dict[tuple[int, int], int], location: str, depth: int
    ) -> int:
        """Evaluations the validator needs at most, which sees a nest of references again on every way."""
        if not isinstance(schema, dict):
            return 1
        self._visit_count += 1
        key = (id(schema), id(value))
        if key in seen:
            if not seen[key]:
                raise UnsatisfiableSchema(location, "a $ref that leads back to itself")
            return seen[key]
        if self._visit_count > _MAX_VISITS or depth > _MAX_NESTING:
            raise UnsatisfiableSchema(location, "nested too widely or too deeply")
        seen[key] = 0
        total = 1 + len(schema) + _assertion_cost(schema, value)
        for keyword in _REFERENCE_KEYWORDS:
            if keyword in schema:
                target = self.resolve(SchemaNode(schema, location), keyword)
                total += self._count_evaluations(target.schema, value, seen, target.pointer, depth + 1)
        for keyword in _APPLICATORS.keys() & schema.keys():
            for part, item in _APPLICATORS[keyword](schema[keyword], value):
                total += self._count_evaluations(part, item, seen, location, depth + 1)
        # The validator evaluates the parts beside it a second time to learn what they covered.
        total *= 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        seen[key] = total
        return total


# Subschemas, and for each the value it applies to.
_Applications = Iterable[tuple[Any, Any]]


def _to_value(schema: Any, value: Any) -> _Applications:
    return ((schema, value),)


def _all_to_value(schemas: Any, value: Any) -> _Applications:
    return ((schema, value) for schema in (schemas.values() if isinstance(schemas, dict) else schemas))


def _to_named_members(schemas: Any, value: Any) -> _Applications:
    return (
        ((schemas[name], value[name]) for name in value if name in schemas) if isinstance(value, dict) else ()
    )


def _to_matching_members(schemas: Any, value: Any) -> _Applications:
    return product(schemas.values(), value.values()) if isinstance(value, dict) else ()


def _to_leading_items(schemas: Any, value: Any) -> _Applications:
    return zip(schemas, value, strict=False) if isinstance(value, list) else ()


def _to_each_member(schema: Any, value: Any) -> _Applications:
    return ((schema, item) for item in value.values()) if isinstance(value, dict) else ()


def _to_each_name(schema: Any, value: Any) -> _Applications:
    return ((schema, name) for name in value) if isinstance(value, dict) else ()


def _to_each_item(schema: Any, value: Any) -> _Applications:
    return ((schema, item) for item in value) if isinstance(value, list) else ()


_APPLICATORS: dict[str, Callable[[Any, Any], _Applications]] = {
    **dict.fromkeys(("not", "if", "then", "else"), _to_value),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "dependentSchemas"), _all_to_value),
    "properties": _to_named_members,
    "patternProperties": _to_matching_members,
    **dict.fromkeys(("additionalProperties", "unevaluatedProperties"), _to_each_member),
    "propertyNames": _to_each_name,
    "prefixItems": _to_leading_items,
    **dict.fromkeys(("items", "contains", "unevaluatedItems"), _to_each_item),
}


def _assertion_cost(schema: dict[str, Any], value: Any) -> int:
    effort = len(schema.get("enum", ()))
    if isinstance(value, str):
        effort += _pattern_cost(schema.get("pattern", ""), value)
        effort += 10 * count_states(value) if schema.get("format") == "regex" else len(value) // 10
    elif isinstance(value, list) and schema.get("uniqueItems"):
        effort += len(value) ** 2
    elif isinstance(value, dict):
        patterns = schema.get("patternProperties", ())
        effort += (sum(map(count_states, patterns)) * sum(map(len, value)) // 10) if patterns else 0
    return effort


def _pattern_cost(pattern: str, text: str) -> int:
    return 1 + count_states(pattern) * len(text) // 10 if pattern else 0


def _compiled_node_count(schema: Any, limit: int) -> int:
    """Nodes the validator compiles for a part: its own, and with a reference perhaps all."""
    count, todo = 0, [schema]
    while todo and count < limit:
        part = todo.pop()
        count += 1
        if isinstance(part, dict):
            if "$ref" in part or "$dynamicRef" in part:
                return limit
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return count


# Ways are linked triples (way above, step, level), written out only where needed: the pointers of all nodes
# would be quadratic in a long thin schema.
_Path = tuple[Any, ...]


class _SchemaScan:
    """One pass over the schema before anything else touches it."""

    def __init__(self) -> None:
        self.node_count = self.character_count = self.pattern_count = self.pattern_states = 0
        self.anchors: dict[str, SchemaNode] = {}
        self.references: list[tuple[SchemaNode, str]] = []

    def walk(self, root: Any) -> None:
        if not isinstance(root, (dict, bool)):
            raise _limit_error((), "neither an object nor a boolean")
        todo: list[tuple[Any, _Path]] = [(root, ())]
        while todo:
            value, way = todo.pop()
            self.node_count += 1
            if self.node_count > _MAX_NODES:
                raise _limit_error(way, f"more than {_MAX_NODES} nodes")
            if isinstance(value, dict):
                parts: Iterable[tuple[Any, Any]] = value.items()
                self.check_members(value, way)
            elif isinstance(value, list):
                parts = enumerate(value)
            else:
                self.check_scalar(value, way)
                continue
            level = way[2] + 1 if way else 1
            if level > _MAX_DEPTH:
                raise _limit_error(way, f"more than {_MAX_DEPTH} levels")
            todo.extend([(part, (way, step, level)) for step, part in parts])

    def check_members(self, value: dict[Any, Any], path: _Path) -> None:
        for name in value:
            if not isinstance(name, str):
                raise _limit_error(path, "a member's name is not a string")
            if len(name) > _MAX_NAME_CHARACTERS:
                raise _limit_error(path, f"a member's name of more than {_MAX_NAME_CHARACTERS} characters")
            self.check_text(name, path)
        if not _COLLECTED_KEYWORDS.isdisjoint(value):
            self.collect_keywords(value, path)

    def collect_keywords(self, value: dict[str, Any], path: _Path) -> None:
        here = SchemaNode(value, format_pointer(_pointer_steps(path)))
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(value.get(keyword), str):
                self.anchors.setdefault(value[keyword], here)
        self.references += [(here, name) for name in _REFERENCE_KEYWORDS if isinstance(value.get(name), str)]
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
                    (path, "pattern" if own else "patternProperties"), "patterns too many or too large"
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


_COLLECTED_KEYWORDS = {*_REFERENCE_KEYWORDS, "$anchor", "$dynamicAnchor", "pattern", "patternProperties"}


def _limit_error(path: _Path, reason: str) -> UnsatisfiableSchema:
    return UnsatisfiableSchema(format_pointer(_pointer_steps(path)), reason)


def _pointer_steps(path: _Path) -> list[str | int]:
    steps: list[str | int] = []
    while path:
        # A name need not have been looked at yet.
        steps.append(str(path[1])[:_MAX_NAME_CHARACTERS].encode("utf-8", "replace").decode())
        path = path[0]
    return steps[::-1]


@cache
def _load_engine() -> tuple[Any, dict[str, Any]]:
    import jsonschema_rs  # 60 ms

    def refuse(uri: str) -> Any:
        raise LookupError(f"{uri} is not part of the schema")

    options = {
        "retriever": refuse,
        "validate_formats": True,
        "pattern_options": jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20),
    }
    return jsonschema_rs, options


def _build_validator(schema: Any, registry: Any = None) -> Any:
    library, options = _load_engine()
    try:
        return library.Draft202012Validator(schema, registry=registry, **options)
    except library.ValidationError as error:
        raise UnsatisfiableSchema(format_pointer(error.instance_path), _first_line(error.message)) from None
    except ValueError as error:
        raise UnsatisfiableSchema("", _first_line(str(error))) from None


def _build_registry(root: Any) -> Any:
    library, options = _load_engine()
    try:
        resources = [(_ROOT_URI, root)]
        return library.Registry(resources, draft=library.Draft202012, retriever=options["retriever"])
    except ValueError as error:
        raise UnsatisfiableSchema("", _first_line(str(error))) from None


def _first_error(validator: Any, value: Any) -> UnsatisfiableSchema:
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return UnsatisfiableSchema("", "not valid")
    return UnsatisfiableSchema(format_pointer(error.schema_path), _first_line(error.message))


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:200]
