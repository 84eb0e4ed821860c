"""Validates values against an untrusted JSON Schema within fixed limits.

The validator reads nothing from network or disk and matches patterns in linear time. What could still take
long (nested `$ref`s, large patterns) is counted before it runs. Every error raised is UnsatisfiableSchema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.patterns import count_states
from mockserver.replies.json_schema.schema_limits import (
    REFERENCE_KEYWORDS,
    SchemaNode,
    SchemaScan,
)
from mockserver.wire import json
from mockserver.wire.json import format_pointer, parse_pointer

__all__ = ["BoundedSchema"]

# Pairs of schema and value that are counted in Python; evaluations by the validator, at about 10 ns each.
_MAX_VISITS = 10_000
_MAX_EVALUATIONS = 1_500_000
_MAX_NESTING = 150
_MAX_EXPLAINED_ERRORS = 10
#: JSON of a schema whose validator is built once for all requests with it.
_MAX_CACHED_BYTES = 16 << 10

_ROOT_URI = "urn:mockserver:schema"


@dataclass(slots=True)
class BoundedSchema:
    """A valid schema within the limits; any other raises UnsatisfiableSchema with a pointer into it."""

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
        scan = SchemaScan()
        scan.walk(self.root)
        self.anchors, self._node_count = scan.anchors, scan.node_count
        if isinstance(self.root, dict):
            # The dialect is always 2020-12: the `$schema` of clients is mostly a default of their generator.
            self.root = {name: value for name, value in self.root.items() if name not in {"$schema", "$id"}}
        text = _cacheable_text(self.root)
        try:
            self._validator = _build_validator(self.root) if text is None else _validator_for_text(text)
        except UnsatisfiableSchema as error:
            # The validator does not say where a dangling reference is.
            for node, keyword in () if error.pointer else scan.references:
                self.resolve(node, keyword)
            raise

    def resolve(self, node: SchemaNode, keyword: str = "$ref") -> SchemaNode:
        """The subschema that the reference in `node` points to."""
        reference = node.schema[keyword]
        fragment = unquote(reference.removeprefix("#"))
        if not reference.startswith("#"):
            raise UnsatisfiableSchema(
                node.pointer + format_pointer((keyword,)), "only references within the schema are supported"
            )
        if fragment in self.anchors:
            return self.anchors[fragment]
        target = SchemaNode(self.root, "")
        try:
            for name in parse_pointer(fragment):
                target = target.child(int(name) if isinstance(target.schema, list) else name)
        except (KeyError, IndexError, TypeError, ValueError):
            raise UnsatisfiableSchema(
                node.pointer + format_pointer((keyword,)), "the reference does not resolve"
            ) from None
        return target

    def find_error(self, value: Any) -> UnsatisfiableSchema | None:
        """Why `value` is invalid under the whole schema, with the keyword's pointer; None if it is valid."""
        self._visit_count = 0
        if self._validation_cost(SchemaNode(self.root, ""), value) > _MAX_EVALUATIONS:
            return UnsatisfiableSchema("", "too expensive to validate")
        return None if self._validator.is_valid(value) else _first_error(self._validator, value)

    def find_node_error(self, nodes: Iterable[SchemaNode], value: Any) -> UnsatisfiableSchema | None:
        """Like `find_error` for parts of the schema; None once the budget for such checks is spent."""
        for node in nodes:
            if isinstance(node.schema, bool):
                if not node.schema:
                    return UnsatisfiableSchema(node.pointer, "nothing is valid here")
                continue
            if not self._is_affordable(node, value):
                return None
            part = self._node_validator(node)
            if not part.is_valid(value):
                # The library's errors contain those of all branches: expensive, and only the first are used.
                self._error_count += 1
                few = self._error_count <= _MAX_EXPLAINED_ERRORS
                return (
                    _first_error(part, value)
                    if few
                    else UnsatisfiableSchema(node.pointer, "no value was found")
                )
        return None

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the validator finds `pattern` in `text`; False once the budget is spent."""
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
            # Whether this makes a value invalid is decided by the final check of the whole schema.
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
        """Upper bound of the validator's evaluations; it evaluates a target again for every reference."""
        if not isinstance(schema, dict):
            return 1
        self._visit_count += 1
        key = (id(schema), id(value))
        if key in seen:
            if not seen[key]:
                raise UnsatisfiableSchema(location, "a $ref that leads back to itself")
            return seen[key]
        if self._visit_count > _MAX_VISITS or depth > _MAX_NESTING:
            raise UnsatisfiableSchema(location, "too many or too deeply nested subschemas")
        seen[key] = 0
        total = 1 + len(schema) + _assertion_cost(schema, value)
        for keyword in REFERENCE_KEYWORDS:
            if keyword in schema:
                target = self.resolve(SchemaNode(schema, location), keyword)
                total += self._count_evaluations(target.schema, value, seen, target.pointer, depth + 1)
        for keyword in _APPLICATORS.keys() & schema.keys():
            for part, item in _APPLICATORS[keyword](schema[keyword], value):
                total += self._count_evaluations(part, item, seen, location, depth + 1)
        # The validator evaluates the adjacent keywords twice to learn which members they cover.
        total *= 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        seen[key] = total
        return total


# Pairs of a subschema and a value it applies to.
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
    """Nodes that the validator compiles for a part; `limit` if the part has a reference."""
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


def _cacheable_text(schema: Any) -> bytes | None:
    """The JSON of a scanned schema; None if it is large, or not what JSON can say (NaN would become null)."""
    try:
        text = json.dumps(schema)
    except TypeError:
        return None
    return text if len(text) <= _MAX_CACHED_BYTES and b"null" not in text else None


@lru_cache(maxsize=256)
def _validator_for_text(text: bytes) -> Any:
    """The validator of a schema: many requests declare the same functions."""
    return _build_validator(json.loads(text))


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
