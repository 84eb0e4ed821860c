"""What a recorder took: a line for each request as it is over, and what all came to."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver.contract.findings import Severity
from mockserver.contract.formatting import escape_unprintable, finding_lines
from mockserver.wire.redaction import redact

if TYPE_CHECKING:
    from mockserver.recordings.recorder import RecordingResult

__all__ = ["Summary"]


class Summary:
    """A line for each request as it is over, and what all came to."""

    def __init__(self, out: Path, *, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet
        self._count = 0
        self._files = 0
        self._found: Counter[tuple[str, str, str]] = Counter()
        self._troubles: Counter[str] = Counter()
        self._severities: Counter[Severity] = Counter()

    def tell(self, told: RecordingResult) -> None:
        """Take note of a request, and print what was found."""
        self._count += 1
        self._files += told.file is not None
        if told.problem:
            self._troubles[told.problem] += 1
        for finding in told.findings:
            self._severities[finding.severity] += 1
            message = redact(finding.message, told.secrets)
            self._found[finding.severity.value, finding.rule, message] += 1
        if self._quiet:
            return
        name = told.file.name if told.file else "-"
        first = (
            "" if told.time_to_first_byte is None else f" first byte {told.time_to_first_byte * 1000:.0f} ms,"
        )
        line = f"{told.method} {told.path} {told.status or '-'}{first} {told.duration * 1000:.0f} ms  {name}"
        lines = [line + (f"  ({told.problem})" if told.problem else "")]
        for finding in told.findings:
            if finding.severity is not Severity.INFO:
                lines += finding_lines(finding)
        print(
            *(redact(escape_unprintable(each), told.secrets) for each in lines),
            sep="\n",
            file=sys.stderr,
            flush=True,
        )

    def text(self) -> str:
        """What all requests came to."""
        lines = [f"mockserver: {self._count} requests, {self._files} recordings in {self._out}"]
        lines += [f"  {what}: {count}" for what, count in sorted(self._troubles.items())]
        order = [each.value for each in Severity]
        found = sorted(self._found.items(), key=lambda each: (order.index(each[0][0]), each[0]))
        lines += [
            f"  {severity} {rule}: {escape_unprintable(text)} ({count})"
            for (severity, rule, text), count in found
        ]
        return "".join(f"{line}\n" for line in lines)

    def breaks(self, fail_on: str) -> bool:
        """Whether something was found that is bad enough."""
        if fail_on == "never":
            return False
        failing = list(Severity)[: list(Severity).index(Severity(fail_on)) + 1]
        return any(self._severities[each] for each in failing)
