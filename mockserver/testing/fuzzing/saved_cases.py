"""Failing cases saved as readable JSON files, which the next search plays first.

One run says little about a case whose outcome changed between runs, so such a case is played several times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mockserver import __version__
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.regular_files import read_regular_file, replaced_file, visible_json_files
from mockserver.testing.fuzzing.case_plan import CasePlan, plan_from_json
from mockserver.testing.fuzzing.outcomes import Failure
from mockserver.testing.strategies.values import JSONObject
from mockserver.wire import json

__all__ = ["DEFAULT_FOLDER", "SavedCase", "load_case", "load_saved_plans", "save_case"]

DEFAULT_FOLDER = Path(".mockserver/cases")

#: Saved cases that are played again, the newest first.
MAX_REPLAYED_CASES = 50

#: Most runs of a saved case whose outcome changed: one that fails every second time passes all once in 65,536 times.
_RUNS_IF_OUTCOME_CHANGES = 16

_CASE_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class SavedCase:
    """A case that was read from a file."""

    plan: CasePlan
    profile: str
    runs: int
    """How often to play it, unless it fails before."""


def save_case(
    folder: Path,
    plan: CasePlan,
    failure: Failure,
    profile: str,
    payloads: list[JSONObject],
    *,
    outcome_changes: bool = False,
) -> Path:
    """Write a case to a file; ConfigurationError if that fails. `payloads` are only for readers of the file.

    `outcome_changes`: whether its runs ended differently.
    """
    value = {
        "format": 1,
        "version": __version__,
        "profile": profile,
        "failure": failure.message,
        **({"outcome_changes": True} if outcome_changes else {}),
        "plan": plan.to_json(),
        "shown": payloads,
    }
    file = folder / f"{plan.id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_file(file) as part:
            part.write_bytes(json.pretty(value))
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror or error}") from None
    return file


def load_saved_plans(folder: Path, profile: str) -> Iterator[CasePlan]:
    """The saved plans of a profile, the newest first, each as often as it is to be played.

    ConfigurationError for an invalid file.
    """
    files = sorted(visible_json_files(folder), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for case in map(_read_file, files[:MAX_REPLAYED_CASES]):
        if case.profile == profile:
            yield from [case.plan] * case.runs


def load_case(folder: Path, id_or_path: str, profile: str) -> SavedCase:
    """A saved case, by id or file; ConfigurationError if there is none."""
    file = folder / f"{id_or_path}.json" if _CASE_ID.fullmatch(id_or_path) else Path(id_or_path)
    if not file.is_file():
        known = ", ".join(each.stem for each in visible_json_files(folder)) or "none"
        raise ConfigurationError(f"there is no case {id_or_path}; saved in {folder}: {known}")
    case = _read_file(file)
    if case.profile != profile:
        raise ConfigurationError(f"{file} is a case of the profile {case.profile}, not of {profile}")
    return case


def _read_file(file: Path) -> SavedCase:
    try:
        value = json.loads(read_regular_file(file))
        if isinstance(value, dict) and value.get("format") == 1:
            runs = _RUNS_IF_OUTCOME_CHANGES if value.get("outcome_changes") is True else 1
            return SavedCase(plan_from_json(value["plan"]), str(value["profile"]), runs)
        reason = "it is not a case of format 1"
    except OSError as error:
        reason = error.strerror or str(error)
    except (InvalidJSON, ConfigurationError, KeyError) as error:
        reason = str(error)
    raise ConfigurationError(f"{file} cannot be replayed: {reason}")
