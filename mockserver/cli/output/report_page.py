"""The HTML report of checked files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace

from mockserver.cli.output.checked_input import CheckedInput
from mockserver.contract.findings import Severity
from mockserver.reports.coverage import coverage_by_profile
from mockserver.reports.formatting import format_count
from mockserver.reports.model import MessageBody, ReportExchange, ReportPage, report_time
from mockserver.reports.page import render_page
from mockserver.reports.report_exchanges import exchange_from_file
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["render_check_page"]


def render_check_page(inputs: Sequence[CheckedInput], failing: Container[Severity]) -> str:
    """Render the files with their content and their findings."""
    failed_count = sum(any(finding.severity in failing for finding in each.findings) for each in inputs)
    profiles = Counter(each.result.profile for each in inputs)
    exchanges = tuple(_report_exchange(each) for each in inputs)
    facts = [
        ("profile", ", ".join(profiles) or "none"),
        ("size", f"{sum(len(each.content) for each in inputs) / 1000:,.1f} kB"),
    ]
    page = ReportPage(
        title="Contract check",
        subject=redact(inputs[0].name) if len(inputs) == 1 else format_count(len(inputs), "exchange"),
        verdict=_verdict_text(failed_count, len(inputs)),
        passed=not failed_count,
        created_at=report_time(),
        metadata=tuple(facts),
        exchanges=exchanges,
        coverage=coverage_by_profile(exchanges),
    )
    return render_page(page)


def _report_exchange(checked: CheckedInput) -> ReportExchange:
    """The file; a chat request also shows its Responses form."""
    result = checked.result
    exchange = exchange_from_file(
        checked.name, checked.content, result.kind, checked.findings, result.profile, result.profile_reason
    )
    migration = result.migration
    if migration is None:
        return exchange
    body = MessageBody(
        "Equivalent Responses request", redact(json.dumps(migration.body).decode()), is_json=True
    )
    notes = tuple((redact(note.pointer), redact(note.message)) for note in migration.notes)
    return replace(exchange, reply=body, details=(*exchange.details, *notes))


def _verdict_text(failed_count: int, file_count: int) -> str:
    if not failed_count:
        return "valid" if file_count == 1 else "all valid"
    return "invalid" if file_count == 1 else f"{failed_count} of {file_count} invalid"
