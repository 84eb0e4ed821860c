"""What several subschemas, met by one value at once, ask of it together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.bounded import Node, pointer

__all__ = [
    "OBJECT",
    "STRING",
    "asked",
    "common_multiple",
    "interval",
    "is_of",
    "item_nodes",
    "limits",
    "names_with",
    "numbers_near",
    "plain",
    "present",
    "types_of",
    "where",
]

_HINTS = {
    "object": "properties required minProperties maxProperties propertyNames patternProperties"
    " additionalProperties dependentRequired",
    "array": "items prefixItems minItems maxItems uniqueItems contains",
    "string": "minLength maxLength pattern format",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
#: Demands of our own, beside those of the schema: nothing is at their pointer.
OBJECT = Node({"type": "object"}, "/type")
STRING = Node({"type": "string"}, "/type")

# No float is beyond, with room to spare.
_HUGE = Fraction(10**300)
_EXACT = Fraction(2**53)
_NEAR = 20


def asked(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that are the schema's, not demands of our own."""
    return [node for node in nodes if node is not OBJECT and node is not STRING]


def present(node: Node, *keywords: str) -> list[Node]:
    """The subschemas `node` has directly under `keywords`."""
    return [node.below(keyword) for keyword in keywords if keyword in node.schema]


def where(way: list[Node], *keywords: str) -> str:
    """Where the last of the nodes that has one of `keywords` has it."""
    nodes = asked(way)
    found = (
        pointer((keyword,), node.pointer)
        for keyword in keywords
        for node in reversed(nodes)
        if keyword in node.schema
    )
    return next(found, nodes[0].pointer if nodes else "")


def types_of(way: list[Node]) -> list[str]:
    """Types all nodes admit, the likeliest first, null last."""
    stated = [t for t in (node.schema.get("type") for node in way) if t is not None]
    lists = [[t] if isinstance(t, str) else t for t in stated]
    if not lists:
        hinted = [
            kind
            for kind, words in _HINTS.items()
            if any(not node.schema.keys().isdisjoint(words.split()) for node in way)
        ]
        lists = [list(dict.fromkeys([*hinted, "string", "number", "boolean", "array", "object", "null"]))]
    first, *others = lists
    wide = [[*kinds, *(["integer"] if "number" in kinds else [])] for kinds in others]
    first = [*first, *(["integer"] if "number" in first and "integer" not in first else [])]
    common = [kind for kind in first if all(kind in kinds for kinds in wide)]
    return sorted(common, key=lambda kind: kind == "null")


def is_of(value: Any, types: Iterable[str]) -> bool:
    """Whether `value` may have one of `types`; a number that is an integer is left to the check."""
    kinds = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
    kind = kinds.get(type(value), "number")
    return kind in types or (kind == "number" and "integer" in types)


def limits(way: list[Node], least: str, most: str, bound: int) -> tuple[int, float]:
    """What the keywords `least` and `most` say; Unsatisfiable if more than `bound` is wanted."""
    low = max((math.ceil(node.schema.get(least, 0)) for node in way), default=0)
    high = min((node.schema.get(most, math.inf) for node in way), default=math.inf)
    if low > bound:
        raise UnsatisfiableSchema(where(way, least), f"more than {bound} is not drawn")
    if low > high:
        raise UnsatisfiableSchema(where(way, most), f"less than {least} asks for")
    return low, high


def interval(way: list[Node]) -> tuple[Fraction, Fraction]:
    """The least and greatest number; whether they are excluded is left to the check."""
    low, high = -_HUGE, _HUGE
    for node in way:
        low = max(low, *_fractions(node, "minimum", "exclusiveMinimum"), -_HUGE)
        high = min(high, *_fractions(node, "maximum", "exclusiveMaximum"), _HUGE)
    if low > high:
        keywords = ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
        raise UnsatisfiableSchema(where(way, *keywords), "no number is large and small enough")
    return low, high


def _fractions(node: Node, *keywords: str) -> list[Fraction]:
    return [Fraction(str(node.schema[keyword])) for keyword in keywords if keyword in node.schema]


def numbers_near(
    wanted: Fraction, low: Fraction, high: Fraction, step: Fraction | None, turn: int
) -> Iterator[Fraction]:
    """Numbers from `low` to `high`: those near `wanted` first, then some that lie elsewhere."""
    # Far out validators round differently, so nobody goes there unasked.
    reach = max(_EXACT, abs(wanted) + 100)
    low, high = max(low, -reach), min(high, reach)
    if step is None:
        around = (
            wanted + turn,
            Fraction(math.floor(wanted) + 1 + turn),
            Fraction(math.ceil(wanted) - 1 - turn),
        )
        inside = (low + (high - low) / part for part in range(turn + 2, turn + 4))
        elsewhere = (Fraction(0), Fraction(-1 - turn), Fraction(1, 2), low, high, wanted + 100, wanted - 100)
        yield from (value for value in (*around, *inside, *elsewhere) if low <= value <= high)
        return
    first, last = math.ceil(low / step), math.floor(high / step)
    count = last - first + 1
    start = min(max(round(wanted / step), first), last) + turn
    for further in (*range(_NEAR), *(-start - n for n in range(2)), first - start, last - start, 100, -100):
        if count > 0:
            yield step * (first + (start + further - first) % count)


def plain(value: Fraction) -> float:
    """An int where JSON's readers keep one, else a float."""
    # orjson, which reads our own replies, keeps integers of 64 bits only.
    return int(value) if value.denominator == 1 and -(2**63) <= value < 2**64 else float(value)


def common_multiple(way: list[Node], *, whole: bool) -> Fraction | None:
    """The number whose multiples meet every `multipleOf`; None if any number does."""
    steps = [step for node in way for step in _fractions(node, "multipleOf")]
    if not steps and not whole:
        return None
    common = Fraction(1) if whole else steps[0]
    for step in steps:
        numerator = math.lcm(common.numerator, step.numerator)
        common = Fraction(numerator, math.gcd(common.denominator, step.denominator))
        if numerator.bit_length() > 1_000:
            raise UnsatisfiableSchema(where(way, "multipleOf"), "no multiple is small enough")
    return common


def names_with(way: list[Node], named: Iterable[str]) -> list[str]:
    """`named`, and all names that are required, in general or because of them."""
    names = dict.fromkeys([*(name for node in way for name in node.schema.get("required", ())), *named])
    depending = [node.schema["dependentRequired"] for node in way if "dependentRequired" in node.schema]
    todo = list(names) if depending else []
    while todo:
        name = todo.pop(0)
        new = [other for demands in depending for other in demands.get(name, ()) if other not in names]
        names.update(dict.fromkeys(new))
        todo += new
    return list(names)


def item_nodes(way: list[Node], place: int) -> list[Node]:
    """The nodes that apply to the item at `place`."""
    nodes: list[Node] = []
    for node in way:
        if place < len(node.schema.get("prefixItems", ())):
            nodes.append(node.below("prefixItems", place))
        else:
            nodes += present(node, "items")
    nodes = nodes or [below for node in way for below in present(node, "unevaluatedItems")]
    return nodes or [Node(True, way[0].pointer)]
