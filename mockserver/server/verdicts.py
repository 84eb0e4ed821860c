"""Verdicts: what is wrong with the requests of a session, and the stubs that none of them used.

The pytest plugin, `MockServer.check` and the admin API all judge by these rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mockserver.contract.findings import Finding, NumberedFinding, Severity
from mockserver.contract.formatting import format_location, format_value
from mockserver.contract.rules import CONDUCT_FAMILIES
from mockserver.server.journal_entries import REFUSED, UNPLANNED, findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import Session
from mockserver.wire.redaction import redact
from mockserver.wire.terminal import escape_unprintable

__all__ = [
    "IGNORED_PARAMETER_RULE",
    "LABELS",
    "UNUSED",
    "FailurePolicy",
    "Verdict",
    "judge_session",
    "violation_line",
]

#: What the finding of a stub that no request used has in place of a rule id.
UNUSED = "unused"

IGNORED_PARAMETER_RULE = "REQ-002"

#: How the line of a finding starts, if it is not `Contract violation RULE`.
LABELS: Mapping[str, str] = MappingProxyType(
    {
        REFUSED: "Refused request (refused)",
        UNPLANNED: "Unmatched request (unplanned)",
        UNUSED: "Unused stub (unused)",
        IGNORED_PARAMETER_RULE: f"Ignored parameter {IGNORED_PARAMETER_RULE}",
    }
)


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What fails a test."""

    strict: bool = True
    """Whether requests must match a stub once the test has configured one."""
    unused_stubs: str = "error"
    """error, warn or off."""
    ignored_parameters: str = "warn"
    """error, warn or off."""
    fail_on: str = "error"
    """The lowest severity that fails the test: error or warning."""
    allowed_rules: frozenset[str] = frozenset()
    """Rules that the test may break."""
    conduct: bool = False
    """Whether the client's conduct over several requests is checked too."""

    def is_violation(self, finding: Finding) -> bool:
        """Whether a finding fails the test unless its rule is allowed."""
        if finding.rule == IGNORED_PARAMETER_RULE and self.ignored_parameters == "error":
            return True
        if finding.severity is Severity.WARNING:
            return self.fail_on == "warning"
        return finding.severity is Severity.ERROR

    @property
    def checks_unused_stubs(self) -> bool:
        """Whether unused stubs are reported."""
        return self.strict and UNUSED not in self.allowed_rules and self.unused_stubs != "off"


def violation_line(finding: Finding, labels: Mapping[str, str] = LABELS) -> str:
    """A finding as a line of a failure."""
    kind = "Conduct" if finding.rule.startswith(CONDUCT_FAMILIES) else "Contract violation"
    label = labels.get(finding.rule, f"{kind} {finding.rule}")
    location = f" at {format_location(finding)}" if finding.pointer or finding.event is not None else ""
    values = [
        f"{name} {format_value(value)}"
        for name, value in (("expected", finding.expected), ("got", finding.got))
        if value is not None
    ]
    suffix = f" ({', '.join(values)})" if values else ""
    return f"{label}{location}: {escape_unprintable(finding.message)}{suffix}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a session."""

    request_count: int
    violations: tuple[NumberedFinding, ...]
    unused_stubs: tuple[str, ...]
    """Descriptions of the stubs that have answered less often than configured."""
    unchecked: tuple[str, ...]
    """Requests that nobody can judge, each with the reason."""
    dropped_count: int = 0
    """How many of them the journal has dropped."""
    conduct: tuple[NumberedFinding, ...] = ()
    """All findings about the client's conduct, if it was checked; `violations` has those that fail."""

    @property
    def name(self) -> str:
        """pass; fail; or unchecked: no request was sent, or some could not be judged."""
        if self.violations:
            return "fail"
        return "unchecked" if self.unchecked or not self.request_count else "pass"


def judge_session(session: Session, policy: FailurePolicy) -> Verdict:
    """The verdict on the requests in a session's journal."""
    journal = session.journal
    dropped = journal.dropped_count
    numbered = list(journal.numbered())
    violations: list[NumberedFinding] = []
    unchecked = [f"the {dropped} oldest requests, which the journal has dropped"] if dropped else []
    if not journal.is_enabled:
        unchecked.append("all requests, because the server keeps no journal")
    has_failed_request = False
    for number, entry in numbered:
        findings = findings_for_entry(entry)
        has_failed_request |= any(each.severity is Severity.ERROR for each in findings)
        violations += _violations(number, findings, policy)
        if entry.method == "POST" and not entry.is_checked and not findings:
            unchecked.append(f"request {number}, whose body was not read")
    conduct = _check_conduct(numbered) if policy.conduct else ()
    for number, finding in conduct:
        violations += _violations(number, [finding], policy)
    unused = tuple(redact(str(stub)) for stub in session.stubs.pending)
    # A failed request explains an unused stub.
    if policy.checks_unused_stubs and policy.unused_stubs == "error" and not has_failed_request:
        stubs = [Finding(UNUSED, Severity.ERROR, "", None, each) for each in unused]
        violations += _violations(0, stubs, policy)
    return Verdict(dropped + len(numbered), tuple(violations), unused, tuple(unchecked), dropped, conduct)


def _check_conduct(numbered: Iterable[tuple[int, Entry]]) -> tuple[NumberedFinding, ...]:
    from mockserver.server.conduct import check_entries  # only for those who ask for it

    return tuple(check_entries(numbered))


def _violations(number: int, findings: Iterable[Finding], policy: FailurePolicy) -> Iterator[NumberedFinding]:
    for finding in findings:
        if policy.is_violation(finding) and finding.rule not in policy.allowed_rules:
            yield NumberedFinding(number, finding)
