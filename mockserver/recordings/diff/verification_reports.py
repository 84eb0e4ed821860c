"""Two reports of `mockserver verify`, compared: verdicts, findings, facts, and what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.wire import json

__all__ = ["is_verification_report", "read_verification_report", "report_changes"]

Report = Mapping[str, Any]

#: Verdicts from good to bad; those that say nothing are neither.
_VERDICT_ORDER = ("pass", "drift", "fail")


def is_verification_report(value: Any) -> bool:
    """Whether a JSON value is meant to be a report."""
    return isinstance(value, dict) and {"probes", "findings", "verdicts"} <= value.keys()


def read_verification_report(file: Path) -> Report:
    """The report in a file; ConfigurationError where it is none."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, InvalidJSON) as error:
        raise ConfigurationError(f"{file} can not be read: {error}") from None
    for problem in _report_validator().iter_errors(value):
        pointer = json.format_pointer(problem.instance_path)
        raise ConfigurationError(f"{file} is no report of `mockserver verify`: {pointer}: {problem.message}")
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
    was, now = ({each["id"]: each["answer"] for each in one["facts"]} for one in (before, after))
    for name in sorted(was.keys() & now.keys()):
        if was[name] != now[name] and None not in (was[name], now[name]):
            yield new_change("fact-changed", name, was[name], now[name])
    seen, sees = (set(one["coverage"]["seen"]) for one in (before, after))
    yield from (new_change("coverage-removed", name) for name in sorted(seen - sees))
    yield from (new_change("coverage-added", name) for name in sorted(sees - seen))


def _verdict_changes(before: Report, after: Report) -> Iterator[Change]:
    """Probes whose verdict is another, where that is not for a finding that is told anyhow."""
    was, now = ({each["id"]: each["verdict"] for each in one["probes"]} for one in (before, after))
    told = {each["probe"] for one in (before, after) for each in one["findings"]}
    told |= {name for one in (before, after) for each in one["findings"] for name in each["also"]}
    for name in sorted(was.keys() & now.keys()):
        if was[name] == now[name] or name in told:
            continue
        known = was[name] in _VERDICT_ORDER and now[name] in _VERDICT_ORDER
        better = known and _VERDICT_ORDER.index(now[name]) < _VERDICT_ORDER.index(was[name])
        better = better or (was[name] not in _VERDICT_ORDER and now[name] == "pass")
        yield new_change("verdict-better" if better else "verdict-worse", name, was[name], now[name])
