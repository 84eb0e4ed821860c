"""The result of checking one file: the input of every report."""

from __future__ import annotations

from dataclasses import dataclass

from mockserver.contract.files import CheckResult
from mockserver.contract.findings import Finding, Severity

__all__ = ["CheckedInput", "failing_severities"]


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """One file and its findings."""

    name: str
    result: CheckResult
    findings: tuple[Finding, ...]
    """The findings of rules that are not ignored."""
    content: bytes = b""
    """The file's bytes, for reports that show them."""

    @property
    def is_valid(self) -> bool:
        """Whether no finding is an error."""
        return not any(each.severity is Severity.ERROR for each in self.findings)


def failing_severities(fail_on: str) -> list[Severity]:
    """The severities that fail a run with this `--fail-on`."""
    severities = list(Severity)
    return severities[: severities.index(Severity(fail_on)) + 1]
