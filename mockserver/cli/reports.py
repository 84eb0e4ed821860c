"""Reports of what was found in files: for people, for programs, for GitHub and for JUnit readers.

What a file holds is untrusted: each format escapes it, so that no report can be forged or a terminal
be steered.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mockserver.contract.files import Verdict
from mockserver.contract.findings import Finding, Severity
from mockserver.wire import json

__all__ = ["FORMATS", "Judged", "plain"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One file and what is reported of it."""

    file: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    """Those that were not passed over."""

    @property
    def valid(self) -> bool:
        """Whether there is no error among them."""
        return not any(each.severity is Severity.ERROR for each in self.findings)


Format = Callable[[Sequence[Judged], Container[Severity]], str]

_INDENT = "      "
#: Characters of a value that are shown before the place where it differs.
_BEFORE = 40
_WIDTH = 90


def _text(judged: Sequence[Judged], _: Container[Severity]) -> str:
    lines: list[str] = []
    for each in judged:
        about = f"{each.verdict.kind or 'of no known kind'}; {each.verdict.profile}, {each.verdict.why}"
        lines.append(f"{plain(each.file)}: {_counted(each)} ({plain(about)})")
        for finding in each.findings:
            lines += _shown(finding)
    if any(each.findings for each in judged):
        lines.append("`mockserver rules RULE` tells why a rule is one, and shows it broken.")
    return "".join(f"{line}\n" for line in lines)


def _counted(each: Judged) -> str:
    verdict = "valid" if each.valid else "invalid"
    counts = []
    for severity in Severity:
        count = sum(finding.severity is severity for finding in each.findings)
        if count:
            counts.append(f"{count} {severity}{'s' if count > 1 and severity != 'info' else ''}")
    return f"{verdict}, {', '.join(counts)}" if counts else verdict


def _shown(finding: Finding) -> list[str]:
    lines = [f"  {finding.severity} {finding.rule} {_place(finding)}: {plain(finding.message)}"]
    values = [("expected", finding.expected), ("got", finding.got)]
    given = [(name, _value(value)) for name, value in values if value is not None]
    if len(given) == 2:
        start, at = _difference(given[0][1], given[1][1])
        lines += [f"{_INDENT}{name:9} {_window(value, start)}" for name, value in given]
        lines.append(f"{_INDENT}{'':9} {' ' * (at - start + (1 if start else 0))}^")
    else:
        lines += [f"{_INDENT}{name:9} {_window(value, 0)}" for name, value in given]
    return lines


def _place(finding: Finding) -> str:
    event = "" if finding.event is None else f"event {finding.event}"
    return plain(f"{event} {finding.pointer}".strip() or "as a whole")


def _value(value: Any) -> str:
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


def _json(judged: Sequence[Judged], _: Container[Severity]) -> str:
    value = [
        {
            "file": _sound(each.file),
            "kind": each.verdict.kind,
            "profile": each.verdict.profile,
            "valid": each.valid,
            "findings": [_as_json(finding) for finding in each.findings],
        }
        for each in judged
    ]
    return json.pretty(value).decode()


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "pointer": _sound(finding.pointer),
        "event": finding.event,
        "message": _sound(finding.message),
        "expected": _json_or_text(finding.expected),
        "got": _json_or_text(finding.got),
    }


def _json_or_text(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return ascii(value)
    return value


def _sound(text: str) -> str:
    """`text` without lone surrogates, which JSON has no place for."""
    return text.encode("utf-8", "backslashreplace").decode()


_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _github(judged: Sequence[Judged], _: Container[Severity]) -> str:
    """Workflow commands: GitHub shows each as an annotation of the file."""
    lines = []
    for each in judged:
        for finding in each.findings:
            properties = f"file={_property(each.file)},title={_property(finding.rule)}"
            message = f"{_place(finding)}: {finding.message}"
            for name, value in (("expected", finding.expected), ("got", finding.got)):
                message += "" if value is None else f"; {name} {_value(value)}"
            lines.append(f"::{_GITHUB[finding.severity]} {properties}::{_data(message)}\n")
    return "".join(lines)


def _data(text: str) -> str:
    return plain(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _junit(judged: Sequence[Judged], failing: Container[Severity]) -> str:
    """A test suite a file, a test case a finding; a file without findings is one case that passed."""
    suites = [_suite(each, failing) for each in judged]
    return '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n' + "".join(suites) + "</testsuites>\n"


def _suite(each: Judged, failing: Container[Severity]) -> str:
    failures = sum(finding.severity in failing for finding in each.findings)
    name = _attribute(each.file)
    cases = [_case(name, finding, failing) for finding in each.findings]
    cases = cases or [f'    <testcase classname="{name}" name="{each.verdict.kind}"/>\n']
    head = f'  <testsuite name="{name}" tests="{len(cases)}" failures="{failures}" errors="0">\n'
    return head + "".join(cases) + "  </testsuite>\n"


def _case(file: str, finding: Finding, failing: Container[Severity]) -> str:
    name = _attribute(f"{finding.rule} {_place(finding)}")
    text = _attribute("\n".join(_shown(finding)))
    head = f'    <testcase classname="{file}" name="{name}">'
    if finding.severity in failing:
        message = _attribute(finding.message)
        body = f'<failure type="{finding.severity}" message="{message}">{text}</failure>'
    else:
        body = f"<system-out>{text}</system-out>"
    return f"{head}{body}</testcase>\n"


_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))


def _attribute(text: str) -> str:
    text = "\n".join(plain(line) for line in text.split("\n"))
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return text


FORMATS: Mapping[str, Format] = MappingProxyType(
    {"text": _text, "json": _json, "github": _github, "junit": _junit}
)
"""Functions that write a report, by the name of its format."""
