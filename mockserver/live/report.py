"""The report of a run as data: `schemas/verification.json`, from which every other form is written."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from mockserver import __version__
from mockserver.contract.formatting import finding_to_json
from mockserver.contract.rules import Rule, load_live_rules, load_rules
from mockserver.live.client import Interaction, LiveRequest
from mockserver.live.endpoint import Endpoint
from mockserver.live.findings import LocatedFinding
from mockserver.live.observations import OPEN_QUESTIONS
from mockserver.live.verification import MergedFinding, ProbeResult, Verdict, VerificationRun
from mockserver.wire import json

__all__ = ["REPORT_FORMAT_VERSION", "build_report", "curl_command", "report_bytes"]

#: Version of the report's format; a new number where something is taken away or means another thing.
REPORT_FORMAT_VERSION = 1

#: Characters of a sample that are kept.
_MAX_SAMPLE_CHARS = 4_000


def build_report(run: VerificationRun) -> dict[str, Any]:
    """The run as a JSON value, whole or as far as it has come; no key is in it."""
    covered = run.coverage()
    facts = run.observations
    return {
        "format": REPORT_FORMAT_VERSION,
        "tool": f"responses-mockserver {__version__}",
        "base_url": run.endpoint.base_url,
        "profile": run.profile,
        "why": run.profile_reason,
        "model": run.model,
        "seed": run.seed,
        "partial": run.partial_reason or None,
        "spent": {"requests": run.spent_requests, "tokens": run.spent_tokens},
        "verdicts": {
            verdict.value: sum(each.verdict is verdict for each in run.results) for verdict in Verdict
        },
        "probes": [_probe_row(each) for each in run.results] + _pending_probe_rows(run),
        "findings": [_finding_row(each, run.endpoint) for each in run.findings],
        "facts": [
            {"id": each.id, "question": each.question, "answer": facts[each.id]} for each in OPEN_QUESTIONS
        ],
        "coverage": {
            "seen": list(covered.seen),
            "not_covered": list(covered.missing),
            "rules": list(covered.rules_checked),
            "rules_not_covered": list(covered.rules_not_checked),
        },
    }


def report_bytes(report: Mapping[str, Any], endpoint: Endpoint) -> bytes:
    """The report as JSON text; once more without the key, wherever it may have come from."""
    return endpoint.redact(json.pretty(dict(report)).decode()).encode()


def _probe_row(result: ProbeResult) -> dict[str, Any]:
    return {
        "id": result.probe.id,
        "title": result.probe.title,
        "verdict": result.verdict.value,
        "reason": result.reason or None,
        "requests": [_request_row(each) for each in result.interactions],
    }


def _pending_probe_rows(run: VerificationRun) -> list[dict[str, Any]]:
    """The probes that the run has not come to: not covered, and never called passed."""
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


def _finding_row(merged: MergedFinding, endpoint: Endpoint) -> dict[str, Any]:
    found = merged.first
    rule = _rule(found)
    return {
        "verdict": "fail" if found.is_failure else "drift",
        "title": rule.title,
        **finding_to_json(found.finding),
        "place": merged.key[1],
        "known": merged.in_baseline,
        "probe": merged.probe_ids[0],
        "also": list(merged.probe_ids[1:]),
        "count": merged.count,
        "breaks": rule.reason,
        "source": rule.source,
        "sample": _sample(found),
        "curl": curl_command(found.interaction.request, endpoint),
    }


def _rule(located: LocatedFinding) -> Rule:
    name = located.finding.rule
    return load_live_rules()[name] if name in load_live_rules() else load_rules()[name]


def _sample(located: LocatedFinding) -> str:
    """What shows it: the event, or the body, as far as there is room."""
    crossing, at = located.interaction, located.finding.event
    texts = [frame.data for frame in crossing.frames if frame.data is not None]
    data = texts[at] if at is not None and at < len(texts) else crossing.body.decode(errors="replace")
    return data if len(data) <= _MAX_SAMPLE_CHARS else f"{data[:_MAX_SAMPLE_CHARS]}…"


def curl_command(request: LiveRequest, endpoint: Endpoint) -> str:
    """A command line that asks the same, the key left to its variable: it runs as it is pasted."""
    words = ["curl", "-sS", "-i", *(["-N"] if request.streamed else [])]
    words += [] if request.method == "POST" else ["-X", request.method]
    line = [*words, shlex.quote(endpoint.base_url + request.path)]
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
