"""The output of `mockserver record`: a line for each completed request, and a summary."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from mockserver.cli.output.checked_input import failing_severities
from mockserver.contract.findings import Severity
from mockserver.contract.formatting import findings_lines
from mockserver.live.background import BackgroundWorker
from mockserver.wire.redaction import redact
from mockserver.wire.terminal import escape_unprintable

if TYPE_CHECKING:
    from mockserver.recordings.recorder import RecordingResult

__all__ = ["CaptureLog"]

_STDERR = 2

#: Bytes that may wait for a standard error that nobody reads; later lines are dropped.
_MAX_PENDING_BYTES = 1 << 20


class CaptureLog:
    """Prints completed requests with their findings and counts them. Its methods never block."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self._folder = folder
        self._quiet = quiet
        self._lock = Lock()
        self._printer = BackgroundWorker("log")
        self._dropped_count = 0
        self._request_count = 0
        self._recording_count = 0
        self.lost_count = 0
        """Exchanges that were not recorded although they should be."""
        self.unchecked_count = 0
        """Exchanges that were not checked."""
        self._finding_counts: Counter[tuple[str, str, str]] = Counter()
        self._problem_counts: Counter[str] = Counter()
        self._severity_counts: Counter[Severity] = Counter()

    def add(self, result: RecordingResult) -> None:
        """Count a request and print it with its findings."""
        with self._lock:
            self._count(result)
        if not self._quiet:
            self.write("".join(f"{line}\n" for line in _result_lines(result)))

    def write(self, text: str) -> None:
        """Print to standard error in a thread, since a parent process may not read it."""
        data = text.encode(errors="backslashreplace")
        if self._printer.pending_bytes + len(data) > _MAX_PENDING_BYTES:
            self._dropped_count += 1
            return
        # Not by sys.stderr: the interpreter cannot end while a thread holds the lock of its buffer.
        self._printer.submit(partial(_write_all, _STDERR, data), len(data))

    def finish(self, timeout: float) -> None:
        """Print the summary, and wait at most `timeout` seconds until all is printed."""
        self._printer.submit(lambda: _write_all(_STDERR, self.summary_text().encode()))
        self._printer.wait(timeout)
        self._printer.close()

    def _count(self, result: RecordingResult) -> None:
        self._request_count += 1
        self._recording_count += result.file is not None
        self.lost_count += result.is_lost
        self.unchecked_count += bool(result.unchecked_reason)
        for problem in _problems(result):
            self._problem_counts[problem] += 1
        for finding in result.findings:
            self._severity_counts[finding.severity] += 1
            message = redact(finding.message, result.secrets)
            self._finding_counts[finding.severity.value, finding.rule, message] += 1

    def summary_text(self) -> str:
        """The numbers of requests, recordings, problems and findings."""
        requests = _count_of(self._request_count, "request")
        recordings = _count_of(self._recording_count, "recording")
        lines = [f"mockserver: {requests}, {recordings} in {self._folder}"]
        lines += [f"  {problem}: {count}" for problem, count in sorted(self._problem_counts.items())]
        if self._dropped_count:
            lines.append(f"  lines that were not printed, because nobody read them: {self._dropped_count}")
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


def _result_lines(result: RecordingResult) -> list[str]:
    name = result.file.name if result.file else "-"
    first_byte = (
        "" if result.time_to_first_byte is None else f" first byte {result.time_to_first_byte * 1000:.0f} ms,"
    )
    duration = f"{result.duration * 1000:.0f} ms"
    line = f"{result.method} {result.path} {result.status or '-'}{first_byte} {duration}  {name}"
    problems = [f"{each}: {result.refusal}" if result.refusal else each for each in _problems(result)]
    lines = [line + "".join(f"  ({problem})" for problem in problems)]
    lines += findings_lines([finding for finding in result.findings if finding.severity is not Severity.INFO])
    return [redact(escape_unprintable(each), result.secrets) for each in lines]


def _problems(result: RecordingResult) -> list[str]:
    unchecked = f"not checked: {result.unchecked_reason}" if result.unchecked_reason else ""
    return [each for each in (result.problem, unchecked) if each]


def _count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; an output that is no longer read is not an error."""
    with suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]
