"""Kept cases: each a JSON file that people can read and programs replay; tried first the next time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mockserver import __version__
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.testing.fuzzing.case_plan import CasePlan, plan_from_json
from mockserver.testing.fuzzing.outcomes import Failure
from mockserver.testing.strategies.values import JSONObject
from mockserver.wire import json

__all__ = ["DEFAULT_FOLDER", "load_plan", "load_saved_plans", "save_case"]

DEFAULT_FOLDER = Path(".mockserver/cases")

#: Kept cases that are tried again, the newest first.
MAX_REPLAYED_CASES = 50

_CASE_ID = re.compile(r"[0-9a-f]{12}")


def save_case(
    folder: Path, plan: CasePlan, failure: Failure, profile: str, payloads: list[JSONObject]
) -> Path:
    """Write a case down; OSError where that fails. `shown` is for its readers alone."""
    value = {
        "format": 1,
        "version": __version__,
        "profile": profile,
        "failure": failure.message,
        "plan": plan.to_json(),
        "shown": payloads,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan.id}.json"
    part = file.with_suffix(".part")
    part.write_bytes(json.pretty(value))
    part.replace(file)
    return file


def load_saved_plans(folder: Path, profile: str) -> Iterator[CasePlan]:
    """The plans kept for a profile, the newest first; ConfigurationError names a file that is none."""
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    plans = (_read_file(file) for file in files[:MAX_REPLAYED_CASES])
    yield from (plan for plan, own in plans if own == profile)


def load_plan(folder: Path, id_or_path: str, profile: str) -> CasePlan:
    """The plan of a kept case, by its id or the path of its file; ConfigurationError where there is none."""
    file = folder / f"{id_or_path}.json" if _CASE_ID.fullmatch(id_or_path) else Path(id_or_path)
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.json"))) or "none"
        raise ConfigurationError(f"there is no case {id_or_path}; kept in {folder}: {known}")
    plan, own = _read_file(file)
    if own != profile:
        raise ConfigurationError(f"{file} is a case of the profile {own}, not of {profile}")
    return plan


def _read_file(file: Path) -> tuple[CasePlan, str]:
    try:
        value = json.loads(file.read_bytes())
        if isinstance(value, dict) and value.get("format") == 1:
            return plan_from_json(value["plan"]), str(value["profile"])
        reason = "it is no case of format 1"
    except (InvalidJSON, ConfigurationError, KeyError) as error:
        reason = str(error)
    raise ConfigurationError(f"{file} can not be replayed: {reason}")
