"""From schemas to findings: what a value's shape breaks, and what in it is unknown."""

from __future__ import annotations

from typing import Any

from mockserver.contract.findings import Finding
from mockserver.contract.members import Stranger, strangers
from mockserver.contract.problems import Problem
from mockserver.contract.rules import finding, graded
from mockserver.contract.schemas import ProfileSchemas

__all__ = ["breaches", "shape_findings", "unknowns"]


def shape_findings(
    schemas: ProfileSchemas, name: str, value: Any, *, event: int | None = None
) -> list[Finding]:
    """Everything the schema `name` has to say of `value`; fast where that is nothing."""
    if schemas.closed_valid(name, value):
        return []
    return breaches(schemas, name, value, event) + unknowns(schemas, name, value, event)


def breaches(schemas: ProfileSchemas, name: str, value: Any, event: int | None = None) -> list[Finding]:
    """What the schema forbids."""
    if schemas.valid(name, value):
        return []
    problems = [_breach(problem, event) for problem in schemas.problems(name, value)]
    found = graded(problems, schemas.profile)
    # Only the fast validator looks at every name: it refuses values that are no JSON.
    return found if problems else [finding("SCH-001", "", "the value is not JSON", event=event)]


def unknowns(schemas: ProfileSchemas, name: str, value: Any, event: int | None = None) -> list[Finding]:
    """What the schema does not know: legal, and said."""
    profile = schemas.profile
    return graded((_unknown(each, profile, event) for each in strangers(schemas, name, value)), profile)


def _breach(problem: Problem, event: int | None) -> Finding:
    rule = problem.rule or ("SCH-002" if problem.keyword == "required" else "SCH-001")
    return finding(
        rule, problem.pointer, problem.message, event=event, expected=problem.expected, got=problem.got
    )


def _unknown(stranger: Stranger, profile: str, event: int | None) -> Finding:
    if stranger.since is not None:
        message = f"belongs to a later age than {profile}: {stranger.since}"
        return finding("SCH-004", stranger.pointer, message, event=event, got=stranger.value)
    if stranger.rule is not None:
        message = f"{profile} knows no such type"
        return finding(stranger.rule, stranger.pointer, message, event=event, got=stranger.value)
    message = f"{profile} knows no such member"
    return finding("SCH-003", stranger.pointer, message, event=event, got=stranger.value)
