"""The run's summary: one line for the terminal, one file for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver import __version__
from mockserver.wire import json

__all__ = ["REPORT_FORMAT", "Summary", "outcome_name"]

#: Version of the report's format, described by `schemas/pytest_report.json`.
REPORT_FORMAT = 1


class Summary:
    """What the tests of a run came to; each adds its own by its report, from whatever process it ran in."""

    def __init__(self) -> None:
        self._tests: dict[str, dict[str, Any]] = {}
        self.stale_recordings: list[str] = []
        """Files of recordings that no test has."""

    def add(self, report: pytest.TestReport) -> None:
        """Take a test's report; of one that is run again the last counts."""
        self._tests[report.nodeid] = {
            "id": report.nodeid,
            "outcome": outcome_name(report),
            **report.responses,
        }

    def terminal_lines(self) -> Iterator[str]:
        """A line each: ignored parameters, replies that nobody asked for, and what came of recordings."""
        ignored = self._total_counts("ignored")
        if ignored:
            told = ", ".join(f"{name} ({_format_requests(count)})" for name, count in sorted(ignored.items()))
            yield f"responses: the service ignores parameters that were sent: {told}"
        unused = sum(test["unused"] for test in self._tests.values() if test["outcome"] != "failed")
        if unused:
            yield f"responses: planned replies that were not asked for: {unused}"
        yield from self._recording_lines()

    def _recording_lines(self) -> Iterator[str]:
        tapes = [test["recordings"] for test in self._tests.values() if "recordings" in test]
        played, written = (sum(tape[name] for tape in tapes) for name in ("played", "written"))
        if played or written:
            yield f"responses: recordings: {played} played, {written} written"
        for tape in tapes:
            if tape["unplayed"]:
                names = ", ".join(tape["unplayed"])
                yield f"responses: recordings that were not asked for: {tape['file']}: {names}"
        for file in self.stale_recordings:
            yield f"responses: recordings that are no test's: {file}"

    def write(self, file: Path, *, complete: bool) -> None:
        """Write the report; OSError. `complete`: whether the run came to its end."""
        tests = [self._tests[name] for name in sorted(self._tests)]
        found = Counter(each["rule"] for test in tests for each in test["findings"])
        report = {
            "format": REPORT_FORMAT,
            "version": __version__,
            "complete": complete,
            "tests": tests,
            "requests": sum(test["requests"] for test in tests),
            "ignored": dict(sorted(self._total_counts("ignored").items())),
            "rules": dict(sorted(found.items())),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(json.dumps(report) + b"\n")

    def _total_counts(self, key: str) -> Counter[str]:
        counted: Counter[str] = Counter()
        for test in self._tests.values():
            counted.update(test[key])
        return counted


def outcome_name(report: pytest.TestReport) -> str:
    """What a test came to, in a word."""
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return str(report.outcome)


def _format_requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
