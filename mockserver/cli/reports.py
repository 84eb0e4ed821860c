"""Reports of what was found in files: for people, for programs, for GitHub, for JUnit readers, to look at.

What a file holds is untrusted: each format escapes it, so that no report can be forged or a terminal
be steered.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mockserver.cli.judged import Judged
from mockserver.contract.files import CheckedMigration, CheckResult
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import (
    escape_surrogates,
    escape_unprintable,
    escape_xml,
    finding_lines,
    finding_to_json,
    format_location,
    format_value,
)
from mockserver.wire import json

__all__ = ["FORMATS", "Format"]


Format = Callable[[Sequence[Judged], Container[Severity]], str]


def _text(judged: Sequence[Judged], _: Container[Severity]) -> str:
    lines: list[str] = []
    for each in judged:
        about = f"{each.verdict.kind or 'of no known kind'}; {each.verdict.profile}, {each.verdict.profile_reason}"
        lines.append(f"{escape_unprintable(each.file)}: {_counted(each)} ({escape_unprintable(about)})")
        for finding in each.findings:
            lines += finding_lines(finding)
        if each.verdict.migration is not None:
            lines += form_lines(each.verdict.migration, each.verdict.profile)
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


def _json(judged: Sequence[Judged], _: Container[Severity]) -> str:
    value = [
        {
            "file": escape_surrogates(each.file),
            "kind": each.verdict.kind,
            "profile": each.verdict.profile,
            "valid": each.valid,
            "findings": [finding_to_json(finding) for finding in each.findings],
            **_form_json(each.verdict.migration),
        }
        for each in judged
    ]
    return json.pretty(value).decode()


def form_lines(form: CheckedMigration, profile: str) -> list[str]:
    """The Responses form of a chat request for people."""
    lines = [f"  its form for the Responses API, {profile}:"]
    lines += [f"    {escape_unprintable(line)}" for line in json.pretty(form.body).decode().splitlines()]
    lines += [
        f"  {escape_unprintable(note.pointer)} {escape_unprintable(note.message)}" for note in form.notes
    ]
    for finding in form.findings:
        lines += [f"  in that form:{line[1:]}" if line[2] != " " else line for line in finding_lines(finding)]
    return lines


def _form_json(form: CheckedMigration | None) -> dict[str, Any]:
    if form is None:
        return {}
    notes = [
        {"member": escape_surrogates(note.pointer), "words": escape_surrogates(note.message)}
        for note in form.notes
    ]
    return {
        "responses": {"body": form.body, "notes": notes, "findings": [*map(finding_to_json, form.findings)]}
    }


_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _github(judged: Sequence[Judged], _: Container[Severity]) -> str:
    """Workflow commands: GitHub shows each as an annotation of the file."""
    lines = []
    for each in judged:
        for finding in each.findings:
            properties = f"file={_property(each.file)},title={_property(finding.rule)}"
            message = f"{format_location(finding)}: {finding.message}"
            for name, value in (("expected", finding.expected), ("got", finding.got)):
                message += "" if value is None else f"; {name} {format_value(value)}"
            lines.append(f"::{_GITHUB[finding.severity]} {properties}::{_data(message)}\n")
        for note in each.verdict.migration.notes if each.verdict.migration else ():
            properties = f"file={_property(each.file)},title=Responses API"
            lines.append(f"::notice {properties}::{_data(f'{note.pointer} {note.message}')}\n")
    return "".join(lines)


def _data(text: str) -> str:
    return escape_unprintable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _junit(judged: Sequence[Judged], failing: Container[Severity]) -> str:
    """A test suite a file, a test case a finding; a file without findings is one case that passed."""
    suites = [_suite(each, failing) for each in judged]
    return '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n' + "".join(suites) + "</testsuites>\n"


def _suite(each: Judged, failing: Container[Severity]) -> str:
    failures = sum(finding.severity in failing for finding in each.findings)
    name = escape_xml(each.file)
    cases = [_case(name, finding, failing) for finding in each.findings]
    cases = cases or [f'    <testcase classname="{name}" name="{each.verdict.kind}"/>\n']
    head = f'  <testsuite name="{name}" tests="{len(cases)}" failures="{failures}" errors="0">\n'
    return head + "".join(cases) + _form_xml(each.verdict) + "  </testsuite>\n"


def _form_xml(verdict: CheckResult) -> str:
    if verdict.migration is None:
        return ""
    text = escape_xml("\n".join(form_lines(verdict.migration, verdict.profile)))
    return f"    <system-out>{text}</system-out>\n"


def _case(file: str, finding: Finding, failing: Container[Severity]) -> str:
    name = escape_xml(f"{finding.rule} {format_location(finding)}")
    text = escape_xml("\n".join(finding_lines(finding)))
    head = f'    <testcase classname="{file}" name="{name}">'
    if finding.severity in failing:
        message = escape_xml(finding.message)
        body = f'<failure type="{finding.severity}" message="{message}">{text}</failure>'
    else:
        body = f"<system-out>{text}</system-out>"
    return f"{head}{body}</testcase>\n"


def _html(judged: Sequence[Judged], failing: Container[Severity]) -> str:
    from mockserver.cli.pages import page

    return page(judged, failing)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {"text": _text, "json": _json, "github": _github, "junit": _junit, "html": _html}
)
"""Functions that write a report, by the name of its format."""
