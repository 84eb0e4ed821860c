"""The report of a run as a page to look at: verdicts, what was learnt, every request with its answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.contract.coverage import Covered
from mockserver.live.client import Crossing
from mockserver.live.origin import Origin
from mockserver.live.verify import Outcome, Run
from mockserver.profiles import load_profile
from mockserver.reports.model import Exchange, Page, Table, made_now
from mockserver.reports.page import html
from mockserver.reports.reading import Asked, read_asked
from mockserver.reports.texts import counted, milliseconds

__all__ = ["page"]


def page(report: Mapping[str, Any], run: Run) -> str:
    """The run as HTML, whole or as far as it has come; once more without the key, as every form."""
    seconds = sum(each.seconds for one in run.outcomes for each in one.crossings)
    spent = report["spent"]
    facts = [
        ("judged as", f"{run.profile}, {run.why}"),
        ("model", run.model),
        ("spent", f"{counted(spent['requests'], 'request')}, {counted(spent['tokens'], 'token')}"),
        ("time of the answers", milliseconds(seconds)),
    ]
    if run.partial:
        facts.append(("partial", run.partial))
    told = Page(
        title="Verification",
        subject=run.origin.base_url,
        verdict=", ".join(f"{count} {name}" for name, count in report["verdicts"].items() if count)
        or "nothing",
        good=not (run.failed or run.drifted or run.partial),
        made=made_now(),
        facts=tuple((what, run.origin.cleaned(value)) for what, value in facts),
        exchanges=tuple(each for outcome in run.outcomes for each in _exchanges(outcome, run)),
        coverage={run.profile: Covered(*(tuple(names) for names in report["coverage"].values()))},
        tables=_tables(report, run.origin),
    )
    return run.origin.cleaned(html(told))


def _tables(report: Mapping[str, Any], origin: Origin) -> tuple[Table, ...]:
    probes = [
        (
            each["id"],
            each["verdict"],
            origin.cleaned(each["reason"] or each["title"]),
            _time(each["requests"]),
        )
        for each in report["probes"]
    ]
    learnt = [(each["question"], origin.cleaned(each["answer"] or "not covered")) for each in report["facts"]]
    return (
        Table("Probes", ("probe", "verdict", "", "ms"), tuple(probes)),
        Table("Learnt", ("question", "answer"), tuple(learnt)),
    )


def _time(requests: list[dict[str, Any]]) -> str:
    times = [each["total_ms"] for each in requests if each["total_ms"] is not None]
    return f"{sum(times):,.0f}" if times else ""


def _exchanges(outcome: Outcome, run: Run) -> Iterator[Exchange]:
    for number, crossing in enumerate(outcome.crossings, start=1):
        more = f" {number}" if len(outcome.crossings) > 1 else ""
        findings = tuple(each.finding for each in outcome.found if each.crossing is crossing)
        yield read_asked(
            Asked(
                name=f"{outcome.probe.title}{more}",
                profile=run.profile,
                method=crossing.ask.method,
                path=load_profile(run.profile).base_path + crossing.ask.path,
                status=crossing.status,
                request=crossing.ask.data,
                pieces=crossing.chunks,
                findings=findings,
                headers=crossing.headers,
                secrets=_secrets(crossing, run),
                group=outcome.probe.id,
                seconds=crossing.seconds,
                about=_about(outcome, crossing),
            )
        )


def _secrets(crossing: Crossing, run: Run) -> tuple[str, ...]:
    return tuple(each for each in (run.origin.key, crossing.ask.key) if each)


def _about(outcome: Outcome, crossing: Crossing) -> tuple[tuple[str, str], ...]:
    verdict = f"{outcome.verdict}: {outcome.reason}" if outcome.reason else str(outcome.verdict)
    end = f"{crossing.end}: {crossing.detail}" if crossing.detail else str(crossing.end)
    return (("verdict", verdict), ("end of the answer", end))
