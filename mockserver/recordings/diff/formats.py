"""Changes as text and as JSON. Texts from recordings are untrusted and escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mockserver.contract.formatting import escape_surrogates
from mockserver.recordings.diff.changes import Change, ChangeSeverity
from mockserver.wire import json
from mockserver.wire.redaction import redact
from mockserver.wire.terminal import escape_unprintable

__all__ = ["CHANGES_FORMAT_VERSION", "changes_json", "changes_text", "reaches_severity"]

#: Version of the JSON format (`schemas/changes.json`).
CHANGES_FORMAT_VERSION = 1

#: Number of recording names in a line.
_MAX_NAMES = 3
_MAX_VALUE_CHARS = 100


def changes_json(changes: Sequence[Change], before: str, after: str, compared: str) -> str:
    """The changes as JSON (`schemas/changes.json`)."""
    counts = Counter(each.severity for each in changes)
    value: Mapping[str, Any] = {
        "format": CHANGES_FORMAT_VERSION,
        "compared": compared,
        "before": escape_surrogates(before),
        "after": escape_surrogates(after),
        "counts": {severity.value: counts[severity] for severity in ChangeSeverity},
        "changes": [_change_object(each) for each in changes],
    }
    return json.pretty(value).decode()


def _change_object(change: Change) -> dict[str, Any]:
    return {
        "severity": change.severity.value,
        "kind": change.kind,
        "place": escape_surrogates(redact(change.location)),
        "message": change.message,
        "before": escape_surrogates(redact(change.before)),
        "after": escape_surrogates(redact(change.after)),
        "shown_by": [escape_surrogates(name) for name in change.shown_by],
        "breaks": list(change.broken_rules),
    }


def changes_text(changes: Sequence[Change]) -> str:
    """The changes as text for people."""
    if not changes:
        return "no change of the contract\n"
    counts = Counter(each.severity for each in changes)
    head = ", ".join(f"{counts[severity]} {severity}" for severity in ChangeSeverity if counts[severity])
    return "".join(
        f"{line}\n" for line in (head, *(line for each in changes for line in _change_lines(each)))
    )


def _change_lines(change: Change) -> list[str]:
    head = escape_unprintable(f"{redact(change.location)}: {change.message}")
    lines = [f"  {change.severity} {change.kind} {head}"]
    if change.before or change.after:
        before, after = (
            escape_unprintable(_shorten(redact(text)) or "-") for text in (change.before, change.after)
        )
        lines.append(f"      {before} -> {after}")
    if change.broken_rules:
        lines.append(f"      breaks {', '.join(change.broken_rules)}")
    if change.shown_by:
        more = len(change.shown_by) - _MAX_NAMES
        names = ", ".join(escape_unprintable(name) for name in change.shown_by[:_MAX_NAMES])
        lines.append(f"      in {names}{f' and {more} more' if more > 0 else ''}")
    return lines


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"


def reaches_severity(changes: Sequence[Change], fail_on: str) -> bool:
    """Whether there is a change of severity `fail_on` or worse."""
    severities = [*ChangeSeverity]
    failing = severities[: severities.index(ChangeSeverity(fail_on)) + 1]
    return any(each.severity in failing for each in changes)
