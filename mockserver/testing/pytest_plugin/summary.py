"""The summary of a run: lines for the terminal, and the JSON report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mockserver import __version__
from mockserver.wire import json
from mockserver.wire.terminal import escape_unprintable

__all__ = ["REPORT_FORMAT", "Summary", "outcome_name"]

#: Warnings that the terminal lists.
_MAX_LISTED_WARNINGS = 10

#: Version of the report's format, described by `schemas/pytest_report.json`.
REPORT_FORMAT = 1


class Summary:
    """The results of all tests, collected from their reports, whichever process they ran in."""

    def __init__(self) -> None:
        self._tests: dict[str, dict[str, Any]] = {}
        self.stale_recordings: list[str] = []
        """Recording files that belong to no test."""

    def add(self, report: pytest.TestReport) -> None:
        """Add a test's report; the last one counts if the test runs again."""
        self._tests[report.nodeid] = {
            "id": report.nodeid,
            "outcome": outcome_name(report),
            **report.responses,
        }

    def terminal_lines(self) -> Iterator[str]:
        """Ignored parameters, unused stubs and recordings, one line each."""
        return map(escape_unprintable, self._lines())

    def _lines(self) -> Iterator[str]:
        ignored = self._total_counts("ignored")
        if ignored:
            names = ", ".join(
                f"{name} ({_format_requests(count)})" for name, count in sorted(ignored.items())
            )
            yield f"responses: parameters that the service ignores: {names}"
        yield from self._warning_lines()
        unused = sum(test["unused"] for test in self._tests.values() if test["outcome"] != "failed")
        if unused:
            yield f"responses: unused stubs: {unused}"
        live = [test["live"] for test in self._tests.values() if "live" in test]
        if live:
            requests, tokens = (sum(each[name] for each in live) for name in ("requests", "tokens"))
            yield f"responses: live endpoint: {_format_requests(requests)} and {tokens:,} tokens spent"
        yield from self._recording_lines()

    def _warning_lines(self) -> Iterator[str]:
        warnings = Counter(
            _warning_text(each)
            for test in self._tests.values()
            for each in test["findings"]
            if each["severity"] == "warning" and not each["allowed"]
        )
        for text, count in sorted(warnings.items())[:_MAX_LISTED_WARNINGS]:
            yield f"responses: warning {text}: {_format_requests(count)}"
        if len(warnings) > _MAX_LISTED_WARNINGS:
            yield f"responses: {len(warnings) - _MAX_LISTED_WARNINGS} more warnings"

    def _recording_lines(self) -> Iterator[str]:
        recordings = [test["recordings"] for test in self._tests.values() if "recordings" in test]
        played, written = (sum(each[name] for each in recordings) for name in ("played", "written"))
        if played or written:
            yield f"responses: recordings: {played} replayed, {written} written"
        for each in recordings:
            if each["unplayed"]:
                yield f"responses: unused recordings: {each['file']}: {', '.join(each['unplayed'])}"
        for file in self.stale_recordings:
            yield f"responses: recordings without a test: {file}"

    def write(self, file: Path, *, complete: bool) -> None:
        """Write the report; OSError. `complete`: whether the run was not interrupted."""
        tests = [self._tests[name] for name in sorted(self._tests)]
        rules = Counter(each["rule"] for test in tests for each in test["findings"])
        report = {
            "format": REPORT_FORMAT,
            "version": __version__,
            "complete": complete,
            "tests": tests,
            "requests": sum(test["requests"] for test in tests),
            "ignored": dict(sorted(self._total_counts("ignored").items())),
            "rules": dict(sorted(rules.items())),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(json.dumps(report) + b"\n")

    def _total_counts(self, key: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for test in self._tests.values():
            total.update(test[key])
        return total


def outcome_name(report: pytest.TestReport) -> str:
    """passed, failed, skipped, xfailed or xpassed."""
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return str(report.outcome)


def _warning_text(finding: Mapping[str, Any]) -> str:
    location = f" at {finding['pointer']}" if finding["pointer"] else ""
    got = f" (got {json.dumps(finding['got']).decode()})" if finding["got"] is not None else ""
    return f"{finding['rule']}{location}: {finding['message']}{got}"


def _format_requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
