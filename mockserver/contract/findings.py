"""What the judge says: one finding for each thing that is not as the contract has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

__all__ = ["Finding", "Severity", "errors", "truncate_value"]

#: Longest value, in characters of its JSON text, that a finding shows whole.
MAX_VALUE_CHARACTERS = 120


class Severity(StrEnum):
    """How bad a finding is; only errors break the contract."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One departure from the contract."""

    rule: str
    """Id in `schemas/rules.json`, "SEQ-003"."""
    severity: Severity
    pointer: str
    """JSON pointer into the body, or into the event; "" is the whole of it."""
    event: int | None
    """Place of the event in its stream, from 0; None for a body, and for a stream as a whole."""
    message: str
    expected: Any = None
    got: Any = None
    """What was there: a JSON value, cut where it is long."""

    def __str__(self) -> str:
        place = "" if self.event is None else f" event {self.event}"
        pointer = f" {self.pointer}" if self.pointer else ""
        pairs = (("expected", self.expected), ("got", self.got))
        told = ", ".join(f"{name} {_json_text(value)}" for name, value in pairs if value is not None)
        return f"{self.severity} {self.rule}{place}{pointer}: {self.message}{f' ({told})' if told else ''}"


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that break the contract."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def truncate_value(value: Any) -> Any:
    """`value` as a finding shows it: itself where it is short, else the start of its JSON text."""
    text = _json_text(value)
    return value if len(text) <= MAX_VALUE_CHARACTERS else text[:MAX_VALUE_CHARACTERS] + "…"


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return ascii(value) if isinstance(value, str) else f"a {type(value).__name__} that is not JSON"
