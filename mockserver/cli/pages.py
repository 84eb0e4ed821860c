"""The report of judged files as a page one looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace

from mockserver.cli.judged import Judged
from mockserver.contract.findings import Severity
from mockserver.reports.coverage import coverage_by_profile
from mockserver.reports.formatting import format_count
from mockserver.reports.model import MessageBody, ReportExchange, ReportPage, report_time
from mockserver.reports.page import render_page
from mockserver.reports.report_exchanges import exchange_from_file
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["page"]


def page(judged: Sequence[Judged], failing: Container[Severity]) -> str:
    """The files, each with what it holds and what was found in it."""
    broken = sum(any(found.severity in failing for found in each.findings) for each in judged)
    profiles = Counter(each.verdict.profile for each in judged)
    exchanges = tuple(_exchange(each) for each in judged)
    facts = [
        ("judged by", ", ".join(profiles) or "nothing"),
        ("size", f"{sum(len(each.data) for each in judged) / 1000:,.1f} kB"),
    ]
    told = ReportPage(
        title="Contract check",
        subject=redact(judged[0].file) if len(judged) == 1 else format_count(len(judged), "exchange"),
        verdict=_verdict(broken, len(judged)),
        passed=not broken,
        created_at=report_time(),
        metadata=tuple(facts),
        exchanges=exchanges,
        coverage=coverage_by_profile(exchanges),
    )
    return render_page(told)


def _exchange(each: Judged) -> ReportExchange:
    """A file; of a chat request also what it is for the Responses API."""
    verdict = each.verdict
    told = exchange_from_file(
        each.file, each.data, verdict.kind, each.findings, verdict.profile, verdict.profile_reason
    )
    form = verdict.migration
    if form is None:
        return told
    body = MessageBody("Its form for the Responses API", redact(json.dumps(form.body).decode()), is_json=True)
    notes = tuple((redact(note.pointer), redact(note.message)) for note in form.notes)
    return replace(told, reply=body, details=(*told.details, *notes))


def _verdict(broken: int, files: int) -> str:
    if not broken:
        return "keeps the contract" if files == 1 else "all keep the contract"
    return "breaks the contract" if files == 1 else f"{broken} of {files} break the contract"
