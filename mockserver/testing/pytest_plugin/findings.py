"""Findings of a test: its requests, checked one by one, and the error that it fails with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import Any, NamedTuple

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.rules import omitted_finding
from mockserver.errors import ContractError
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.server.stubs.stubs import Stub
from mockserver.server.verdicts import (
    IGNORED_PARAMETER_RULE,
    LABELS,
    UNUSED,
    FailurePolicy,
    violation_line,
)
from mockserver.testing.pytest_plugin.settings import (
    BUDGET,
    DRIFTED,
    UNCHECKED,
    UNREACHABLE,
    UNRECORDED,
)
from mockserver.wire.redaction import redact

__all__ = ["FindingCollector", "contract_error"]

#: Findings of one test that the report keeps, of each severity.
_MAX_COLLECTED_FINDINGS = 100
#: Violations that the error of a test lists.
_MAX_LISTED_VIOLATIONS = 50

#: How a failure starts, for findings that are not of a rule.
_LABELS = {
    **LABELS,
    BUDGET: "Budget spent (budget)",
    DRIFTED: "Drift (drifted)",
    UNREACHABLE: "Endpoint unreachable (unreachable)",
    UNRECORDED: "Nothing to compare (unrecorded)",
    UNCHECKED: "Unchecked reply (unchecked)",
}


class _CollectedFinding(NamedTuple):
    request_number: int
    """From 1; 0 if the finding belongs to no request."""
    finding: Finding
    allowed: bool


class FindingCollector:
    """Checks the requests of one test: at its end, or earlier if an entry leaves the journal."""

    def __init__(self, policy: FailurePolicy) -> None:
        self.policy = policy
        self.request_count = 0
        self.ignored_parameters: Counter[str] = Counter()
        """Names of ignored parameters, with the number of requests that had them."""
        self.unused_count = 0
        self._collected: list[_CollectedFinding] = []
        self._collected_counts: Counter[Severity] = Counter()
        self._omitted_counts: Counter[tuple[str, Severity, bool]] = Counter()
        """Findings that are not kept, by rule, severity and whether they are allowed."""
        self._violations: list[Finding] = []
        self._has_failed_request = False
        """Whether a request was an error, allowed or not, and so left its stub unused."""
        self._entries: dict[str, list[tuple[int, Entry]]] = {}
        """The numbered entries of each session, if the client's conduct is to be checked."""
        self._lock = Lock()  # the server's thread adds entries, the test's thread reads

    def add_entry(self, entry: Entry) -> None:
        """Check one request."""
        findings = findings_for_entry(entry)
        with self._lock:
            self.request_count += 1
            if IGNORED_PARAMETER_RULE not in self.policy.allowed_rules:
                self.ignored_parameters.update(redact(name, entry.secrets) for name in entry.ignored)
            self._has_failed_request |= any(finding.severity is Severity.ERROR for finding in findings)
            self._add_findings(self.request_count, findings)
            if self.policy.conduct:
                self._entries.setdefault(entry.session, []).append((self.request_count, entry))

    def check_conduct(self) -> None:
        """Check what the client did over the requests since the last check."""
        with self._lock:
            sessions, self._entries = self._entries, {}
        if not sessions:
            return
        from mockserver.server.conduct import check_entries  # only for those who ask for it

        for entries in sessions.values():
            for number, finding in check_entries(entries):
                self._add_findings(number, [finding])

    def add_unused_stubs(self, stubs: Iterable[Stub]) -> None:
        """Report stubs that were not used, unless a failed request explains it."""
        unused = list(stubs)
        if self._has_failed_request or not self.policy.checks_unused_stubs:
            return
        self.unused_count += len(unused)
        if self.policy.unused_stubs == "error":
            self._add_findings(
                0, [Finding(UNUSED, Severity.ERROR, "", None, redact(str(stub))) for stub in unused]
            )

    def add_open_request(self) -> None:
        """Report that a request to a live endpoint is still without its reply."""
        message = "a request had no complete reply at the end of the test"
        self._add_findings(0, [Finding(UNREACHABLE, Severity.ERROR, "", None, message)])

    def add_unchecked_reply(self) -> None:
        """Report that the check of a live endpoint's reply is not finished."""
        message = "a reply was not checked by the end of the test"
        self._add_findings(0, [Finding(UNCHECKED, Severity.ERROR, "", None, message)])

    def add_drift(self, changes: Iterable[tuple[str, str, str, str]]) -> None:
        """Report breaking changes of an endpoint's replies: (location, message, before, after)."""
        findings = [
            Finding(
                DRIFTED,
                Severity.ERROR,
                "",
                None,
                redact(f"{location}: {message}"),
                redact(before) or None,
                redact(after) or None,
            )
            for location, message, before, after in changes
        ]
        self._add_findings(0, findings)

    def add_unrecorded(self, requests: Iterable[str]) -> None:
        """Report requests whose replies were not compared, because they have no recording."""
        message = "this request has no recording to compare its reply with"
        self._add_findings(
            0, [Finding(UNRECORDED, Severity.ERROR, "", None, f"{each}: {message}") for each in requests]
        )

    def _add_findings(self, request_number: int, findings: Iterable[Finding]) -> None:
        for finding in findings:
            allowed = finding.rule in self.policy.allowed_rules
            if self._collected_counts[finding.severity] < _MAX_COLLECTED_FINDINGS:
                self._collected_counts[finding.severity] += 1
                self._collected.append(_CollectedFinding(request_number, finding, allowed))
            else:
                self._omitted_counts[finding.rule, finding.severity, allowed] += finding.more or 1
            if self.policy.is_violation(finding) and not allowed:
                self._violations.append(finding)

    @property
    def has_violations(self) -> bool:
        """Whether the test has violations that it does not allow."""
        return bool(self._violations)

    def begin_example(self) -> int:
        """Start an example; the value is for `take_violations`."""
        self._has_failed_request = False
        return len(self._violations)

    def take_violations(self, start: int) -> list[Finding]:
        """Remove and return the violations since the start of an example."""
        with self._lock:
            taken, self._violations = self._violations[start:], self._violations[:start]
        return taken

    def findings_as_json(self) -> list[dict[str, Any]]:
        """The findings, for the JSON report; the last ones stand for those that are not kept."""
        omitted = [
            _CollectedFinding(0, omitted_finding(rule, severity, count), allowed)
            for (rule, severity, allowed), count in self._omitted_counts.items()
        ]
        return [_finding_to_json(each) for each in (*self._collected, *omitted)]


def contract_error(findings: list[Finding]) -> ContractError:
    """The error that a test fails with; its first line is what pytest's short summary shows."""
    lines = [violation_line(each, _LABELS) for each in findings[:_MAX_LISTED_VIOLATIONS]]
    more = sum(each.more or 1 for each in findings[_MAX_LISTED_VIOLATIONS:])
    if more:
        lines.append(f"and {more} more")
    return ContractError(findings, message="\n".join(lines))


def _finding_to_json(collected: _CollectedFinding) -> dict[str, Any]:
    finding = collected.finding
    return {
        "request": collected.request_number or None,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "pointer": finding.pointer,
        "message": finding.message,
        "expected": finding.expected,
        "got": finding.got,
        "allowed": collected.allowed,
    }
