"""Combines the constraints of several subschemas that apply to the same value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.schema_limits import SchemaNode
from mockserver.wire.json import format_pointer

__all__ = [
    "OBJECT_NODE",
    "STRING_NODE",
    "allowed_types",
    "child_nodes",
    "common_multiple",
    "declared_nodes",
    "has_type",
    "item_nodes",
    "keyword_pointer",
    "number_range",
    "numbers_near",
    "size_limits",
    "to_json_number",
    "with_required_names",
]

_TYPE_KEYWORDS = {
    "object": "properties required minProperties maxProperties propertyNames patternProperties"
    " additionalProperties dependentRequired",
    "array": "items prefixItems minItems maxItems uniqueItems contains",
    "string": "minLength maxLength pattern format",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
#: Constraints of our own, not of the schema: their pointers lead nowhere.
OBJECT_NODE = SchemaNode({"type": "object"}, "/type")
STRING_NODE = SchemaNode({"type": "string"}, "/type")

# Below the largest float, with room to spare.
_MAX_MAGNITUDE = Fraction(10**300)
_MAX_EXACT_INTEGER = Fraction(2**53)
_NEARBY_COUNT = 20


def declared_nodes(nodes: Iterable[SchemaNode]) -> list[SchemaNode]:
    """The nodes that are part of the schema, not constraints of our own."""
    return [node for node in nodes if node is not OBJECT_NODE and node is not STRING_NODE]


def child_nodes(node: SchemaNode, *keywords: str) -> list[SchemaNode]:
    """The subschemas directly under these keywords of `node`."""
    return [node.child(keyword) for keyword in keywords if keyword in node.schema]


def keyword_pointer(alternative: list[SchemaNode], *keywords: str) -> str:
    """The pointer of the first of `keywords` that a node has, in the last such node."""
    nodes = declared_nodes(alternative)
    pointers = (
        node.pointer + format_pointer((keyword,))
        for keyword in keywords
        for node in reversed(nodes)
        if keyword in node.schema
    )
    return next(pointers, nodes[0].pointer if nodes else "")


def allowed_types(alternative: list[SchemaNode]) -> list[str]:
    """Types that all nodes allow, the likeliest first, null last."""
    stated = [t for t in (node.schema.get("type") for node in alternative) if t is not None]
    lists = [[t] if isinstance(t, str) else t for t in stated]
    if not lists:
        hinted = [
            kind
            for kind, words in _TYPE_KEYWORDS.items()
            if any(not node.schema.keys().isdisjoint(words.split()) for node in alternative)
        ]
        lists = [list(dict.fromkeys([*hinted, "string", "number", "boolean", "array", "object", "null"]))]
    first, *others = lists
    wide = [[*kinds, *(["integer"] if "number" in kinds else [])] for kinds in others]
    first = [*first, *(["integer"] if "number" in first and "integer" not in first else [])]
    common = [kind for kind in first if all(kind in kinds for kinds in wide)]
    return sorted(common, key=lambda kind: kind == "null")


def has_type(value: Any, types: Iterable[str]) -> bool:
    """Whether `value` may have one of `types`; the validator decides whether a number is an integer."""
    kinds = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
    kind = kinds.get(type(value), "number")
    return kind in types or (kind == "number" and "integer" in types)


def size_limits(
    alternative: list[SchemaNode], minimum_keyword: str, maximum_keyword: str, max_minimum: int
) -> tuple[int, float]:
    """The minimum and maximum size; UnsatisfiableSchema if they conflict or the minimum is too large."""
    low = max((math.ceil(node.schema.get(minimum_keyword, 0)) for node in alternative), default=0)
    high = min((node.schema.get(maximum_keyword, math.inf) for node in alternative), default=math.inf)
    if low > max_minimum:
        raise UnsatisfiableSchema(
            keyword_pointer(alternative, minimum_keyword), f"more than {max_minimum} is not supported"
        )
    if low > high:
        raise UnsatisfiableSchema(
            keyword_pointer(alternative, maximum_keyword), f"less than {minimum_keyword}"
        )
    return low, high


def number_range(alternative: list[SchemaNode]) -> tuple[Fraction, Fraction]:
    """The smallest and largest number; the validator decides whether the bounds are exclusive."""
    low, high = -_MAX_MAGNITUDE, _MAX_MAGNITUDE
    for node in alternative:
        low = max(low, *_fractions(node, "minimum", "exclusiveMinimum"), -_MAX_MAGNITUDE)
        high = min(high, *_fractions(node, "maximum", "exclusiveMaximum"), _MAX_MAGNITUDE)
    if low > high:
        keywords = ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
        raise UnsatisfiableSchema(keyword_pointer(alternative, *keywords), "no number is within the bounds")
    return low, high


def _fractions(node: SchemaNode, *keywords: str) -> list[Fraction]:
    return [Fraction(str(node.schema[keyword])) for keyword in keywords if keyword in node.schema]


def numbers_near(
    preferred: Fraction, low: Fraction, high: Fraction, step: Fraction | None, variant: int
) -> Iterator[Fraction]:
    """Numbers from `low` to `high`: those near `preferred` first, then some others."""
    # Validators round very large numbers differently, so avoid them unless the schema requires them.
    reach = max(_MAX_EXACT_INTEGER, abs(preferred) + 100)
    low, high = max(low, -reach), min(high, reach)
    if step is None:
        around = (
            preferred + variant,
            Fraction(math.floor(preferred) + 1 + variant),
            Fraction(math.ceil(preferred) - 1 - variant),
        )
        inside = (low + (high - low) / part for part in range(variant + 2, variant + 4))
        others = (
            Fraction(0),
            Fraction(-1 - variant),
            Fraction(1, 2),
            low,
            high,
            preferred + 100,
            preferred - 100,
        )
        yield from (value for value in (*around, *inside, *others) if low <= value <= high)
        return
    first, last = math.ceil(low / step), math.floor(high / step)
    count = last - first + 1
    start = min(max(round(preferred / step), first), last) + variant
    for further in (
        *range(_NEARBY_COUNT),
        *(-start - n for n in range(2)),
        first - start,
        last - start,
        100,
        -100,
    ):
        if count > 0:
            yield step * (first + (start + further - first) % count)


def to_json_number(value: Fraction) -> float:
    """An int if JSON parsers keep it exactly, else a float."""
    # orjson, which parses our own replies, supports integers of up to 64 bits.
    return int(value) if value.denominator == 1 and -(2**63) <= value < 2**64 else float(value)


def common_multiple(alternative: list[SchemaNode], *, integer: bool) -> Fraction | None:
    """The number whose multiples satisfy every `multipleOf`; None if there is no such keyword."""
    steps = [step for node in alternative for step in _fractions(node, "multipleOf")]
    if not steps and not integer:
        return None
    common = Fraction(1) if integer else steps[0]
    for step in steps:
        numerator = math.lcm(common.numerator, step.numerator)
        common = Fraction(numerator, math.gcd(common.denominator, step.denominator))
        if numerator.bit_length() > 1_000:
            raise UnsatisfiableSchema(
                keyword_pointer(alternative, "multipleOf"), "no multiple is small enough"
            )
    return common


def with_required_names(alternative: list[SchemaNode], names_present: Iterable[str]) -> list[str]:
    """`names_present`, and all names that are required, always or because of them."""
    names = dict.fromkeys(
        [*(name for node in alternative for name in node.schema.get("required", ())), *names_present]
    )
    depending = [
        node.schema["dependentRequired"] for node in alternative if "dependentRequired" in node.schema
    ]
    todo = list(names) if depending else []
    while todo:
        name = todo.pop(0)
        new = [other for required in depending for other in required.get(name, ()) if other not in names]
        names.update(dict.fromkeys(new))
        todo += new
    return list(names)


def item_nodes(alternative: list[SchemaNode], index: int) -> list[SchemaNode]:
    """The nodes that apply to the item at `index`."""
    nodes: list[SchemaNode] = []
    for node in alternative:
        if index < len(node.schema.get("prefixItems", ())):
            nodes.append(node.child("prefixItems", index))
        else:
            nodes += child_nodes(node, "items")
    nodes = nodes or [below for node in alternative for below in child_nodes(node, "unevaluatedItems")]
    return nodes or [SchemaNode(True, alternative[0].pointer)]
