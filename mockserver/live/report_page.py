"""The report of a run as a page to look at: verdicts, what was learnt, every request with its answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.contract.coverage import ContractCoverage
from mockserver.live.client import Interaction
from mockserver.live.endpoint import Endpoint
from mockserver.live.verification import ProbeResult, VerificationRun
from mockserver.profiles import load_profile
from mockserver.reports.model import Exchange, Page, Table, made_now
from mockserver.reports.page import html
from mockserver.reports.reading import Asked, read_asked
from mockserver.reports.texts import counted, milliseconds

__all__ = ["render_report_page"]


def render_report_page(report: Mapping[str, Any], run: VerificationRun) -> str:
    """The run as HTML, whole or as far as it has come; once more without the key, as every form."""
    seconds = sum(each.duration for one in run.results for each in one.interactions)
    spent = report["spent"]
    facts = [
        ("judged as", f"{run.profile}, {run.profile_reason}"),
        ("model", run.model),
        ("spent", f"{counted(spent['requests'], 'request')}, {counted(spent['tokens'], 'token')}"),
        ("time of the answers", milliseconds(seconds)),
    ]
    if run.partial_reason:
        facts.append(("partial", run.partial_reason))
    told = Page(
        title="Verification",
        subject=run.endpoint.base_url,
        verdict=", ".join(f"{count} {name}" for name, count in report["verdicts"].items() if count)
        or "nothing",
        good=not (run.has_failures or run.has_new_drift or run.partial_reason),
        made=made_now(),
        facts=tuple((what, run.endpoint.redact(value)) for what, value in facts),
        exchanges=tuple(each for outcome in run.results for each in _exchanges(outcome, run)),
        coverage={run.profile: ContractCoverage(*(tuple(names) for names in report["coverage"].values()))},
        tables=_tables(report, run.endpoint),
    )
    return run.endpoint.redact(html(told))


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
    learnt = [
        (each["question"], endpoint.redact(each["answer"] or "not covered")) for each in report["facts"]
    ]
    return (
        Table("Probes", ("probe", "verdict", "", "ms"), tuple(probes)),
        Table("Learnt", ("question", "answer"), tuple(learnt)),
    )


def _total_milliseconds(requests: list[dict[str, Any]]) -> str:
    times = [each["total_ms"] for each in requests if each["total_ms"] is not None]
    return f"{sum(times):,.0f}" if times else ""


def _exchanges(result: ProbeResult, run: VerificationRun) -> Iterator[Exchange]:
    for number, crossing in enumerate(result.interactions, start=1):
        more = f" {number}" if len(result.interactions) > 1 else ""
        findings = tuple(each.finding for each in result.findings if each.interaction is crossing)
        yield read_asked(
            Asked(
                name=f"{result.probe.title}{more}",
                profile=run.profile,
                method=crossing.request.method,
                path=load_profile(run.profile).base_path + crossing.request.path,
                status=crossing.status,
                request=crossing.request.content,
                pieces=crossing.chunks,
                findings=findings,
                headers=crossing.headers,
                secrets=_secrets(crossing, run),
                group=result.probe.id,
                seconds=crossing.duration,
                about=_exchange_details(result, crossing),
            )
        )


def _secrets(interaction: Interaction, run: VerificationRun) -> tuple[str, ...]:
    return tuple(each for each in (run.endpoint.api_key, interaction.request.api_key) if each)


def _exchange_details(result: ProbeResult, interaction: Interaction) -> tuple[tuple[str, str], ...]:
    verdict = f"{result.verdict}: {result.reason}" if result.reason else str(result.verdict)
    end = f"{interaction.end}: {interaction.detail}" if interaction.detail else str(interaction.end)
    return (("verdict", verdict), ("end of the answer", end))
