"""The HTML report of `--responses-html`: the exchanges of all tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

import pytest

from mockserver.reports.coverage import coverage_by_profile
from mockserver.reports.formatting import format_count
from mockserver.reports.model import (
    ReportExchange,
    ReportPage,
    Table,
    exchange_from_json,
    exchange_to_json,
    report_time,
)
from mockserver.reports.page import render_page
from mockserver.server.journal_entries import exchange_from_entry, findings_for_request
from mockserver.server.state.journal import Entry
from mockserver.testing.pytest_plugin.summary import outcome_name
from mockserver.wire.redaction import redact

__all__ = ["ExchangeLog", "HtmlReport"]

#: Requests of one test that are shown: the first ones, and as many more that have findings.
_MAX_PER_TEST = 50
#: Exchanges of a run that are shown.
_MAX_PER_RUN = 2_000


class ExchangeLog:
    """The requests of one test, with their replies."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, Entry]] = []
        self._extra_with_findings = 0
        self._lock = Lock()  # the server's thread adds entries, the test's thread reads

    def add(self, profile: str, entry: Entry) -> None:
        """Add a journal entry, unless there are too many."""
        with self._lock:
            if len(self._entries) - self._extra_with_findings < _MAX_PER_TEST:
                self._entries.append((profile, entry))
            elif self._extra_with_findings < _MAX_PER_TEST and (
                findings_for_request(entry) or entry.reply_findings
            ):
                self._extra_with_findings += 1
                self._entries.append((profile, entry))

    def take_exchanges_json(self, test_id: str, allowed_rules: Iterable[str]) -> list[str]:
        """Remove and return the exchanges, serialized and without keys."""
        details = tuple(("allowed by the test", each) for each in sorted(allowed_rules))
        with self._lock:
            entries, self._entries, self._extra_with_findings = self._entries, [], 0
        return [
            exchange_to_json(exchange_from_entry(entry, number, profile, test_id, details))
            for number, (profile, entry) in enumerate(entries, start=1)
        ]


class HtmlReport:
    """The exchanges of all tests, collected from their reports, whichever process they ran in."""

    def __init__(self) -> None:
        self._tests: dict[str, tuple[str, int, list[str]]] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Add a test's exchanges; the last ones count if the test runs again."""
        requests = getattr(report, "responses", {}).get("requests", 0)
        self._tests[report.nodeid] = outcome_name(report), requests, getattr(report, "responses_shown", [])

    def write(self, file: Path, *, complete: bool) -> None:
        """Write the page; OSError. `complete`: whether the run was not interrupted."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render_page(self._page(complete=complete)), encoding="utf-8")

    def _page(self, *, complete: bool) -> ReportPage:
        outcomes = Counter(outcome for outcome, *_ in self._tests.values())
        shown = self._select_exchanges()
        total = sum(requests for _, requests, _ in self._tests.values())
        facts = [("tests with requests", f"{len(self._tests):,}")]
        if not complete:
            facts.append(("incomplete", "the run was interrupted"))
        if len(shown) < total:
            facts.append(("left out", format_count(total - len(shown), "exchange")))
        return ReportPage(
            title="Test run",
            subject=format_count(len(self._tests), "test"),
            verdict=", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "no requests",
            passed=complete and not outcomes["failed"],
            created_at=report_time(),
            metadata=tuple(facts),
            exchanges=tuple(shown),
            coverage=coverage_by_profile(shown),
            tables=tuple(self._tables(shown)),
        )

    def _select_exchanges(self) -> list[ReportExchange]:
        """The exchanges that are shown: those of failed tests first, then in the order of the tests' ids."""
        order = sorted(self._tests, key=lambda name: (self._tests[name][0] != "failed", name))
        texts = [text for name in order for text in self._tests[name][2]]
        return [exchange_from_json(text) for text in texts[:_MAX_PER_RUN]]

    def _tables(self, exchanges: Iterable[ReportExchange]) -> Iterator[Table]:
        finding_counts: Counter[str] = Counter()
        for each in exchanges:
            finding_counts[each.group] += len(each.findings)
        rows = [
            (redact(name), outcome, f"{requests:,}", f"{finding_counts[name]:,}")
            for name, (outcome, requests, _) in sorted(self._tests.items())
        ]
        if rows:
            yield Table("Tests", ("test", "outcome", "requests", "findings"), tuple(rows))
