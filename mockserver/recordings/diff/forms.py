"""Changes in words and as JSON: what comes from recordings is untrusted, and escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mockserver.contract.words import plain, sound
from mockserver.recordings.diff.changes import Change, Grade
from mockserver.wire import json

__all__ = ["FORMAT", "as_json", "as_text", "worst"]

#: Version of the JSON form, described by `schemas/changes.json`.
FORMAT = 1

#: Names of recordings that a line shows.
_NAMES = 3
_LONGEST = 100


def as_json(changes: Sequence[Change], before: str, after: str, what: str) -> str:
    """The changes for programs: `schemas/changes.json`."""
    counted = Counter(each.grade for each in changes)
    value: Mapping[str, Any] = {
        "format": FORMAT,
        "compared": what,
        "before": sound(before),
        "after": sound(after),
        "counts": {grade.value: counted[grade] for grade in Grade},
        "changes": [_packed(each) for each in changes],
    }
    return json.pretty(value).decode()


def _packed(each: Change) -> dict[str, Any]:
    return {
        "severity": each.grade.value,
        "kind": each.kind,
        "place": sound(each.place),
        "message": each.message,
        "before": sound(each.before),
        "after": sound(each.after),
        "shown_by": [sound(name) for name in each.shown_by],
        "breaks": list(each.breaks),
    }


def as_text(changes: Sequence[Change]) -> str:
    """The changes for people."""
    if not changes:
        return "no change of the contract\n"
    counted = Counter(each.grade for each in changes)
    head = ", ".join(f"{counted[grade]} {grade}" for grade in Grade if counted[grade])
    return "".join(f"{line}\n" for line in (head, *(line for each in changes for line in _lines(each))))


def _lines(each: Change) -> list[str]:
    lines = [f"  {each.grade} {each.kind} {plain(each.place)}: {each.message}"]
    if each.before or each.after:
        lines.append(f"      {plain(_cut(each.before) or '-')} -> {plain(_cut(each.after) or '-')}")
    if each.breaks:
        lines.append(f"      breaks {', '.join(each.breaks)}")
    if each.shown_by:
        more = len(each.shown_by) - _NAMES
        names = ", ".join(plain(name) for name in each.shown_by[:_NAMES])
        lines.append(f"      in {names}{f' and {more} more' if more > 0 else ''}")
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def worst(changes: Sequence[Change], fail_on: str) -> bool:
    """Whether there is a change as bad as that, or worse."""
    grades = [*Grade]
    failing = grades[: grades.index(Grade(fail_on)) + 1]
    return any(each.grade in failing for each in changes)
