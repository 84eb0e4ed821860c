"""The verdict on a test: what its clients asked, judged request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import redact_finding
from mockserver.errors import ContractError
from mockserver.server.state.journal import Entry
from mockserver.server.stubs.stubs import Stub
from mockserver.testing.pytest_plugin.settings import DRIFTED, REFUSED, UNPLANNED, UNUSED, FailurePolicy
from mockserver.wire.redaction import redact

__all__ = ["FindingCollector", "contract_error", "findings_for_entry", "findings_for_request"]

#: Findings of one test that are kept for the report.
_MAX_COLLECTED_FINDINGS = 100

_IGNORED_PARAMETER_RULE = "REQ-002"


class _CollectedFinding(NamedTuple):
    """A finding and the number of its request, from 1; 0: of none."""

    request_number: int
    finding: Finding
    allowed: bool


def findings_for_entry(entry: Entry) -> list[Finding]:
    """All that is to be said of a request and its answer."""
    if entry.refusal in (REFUSED, UNPLANNED):
        return findings_for_request(entry)
    told = [replace(each, message=f"the endpoint's answer: {each.message}") for each in entry.reply_findings]
    return [*findings_for_request(entry), *(redact_finding(finding, entry.secrets) for finding in told)]


def findings_for_request(entry: Entry) -> list[Finding]:
    """What is to be said of a request alone: by the contract, or because the mock would not answer."""
    if entry.refusal == REFUSED:
        message = redact(f"{entry.method} {entry.path} is no call of the API: {entry.detail}", entry.secrets)
        return [Finding(REFUSED, Severity.ERROR, "", None, message, got=entry.status)]
    if entry.refusal == UNPLANNED:
        about = f" about {entry.prompt!r}" if entry.prompt else ""
        message = f"no reply was left for this request{about}; {entry.detail}"
        return [Finding(UNPLANNED, Severity.ERROR, "", None, redact(message, entry.secrets))]
    # Calls without a body have no text to be judged.
    found = entry.findings if entry.method == "POST" and entry.body else entry.request_findings
    return [redact_finding(finding, entry.secrets) for finding in found]


class FindingCollector:
    """Judges the requests of one test: those that leave a journal at once, the rest at its end."""

    def __init__(self, policy: FailurePolicy) -> None:
        self.policy = policy
        self.request_count = 0
        self.ignored_parameters: Counter[str] = Counter()
        """Ignored parameters, by the number of requests that had them."""
        self.unused_count = 0
        self._collected: list[_CollectedFinding] = []
        self._violations: list[Finding] = []
        self._has_failed_request = False
        """Whether a request got another answer than planned, allowed or not: its reply is still there."""
        self._lock = Lock()  # the server's thread tells what leaves, the test's thread asks

    def add_entry(self, entry: Entry) -> None:
        """Judge one request."""
        found = findings_for_entry(entry)
        with self._lock:
            self.request_count += 1
            if _IGNORED_PARAMETER_RULE not in self.policy.allowed_rules:
                self.ignored_parameters.update(redact(name, entry.secrets) for name in entry.ignored)
            self._has_failed_request |= any(finding.severity is Severity.ERROR for finding in found)
            self._add_findings(self.request_count, found)

    def add_unused_stubs(self, stubs: Iterable[Stub]) -> None:
        """Judge what was planned and not asked for; where a request was refused, that is why."""
        owing = list(stubs)
        if (
            self._has_failed_request
            or not self.policy.strict
            or UNUSED in self.policy.allowed_rules
            or self.policy.unused_stubs == "off"
        ):
            return
        self.unused_count += len(owing)
        if self.policy.unused_stubs == "error":
            messages = [redact(f"a planned reply was not asked for: {stub}") for stub in owing]
            self._add_findings(
                0, [Finding(UNUSED, Severity.ERROR, "", None, message) for message in messages]
            )

    def add_drift(self, changes: Iterable[tuple[str, str, str, str]]) -> None:
        """Judge what an endpoint says otherwise than it did: (place, message, before, after) of each."""
        found = [
            Finding(DRIFTED, Severity.ERROR, "", None, f"{place}: {message}", before or None, after or None)
            for place, message, before, after in changes
        ]
        self._add_findings(0, found)

    def _add_findings(self, request_number: int, findings: Iterable[Finding]) -> None:
        for finding in findings:
            allowed = finding.rule in self.policy.allowed_rules
            if len(self._collected) < _MAX_COLLECTED_FINDINGS:
                self._collected.append(_CollectedFinding(request_number, finding, allowed))
            if self._is_violation(finding) and not allowed:
                self._violations.append(finding)

    def _is_violation(self, finding: Finding) -> bool:
        if finding.rule == _IGNORED_PARAMETER_RULE and self.policy.ignored_parameters == "error":
            return True
        return finding.severity is Severity.ERROR

    @property
    def has_violations(self) -> bool:
        """Whether something broke that is not allowed."""
        return bool(self._violations)

    def begin_example(self) -> int:
        """The moment at which something new begins, for `since`."""
        self._has_failed_request = False
        return len(self._violations)

    def take_violations(self, start: int) -> list[Finding]:
        """What broke since a moment; it is forgotten, for whoever asks tells it."""
        with self._lock:
            broken, self._violations = self._violations[start:], self._violations[:start]
        return broken

    def findings_as_json(self) -> list[dict[str, Any]]:
        """All that was found, as the report has it."""
        return [_finding_to_json(each) for each in self._collected]


def contract_error(findings: list[Finding]) -> ContractError:
    """The error that a test fails with."""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
    return ContractError(findings, f"{rules}: this test can not pass")


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
