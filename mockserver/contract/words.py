"""Findings in words: what every report and every failure shows of one.

What a finding holds came off the wire and is untrusted: here it is escaped, so that no report can be
forged and no terminal be steered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mockserver.contract.findings import Finding
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = [
    "as_json",
    "lines_of",
    "pair_lines",
    "place_of",
    "plain",
    "sound",
    "value_text",
    "without_keys",
    "xml_text",
]

_INDENT = "      "
#: Characters of a value that are shown before the place where it differs.
_BEFORE = 40
_WIDTH = 90

_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))


def lines_of(finding: Finding) -> list[str]:
    """A finding for people: what and where, then expected and got with the first difference marked."""
    head = f"  {finding.severity} {finding.rule} {place_of(finding)}: {plain(finding.message)}"
    return [head, *pair_lines(finding.expected, finding.got)]


def pair_lines(expected: Any, got: Any) -> list[str]:
    """Expected and got, each on a line, and a mark under the first character that differs."""
    given = [
        (name, value_text(each)) for name, each in (("expected", expected), ("got", got)) if each is not None
    ]
    if len(given) < 2:
        return [f"{_INDENT}{name:9} {_window(value, 0)}" for name, value in given]
    start, at = _difference(given[0][1], given[1][1])
    lines = [f"{_INDENT}{name:9} {_window(value, start)}" for name, value in given]
    return [*lines, f"{_INDENT}{'':9} {' ' * (at - start + (1 if start else 0))}^"]


def place_of(finding: Finding) -> str:
    """Where a finding is: "event 7 /text"."""
    event = "" if finding.event is None else f"event {finding.event}"
    return plain(f"{event} {finding.pointer}".strip() or "as a whole")


def value_text(value: Any) -> str:
    """A value as JSON text on one line."""
    try:
        return plain(json.dumps(value).decode())
    except (TypeError, ValueError):
        return plain(ascii(value))


def _difference(expected: str, got: str) -> tuple[int, int]:
    """Where to begin showing two texts, and the first place where they differ."""
    shorter = min(len(expected), len(got))
    at = next((i for i in range(shorter) if expected[i] != got[i]), shorter)
    return max(0, at - _BEFORE) if at > _WIDTH - 20 else 0, at


def _window(text: str, start: int) -> str:
    end = start + _WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def plain(text: str) -> str:
    """`text` on one line, with an escape for every character that does not print."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as `schemas/report.json` has it."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "pointer": sound(finding.pointer),
        "event": finding.event,
        "message": sound(finding.message),
        "expected": _json_or_text(finding.expected),
        "got": _json_or_text(finding.got),
    }


def without_keys(finding: Finding, secrets: Sequence[str] = ()) -> Finding:
    """A finding without the secrets, and without anything that has the form of a key."""
    return replace(
        finding,
        pointer=redact(finding.pointer, secrets),
        message=redact(finding.message, secrets),
        expected=_clean(finding.expected, secrets),
        got=_clean(finding.got, secrets),
    )


def _clean(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value without anything that is a key or has the form of one."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list | tuple):
        return [_clean(each, secrets) for each in value]
    if isinstance(value, dict):
        return {redact(str(name), secrets): _clean(each, secrets) for name, each in value.items()}
    return value if isinstance(value, int | float | bool | None) else str(value)


def _json_or_text(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return ascii(value)
    return value


def sound(text: str) -> str:
    """`text` without lone surrogates, which JSON has no place for."""
    return text.encode("utf-8", "backslashreplace").decode()


def xml_text(text: str) -> str:
    """`text` fit for an XML attribute or element: entities, and escapes for what does not print."""
    text = "\n".join(plain(line) for line in text.split("\n"))
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return text
