"""A file that was judged: what every report is written from."""

from __future__ import annotations

from dataclasses import dataclass

from mockserver.contract.files import CheckResult
from mockserver.contract.findings import Finding, Severity

__all__ = ["CheckedInput"]


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """One file and what is reported of it."""

    name: str
    result: CheckResult
    findings: tuple[Finding, ...]
    """Those that were not passed over."""
    content: bytes = b""
    """What the file holds, for reports that show it."""

    @property
    def is_valid(self) -> bool:
        """Whether there is no error among them."""
        return not any(each.severity is Severity.ERROR for each in self.findings)
