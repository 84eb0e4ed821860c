"""Turn schema violations, and members and types that a profile does not know, into findings.

The search for unknown members runs only if the closed validator refuses a value, which is rare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

from mockserver.contract.findings import Finding
from mockserver.contract.rules import findings_for_profile, make_finding
from mockserver.contract.schema.overlays import is_known, is_newer, union_branches
from mockserver.contract.schema.registry import ProfileSchemas
from mockserver.contract.schema.validation_messages import SchemaViolation
from mockserver.suggestions import did_you_mean
from mockserver.wire.json import format_pointer, parse_pointer

__all__ = [
    "MAX_UNKNOWN_MEMBERS",
    "UnknownMember",
    "UnknownMembers",
    "find_unknown_members",
    "schema_findings",
    "unknown_member_findings",
    "unknown_request_member_findings",
    "violation_findings",
]

#: How many unknown members and types are reported of a body that a server checks while others wait.
MAX_UNKNOWN_MEMBERS = 100


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


class UnknownMembers(NamedTuple):
    """The members and types in a value that a schema does not know."""

    found: list[UnknownMember]
    """In their order; the first ones if there is a limit."""
    more: int = 0
    """How many others there are at least: an element with several counts once."""


def find_unknown_members(
    schemas: ProfileSchemas, name: str, value: Any, limit: float = inf
) -> UnknownMembers:
    """Find the members and types in `value` that the schema `name` does not know.

    Does not search inside unknown values, or inside elements that the closed schema accepts. A null in a member
    of a later date stands for absence and is not reported. The search ends once `limit` members are found; a
    number of others is counted.
    """
    walk = _Walk(schemas, limit)
    found = []
    for each in walk.visit(schemas.undated[name], value, ()):
        found.append(each)
        walk.room -= 1
    return UnknownMembers(found, walk.more)


_Path = tuple[str | int, ...]

#: How many elements and members are counted once the limit is reached.
_MAX_COUNTED = 10_000


class _Walk:
    """A search for unknown members, in one pass over the value."""

    def __init__(self, schemas: ProfileSchemas, room: float) -> None:
        self._schemas = schemas
        self._documents = schemas.undated
        self._date = schemas.date
        self.room = room
        """How many members may still be found."""
        self.more = 0
        """How many others were counted."""
        self._counted = 0
        # Elements that the schema refuses may have no unknown member: the search in them is limited, too.
        self._search_room = 10 * room

    def visit(self, schema: Any, value: Any, path: _Path) -> Iterator[UnknownMember]:
        if "$ref" in schema:
            schema = self._documents[_reference(schema)]
        if isinstance(value, list) and "items" in schema:
            yield from self._visit_elements(schema["items"], value, path)
        elif isinstance(value, dict):
            if "x-dispatch" in schema:
                yield from self._visit_union(schema, value, path)
            elif "properties" in schema:
                yield from self._visit_members(schema["properties"], value, path)
            elif isinstance(schema.get("additionalProperties"), dict):
                for name, member in value.items():
                    yield from self.visit(schema["additionalProperties"], member, (*path, name))

    def _visit_elements(self, schema: Any, elements: list[Any], path: _Path) -> Iterator[UnknownMember]:
        name = _reference(schema) if "$ref" in schema else None
        is_proven = _is_unproven if name is None else self._schemas.closed_validator(name)
        for index, element in enumerate(elements):
            if self.room > 0:
                if not is_proven(element):
                    self._search_room -= 1
                    if not self._search_room:
                        self.room = 0
                    yield from self.visit(schema, element, (*path, index))
            elif not self._count(
                name is not None and not is_proven(element) and self._schemas.is_valid(name, element)
            ):
                return

    def _visit_union(self, union: Any, value: dict[str, Any], path: _Path) -> Iterator[UnknownMember]:
        kind = value.get("type")
        for known, branch in union_branches(union):
            if known == kind and is_known(branch, self._date):
                yield from self.visit(branch["then"], value, path)
                return
            if known == kind:
                since = branch["x-since"] if is_newer(branch, self._date) else None
                yield UnknownMember(format_pointer((*path, "type")), kind, since, union["x-unknown"])
                return
        # If the union is an enumeration, the schema itself has already refused the type.
        is_open = "enum" not in union["properties"]["type"]
        if is_open and isinstance(kind, str) and not _is_extension(union, kind):
            known_types = tuple(
                known
                for known, branch in union_branches(union)
                if known is not None and is_known(branch, self._date)
            )
            pointer = format_pointer((*path, "type"))
            yield UnknownMember(pointer, kind, None, union["x-unknown"], known_types)

    def _visit_members(self, properties: Any, value: dict[str, Any], path: _Path) -> Iterator[UnknownMember]:
        known_names: tuple[str, ...] = ()
        for name, member in value.items():
            schema = properties.get(name)
            if schema is not None and is_known(schema, self._date):
                yield from self.visit(schema, member, (*path, name))
            elif self.room <= 0:
                if not self._count(schema is None or member is not None):
                    return
            elif schema is None:
                known_names = known_names or tuple(
                    each for each in properties if is_known(properties[each], self._date)
                )
                yield UnknownMember(format_pointer((*path, name)), member, None, None, known_names)
            elif member is not None:
                yield UnknownMember(format_pointer((*path, name)), member, schema.get("x-since"), None)

    def _count(self, is_unknown: bool) -> bool:
        """Count an element or a member that is not searched; False if no more are to be counted."""
        self._counted += 1
        self.more += is_unknown
        return self._counted < _MAX_COUNTED


def _reference(schema: Any) -> str:
    name: str = schema["$ref"].removesuffix(".json")
    return name


def _is_unproven(_: Any) -> bool:
    """The answer for elements whose schema has no name, and so no validator."""
    return False


def _is_extension(union: Any, kind: str) -> bool:
    """Whether a type has the union's form of an implementor's extension."""
    return "x-extension" in union and re.match(union["x-extension"], kind) is not None


def schema_findings(
    schemas: ProfileSchemas,
    name: str,
    value: Any,
    *,
    event: int | None = None,
    max_unknown: float = inf,
) -> list[Finding]:
    """Check `value` against the schema `name`, for violations and unknown members; fast if there are none.

    Beyond `max_unknown`, unknown members are counted.
    """
    if schemas.is_closed_valid(name, value):
        return []
    return violation_findings(schemas, name, value, event) + unknown_member_findings(
        schemas, name, value, event, max_unknown
    )


def violation_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None
) -> list[Finding]:
    """Report what the schema forbids."""
    if schemas.is_valid(name, value):
        return []
    explained, more = schemas.violations(name, value)
    if not explained:
        # Only the fast validator reads every name and refuses values that are not JSON.
        return [make_finding("SCH-001", "", "the value is not JSON", event=event)]
    found = [_violation_finding(each, event) for each in explained]
    if more:
        message = f"and at least {more} more values that the schema refuses"
        found.append(replace(make_finding(found[-1].rule, "", message, event=event), more=more))
    return findings_for_profile(found, schemas.profile)


def unknown_request_member_findings(schemas: ProfileSchemas, name: str, value: Any) -> list[Finding]:
    """Like `unknown_member_findings`, for a request: its names were typed by a person, so suggest others.

    A server checks requests while others wait, so the number of findings is limited.
    """
    profile = schemas.profile
    found, more = find_unknown_members(schemas, name, value, MAX_UNKNOWN_MEMBERS)
    findings = [_with_suggestion(_unknown_member_finding(each, profile, None), each) for each in found]
    return findings_for_profile([*findings, *_counted_finding(more, profile, None)], profile)


def _with_suggestion(finding: Finding, unknown: UnknownMember) -> Finding:
    written_name = unknown.value if unknown.rule is not None else parse_pointer(unknown.pointer)[-1]
    return replace(finding, message=finding.message + did_you_mean(written_name, unknown.known_names))


def unknown_member_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None, limit: float = inf
) -> list[Finding]:
    """Report members and types that the schema does not know, which are legal; those beyond the limit are counted."""
    profile = schemas.profile
    found, more = find_unknown_members(schemas, name, value, limit)
    findings = (_unknown_member_finding(each, profile, event) for each in found)
    return findings_for_profile([*findings, *_counted_finding(more, profile, event)], profile)


def _counted_finding(more: int, profile: str, event: int | None) -> Iterator[Finding]:
    """A finding for the unknown members that were only counted, if there are any."""
    if more:
        message = f"and at least {more} more members or types that {profile} does not know"
        yield replace(make_finding("SCH-003", "", message, event=event), more=more)


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
