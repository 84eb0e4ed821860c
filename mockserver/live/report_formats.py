"""Report formats of a verification run: text, JSON, JUnit, Markdown and HTML.

All but the HTML page are written from the report's JSON value alone. An endpoint's texts are untrusted:
every format escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from mockserver.contract.formatting import comparison_lines, escape_xml
from mockserver.live.report import report_bytes, spending_text
from mockserver.live.verification import VerificationRun
from mockserver.wire.terminal import escape_unprintable

__all__ = ["REPORT_FORMATS", "write_plan"]

Report: TypeAlias = Mapping[str, Any]
ReportWriter: TypeAlias = Callable[[Report, VerificationRun], str]

_VERDICT_SYMBOLS = {"pass": "✔", "fail": "✘", "drift": "≠", "inconclusive": "?", "not covered": "-"}


def write_plan(
    report: Report, probes: list[tuple[str, str, int, int, str | None]], budget: tuple[int, int]
) -> str:
    """The plan and its cost. `probes` are rows of (id, title, requests, tokens, reason to skip or None)."""
    planned = [row for row in probes if row[4] is None]
    requests, tokens = sum(row[2] for row in planned), sum(row[3] for row in planned)
    lines = [
        f"Verifying {report['base_url']}",
        f"  profile    {report['profile']}, {report['why']}",
        f"  model      {report['model']}",
        f"  plan       {len(planned)} probes, {requests} requests, about {tokens:,} tokens",
        f"  cost       {spending_text(report['expected'])}",
        f"  budget     {budget[0]} requests, {budget[1]:,} tokens",
    ]
    if requests > budget[0] or tokens > budget[1]:
        lines.append("  warning    the plan exceeds the budget: the run will be incomplete")
    lines.append("")
    for name, title, count, cost, skip_reason in probes:
        note = skip_reason or f"{count} request{'s' if count > 1 else ''}, ~{cost:,} tokens"
        lines.append(f"  {name:24}{escape_unprintable(title)} ({escape_unprintable(note)})")
    return "\n".join(lines) + "\n"


def _write_text(report: Report, _: VerificationRun) -> str:
    lines = [
        f"{report['base_url']}, model {escape_unprintable(report['model'])}",
        f"profile {report['profile']}, {escape_unprintable(report['why'])}",
    ]
    if report["partial"]:
        lines.append(f"PARTIAL: {escape_unprintable(report['partial'])}")
    lines += ["", *_probe_lines(report), ""]
    for finding in report["findings"]:
        lines += [*_finding_lines(finding), ""]
    lines += [*_left_out_lines(report), ""] if report["findings_left_out"] else []
    lines += ["Observed:", *_observation_lines(report), "", _coverage_line(report), ""]
    lines += [_progress_line(report), _summary_line(report)]
    return "\n".join(lines) + "\n"


def _probe_lines(report: Report) -> Iterator[str]:
    for probe in report["probes"]:
        reason = f": {escape_unprintable(probe['reason'])}" if probe["reason"] else ""
        yield f"{_VERDICT_SYMBOLS[probe['verdict']]} {probe['id']:24}{probe['verdict']}{reason}{_probe_timing(probe)}"


def _probe_timing(probe: Mapping[str, Any]) -> str:
    """Time to first byte and token and the longest gap of the slowest request; never a finding."""
    slowest = max(probe["requests"], key=lambda each: each["total_ms"] or 0, default=None)
    if slowest is None:
        return ""
    labels = (
        ("first_byte_ms", "first byte"),
        ("first_token_ms", "first token"),
        ("longest_gap_ms", "longest gap"),
    )
    times = [f"{label} {slowest[name]:.0f} ms" for name, label in labels if slowest[name] is not None]
    times.append(f"total {slowest['total_ms']:.0f} ms")
    return f"  ({', '.join(times)})"


def _finding_lines(finding: Mapping[str, Any]) -> Iterator[str]:
    in_baseline = ", in the baseline" if finding["known"] else ""
    yield f"{finding['verdict'].upper()} {finding['rule']} {finding['title']}{in_baseline}"
    also = f" (also {', '.join(finding['also'])})" if finding["also"] else ""
    event = "" if finding["event"] is None else f", event {finding['event']}"
    pointer = f"{event} {finding['pointer']}".rstrip()
    yield escape_unprintable(f"  probe {finding['probe']}{also}{pointer}: {finding['message']}")
    yield from comparison_lines(finding["expected"], finding["got"])
    yield escape_unprintable(
        f"  Location   {finding['place']}, {finding['count']} time{'s' if finding['count'] > 1 else ''}"
    )
    yield f"  Impact     {finding['breaks']}"
    yield f"  Source     {finding['source']}"
    yield f"  Reproduce  {escape_unprintable(finding['curl'])}"


def _left_out_lines(report: Report) -> Iterator[str]:
    if report["findings_left_out"]:
        yield f"and {report['findings_left_out']:,} more findings"


def _observation_lines(report: Report) -> Iterator[str]:
    for fact in report["facts"]:
        yield f"  {fact['question'] + ':':44}{escape_unprintable(fact['answer'] or 'not covered')}"


def _coverage_line(report: Report) -> str:
    coverage = report["coverage"]
    seen, missing = len(coverage["seen"]), len(coverage["not_covered"])
    rules, unchecked = len(coverage["rules"]), len(coverage["rules_not_covered"])
    return (
        f"Coverage: {seen} of {seen + missing} members, types and values seen; "
        f"{rules} of {rules + unchecked} rules apply to a kind of body that was seen. The rest is not covered."
    )


def _progress_line(report: Report) -> str:
    plan = report["plan"]
    return f"{report['verdict']}: {plan['completed']} of {plan['applicable']} applicable probes ran"


def _summary_line(report: Report) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in report["verdicts"].items() if count)
    spent = report["spent"]
    return (
        f"{counts or 'no probe ran'}; {spent['requests']} requests and {spent['tokens']:,} tokens spent "
        f"({spending_text(spent)})"
    )


def _write_json(report: Report, run: VerificationRun) -> str:
    return report_bytes(report, run.endpoint).decode()


def _write_junit(report: Report, run: VerificationRun) -> str:
    """A test case for each probe; new drift is a failure, and a probe that was cut off is an error."""
    incomplete = () if run.allow_incomplete else report["plan"]["incomplete"]
    has_new = {name for each in run.findings if not each.in_baseline for name in each.probe_ids}
    cases = [
        _junit_case(probe, report, has_new=probe["id"] in has_new, is_error=probe["id"] in incomplete)
        for probe in report["probes"]
    ]
    failures = sum("<failure" in each for each in cases)
    skipped = sum("<skipped" in each for each in cases)
    errors = sum("<error" in each for each in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" skipped="{skipped}" errors="{errors}"'
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n'
        f'  <testsuite name="{escape_xml(report["base_url"])}" {counts}>\n{"".join(cases)}'
        "  </testsuite>\n</testsuites>\n"
    )


def _junit_case(probe: Mapping[str, Any], report: Report, *, has_new: bool, is_error: bool) -> str:
    seconds = sum(each["total_ms"] or 0 for each in probe["requests"]) / 1000
    head = f'    <testcase classname="{escape_xml(report["profile"])}" name="{probe["id"]}" time="{seconds:.3f}">'
    body = ""
    shown = [each for each in report["findings"] if probe["id"] in (each["probe"], *each["also"])]
    new = [each for each in shown if not each["known"]]
    if probe["verdict"] == "fail" or (probe["verdict"] == "drift" and has_new):
        text = "\n".join([*(line for each in new for line in _finding_lines(each)), *_left_out_lines(report)])
        message = escape_xml("; ".join(f"{each['rule']} {each['message']}" for each in new))
        body = f'<failure type="{probe["verdict"]}" message="{message}">{escape_xml(text)}</failure>'
    elif is_error:
        body = f'<error type="incomplete" message="{escape_xml(probe["reason"] or "")}"/>'
    elif probe["verdict"] in ("inconclusive", "not covered"):
        body = f'<skipped message="{escape_xml(probe["verdict"] + ": " + (probe["reason"] or ""))}"/>'
    return f"{head}{body}</testcase>\n"


def _write_markdown(report: Report, _: VerificationRun) -> str:
    lines = [f"## Contract of {_markdown_code(report['base_url'])}", ""]
    if report["partial"]:
        lines += [f"**Partial:** {_escape_markdown(report['partial'])}", ""]
    lines += [
        f"**{_escape_markdown(_progress_line(report))}**",
        "",
        (
            f"{_escape_markdown(_summary_line(report))}. "
            f"Profile {_markdown_code(report['profile'])}, {_escape_markdown(report['why'])}."
        ),
        "",
    ]
    lines += ["| probe | verdict | |", "|---|---|---|"]
    for probe in report["probes"]:
        reason = _escape_markdown(probe["reason"] or probe["title"])
        lines.append(
            f"| {_markdown_code(probe['id'])} | {_VERDICT_SYMBOLS[probe['verdict']]} {probe['verdict']} | {reason} |"
        )
    for finding in report["findings"]:
        lines += ["", f"### {finding['verdict']}: {finding['rule']} {finding['title']}", ""]
        lines += ["```text", *(_escape_fence(line) for line in _finding_lines(finding)), "```"]
    for line in _left_out_lines(report):
        lines += ["", line]
    lines += ["", "| observed | |", "|---|---|"]
    lines += [
        f"| {each['question']} | {_escape_markdown(each['answer'] or 'not covered')} |"
        for each in report["facts"]
    ]
    return "\n".join([*lines, "", _coverage_line(report)]) + "\n"


def _escape_markdown(text: str) -> str:
    """`text` with all Markdown markup escaped."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#!&~" else each for each in escape_unprintable(text))


def _markdown_code(text: str) -> str:
    return f"`{escape_unprintable(text).replace('`', '').replace('|', '')}`"


def _escape_fence(line: str) -> str:
    return line.replace("```", "'''")


def _write_html(report: Report, run: VerificationRun) -> str:
    from mockserver.live.report_page import render_report_page

    return render_report_page(report, run)


REPORT_FORMATS: Mapping[str, ReportWriter] = MappingProxyType(
    {
        "text": _write_text,
        "json": _write_json,
        "junit": _write_junit,
        "markdown": _write_markdown,
        "html": _write_html,
    }
)
"""Functions that write a report, by the name of its format."""
