"""Turn schema violations, and members and types that a profile does not know, into findings.

The search for unknown members runs only if the closed validator refuses a value, which is rare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.rules import findings_for_profile, make_finding
from mockserver.contract.schema.overlays import is_known, is_newer, union_branches
from mockserver.contract.schema.registry import ProfileSchemas
from mockserver.contract.schema.validation_messages import SchemaViolation
from mockserver.suggestions import did_you_mean
from mockserver.wire.json import format_pointer, parse_pointer

__all__ = [
    "UnknownMember",
    "find_unknown_members",
    "schema_findings",
    "unknown_member_findings",
    "unknown_request_member_findings",
    "violation_findings",
]


@dataclass(frozen=True, slots=True)
class UnknownMember:
    """A member, or the type of an object, that the profile does not know."""

    pointer: str
    value: Any
    since: str | None
    """The later date at which it appeared, "2026-05"; None if no profile knows it."""
    rule: str | None
    """For a type, the rule that its union names; None for a member."""
    known_names: tuple[str, ...] = ()
    """The types or members that the profile knows there."""


def find_unknown_members(schemas: ProfileSchemas, name: str, value: Any) -> list[UnknownMember]:
    """Find the members and types in `value` that the schema `name` does not know, in their order.

    Does not search inside unknown values. A null in a member of a later date stands for absence and is not
    reported.
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
            yield UnknownMember(format_pointer((*path, "type")), kind, since, union["x-unknown"])
            return
    # If the union is an enumeration, the schema itself has already refused the type.
    if "enum" not in union["properties"]["type"] and isinstance(kind, str) and not _is_extension(union, kind):
        known_types = tuple(
            known
            for known, branch in union_branches(union)
            if known is not None and is_known(branch, context.date)
        )
        yield UnknownMember(format_pointer((*path, "type")), kind, None, union["x-unknown"], known_types)


def _is_extension(union: Any, kind: str) -> bool:
    """Whether a type has the union's form of an implementor's extension."""
    return "x-extension" in union and re.match(union["x-extension"], kind) is not None


def _walk_members(
    context: _WalkContext, properties: Any, value: dict[str, Any], path: _Path
) -> Iterator[UnknownMember]:
    for name, member in value.items():
        schema = properties.get(name)
        if schema is None:
            known_names = tuple(each for each in properties if is_known(properties[each], context.date))
            yield UnknownMember(format_pointer((*path, name)), member, None, None, known_names)
        elif is_known(schema, context.date):
            yield from _walk(context, schema, member, (*path, name))
        elif member is not None:
            yield UnknownMember(format_pointer((*path, name)), member, schema.get("x-since"), None)


def schema_findings(
    schemas: ProfileSchemas, name: str, value: Any, *, event: int | None = None
) -> list[Finding]:
    """Check `value` against the schema `name`, for violations and unknown members; fast if there are none."""
    if schemas.is_closed_valid(name, value):
        return []
    return violation_findings(schemas, name, value, event) + unknown_member_findings(
        schemas, name, value, event
    )


def violation_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None
) -> list[Finding]:
    """Report what the schema forbids."""
    if schemas.is_valid(name, value):
        return []
    violations = [_violation_finding(each, event) for each in schemas.violations(name, value)]
    found = findings_for_profile(violations, schemas.profile)
    # Only the fast validator reads every name and refuses values that are not JSON.
    return found if violations else [make_finding("SCH-001", "", "the value is not JSON", event=event)]


def unknown_request_member_findings(schemas: ProfileSchemas, name: str, value: Any) -> list[Finding]:
    """Like `unknown_member_findings`, for a request: its names were typed by a person, so suggest others."""
    profile = schemas.profile
    return findings_for_profile(
        (
            _with_suggestion(_unknown_member_finding(each, profile, None), each)
            for each in find_unknown_members(schemas, name, value)
        ),
        profile,
    )


def _with_suggestion(finding: Finding, unknown: UnknownMember) -> Finding:
    written_name = unknown.value if unknown.rule is not None else parse_pointer(unknown.pointer)[-1]
    return replace(finding, message=finding.message + did_you_mean(written_name, unknown.known_names))


def unknown_member_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None
) -> list[Finding]:
    """Report members and types that the schema does not know, which are legal."""
    profile = schemas.profile
    return findings_for_profile(
        (
            _unknown_member_finding(each, profile, event)
            for each in find_unknown_members(schemas, name, value)
        ),
        profile,
    )


def _violation_finding(violation: SchemaViolation, event: int | None) -> Finding:
    rule = violation.rule or ("SCH-002" if violation.keyword == "required" else "SCH-001")
    return make_finding(
        rule,
        violation.pointer,
        violation.message,
        event=event,
        expected=violation.expected,
        got=violation.got,
    )


def _unknown_member_finding(unknown: UnknownMember, profile: str, event: int | None) -> Finding:
    if unknown.since is not None:
        message = f"belongs to a later profile than {profile}: since {unknown.since}"
        return make_finding("SCH-004", unknown.pointer, message, event=event, got=unknown.value)
    if unknown.rule is not None:
        message = f"{profile} does not know this type"
        return make_finding(unknown.rule, unknown.pointer, message, event=event, got=unknown.value)
    message = f"{profile} does not know this member"
    return make_finding("SCH-003", unknown.pointer, message, event=event, got=unknown.value)
