"""Derive the schema of one dated profile from the union of all dates.

`schemas/core` has one JSON Schema for each object, for all dates of the service. A profile patches them (RFC
7396 merge patches), and members that appeared after its date, or were gone by then, are left out. All
functions are pure: they build new schemas.

Our own annotations in these schemas:

- `x-since`: the date, "2026-05", at which a member or type first appeared; without it, from the start.
- `x-until`: the date at which it was gone; without it, it still exists.
- `x-dispatch`: the schema is a union; its `allOf` maps each `type` to a schema.
- `x-unknown`: the rule for an unknown type of such a union.
- `x-extension`: the pattern of types that are an implementor's extension of such a union, and so not unknown.
- `x-rule`: the rule for a breach of this schema, if it is not SCH-001.
- `x-messages`: the service's own texts for a breach, by keyword.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = [
    "bundle_schema",
    "is_known",
    "is_newer",
    "merge_patch",
    "reachable_schemas",
    "rewrite_references",
    "schema_as_of",
    "union_branches",
]

Schema = dict[str, Any]

_SUBSCHEMA_KEYWORDS = ("items", "additionalProperties", "if", "then", "else", "not")
_DEFS_POINTER = "#/$defs/"


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply the RFC 7396 merge patch to `target`: null removes a member."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def is_newer(schema: Mapping[str, Any], date: str) -> bool:
    """Whether the member or type that `schema` describes appeared after `date`."""
    return str(schema.get("x-since", "")) > date


def is_known(schema: Mapping[str, Any], date: str) -> bool:
    """Whether the member or type that `schema` describes exists at `date`."""
    return not is_newer(schema, date) and date < str(schema.get("x-until", "9999"))


def union_branches(union: Mapping[str, Any]) -> Iterator[tuple[Any, Schema]]:
    """(type, branch) for each type of a union; the type is None if it may be absent.

    The branch for extensions, which has a pattern, is left out.
    """
    for branch in union["allOf"]:
        condition = branch["if"]["properties"]["type"]
        if "pattern" in condition:
            continue
        for kind in condition.get("enum", [condition.get("const")]):
            yield kind, branch


def bundle_schema(documents: Mapping[str, Schema], name: str, date: str, *, closed: bool) -> Schema:
    """Bundle `documents[name]`, and every schema it refers to, as one document at `date`.

    A `closed` document refuses unknown members and unknown types of unions.
    """
    used: dict[str, Schema] = {}
    referenced: set[str] = set()
    waiting = {name}
    while waiting:
        each = waiting.pop()
        used[each] = _as_of(documents[each], date, closed)
        referenced.update(_references(used[each]))
        waiting = referenced - used.keys()
    root = used[name]
    if name not in referenced:
        del used[name]
    defs = {each: rewrite_references(schema, _DEFS_POINTER) for each, schema in sorted(used.items())}
    return {**rewrite_references(root, _DEFS_POINTER), **({"$defs": defs} if defs else {})}


def schema_as_of(schema: Schema, date: str) -> Schema:
    """`schema` at `date`; the schemas it refers to are not included."""
    dated: Schema = _as_of(schema, date, closed=False)
    return dated


def reachable_schemas(documents: Mapping[str, Schema], names: Iterable[str], date: str) -> dict[str, Schema]:
    """The schemas `names` at `date`, and every schema they refer to, by name."""
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = schema_as_of(documents[each], date)
            waiting.extend(_references(found[each]))
    return dict(sorted(found.items()))


def rewrite_references(schema: Any, base_pointer: str) -> Any:
    """Replace the file references in `schema` by references under `base_pointer`."""
    if isinstance(schema, dict):
        return {
            keyword: base_pointer + value.removesuffix(".json")
            if keyword == "$ref"
            else rewrite_references(value, base_pointer)
            for keyword, value in schema.items()
        }
    return [rewrite_references(each, base_pointer) for each in schema] if isinstance(schema, list) else schema


def _as_of(schema: Any, date: str, closed: bool) -> Any:
    if not isinstance(schema, dict):
        return schema
    dated = {
        keyword: _as_of(value, date, closed and keyword not in ("if", "then", "else", "not"))
        if keyword in _SUBSCHEMA_KEYWORDS
        else value
        for keyword, value in schema.items()
    }
    if "properties" in schema:
        _filter_members(dated, date, closed)
    if "allOf" in schema:
        branches = (branch for branch in schema["allOf"] if is_known(branch, date))
        dated["allOf"] = [_as_of(branch, date, False) for branch in branches]
    if closed and "x-dispatch" in schema:
        known = [kind for kind, _ in union_branches(dated)]
        dated["properties"]["type"] = {**dated["properties"]["type"], "enum": known}
    return dated


def _filter_members(dated: Schema, date: str, closed: bool) -> None:
    members = {}
    for name, member in dated["properties"].items():
        if is_known(member, date):
            members[name] = _as_of(member, date, closed)
        elif closed and "null" in member.get("type", ()):
            # A null stands for absence in every profile: SDKs print members that the wire lacks as null.
            members[name] = {"type": "null"}
    dated["properties"] = members
    if "required" in dated:
        newer = {name for name in dated["required"] if name not in members}
        dated["required"] = [name for name in dated["required"] if name not in newer]
    if closed and "x-dispatch" not in dated:
        dated.setdefault("additionalProperties", False)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword == "$ref":
                yield value.removesuffix(".json")
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)
