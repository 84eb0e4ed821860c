"""Format findings for reports and failures.

The values in a finding come off the wire and are untrusted: they are escaped here, so that they cannot forge
a report or control a terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mockserver.contract.findings import Finding, Severity, errors
from mockserver.wire import json
from mockserver.wire.redaction import redact, redact_value
from mockserver.wire.terminal import escape_unprintable

__all__ = [
    "comparison_lines",
    "escape_surrogates",
    "escape_xml",
    "finding_lines",
    "finding_to_json",
    "findings_lines",
    "format_location",
    "format_value",
    "redact_finding",
]

_VALUE_INDENT = "      "
#: Characters of a value to show before the first difference.
_CONTEXT_CHARACTERS = 40
_MAX_LINE_CHARACTERS = 90

#: How many findings of a rule to show before the others are only counted.
_MAX_SHOWN_OF_A_RULE = 3

_XML_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))


def finding_lines(finding: Finding) -> list[str]:
    """Format a finding: rule, location and message, then expected and got with the first difference marked."""
    head = f"  {finding.severity} {finding.rule} {format_location(finding)}: {escape_unprintable(finding.message)}"
    return [head, *comparison_lines(finding.expected, finding.got)]


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """Format findings: of each rule and severity the first three, then the number of the others.

    If errors of several rules are at several events of a stream, the last line names the first of them.
    """
    lines: list[str] = []
    totals: Counter[tuple[Severity, str]] = Counter()
    for finding in findings:
        totals[finding.severity, finding.rule] += finding.more or 1
    shown: Counter[tuple[Severity, str]] = Counter()
    for finding in findings:
        kind = (finding.severity, finding.rule)
        if finding.more and shown[kind] > _MAX_SHOWN_OF_A_RULE:
            continue  # it stands for others, which the total counts
        shown[kind] += 1
        if shown[kind] <= _MAX_SHOWN_OF_A_RULE:
            lines += finding_lines(finding)
        elif shown[kind] == _MAX_SHOWN_OF_A_RULE + 1:
            lines.append(
                f"  {finding.severity} {finding.rule}: and {totals[kind] - _MAX_SHOWN_OF_A_RULE} more"
            )
    in_stream = [each for each in errors(findings) if each.event is not None]
    if len({each.event for each in in_stream}) > 1 and len({each.rule for each in in_stream}) > 1:
        first = min(in_stream, key=lambda each: each.event or 0)
        lines.append(
            f"  the first error is {first.rule} at event {first.event}; later ones may follow from it"
        )
    return lines


def comparison_lines(expected: Any, got: Any) -> list[str]:
    """Format expected and got, each on a line, with a mark under the first character that differs."""
    given = [
        (name, format_value(each))
        for name, each in (("expected", expected), ("got", got))
        if each is not None
    ]
    if len(given) < 2:
        return [f"{_VALUE_INDENT}{name:9} {_excerpt(value, 0)}" for name, value in given]
    start, at = _first_difference(given[0][1], given[1][1])
    lines = [f"{_VALUE_INDENT}{name:9} {_excerpt(value, start)}" for name, value in given]
    return [*lines, f"{_VALUE_INDENT}{'':9} {' ' * (at - start + (1 if start else 0))}^"]


def format_location(finding: Finding) -> str:
    """Format where a finding is: "event 7 /text"."""
    event = "" if finding.event is None else f"event {finding.event}"
    return escape_unprintable(f"{event} {finding.pointer}".strip() or "as a whole")


def format_value(value: Any) -> str:
    """Format a value as JSON text on one line."""
    try:
        return escape_unprintable(json.dumps(value).decode())
    except (TypeError, ValueError):
        return escape_unprintable(ascii(value))


def _first_difference(expected: str, got: str) -> tuple[int, int]:
    """Where to start showing two texts, and where they first differ."""
    shorter = min(len(expected), len(got))
    at = next((i for i in range(shorter) if expected[i] != got[i]), shorter)
    return max(0, at - _CONTEXT_CHARACTERS) if at > _MAX_LINE_CHARACTERS - 20 else 0, at


def _excerpt(text: str, start: int) -> str:
    end = start + _MAX_LINE_CHARACTERS
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """A finding in the form of `schemas/report.json`."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "pointer": escape_surrogates(finding.pointer),
        "event": finding.event,
        "message": escape_surrogates(finding.message),
        "expected": _json_or_ascii(finding.expected),
        "got": _json_or_ascii(finding.got),
    }


def redact_finding(finding: Finding, secrets: Sequence[str] = ()) -> Finding:
    """Mask `secrets`, and everything that looks like a key, in a finding."""
    return replace(
        finding,
        pointer=redact(finding.pointer, secrets),
        message=redact(finding.message, secrets),
        expected=redact_value(finding.expected, secrets, finding.pointer),
        got=redact_value(finding.got, secrets, finding.pointer),
    )


def _json_or_ascii(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return ascii(value)
    return value


def escape_surrogates(text: str) -> str:
    """Escape lone surrogates, which JSON text cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def escape_xml(text: str) -> str:
    """Escape `text` for an XML attribute or element, and its unprintable characters."""
    text = "\n".join(escape_unprintable(line) for line in text.split("\n"))
    for character, entity in _XML_ENTITIES:
        text = text.replace(character, entity)
    return text
