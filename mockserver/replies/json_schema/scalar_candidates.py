"""Candidates for strings, numbers, booleans and enums, the most sensible and harmless first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema import patterns, safe_values
from mockserver.replies.json_schema.constraints import (
    common_multiple,
    has_type,
    number_range,
    numbers_near,
    size_limits,
    to_json_number,
)
from mockserver.replies.json_schema.schema_limits import SchemaNode
from mockserver.wire.json import format_pointer

__all__ = [
    "MAX_ITEMS",
    "MAX_RANKED_VALUES",
    "SCALAR_CANDIDATES",
    "is_null_schema",
    "proposed_values",
    "rank_values",
    "rotate",
]

#: Most items of an array, most members of an object, and most members of an enum that are considered.
MAX_ITEMS = 1_000
#: Members of an enum that are ranked by how harmless they are.
MAX_RANKED_VALUES = 100


def string_candidates(alternative: list[SchemaNode], name: str, variant: int) -> Iterator[str]:
    least, most = size_limits(alternative, "minLength", "maxLength", patterns.MAX_LENGTH)
    texts = safe_values.texts_for(name, least, most, variant)
    formats = [node.schema["format"] for node in alternative if "format" in node.schema]
    samples = [
        safe_values.FORMAT_SAMPLES[name](variant) for name in formats if name in safe_values.FORMAT_SAMPLES
    ]
    yield from (*texts, *samples) if safe_values.allowed_values(name) else (*samples, *texts)
    for node in alternative:
        if "pattern" in node.schema:
            try:
                for text in patterns.matching_strings(node.schema["pattern"], least, variant):
                    # For `^/tmp/` or `^rm -rf /`, a path that does not exist instead of the folder itself.
                    yield from (text + "null", text) if safe_values.allowed_values(name) else (text,)
            except patterns.UnsupportedPattern as error:
                raise UnsatisfiableSchema(node.pointer + format_pointer(("pattern",)), str(error)) from None
    # For `not` or another branch of oneOf: other texts, long ones, the empty one.
    yield from safe_values.texts_for(name, least, most, variant + 1)
    yield from safe_values.texts_for(name, int(min(most, max(least, 40))), most, variant)
    yield from () if least else ("",)


def number_candidates(
    alternative: list[SchemaNode], name: str, variant: int, *, whole: bool = False
) -> Iterator[float]:
    low, high = number_range(alternative)
    preferred = min(max(Fraction(str(safe_values.sample_number(name))), low), high)
    step = common_multiple(alternative, integer=whole)
    yield from map(to_json_number, numbers_near(preferred, low, high, step, variant))


def integer_candidates(alternative: list[SchemaNode], name: str, variant: int) -> Iterator[float]:
    return number_candidates(alternative, name, variant, whole=True)


def boolean_candidates(_: list[SchemaNode], name: str, variant: int) -> Iterator[bool]:
    first = safe_values.safe_flag(name) != bool(variant % 2)
    yield from (first, not first)


def null_candidates(_: list[SchemaNode], __: str, ___: int) -> Iterator[None]:
    yield None


#: Candidates by type, for the nodes that apply to a value, the name of its member and a variant.
SCALAR_CANDIDATES: dict[str, Callable[[list[SchemaNode], str, int], Iterator[Any]]] = {
    "string": string_candidates,
    "integer": integer_candidates,
    "number": number_candidates,
    "boolean": boolean_candidates,
    "null": null_candidates,
}


def is_null_schema(schema: Any) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "null" or schema.get("const", 0) is None)


def rotate(values: list[Any], offset: int) -> list[Any]:
    at = offset % len(values) if values else 0
    return values[at:] + values[:at]


def rank_values(node: SchemaNode, name: str) -> tuple[list[Any], list[Any], list[Any]]:
    """The members of an enum: (the values allowed for the name, harmless ones, null and harmful ones)."""
    values = [node.schema["const"]] if "const" in node.schema else node.schema["enum"][:MAX_ITEMS]
    allowed = safe_values.allowed_values(name)
    best = [value for value in values if isinstance(value, str) and value in allowed]
    harmless: list[Any] = []
    harmful: list[Any] = []
    for value in values[:MAX_RANKED_VALUES]:
        (harmful if value is None or safe_values.is_destructive(value, name) else harmless).append(value)
    return best, harmless, harmful


def proposed_values(
    alternative: list[SchemaNode], types: list[str], name: str, *, default: bool
) -> Iterator[Any]:
    """The default, or the examples, of the schema that are safe for a member with this name."""
    for node in alternative:
        proposed = [node.schema["default"]] if "default" in node.schema else []
        for value in proposed if default else node.schema.get("examples", ()):
            if has_type(value, types) and not safe_values.is_risky(value, name):
                yield value
