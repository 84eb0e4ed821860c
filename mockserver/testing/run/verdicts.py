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
from mockserver.testing.run.policy import DRIFTED, REFUSED, UNPLANNED, UNUSED, Policy
from mockserver.wire.redaction import redact

__all__ = ["Watch", "broken_contract", "judged", "of_request"]

#: Findings of one test that are kept for the report.
_KEPT = 100

_IGNORED = "REQ-002"


class _Told(NamedTuple):
    """A finding and the number of its request, from 1; 0: of none."""

    request: int
    finding: Finding
    allowed: bool


def judged(entry: Entry) -> list[Finding]:
    """All that is to be said of a request and its answer."""
    if entry.refusal in (REFUSED, UNPLANNED):
        return of_request(entry)
    told = [replace(each, message=f"the endpoint's answer: {each.message}") for each in entry.reply_findings]
    return [*of_request(entry), *(redact_finding(finding, entry.secrets) for finding in told)]


def of_request(entry: Entry) -> list[Finding]:
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


class Watch:
    """Judges the requests of one test: those that leave a journal at once, the rest at its end."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.requests = 0
        self.ignored: Counter[str] = Counter()
        """Ignored parameters, by the number of requests that had them."""
        self.unused = 0
        self._told: list[_Told] = []
        self._broken: list[Finding] = []
        self._refused = False
        """Whether a request got another answer than planned, allowed or not: its reply is still there."""
        self._lock = Lock()  # the server's thread tells what leaves, the test's thread asks

    def note(self, entry: Entry) -> None:
        """Judge one request."""
        found = judged(entry)
        with self._lock:
            self.requests += 1
            if _IGNORED not in self.policy.allow:
                self.ignored.update(redact(name, entry.secrets) for name in entry.ignored)
            self._refused |= any(finding.severity is Severity.ERROR for finding in found)
            self._add(self.requests, found)

    def note_unused(self, stubs: Iterable[Stub]) -> None:
        """Judge what was planned and not asked for; where a request was refused, that is why."""
        owing = list(stubs)
        if (
            self._refused
            or not self.policy.strict
            or UNUSED in self.policy.allow
            or self.policy.unused == "off"
        ):
            return
        self.unused += len(owing)
        if self.policy.unused == "error":
            messages = [redact(f"a planned reply was not asked for: {stub}") for stub in owing]
            self._add(0, [Finding(UNUSED, Severity.ERROR, "", None, message) for message in messages])

    def note_drift(self, told: Iterable[tuple[str, str, str, str]]) -> None:
        """Judge what an endpoint says otherwise than it did: (place, message, before, after) of each."""
        found = [
            Finding(DRIFTED, Severity.ERROR, "", None, f"{place}: {message}", before or None, after or None)
            for place, message, before, after in told
        ]
        self._add(0, found)

    def _add(self, request: int, found: Iterable[Finding]) -> None:
        for finding in found:
            allowed = finding.rule in self.policy.allow
            if len(self._told) < _KEPT:
                self._told.append(_Told(request, finding, allowed))
            if self._breaks(finding) and not allowed:
                self._broken.append(finding)

    def _breaks(self, finding: Finding) -> bool:
        if finding.rule == _IGNORED and self.policy.ignored == "error":
            return True
        return finding.severity is Severity.ERROR

    @property
    def is_broken(self) -> bool:
        """Whether something broke that is not allowed."""
        return bool(self._broken)

    def mark(self) -> int:
        """The moment at which something new begins, for `since`."""
        self._refused = False
        return len(self._broken)

    def since(self, mark: int) -> list[Finding]:
        """What broke since a moment; it is forgotten, for whoever asks tells it."""
        with self._lock:
            broken, self._broken = self._broken[mark:], self._broken[:mark]
        return broken

    def findings(self) -> list[dict[str, Any]]:
        """All that was found, as the report has it."""
        return [_packed(each) for each in self._told]


def broken_contract(findings: list[Finding]) -> ContractError:
    """The error that a test fails with."""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
    return ContractError(findings, f"{rules}: this test can not pass")


def _packed(told: _Told) -> dict[str, Any]:
    finding = told.finding
    return {
        "request": told.request or None,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "pointer": finding.pointer,
        "message": finding.message,
        "expected": finding.expected,
        "got": finding.got,
        "allowed": told.allowed,
    }
