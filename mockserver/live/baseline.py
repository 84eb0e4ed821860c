"""The baseline: a file of accepted drift that a project keeps beside its tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.regular_files import read_regular_file, replaced_file
from mockserver.wire import json

__all__ = ["read_baseline", "write_baseline"]

_FORMAT_VERSION = 1

AcceptedDrift = frozenset[tuple[str, str]]
"""Pairs of a rule and a location in the contract."""


def read_baseline(path: Path) -> AcceptedDrift:
    """Read the accepted drift; empty if the file does not exist. Raises ConfigurationError if it is invalid."""
    try:
        value = json.loads(read_regular_file(path))
    except FileNotFoundError:
        return frozenset()
    except (OSError, InvalidJSON) as error:
        raise ConfigurationError(f"cannot read the baseline {path}: {error}") from None
    rows = value.get("drift") if isinstance(value, dict) and value.get("format") == _FORMAT_VERSION else None
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise ConfigurationError(
            f"{path} is not a baseline of format {_FORMAT_VERSION}: write a new one with --accept"
        )
    return frozenset((row["rule"], row["place"]) for row in rows)


def write_baseline(path: Path, accepted: Iterable[tuple[str, str]]) -> None:
    """Write the accepted drift, sorted for readable diffs. Raises ConfigurationError if it cannot."""
    rows = [{"rule": rule, "place": place} for rule, place in sorted(set(accepted))]
    try:
        with replaced_file(path) as part:
            part.write_bytes(json.pretty({"format": _FORMAT_VERSION, "drift": rows}))
    except OSError as error:
        raise ConfigurationError(f"cannot write the baseline {path}: {error.strerror or error}") from None


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("rule"), str) and isinstance(row.get("place"), str)
