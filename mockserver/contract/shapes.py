"""From schemas to findings: what a value's shape breaks, and what in it is unknown."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.members import UnknownMember, find_unknown_members
from mockserver.contract.problems import SchemaViolation
from mockserver.contract.rules import findings_for_profile, make_finding
from mockserver.contract.schemas import ProfileSchemas

__all__ = ["violation_findings", "schema_findings", "unknown_member_findings"]


def schema_findings(
    schemas: ProfileSchemas, name: str, value: Any, *, event: int | None = None
) -> list[Finding]:
    """Everything the schema `name` has to say of `value`; fast where that is nothing."""
    if schemas.is_closed_valid(name, value):
        return []
    return violation_findings(schemas, name, value, event) + unknown_member_findings(
        schemas, name, value, event
    )


def violation_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None
) -> list[Finding]:
    """What the schema forbids."""
    if schemas.is_valid(name, value):
        return []
    problems = [_violation_finding(problem, event) for problem in schemas.violations(name, value)]
    found = findings_for_profile(problems, schemas.profile)
    # Only the fast validator looks at every name: it refuses values that are no JSON.
    return found if problems else [make_finding("SCH-001", "", "the value is not JSON", event=event)]


def unknown_member_findings(
    schemas: ProfileSchemas, name: str, value: Any, event: int | None = None
) -> list[Finding]:
    """What the schema does not know: legal, and said."""
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
        message = f"belongs to a later age than {profile}: {unknown.since}"
        return make_finding("SCH-004", unknown.pointer, message, event=event, got=unknown.value)
    if unknown.rule is not None:
        message = f"{profile} knows no such type"
        return make_finding(unknown.rule, unknown.pointer, message, event=event, got=unknown.value)
    message = f"{profile} knows no such member"
    return make_finding("SCH-003", unknown.pointer, message, event=event, got=unknown.value)
