"""Compare two JSON reports of `mockserver verify`: verdicts, findings, observations and coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.documents.problems import first_problem
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.wire import json
from mockserver.wire.text_files import to_utf8

__all__ = ["is_verification_report", "parse_verification_report", "report_changes"]

Report = Mapping[str, Any]

#: Verdicts from good to bad; all others are neither.
_VERDICT_ORDER = ("pass", "drift", "fail")


def is_verification_report(value: Any) -> bool:
    """Whether a JSON value looks like a report."""
    return isinstance(value, dict) and {"probes", "findings", "verdicts"} <= value.keys()


def parse_verification_report(data: bytes, file: str) -> Report:
    """Parse the content of a file. Raises ConfigurationError if it is not a valid report."""
    try:
        value = json.loads(to_utf8(data))
    except InvalidJSON as error:
        raise ConfigurationError(f"cannot read {file}: {error}") from None
    problem = first_problem(_report_validator(), value)
    if problem is not None:
        raise ConfigurationError(
            f"{file} is not a report of `mockserver verify`: {problem.pointer}: {problem.reason}"
        )
    report: Report = value
    return report


@cache
def _report_validator() -> jsonschema_rs.Draft202012Validator:
    schema = (resources.data_folder("schemas") / "verification.json").read_bytes()
    return jsonschema_rs.Draft202012Validator(json.loads(schema))


def report_changes(before: Report, after: Report) -> list[Change]:
    """What changed from one run to the other."""
    return merge_changes(_changes(before, after))


def _changes(before: Report, after: Report) -> Iterator[Change]:
    if before["profile"] != after["profile"]:
        yield new_change("fact-changed", "profile", before["profile"], after["profile"])
    yield from _verdict_changes(before, after)
    old, new = ({(each["rule"], each["place"]): each for each in one["findings"]} for one in (before, after))
    for key in sorted(new.keys() - old.keys()):
        kind = "finding-added" if new[key]["verdict"] == "fail" else "drift-added"
        yield new_change(kind, " ".join(key).strip(), after=new[key]["message"])
    for key in sorted(old.keys() - new.keys()):
        yield new_change("finding-removed", " ".join(key).strip(), old[key]["message"])
    old_answers, new_answers = (
        {each["id"]: each["answer"] for each in one["facts"]} for one in (before, after)
    )
    for name in sorted(old_answers.keys() & new_answers.keys()):
        answers = old_answers[name], new_answers[name]
        if answers[0] != answers[1] and None not in answers:
            yield new_change("fact-changed", name, *answers)
    old_seen, new_seen = (set(one["coverage"]["seen"]) for one in (before, after))
    yield from (new_change("coverage-removed", name) for name in sorted(old_seen - new_seen))
    yield from (new_change("coverage-added", name) for name in sorted(new_seen - old_seen))


def _verdict_changes(before: Report, after: Report) -> Iterator[Change]:
    """Probes with another verdict, unless a finding already explains it."""
    old, new = ({each["id"]: each["verdict"] for each in one["probes"]} for one in (before, after))
    explained = {each["probe"] for one in (before, after) for each in one["findings"]}
    explained |= {name for one in (before, after) for each in one["findings"] for name in each["also"]}
    for name in sorted(old.keys() & new.keys()):
        was, now = old[name], new[name]
        if was == now or name in explained:
            continue
        is_ordered = was in _VERDICT_ORDER and now in _VERDICT_ORDER
        is_better = is_ordered and _VERDICT_ORDER.index(now) < _VERDICT_ORDER.index(was)
        is_better = is_better or (was not in _VERDICT_ORDER and now == "pass")
        yield new_change("verdict-better" if is_better else "verdict-worse", name, was, now)
