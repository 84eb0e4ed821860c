"""The report of a run as data: `schemas/verification.json`, from which every other form is written."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from mockserver import __version__
from mockserver.contract.rules import Rule, live_rules, load_rules
from mockserver.contract.words import as_json
from mockserver.live.client import Ask, Crossing
from mockserver.live.facts import FACTS
from mockserver.live.judging import Found
from mockserver.live.origin import Origin
from mockserver.live.verify import Outcome, Problem, Run, Verdict
from mockserver.wire import json

__all__ = ["FORMAT", "as_bytes", "curl", "report"]

#: Version of the report's format; a new number where something is taken away or means another thing.
FORMAT = 1

#: Characters of a sample that are kept.
_SAMPLE = 4_000


def report(run: Run) -> dict[str, Any]:
    """The run as a JSON value, whole or as far as it has come; no key is in it."""
    covered = run.covered()
    facts = run.facts
    return {
        "format": FORMAT,
        "tool": f"responses-mockserver {__version__}",
        "base_url": run.origin.base_url,
        "profile": run.profile,
        "why": run.why,
        "model": run.model,
        "seed": run.seed,
        "partial": run.partial or None,
        "spent": {"requests": run.spent_requests, "tokens": run.spent_tokens},
        "verdicts": {
            verdict.value: sum(each.verdict is verdict for each in run.outcomes) for verdict in Verdict
        },
        "probes": [_probe(each) for each in run.outcomes] + _not_run(run),
        "findings": [_problem(each, run.origin) for each in run.problems],
        "facts": [{"id": each.id, "question": each.question, "answer": facts[each.id]} for each in FACTS],
        "coverage": {
            "seen": list(covered.seen),
            "not_covered": list(covered.missing),
            "rules": list(covered.rules),
            "rules_not_covered": list(covered.rules_missing),
        },
    }


def as_bytes(report: Mapping[str, Any], origin: Origin) -> bytes:
    """The report as JSON text; once more without the key, wherever it may have come from."""
    return origin.cleaned(json.pretty(dict(report)).decode()).encode()


def _probe(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.probe.id,
        "title": outcome.probe.title,
        "verdict": outcome.verdict.value,
        "reason": outcome.reason or None,
        "requests": [_request(each) for each in outcome.crossings],
    }


def _not_run(run: Run) -> list[dict[str, Any]]:
    """The probes that the run has not come to: not covered, and never called passed."""
    reason = f"not run: {run.partial}"
    return [
        {
            "id": each.id,
            "title": each.title,
            "verdict": Verdict.NOT_COVERED.value,
            "reason": reason,
            "requests": [],
        }
        for each in run.planned[len(run.outcomes) :]
    ]


def _request(crossing: Crossing) -> dict[str, Any]:
    return {
        "method": crossing.ask.method,
        "path": crossing.ask.path,
        "stream": crossing.ask.streamed,
        "status": crossing.status,
        "end": crossing.end.value,
        "bytes": len(crossing.body),
        "tokens": crossing.tokens,
        "first_byte_ms": _ms(crossing.first_byte),
        "first_token_ms": _ms(crossing.first_token),
        "longest_gap_ms": _ms(crossing.longest_gap),
        "total_ms": _ms(crossing.seconds),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _problem(problem: Problem, origin: Origin) -> dict[str, Any]:
    found = problem.first
    rule = _rule(found)
    return {
        "verdict": "fail" if found.is_fail else "drift",
        "title": rule.title,
        **as_json(found.finding),
        "place": problem.key[1],
        "known": problem.known,
        "probe": problem.probes[0],
        "also": list(problem.probes[1:]),
        "count": problem.count,
        "breaks": rule.reason,
        "source": rule.source,
        "sample": _sample(found),
        "curl": curl(found.crossing.ask, origin),
    }


def _rule(found: Found) -> Rule:
    name = found.finding.rule
    return live_rules()[name] if name in live_rules() else load_rules()[name]


def _sample(found: Found) -> str:
    """What shows it: the event, or the body, as far as there is room."""
    crossing, at = found.crossing, found.finding.event
    texts = [frame.data for frame in crossing.frames if frame.data is not None]
    data = texts[at] if at is not None and at < len(texts) else crossing.body.decode(errors="replace")
    return data if len(data) <= _SAMPLE else f"{data[:_SAMPLE]}…"


def curl(ask: Ask, origin: Origin) -> str:
    """A command line that asks the same, the key left to its variable: it runs as it is pasted."""
    words = ["curl", "-sS", "-i", *(["-N"] if ask.streamed else [])]
    words += [] if ask.method == "POST" else ["-X", ask.method]
    line = [*words, shlex.quote(origin.base_url + ask.path)]
    if ask.key == "":
        line += ["-H", f'"Authorization: Bearer ${origin.key_name}"']
    elif ask.key is not None:
        line += ["-H", shlex.quote(f"Authorization: Bearer {ask.key}")]
    for name, value in ask.headers.items():
        line += ["-H", shlex.quote(f"{name}: {value}")]
    if ask.body is not None:
        line += [
            "-H",
            "'Content-Type: application/json'",
            "-d",
            shlex.quote(ask.data.decode(errors="replace")),
        ]
    return " ".join(line)
