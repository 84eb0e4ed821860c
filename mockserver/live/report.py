"""The report of a run as a JSON value (`schemas/verification.json`), the input to every report format."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mockserver import __version__
from mockserver.contract.formatting import finding_to_json, redact_finding
from mockserver.contract.rules import Rule, load_live_rules, load_rules
from mockserver.live.client import Interaction, LiveRequest
from mockserver.live.endpoint import Endpoint
from mockserver.live.findings import LocatedFinding
from mockserver.live.observations import OPEN_QUESTIONS
from mockserver.live.spending import Spending
from mockserver.live.verification import MergedFinding, ProbeResult, Verdict, VerificationRun
from mockserver.wire import json
from mockserver.wire.terminal import escape_unprintable

__all__ = [
    "MAX_SHOWN_FINDINGS",
    "REPORT_FORMAT_VERSION",
    "build_report",
    "curl_command",
    "cut_at_boundary",
    "report_bytes",
    "spending_text",
]

#: Version of the report's format; raised if a key is removed or changes its meaning.
REPORT_FORMAT_VERSION = 1

#: Maximum length of a sample.
_MAX_SAMPLE_CHARS = 4_000

#: Findings that a report shows, the failures first; it counts the others.
MAX_SHOWN_FINDINGS = 1_000


def build_report(run: VerificationRun) -> dict[str, Any]:
    """The report of a finished or unfinished run, without the API key."""
    progress, findings = run.progress, run.findings
    return {
        "format": REPORT_FORMAT_VERSION,
        "tool": f"responses-mockserver {__version__}",
        "base_url": run.endpoint.base_url,
        "profile": run.profile,
        "why": run.profile_reason,
        "model": run.model,
        "seed": run.seed,
        "partial": run.partial_reason or None,
        "verdict": run.verdict.value,
        "plan": {
            "applicable": progress.applicable,
            "completed": progress.completed,
            "incomplete": list(progress.incomplete),
        },
        "expected": _spending_row(run.expected_spending, run),
        "spent": {
            "requests": run.spent_requests,
            "tokens": run.spent_tokens,
            **_spending_row(run.spending, run),
        },
        "verdicts": _verdict_counts(run),
        "probes": [_probe_row(each, run.endpoint) for each in run.results] + _pending_probe_rows(run),
        "findings": _finding_rows(findings, run.endpoint),
        "findings_left_out": max(0, len(findings) - MAX_SHOWN_FINDINGS),
        "facts": _fact_rows(run),
        "coverage": _coverage(run),
    }


def report_bytes(report: Mapping[str, Any], endpoint: Endpoint) -> bytes:
    """The report as JSON text, with the key redacted."""
    return endpoint.redact_page(json.pretty(dict(report)).decode()).encode()


def spending_text(spending: Mapping[str, Any]) -> str:
    """Input, output and calls of tools of a report, and what they cost if it has prices."""
    cached = f" ({spending['cached_tokens']:,} cached)" if spending["cached_tokens"] else ""
    calls = [f"{count} {escape_unprintable(name)}" for name, count in spending["tool_calls"].items()]
    parts = [
        f"{spending['input_tokens']:,} input{cached} and {spending['output_tokens']:,} output tokens",
        f"tool calls: {', '.join(calls) or 'none'}",
        *([_format_cost(spending["cost"])] if "cost" in spending else []),
    ]
    return "; ".join(parts)


def _format_cost(cost: Mapping[str, Any]) -> str:
    """An amount of money, and what it lacks."""
    names = ", ".join(map(escape_unprintable, cost["unpriced_tools"]))
    lacking = f", without the calls of {names}, which have no price" if names else ""
    return f"{cost['amount']:,.4f} {cost['currency']}{lacking}"


def _spending_row(spending: Spending, run: VerificationRun) -> dict[str, Any]:
    row: dict[str, Any] = {
        "input_tokens": spending.input_tokens,
        "cached_tokens": spending.cached_tokens,
        "output_tokens": spending.output_tokens,
        "tool_calls": {run.endpoint.redact(name): count for name, count in spending.tool_calls.items()},
    }
    if run.prices is not None:
        cost = run.prices.cost(spending, run.model)
        unpriced = [run.endpoint.redact(name) for name in cost.unpriced_tools]
        row["cost"] = {"amount": cost.amount, "currency": cost.currency, "unpriced_tools": unpriced}
    return row


def _verdict_counts(run: VerificationRun) -> dict[str, int]:
    return {verdict.value: sum(each.verdict is verdict for each in run.results) for verdict in Verdict}


def _fact_rows(run: VerificationRun) -> list[dict[str, Any]]:
    """Rows for what the run observed where the documents are silent."""
    answers = run.observations
    return [
        {
            "id": each.id,
            "question": each.question,
            "answer": _redact_answer(answers[each.id], run.endpoint),
        }
        for each in OPEN_QUESTIONS
    ]


def _coverage(run: VerificationRun) -> dict[str, list[str]]:
    coverage = run.coverage()
    return {
        "seen": list(coverage.seen),
        "not_covered": list(coverage.missing),
        "rules": list(coverage.rules_checked),
        "rules_not_covered": list(coverage.rules_not_checked),
    }


def _probe_row(result: ProbeResult, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": result.probe.id,
        "title": result.probe.title,
        "verdict": result.verdict.value,
        "reason": endpoint.redact(result.reason) or None,
        "requests": [_request_row(each) for each in result.interactions],
    }


def _pending_probe_rows(run: VerificationRun) -> list[dict[str, Any]]:
    """Rows for the probes that have not run: not covered, never passed."""
    reason = f"not run: {run.partial_reason}"
    return [
        {
            "id": each.id,
            "title": each.title,
            "verdict": Verdict.NOT_COVERED.value,
            "reason": reason,
            "requests": [],
        }
        for each in run.probes[len(run.results) :]
    ]


def _request_row(interaction: Interaction) -> dict[str, Any]:
    return {
        "method": interaction.request.method,
        "path": interaction.request.path,
        "stream": interaction.request.streamed,
        "status": interaction.status,
        "end": interaction.end.value,
        "bytes": len(interaction.body),
        "tokens": interaction.tokens,
        "first_byte_ms": _milliseconds(interaction.time_to_first_byte),
        "first_token_ms": _milliseconds(interaction.time_to_first_token),
        "longest_gap_ms": _milliseconds(interaction.longest_gap),
        "total_ms": _milliseconds(interaction.duration),
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _finding_rows(findings: Sequence[MergedFinding], endpoint: Endpoint) -> list[dict[str, Any]]:
    body_samples: dict[int, str] = {}
    return [_finding_row(each, endpoint, body_samples) for each in findings[:MAX_SHOWN_FINDINGS]]


def _finding_row(merged: MergedFinding, endpoint: Endpoint, body_samples: dict[int, str]) -> dict[str, Any]:
    first = merged.first
    rule = _rule(first)
    return {
        "verdict": "fail" if first.is_failure else "drift",
        "title": rule.title,
        **finding_to_json(redact_finding(first.finding, endpoint.secrets)),
        "place": merged.key[1],
        "known": merged.in_baseline,
        "probe": merged.probe_ids[0],
        "also": list(merged.probe_ids[1:]),
        "count": merged.count,
        "breaks": rule.reason,
        "source": rule.source,
        "sample": _sample(first, endpoint, body_samples),
        "curl": curl_command(first.interaction.request, endpoint),
    }


def _rule(located: LocatedFinding) -> Rule:
    name = located.finding.rule
    return load_live_rules()[name] if name in load_live_rules() else load_rules()[name]


def _redact_answer(answer: str | None, endpoint: Endpoint) -> str | None:
    return None if answer is None else endpoint.redact(answer)


def _sample(located: LocatedFinding, endpoint: Endpoint, body_samples: dict[int, str]) -> str:
    """The event or body with the finding, shortened; a body may have many findings, and is redacted once."""
    interaction, event = located.interaction, located.finding.event
    texts = [frame.data for frame in interaction.frames if frame.data is not None]
    in_stream = event is not None and event < len(texts)
    if in_stream:
        return _shorten(endpoint.redact_body(texts[event or 0]))
    if id(interaction) not in body_samples:
        body = cut_at_boundary(interaction.body, 4 * _MAX_SAMPLE_CHARS).decode(errors="replace")
        body_samples[id(interaction)] = _shorten(endpoint.redact_body(body))
    return body_samples[id(interaction)]


def cut_at_boundary(data: bytes, max_bytes: int) -> bytes:
    """The start of `data`, cut before a word or string: redaction does not recognize half a key."""
    if len(data) <= max_bytes:
        return data
    return data[: 1 + max(data.rfind(mark, 0, max_bytes) for mark in (b'"', b" ", b"\n"))]


def _shorten(data: str) -> str:
    return data if len(data) <= _MAX_SAMPLE_CHARS else f"{data[:_MAX_SAMPLE_CHARS]}…"


def curl_command(request: LiveRequest, endpoint: Endpoint) -> str:
    """A curl command that repeats the request; it names the key's variable instead of the key."""
    line = ["curl", "-sS", "-i", *(["-N"] if request.streamed else [])]
    line += [] if request.method == "POST" else ["-X", request.method]
    line.append(shlex.quote(endpoint.base_url + request.path))
    if request.api_key == "":
        line += ["-H", f'"Authorization: Bearer ${endpoint.api_key_env}"']
    elif request.api_key is not None:
        line += ["-H", shlex.quote(f"Authorization: Bearer {request.api_key}")]
    for name, value in request.headers.items():
        line += ["-H", shlex.quote(f"{name}: {value}")]
    if request.body is not None:
        line += [
            "-H",
            "'Content-Type: application/json'",
            "-d",
            shlex.quote(request.content.decode(errors="replace")),
        ]
    return " ".join(line)
