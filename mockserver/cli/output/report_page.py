"""The report of judged files as a page one looks at."""

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
    """The files, each with what it holds and what was found in it."""
    broken = sum(any(found.severity in failing for found in each.findings) for each in inputs)
    profiles = Counter(each.result.profile for each in inputs)
    exchanges = tuple(_report_exchange(each) for each in inputs)
    facts = [
        ("judged by", ", ".join(profiles) or "nothing"),
        ("size", f"{sum(len(each.content) for each in inputs) / 1000:,.1f} kB"),
    ]
    told = ReportPage(
        title="Contract check",
        subject=redact(inputs[0].name) if len(inputs) == 1 else format_count(len(inputs), "exchange"),
        verdict=_verdict_text(broken, len(inputs)),
        passed=not broken,
        created_at=report_time(),
        metadata=tuple(facts),
        exchanges=exchanges,
        coverage=coverage_by_profile(exchanges),
    )
    return render_page(told)


def _report_exchange(checked: CheckedInput) -> ReportExchange:
    """A file; of a chat request also what it is for the Responses API."""
    verdict = checked.result
    told = exchange_from_file(
        checked.name, checked.content, verdict.kind, checked.findings, verdict.profile, verdict.profile_reason
    )
    form = verdict.migration
    if form is None:
        return told
    body = MessageBody("Its form for the Responses API", redact(json.dumps(form.body).decode()), is_json=True)
    notes = tuple((redact(note.pointer), redact(note.message)) for note in form.notes)
    return replace(told, reply=body, details=(*told.details, *notes))


def _verdict_text(failed_count: int, file_count: int) -> str:
    if not failed_count:
        return "keeps the contract" if file_count == 1 else "all keep the contract"
    return "breaks the contract" if file_count == 1 else f"{failed_count} of {file_count} break the contract"
