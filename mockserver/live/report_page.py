"""The HTML report of a verification run: verdicts, observations, and every request with its reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.contract.coverage import ContractCoverage
from mockserver.contract.findings import Finding
from mockserver.live.client import Interaction
from mockserver.live.endpoint import Endpoint
from mockserver.live.report import MAX_SHOWN_FINDINGS, cut_at_boundary, spending_text
from mockserver.live.verification import ProbeResult, VerificationRun
from mockserver.profiles import load_profile
from mockserver.reports.formatting import format_count, format_duration
from mockserver.reports.model import ReportExchange, ReportPage, Table, report_time
from mockserver.reports.page import render_page
from mockserver.reports.report_exchanges import RawExchange, exchange_from_raw

__all__ = ["render_report_page"]

#: Bytes of a reply that the page shows; the replies to the probes have a few KiB.
_MAX_SHOWN_BYTES = 512 << 10


def render_report_page(report: Mapping[str, Any], run: VerificationRun) -> str:
    """A finished or unfinished run as HTML, with the key redacted."""
    seconds = sum(each.duration for one in run.results for each in one.interactions)
    spent = report["spent"]
    facts = [
        ("profile", f"{run.profile}, {run.profile_reason}"),
        ("model", run.model),
        ("spent", f"{format_count(spent['requests'], 'request')}, {format_count(spent['tokens'], 'token')}"),
        ("cost", spending_text(spent)),
        ("total response time", format_duration(seconds)),
    ]
    plan = report["plan"]
    facts.append(("plan", f"{plan['completed']} of {plan['applicable']} applicable probes ran"))
    if run.partial_reason:
        facts.append(("partial", run.partial_reason))
    counts = ", ".join(f"{count} {name}" for name, count in report["verdicts"].items() if count)
    is_incomplete = bool(plan["incomplete"]) and not run.allow_incomplete
    page = ReportPage(
        title="Verification",
        subject=run.endpoint.base_url,
        verdict=f"{report['verdict']}: {counts}" if counts else "no probe ran",
        passed=not (run.has_failures or run.has_new_drift or run.partial_reason or is_incomplete),
        created_at=report_time(),
        metadata=tuple((name, run.endpoint.redact(value)) for name, value in facts),
        exchanges=tuple(each for result in run.results for each in _exchanges(result, run)),
        coverage={run.profile: ContractCoverage(*(tuple(names) for names in report["coverage"].values()))},
        tables=_tables(report, run.endpoint),
    )
    return run.endpoint.redact_page(render_page(page))


def _tables(report: Mapping[str, Any], endpoint: Endpoint) -> tuple[Table, ...]:
    probes = [
        (
            each["id"],
            each["verdict"],
            endpoint.redact(each["reason"] or each["title"]),
            _total_milliseconds(each["requests"]),
        )
        for each in report["probes"]
    ]
    observed = [
        (each["question"], endpoint.redact(each["answer"] or "not covered")) for each in report["facts"]
    ]
    return (
        Table("Probes", ("probe", "verdict", "", "ms"), tuple(probes)),
        Table("Observed", ("question", "answer"), tuple(observed)),
    )


def _total_milliseconds(requests: list[dict[str, Any]]) -> str:
    times = [each["total_ms"] for each in requests if each["total_ms"] is not None]
    return f"{sum(times):,.0f}" if times else ""


def _exchanges(result: ProbeResult, run: VerificationRun) -> Iterator[ReportExchange]:
    for number, interaction in enumerate(result.interactions, start=1):
        suffix = f" {number}" if len(result.interactions) > 1 else ""
        findings = _findings(result, interaction)[:MAX_SHOWN_FINDINGS]
        yield exchange_from_raw(
            RawExchange(
                name=f"{result.probe.title}{suffix}",
                profile=run.profile,
                method=interaction.request.method,
                path=load_profile(run.profile).base_path + interaction.request.path,
                status=interaction.status,
                request_body=interaction.request.content,
                chunks=_shown_chunks(interaction),
                reply_findings=findings,
                reply_headers=interaction.headers,
                secrets=_secrets(interaction, run),
                group=result.probe.id,
                duration=interaction.duration,
                details=_exchange_details(result, interaction),
            )
        )


def _findings(result: ProbeResult, interaction: Interaction) -> tuple[Finding, ...]:
    """The findings in an interaction, the failures first."""
    located = [each for each in result.findings if each.interaction is interaction]
    return tuple(each.finding for each in sorted(located, key=lambda each: not each.is_failure))


def _secrets(interaction: Interaction, run: VerificationRun) -> tuple[str, ...]:
    return tuple(each for each in (run.endpoint.api_key, interaction.request.api_key) if each)


def _exchange_details(result: ProbeResult, interaction: Interaction) -> tuple[tuple[str, str], ...]:
    verdict = f"{result.verdict}: {result.reason}" if result.reason else str(result.verdict)
    end = f"{interaction.end}: {interaction.detail}" if interaction.detail else str(interaction.end)
    details = [("verdict", verdict), ("end of the reply", end)]
    left_out = len(_findings(result, interaction)) - MAX_SHOWN_FINDINGS
    if left_out > 0:
        details.append(("findings", f"the first {MAX_SHOWN_FINDINGS}, and {left_out:,} more"))
    shown, size = _shown_bytes(interaction), len(interaction.body)
    if shown < size:
        details.append(("shown", f"the first {shown:,} of {size:,} bytes"))
    return tuple(details)


def _shown_bytes(interaction: Interaction) -> int:
    """How many bytes of the reply to show; the cut goes through no string, because half a key is no key."""
    if not interaction.is_stream or len(interaction.body) <= _MAX_SHOWN_BYTES:
        return len(cut_at_boundary(interaction.body, _MAX_SHOWN_BYTES))
    end = interaction.body.rfind(b"\n\n", 0, _MAX_SHOWN_BYTES)
    return 0 if end < 0 else end + 2


def _shown_chunks(interaction: Interaction) -> tuple[tuple[float, bytes], ...]:
    """The chunks of the reply, or those of its start."""
    shown, left = [], _shown_bytes(interaction)
    for at, data in interaction.chunks:
        if left > 0:
            shown.append((at, data[:left]))
            left -= len(data)
    return tuple(shown)
