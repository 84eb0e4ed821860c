"""Failing cases saved as readable JSON files, which the next search plays first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mockserver import __version__
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.regular_files import read_regular_file, visible_json_files
from mockserver.testing.fuzzing.case_plan import CasePlan, plan_from_json
from mockserver.testing.fuzzing.outcomes import Failure
from mockserver.testing.strategies.values import JSONObject
from mockserver.wire import json

__all__ = ["DEFAULT_FOLDER", "load_plan", "load_saved_plans", "save_case"]

DEFAULT_FOLDER = Path(".mockserver/cases")

#: Saved cases that are played again, the newest first.
MAX_REPLAYED_CASES = 50

_CASE_ID = re.compile(r"[0-9a-f]{12}")


def save_case(
    folder: Path, plan: CasePlan, failure: Failure, profile: str, payloads: list[JSONObject]
) -> Path:
    """Write a case to a file; ConfigurationError if that fails. `payloads` are only for readers of the file."""
    value = {
        "format": 1,
        "version": __version__,
        "profile": profile,
        "failure": failure.message,
        "plan": plan.to_json(),
        "shown": payloads,
    }
    file = folder / f"{plan.id}.json"
    part = file.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(json.pretty(value))
        part.replace(file)
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror or error}") from None
    return file


def load_saved_plans(folder: Path, profile: str) -> Iterator[CasePlan]:
    """The saved plans of a profile, the newest first; ConfigurationError for an invalid file."""
    files = sorted(visible_json_files(folder), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    plans = (_read_file(file) for file in files[:MAX_REPLAYED_CASES])
    yield from (plan for plan, case_profile in plans if case_profile == profile)


def load_plan(folder: Path, id_or_path: str, profile: str) -> CasePlan:
    """The plan of a saved case, by id or file; ConfigurationError if there is none."""
    file = folder / f"{id_or_path}.json" if _CASE_ID.fullmatch(id_or_path) else Path(id_or_path)
    if not file.is_file():
        known = ", ".join(each.stem for each in visible_json_files(folder)) or "none"
        raise ConfigurationError(f"there is no case {id_or_path}; saved in {folder}: {known}")
    plan, case_profile = _read_file(file)
    if case_profile != profile:
        raise ConfigurationError(f"{file} is a case of the profile {case_profile}, not of {profile}")
    return plan


def _read_file(file: Path) -> tuple[CasePlan, str]:
    try:
        value = json.loads(read_regular_file(file))
        if isinstance(value, dict) and value.get("format") == 1:
            return plan_from_json(value["plan"]), str(value["profile"])
        reason = "it is not a case of format 1"
    except OSError as error:
        reason = error.strerror or str(error)
    except (InvalidJSON, ConfigurationError, KeyError) as error:
        reason = str(error)
    raise ConfigurationError(f"{file} cannot be replayed: {reason}")
