"""From the union of all ages to one age's schema: patches, ages, one document with `$defs`.

`schemas/core` holds one JSON Schema an object, over all ages of the service. A profile lays RFC 7396
merge patches over them; members that came later than the profile's age, or were gone by then, are left
out. All functions
here are pure: they build new schemas and change none.

Annotations of the core's own:

- `x-since`: the age, "2026-05", in which a member or a type first appeared; without it: from the start.
- `x-until`: the age in which it was gone; without it: it is there still.
- `x-dispatch`: the schema is a union, its `allOf` says which schema goes with which `type`.
- `x-unknown`: the rule that an unknown type of such a union comes under.
- `x-extension`: the pattern of types that are someone's own extension of such a union, and not unknown.
- `x-rule`: the rule that a breach of this schema comes under, where it is not SCH-001.
- `x-messages`: the service's own words for a breach, by keyword.
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
    """`target` with the RFC 7396 merge patch applied: null takes a member away."""
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
    """Whether what `schema` describes came after `age`."""
    return str(schema.get("x-since", "")) > date


def is_known(schema: Mapping[str, Any], date: str) -> bool:
    """Whether what `schema` describes was there in `age`."""
    return not is_newer(schema, date) and date < str(schema.get("x-until", "9999"))


def union_branches(union: Mapping[str, Any]) -> Iterator[tuple[Any, Schema]]:
    """(type, branch) of each branch of a union; a union whose type may be absent names None too.

    The branch of extensions, which is known by a pattern, is no type's.
    """
    for branch in union["allOf"]:
        condition = branch["if"]["properties"]["type"]
        if "pattern" in condition:
            continue
        for kind in condition.get("enum", [condition.get("const")]):
            yield kind, branch


def bundle_schema(documents: Mapping[str, Schema], name: str, date: str, *, closed: bool) -> Schema:
    """`documents[name]` and all it refers to as one document, as of `age`.

    `closed` refuses what is not known: members, and types of unions.
    """
    used: dict[str, Schema] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in used:
            used[each] = _as_of(documents[each], date, closed)
            waiting.extend(_references(used[each]))
    root = used.pop(name)
    if any(reference == name for schema in [root, *used.values()] for reference in _references(schema)):
        used[name] = root
    defs = {each: rewrite_references(schema, _DEFS_POINTER) for each, schema in sorted(used.items())}
    return {**rewrite_references(root, _DEFS_POINTER), **({"$defs": defs} if defs else {})}


def schema_as_of(schema: Schema, date: str) -> Schema:
    """`schema` as of `age`, alone: what it refers to stays where it is."""
    of_age: Schema = _as_of(schema, date, closed=False)
    return of_age


def reachable_schemas(documents: Mapping[str, Schema], names: Iterable[str], date: str) -> dict[str, Schema]:
    """The schemas `names`, and all they refer to as of `age`, by name."""
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = schema_as_of(documents[each], date)
            waiting.extend(_references(found[each]))
    return dict(sorted(found.items()))


def rewrite_references(schema: Any, base_pointer: str) -> Any:
    """`schema` with its references to files made references under the pointer `base`."""
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
    aged = {
        keyword: _as_of(value, date, closed and keyword not in ("if", "then", "else", "not"))
        if keyword in _SUBSCHEMA_KEYWORDS
        else value
        for keyword, value in schema.items()
    }
    if "properties" in schema:
        _filter_members(aged, date, closed)
    if "allOf" in schema:
        kept = (branch for branch in schema["allOf"] if is_known(branch, date))
        aged["allOf"] = [_as_of(branch, date, False) for branch in kept]
    if closed and "x-dispatch" in schema:
        known = [kind for kind, _ in union_branches(aged)]
        aged["properties"]["type"] = {**aged["properties"]["type"], "enum": known}
    return aged


def _filter_members(dated: Schema, date: str, closed: bool) -> None:
    members = {}
    for name, member in dated["properties"].items():
        if is_known(member, date):
            members[name] = _as_of(member, date, closed)
        elif closed and "null" in member.get("type", ()):
            # A null stands for absence, in any age: SDKs print members so that the wire does not have.
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
