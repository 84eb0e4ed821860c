"""Names what a value has that its profile does not know: members and types, unknown or of a later age.

Run only where the closed validator refused: for nearly all values it never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.contract.overlays import branches, is_known, is_newer
from mockserver.contract.problems import pointer_to
from mockserver.contract.schemas import ProfileSchemas

__all__ = ["Stranger", "strangers"]


@dataclass(frozen=True, slots=True)
class Stranger:
    """A member, or an object's type, that the profile does not know."""

    pointer: str
    value: Any
    since: str | None
    """The later age it belongs to, "2026-05"; None where no age knows it."""
    rule: str | None
    """For a type: the rule its union names. None for a member."""


def strangers(schemas: ProfileSchemas, name: str, value: Any) -> list[Stranger]:
    """What `value` has that `name` does not know, in the order it has it.

    Looks into nothing that is itself unknown. A null in a member of a later age is no finding: it
    stands for absence.
    """
    return list(_walk(_Walk(schemas.union, schemas.age), schemas.union[name], value, ()))


@dataclass(frozen=True, slots=True)
class _Walk:
    documents: Mapping[str, dict[str, Any]]
    age: str


_Path = tuple[str | int, ...]


def _walk(walk: _Walk, schema: Any, value: Any, path: _Path) -> Iterator[Stranger]:
    if "$ref" in schema:
        schema = walk.documents[schema["$ref"].removesuffix(".json")]
    if isinstance(value, list) and "items" in schema:
        for index, element in enumerate(value):
            yield from _walk(walk, schema["items"], element, (*path, index))
    elif isinstance(value, dict):
        if "x-dispatch" in schema:
            yield from _dispatch(walk, schema, value, path)
        elif "properties" in schema:
            yield from _members(walk, schema["properties"], value, path)
        elif isinstance(schema.get("additionalProperties"), dict):
            for name, member in value.items():
                yield from _walk(walk, schema["additionalProperties"], member, (*path, name))


def _dispatch(walk: _Walk, union: Any, value: dict[str, Any], path: _Path) -> Iterator[Stranger]:
    kind = value.get("type")
    for known, branch in branches(union):
        if known == kind and is_known(branch, walk.age):
            yield from _walk(walk, branch["then"], value, path)
            return
        if known == kind:
            since = branch["x-since"] if is_newer(branch, walk.age) else None
            yield Stranger(pointer_to((*path, "type")), kind, since, union["x-unknown"])
            return
    # Where the union is an enumeration, the schema itself has refused the type already.
    if "enum" not in union["properties"]["type"] and isinstance(kind, str) and not _extends(union, kind):
        yield Stranger(pointer_to((*path, "type")), kind, None, union["x-unknown"])


def _extends(union: Any, kind: str) -> bool:
    """Whether a type is someone's own, by the form that the union has for such."""
    return "x-extension" in union and re.match(union["x-extension"], kind) is not None


def _members(walk: _Walk, known: Any, value: dict[str, Any], path: _Path) -> Iterator[Stranger]:
    for name, member in value.items():
        schema = known.get(name)
        if schema is None:
            yield Stranger(pointer_to((*path, name)), member, None, None)
        elif is_known(schema, walk.age):
            yield from _walk(walk, schema, member, (*path, name))
        elif member is not None:
            yield Stranger(pointer_to((*path, name)), member, schema.get("x-since"), None)
