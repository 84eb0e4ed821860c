"""Reports of findings as text, JSON, GitHub annotations, JUnit XML and HTML.

The content of a file is untrusted. Each format escapes it, so a file can neither forge a report nor control
a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mockserver.cli.output.checked_input import CheckedInput
from mockserver.contract.files import CheckedMigration, CheckResult
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import (
    escape_surrogates,
    escape_xml,
    finding_lines,
    finding_to_json,
    findings_lines,
    format_location,
    format_value,
)
from mockserver.contract.rules import load_all_rules
from mockserver.wire import json
from mockserver.wire.terminal import escape_unprintable

__all__ = ["REPORT_FORMATS", "ReportWriter"]


ReportWriter = Callable[[Sequence[CheckedInput], Container[Severity]], str]


def _write_text(inputs: Sequence[CheckedInput], _: Container[Severity]) -> str:
    lines: list[str] = []
    for each in inputs:
        details = f"{each.result.kind or 'unknown kind'}; {each.result.profile}, {each.result.profile_reason}"
        lines.append(
            f"{escape_unprintable(each.name)}: {_finding_counts(each)} ({escape_unprintable(details)})"
        )
        lines += findings_lines(each.findings)
        if each.result.migration is not None:
            lines += migration_lines(each.result.migration, each.result.profile)
    if any(finding.rule in load_all_rules() for each in inputs for finding in each.findings):
        lines.append("`mockserver rules RULE` explains a rule and shows an example that breaks it.")
    return "".join(f"{line}\n" for line in lines)


def _finding_counts(checked: CheckedInput) -> str:
    verdict = "valid" if checked.is_valid else "invalid"
    counts = []
    for severity in Severity:
        count = sum(each.more or 1 for each in checked.findings if each.severity is severity)
        if count:
            counts.append(f"{count} {severity}{'s' if count > 1 and severity != 'info' else ''}")
    return f"{verdict}, {', '.join(counts)}" if counts else verdict


def _write_json(inputs: Sequence[CheckedInput], _: Container[Severity]) -> str:
    value = [
        {
            "file": escape_surrogates(each.name),
            "kind": each.result.kind,
            "profile": each.result.profile,
            "valid": each.is_valid,
            "findings": [finding_to_json(finding) for finding in each.findings],
            **_migration_json(each.result.migration),
        }
        for each in inputs
    ]
    return json.pretty(value).decode()


def migration_lines(migration: CheckedMigration, profile: str) -> list[str]:
    """The Responses form of a chat request, as text."""
    lines = [f"  equivalent Responses request ({profile}):"]
    lines += [f"    {escape_unprintable(line)}" for line in json.pretty(migration.body).decode().splitlines()]
    lines += [
        f"  {escape_unprintable(note.pointer)} {escape_unprintable(note.message)}" for note in migration.notes
    ]
    for finding in migration.findings:
        lines += [
            f"  in the equivalent:{line[1:]}" if line[2] != " " else line for line in finding_lines(finding)
        ]
    return lines


def _migration_json(migration: CheckedMigration | None) -> dict[str, Any]:
    if migration is None:
        return {}
    notes = [
        {"member": escape_surrogates(note.pointer), "words": escape_surrogates(note.message)}
        for note in migration.notes
    ]
    return {
        "responses": {
            "body": migration.body,
            "notes": notes,
            "findings": [*map(finding_to_json, migration.findings)],
        }
    }


_GITHUB_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _write_github(inputs: Sequence[CheckedInput], _: Container[Severity]) -> str:
    """Workflow commands, which GitHub shows as annotations of the file."""
    lines = []
    for each in inputs:
        for finding in each.findings:
            properties = (
                f"file={_escape_github_property(each.name)},title={_escape_github_property(finding.rule)}"
            )
            message = f"{format_location(finding)}: {finding.message}"
            for name, value in (("expected", finding.expected), ("got", finding.got)):
                message += "" if value is None else f"; {name} {format_value(value)}"
            lines.append(
                f"::{_GITHUB_LEVELS[finding.severity]} {properties}::{_escape_github_message(message)}\n"
            )
        for note in each.result.migration.notes if each.result.migration else ():
            properties = f"file={_escape_github_property(each.name)},title=Responses API"
            lines.append(
                f"::notice {properties}::{_escape_github_message(f'{note.pointer} {note.message}')}\n"
            )
    return "".join(lines)


def _escape_github_message(text: str) -> str:
    return escape_unprintable(text).replace("%", "%25")


def _escape_github_property(text: str) -> str:
    return _escape_github_message(text).replace(":", "%3A").replace(",", "%2C")


def _write_junit(inputs: Sequence[CheckedInput], failing: Container[Severity]) -> str:
    """One test suite for each file and one test case for each finding; a file without findings is one passed case."""
    suites = [_junit_suite(each, failing) for each in inputs]
    return '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n' + "".join(suites) + "</testsuites>\n"


def _junit_suite(checked: CheckedInput, failing: Container[Severity]) -> str:
    failures = sum(finding.severity in failing for finding in checked.findings)
    name = escape_xml(checked.name)
    cases = [_junit_case(name, finding, failing) for finding in checked.findings]
    cases = cases or [f'    <testcase classname="{name}" name="{checked.result.kind}"/>\n']
    head = f'  <testsuite name="{name}" tests="{len(cases)}" failures="{failures}" errors="0">\n'
    return head + "".join(cases) + _junit_migration(checked.result) + "  </testsuite>\n"


def _junit_migration(result: CheckResult) -> str:
    if result.migration is None:
        return ""
    text = escape_xml("\n".join(migration_lines(result.migration, result.profile)))
    return f"    <system-out>{text}</system-out>\n"


def _junit_case(class_name: str, finding: Finding, failing: Container[Severity]) -> str:
    name = escape_xml(f"{finding.rule} {format_location(finding)}")
    text = escape_xml("\n".join(finding_lines(finding)))
    head = f'    <testcase classname="{class_name}" name="{name}">'
    if finding.severity in failing:
        message = escape_xml(finding.message)
        body = f'<failure type="{finding.severity}" message="{message}">{text}</failure>'
    else:
        body = f"<system-out>{text}</system-out>"
    return f"{head}{body}</testcase>\n"


def _write_html(inputs: Sequence[CheckedInput], failing: Container[Severity]) -> str:
    from mockserver.cli.output.report_page import render_check_page

    return render_check_page(inputs, failing)


REPORT_FORMATS: Mapping[str, ReportWriter] = MappingProxyType(
    {
        "text": _write_text,
        "json": _write_json,
        "github": _write_github,
        "junit": _write_junit,
        "html": _write_html,
    }
)
"""Report writers by format."""
