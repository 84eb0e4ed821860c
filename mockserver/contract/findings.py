"""Findings: the results of a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

__all__ = ["Finding", "Severity", "errors", "truncate_value"]

#: Length, in characters of its JSON text, from which a finding truncates a value.
MAX_VALUE_CHARACTERS = 120


class Severity(StrEnum):
    """The severity of a finding; only errors break the contract."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a value departs from the contract."""

    rule: str
    """Id in `schemas/rules.json`, "SEQ-003"."""
    severity: Severity
    pointer: str
    """JSON pointer into the body or event; "" is the whole."""
    event: int | None
    """Index of the event in its stream, from 0; None for a body, and for a stream as a whole."""
    message: str
    expected: Any = None
    got: Any = None
    """The actual JSON value, truncated if it is long."""
    service_message: str | None = None
    """The service's own text, if `message` says more."""

    def __str__(self) -> str:
        event = "" if self.event is None else f" event {self.event}"
        pointer = f" {self.pointer}" if self.pointer else ""
        pairs = (("expected", self.expected), ("got", self.got))
        values = ", ".join(f"{name} {_json_text(value)}" for name, value in pairs if value is not None)
        suffix = f" ({values})" if values else ""
        return f"{self.severity} {self.rule}{event}{pointer}: {self.message}{suffix}"


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that break the contract."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def truncate_value(value: Any) -> Any:
    """Return `value` if it is short, else the start of its JSON text."""
    text = _json_text(value)
    return value if len(text) <= MAX_VALUE_CHARACTERS else text[:MAX_VALUE_CHARACTERS] + "…"


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return ascii(value) if isinstance(value, str) else f"a {type(value).__name__} that is not JSON"
