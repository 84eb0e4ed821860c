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
from mockserver.replies.patterns import weight

__all__ = ["BoundedSchema", "Node", "pointer"]

_MAX_DEPTH = 100
_MAX_NODES = 20_000
_MAX_REFERENCES = 2_000
_MAX_CHARACTERS = 1_000_000
_MAX_NAME = 500
_MAX_PATTERN_WEIGHT = 300_000
_MAX_PATTERNS = 1_000
# Pairs of schema and value that are counted, in Python; evaluations that are run, at some 10 ns each.
_MAX_VISITS = 10_000
_MAX_EVALUATIONS = 1_500_000
_MAX_NESTING = 150
_MAX_FAULTS = 10

_REFERENCES = ("$ref", "$dynamicRef")
_ROOT = "urn:mockserver:schema"


@dataclass(frozen=True, slots=True)
class Node:
    """A subschema and its JSON pointer in the whole."""

    schema: Any
    pointer: str

    def below(self, *steps: str | int) -> Node:
        schema = self.schema
        for step in steps:
            schema = schema[step]
        return Node(schema, pointer(steps, self.pointer))


def pointer(steps: Iterable[str | int], base: str = "") -> str:
    """The JSON pointer of `steps` below `base`."""
    return base + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass(slots=True)
class BoundedSchema:
    """A schema within the limits that is itself valid; Unsatisfiable, naming the place, if it is not."""

    root: Any
    anchors: dict[str, Node] = field(init=False)
    _size: int = field(init=False)
    _whole: Any = field(init=False)
    _registry: Any = field(init=False, default=None)
    _parts: dict[str, Any] = field(init=False, default_factory=dict)
    _patterns: dict[str, Any] = field(init=False, default_factory=dict)
    _visits: int = field(init=False, default=0)
    _evaluations: int = field(init=False, default=0)
    _faults: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        scan = _Scan()
        scan.walk(self.root)
        self.anchors, self._size = scan.anchors, scan.nodes
        if isinstance(self.root, dict):
            # The dialect is always 2020-12: what clients write there is mostly a habit of their generator.
            self.root = {name: value for name, value in self.root.items() if name not in {"$schema", "$id"}}
        try:
            self._whole = _validator(self.root)
        except UnsatisfiableSchema as error:
            # Of references that lead nowhere the validator says what, not where.
            for node, keyword in () if error.pointer else scan.references:
                self.resolve(node, keyword)
            raise

    def resolve(self, node: Node, keyword: str = "$ref") -> Node:
        """What the reference in `node` names within this schema."""
        reference = node.schema[keyword]
        fragment = unquote(reference.removeprefix("#"))
        if not reference.startswith("#"):
            raise UnsatisfiableSchema(
                pointer((keyword,), node.pointer), "only references within the schema are followed"
            )
        if fragment in self.anchors:
            return self.anchors[fragment]
        found = Node(self.root, "")
        try:
            for step in fragment.split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.below(int(name) if isinstance(found.schema, list) else name)
        except (KeyError, IndexError, TypeError, ValueError):
            raise UnsatisfiableSchema(
                pointer((keyword,), node.pointer), "the reference leads nowhere"
            ) from None
        return found

    def fault(self, value: Any) -> UnsatisfiableSchema | None:
        """Why `value` is not valid under the whole schema, naming the keyword; None if it is valid."""
        self._visits = 0
        if self._cost(Node(self.root, ""), value) > _MAX_EVALUATIONS:
            return UnsatisfiableSchema("", "too much to check")
        return None if self._whole.is_valid(value) else _first_fault(self._whole, value)

    def part_fault(self, nodes: Iterable[Node], value: Any) -> UnsatisfiableSchema | None:
        """Like `fault` for parts of the schema, as long as checks are affordable; then None."""
        for node in nodes:
            if isinstance(node.schema, bool):
                if not node.schema:
                    return UnsatisfiableSchema(node.pointer, "nothing is valid here")
                continue
            if not self._affordable(node, value):
                return None
            part = self._part(node)
            if not part.is_valid(value):
                # The library's errors carry those of all branches: dear, and only the first are read.
                self._faults += 1
                few = self._faults <= _MAX_FAULTS
                return (
                    _first_fault(part, value)
                    if few
                    else UnsatisfiableSchema(node.pointer, "no value was found")
                )
        return None

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the validator finds `pattern` in `text`; False beyond what is affordable."""
        if self._evaluations >= _MAX_EVALUATIONS:
            return False
        if pattern not in self._patterns:
            self._patterns[pattern] = _validator({"pattern": pattern})
            self._evaluations += 5_000
        self._evaluations += 200 + _effort(pattern, text)
        return bool(self._patterns[pattern].is_valid(text))

    def _affordable(self, node: Node, value: Any) -> bool:
        if self._evaluations >= _MAX_EVALUATIONS:
            return False
        try:
            self._evaluations += self._cost(node, value)
        except UnsatisfiableSchema:
            # Whether that is in the way of a value is for the check of the whole to say.
            self._evaluations = _MAX_EVALUATIONS
        if node.pointer not in self._parts:
            self._evaluations += 100 * _extent(node.schema, self._size)
        return self._evaluations < _MAX_EVALUATIONS

    def _part(self, node: Node) -> Any:
        if node.pointer not in self._parts:
            if self._registry is None:
                self._registry = _registry(self.root)
            reference = {"$ref": f"{_ROOT}#{quote(node.pointer)}"}
            self._parts[node.pointer] = _validator(reference, self._registry)
        return self._parts[node.pointer]

    def _cost(self, node: Node, value: Any) -> int:
        return self._count(node.schema, value, {}, node.pointer, 0)

    def _count(self, schema: Any, value: Any, seen: dict[tuple[int, int], int], near: str, depth: int) -> int:
        """Evaluations the validator needs at most, which sees a nest of references again on every way."""
        if not isinstance(schema, dict):
            return 1
        self._visits += 1
        key = (id(schema), id(value))
        if key in seen:
            if not seen[key]:
                raise UnsatisfiableSchema(near, "a $ref that leads back to itself")
            return seen[key]
        if self._visits > _MAX_VISITS or depth > _MAX_NESTING:
            raise UnsatisfiableSchema(near, "nested too widely or too deeply")
        seen[key] = 0
        total = 1 + len(schema) + _own_effort(schema, value)
        for keyword in _REFERENCES:
            if keyword in schema:
                target = self.resolve(Node(schema, near), keyword)
                total += self._count(target.schema, value, seen, target.pointer, depth + 1)
        for keyword in _APPLIED.keys() & schema.keys():
            for part, item in _APPLIED[keyword](schema[keyword], value):
                total += self._count(part, item, seen, near, depth + 1)
        # The validator evaluates the parts beside it a second time to learn what they covered.
        total *= 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        seen[key] = total
        return total


# Subschemas, and for each the value it applies to.
_Applied = Iterable[tuple[Any, Any]]


def _one(schema: Any, value: Any) -> _Applied:
    return ((schema, value),)


def _all(schemas: Any, value: Any) -> _Applied:
    return ((schema, value) for schema in (schemas.values() if isinstance(schemas, dict) else schemas))


def _by_name(schemas: Any, value: Any) -> _Applied:
    return (
        ((schemas[name], value[name]) for name in value if name in schemas) if isinstance(value, dict) else ()
    )


def _by_pattern(schemas: Any, value: Any) -> _Applied:
    return product(schemas.values(), value.values()) if isinstance(value, dict) else ()


def _by_place(schemas: Any, value: Any) -> _Applied:
    return zip(schemas, value, strict=False) if isinstance(value, list) else ()


def _each_member(schema: Any, value: Any) -> _Applied:
    return ((schema, item) for item in value.values()) if isinstance(value, dict) else ()


def _each_name(schema: Any, value: Any) -> _Applied:
    return ((schema, name) for name in value) if isinstance(value, dict) else ()


def _each_item(schema: Any, value: Any) -> _Applied:
    return ((schema, item) for item in value) if isinstance(value, list) else ()


_APPLIED: dict[str, Callable[[Any, Any], _Applied]] = {
    **dict.fromkeys(("not", "if", "then", "else"), _one),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "dependentSchemas"), _all),
    "properties": _by_name,
    "patternProperties": _by_pattern,
    **dict.fromkeys(("additionalProperties", "unevaluatedProperties"), _each_member),
    "propertyNames": _each_name,
    "prefixItems": _by_place,
    **dict.fromkeys(("items", "contains", "unevaluatedItems"), _each_item),
}


def _own_effort(schema: dict[str, Any], value: Any) -> int:
    effort = len(schema.get("enum", ()))
    if isinstance(value, str):
        effort += _effort(schema.get("pattern", ""), value)
        effort += 10 * weight(value) if schema.get("format") == "regex" else len(value) // 10
    elif isinstance(value, list) and schema.get("uniqueItems"):
        effort += len(value) ** 2
    elif isinstance(value, dict):
        patterns = schema.get("patternProperties", ())
        effort += (sum(map(weight, patterns)) * sum(map(len, value)) // 10) if patterns else 0
    return effort


def _effort(pattern: str, text: str) -> int:
    return 1 + weight(pattern) * len(text) // 10 if pattern else 0


def _extent(schema: Any, most: int) -> int:
    """Nodes the validator compiles for a part: its own, and with a reference perhaps all."""
    count, todo = 0, [schema]
    while todo and count < most:
        part = todo.pop()
        count += 1
        if isinstance(part, dict):
            if "$ref" in part or "$dynamicRef" in part:
                return most
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return count


# Ways are linked triples (way above, step, level), written out only where needed: the pointers of all nodes
# would be quadratic in a long thin schema.
_Way = tuple[Any, ...]


class _Scan:
    """One pass over the schema before anything else touches it."""

    def __init__(self) -> None:
        self.nodes = self.characters = self.patterns = self.weight = 0
        self.anchors: dict[str, Node] = {}
        self.references: list[tuple[Node, str]] = []

    def walk(self, root: Any) -> None:
        if not isinstance(root, (dict, bool)):
            raise _refusal((), "neither an object nor a boolean")
        todo: list[tuple[Any, _Way]] = [(root, ())]
        while todo:
            value, way = todo.pop()
            self.nodes += 1
            if self.nodes > _MAX_NODES:
                raise _refusal(way, f"more than {_MAX_NODES} nodes")
            if isinstance(value, dict):
                parts: Iterable[tuple[Any, Any]] = value.items()
                self.members(value, way)
            elif isinstance(value, list):
                parts = enumerate(value)
            else:
                self.scalar(value, way)
                continue
            level = way[2] + 1 if way else 1
            if level > _MAX_DEPTH:
                raise _refusal(way, f"more than {_MAX_DEPTH} levels")
            todo.extend([(part, (way, step, level)) for step, part in parts])

    def members(self, value: dict[Any, Any], way: _Way) -> None:
        for name in value:
            if not isinstance(name, str):
                raise _refusal(way, "a member's name is not a string")
            if len(name) > _MAX_NAME:
                raise _refusal(way, f"a member's name of more than {_MAX_NAME} characters")
            self.text(name, way)
        if not _NOTED.isdisjoint(value):
            self.note(value, way)

    def note(self, value: dict[str, Any], way: _Way) -> None:
        here = Node(value, pointer(_steps(way)))
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(value.get(keyword), str):
                self.anchors.setdefault(value[keyword], here)
        self.references += [(here, name) for name in _REFERENCES if isinstance(value.get(name), str)]
        if len(self.references) > _MAX_REFERENCES:
            raise _refusal(way, f"more than {_MAX_REFERENCES} references")
        own, several = value.get("pattern"), value.get("patternProperties")
        for pattern in (
            *([own] if isinstance(own, str) else ()),
            *(several if isinstance(several, dict) else ()),
        ):
            self.patterns += 1
            self.weight += weight(pattern) if isinstance(pattern, str) else 0
            if self.patterns > _MAX_PATTERNS or self.weight > _MAX_PATTERN_WEIGHT:
                raise _refusal(
                    (way, "pattern" if own else "patternProperties"), "patterns too many or too large"
                )

    def scalar(self, value: Any, way: _Way) -> None:
        if isinstance(value, str):
            self.text(value, way)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _refusal(way, "not a JSON number")
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**64:
                raise _refusal(way, "a number beyond 64 bits")
        elif value is not None:
            raise _refusal(way, "not a JSON value")

    def text(self, value: str, way: _Way) -> None:
        self.characters += len(value)
        if self.characters > _MAX_CHARACTERS:
            raise _refusal(way, f"more than {_MAX_CHARACTERS} characters")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _refusal(way, "half of a surrogate pair") from None


_NOTED = {*_REFERENCES, "$anchor", "$dynamicAnchor", "pattern", "patternProperties"}


def _refusal(way: _Way, reason: str) -> UnsatisfiableSchema:
    return UnsatisfiableSchema(pointer(_steps(way)), reason)


def _steps(way: _Way) -> list[str | int]:
    steps: list[str | int] = []
    while way:
        # A name need not have been looked at yet.
        steps.append(str(way[1])[:_MAX_NAME].encode("utf-8", "replace").decode())
        way = way[0]
    return steps[::-1]


@cache
def _engine() -> tuple[Any, dict[str, Any]]:
    import jsonschema_rs  # 60 ms

    def refuse(uri: str) -> Any:
        raise LookupError(f"{uri} is not part of the schema")

    options = {
        "retriever": refuse,
        "validate_formats": True,
        "pattern_options": jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20),
    }
    return jsonschema_rs, options


def _validator(schema: Any, registry: Any = None) -> Any:
    library, options = _engine()
    try:
        return library.Draft202012Validator(schema, registry=registry, **options)
    except library.ValidationError as error:
        raise UnsatisfiableSchema(pointer(error.instance_path), _said(error.message)) from None
    except ValueError as error:
        raise UnsatisfiableSchema("", _said(str(error))) from None


def _registry(root: Any) -> Any:
    library, options = _engine()
    try:
        resources = [(_ROOT, root)]
        return library.Registry(resources, draft=library.Draft202012, retriever=options["retriever"])
    except ValueError as error:
        raise UnsatisfiableSchema("", _said(str(error))) from None


def _first_fault(validator: Any, value: Any) -> UnsatisfiableSchema:
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return UnsatisfiableSchema("", "not valid")
    return UnsatisfiableSchema(pointer(error.schema_path), _said(error.message))


def _said(message: str) -> str:
    return message.partition("\n")[0][:200]
