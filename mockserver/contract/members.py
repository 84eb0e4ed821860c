"""Names what a value has that its profile does not know: members and types, unknown or of a later age.

Run only where the closed validator refused: for nearly all values it never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.contract.overlays import is_known, is_newer, union_branches
from mockserver.contract.problems import json_pointer
from mockserver.contract.schemas import ProfileSchemas

__all__ = ["UnknownMember", "find_unknown_members"]


@dataclass(frozen=True, slots=True)
class UnknownMember:
    """A member, or an object's type, that the profile does not know."""

    pointer: str
    value: Any
    since: str | None
    """The later age it belongs to, "2026-05"; None where no age knows it."""
    rule: str | None
    """For a type: the rule its union names. None for a member."""


def find_unknown_members(schemas: ProfileSchemas, name: str, value: Any) -> list[UnknownMember]:
    """What `value` has that `name` does not know, in the order it has it.

    Looks into nothing that is itself unknown. A null in a member of a later age is no finding: it
    stands for absence.
    """
    return list(_walk(_WalkContext(schemas.undated, schemas.date), schemas.undated[name], value, ()))


@dataclass(frozen=True, slots=True)
class _WalkContext:
    documents: Mapping[str, dict[str, Any]]
    date: str


_Path = tuple[str | int, ...]


def _walk(context: _WalkContext, schema: Any, value: Any, path: _Path) -> Iterator[UnknownMember]:
    if "$ref" in schema:
        schema = context.documents[schema["$ref"].removesuffix(".json")]
    if isinstance(value, list) and "items" in schema:
        for index, element in enumerate(value):
            yield from _walk(context, schema["items"], element, (*path, index))
    elif isinstance(value, dict):
        if "x-dispatch" in schema:
            yield from _walk_union(context, schema, value, path)
        elif "properties" in schema:
            yield from _walk_members(context, schema["properties"], value, path)
        elif isinstance(schema.get("additionalProperties"), dict):
            for name, member in value.items():
                yield from _walk(context, schema["additionalProperties"], member, (*path, name))


def _walk_union(
    context: _WalkContext, union: Any, value: dict[str, Any], path: _Path
) -> Iterator[UnknownMember]:
    kind = value.get("type")
    for known, branch in union_branches(union):
        if known == kind and is_known(branch, context.date):
            yield from _walk(context, branch["then"], value, path)
            return
        if known == kind:
            since = branch["x-since"] if is_newer(branch, context.date) else None
            yield UnknownMember(json_pointer((*path, "type")), kind, since, union["x-unknown"])
            return
    # Where the union is an enumeration, the schema itself has refused the type already.
    if "enum" not in union["properties"]["type"] and isinstance(kind, str) and not _is_extension(union, kind):
        yield UnknownMember(json_pointer((*path, "type")), kind, None, union["x-unknown"])


def _is_extension(union: Any, kind: str) -> bool:
    """Whether a type is someone's own, by the form that the union has for such."""
    return "x-extension" in union and re.match(union["x-extension"], kind) is not None


def _walk_members(
    context: _WalkContext, properties: Any, value: dict[str, Any], path: _Path
) -> Iterator[UnknownMember]:
    for name, member in value.items():
        schema = properties.get(name)
        if schema is None:
            yield UnknownMember(json_pointer((*path, name)), member, None, None)
        elif is_known(schema, context.date):
            yield from _walk(context, schema, member, (*path, name))
        elif member is not None:
            yield UnknownMember(json_pointer((*path, name)), member, schema.get("x-since"), None)
