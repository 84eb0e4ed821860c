"""The output of `mockserver record`: a line for each completed request, and a summary."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver.cli.output.checked_input import failing_severities
from mockserver.contract.findings import Severity
from mockserver.contract.formatting import escape_unprintable, findings_lines
from mockserver.wire.redaction import redact

if TYPE_CHECKING:
    from mockserver.recordings.recorder import RecordingResult

__all__ = ["CaptureLog"]


class CaptureLog:
    """Prints completed requests with their findings and counts them."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self._folder = folder
        self._quiet = quiet
        self._request_count = 0
        self._recording_count = 0
        self._finding_counts: Counter[tuple[str, str, str]] = Counter()
        self._problem_counts: Counter[str] = Counter()
        self._severity_counts: Counter[Severity] = Counter()

    def add(self, result: RecordingResult) -> None:
        """Count a request and print it with its findings."""
        self._request_count += 1
        self._recording_count += result.file is not None
        if result.problem:
            self._problem_counts[result.problem] += 1
        for finding in result.findings:
            self._severity_counts[finding.severity] += 1
            message = redact(finding.message, result.secrets)
            self._finding_counts[finding.severity.value, finding.rule, message] += 1
        if self._quiet:
            return
        name = result.file.name if result.file else "-"
        first_byte = (
            ""
            if result.time_to_first_byte is None
            else f" first byte {result.time_to_first_byte * 1000:.0f} ms,"
        )
        duration = f"{result.duration * 1000:.0f} ms"
        line = f"{result.method} {result.path} {result.status or '-'}{first_byte} {duration}  {name}"
        lines = [line + (f"  ({result.problem})" if result.problem else "")]
        lines += findings_lines(
            [finding for finding in result.findings if finding.severity is not Severity.INFO]
        )
        print(
            *(redact(escape_unprintable(each), result.secrets) for each in lines),
            sep="\n",
            file=sys.stderr,
            flush=True,
        )

    def summary_text(self) -> str:
        """The numbers of requests, recordings, problems and findings."""
        lines = [
            f"mockserver: {self._request_count} requests, {self._recording_count} recordings in {self._folder}"
        ]
        lines += [f"  {problem}: {count}" for problem, count in sorted(self._problem_counts.items())]
        order = [each.value for each in Severity]
        findings = sorted(self._finding_counts.items(), key=lambda each: (order.index(each[0][0]), each[0]))
        lines += [
            f"  {severity} {rule}: {escape_unprintable(text)} ({count})"
            for (severity, rule, text), count in findings
        ]
        return "".join(f"{line}\n" for line in lines)

    def reaches_severity(self, fail_on: str) -> bool:
        """Whether a finding of at least this severity was counted."""
        if fail_on == "never":
            return False
        return any(self._severity_counts[each] for each in failing_severities(fail_on))
