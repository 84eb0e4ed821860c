"""Findings: the results of a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from mockserver.named_tuples import NamedTuple
from mockserver.wire.terminal import escape_unprintable

__all__ = ["Finding", "NumberedFinding", "Severity", "errors", "truncate_value"]

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
    more: int = 0
    """For a finding that stands for others, which are not listed: their number."""

    def __str__(self) -> str:
        event = "" if self.event is None else f" event {self.event}"
        pointer = f" {self.pointer}" if self.pointer else ""
        pairs = (("expected", self.expected), ("got", self.got))
        values = ", ".join(f"{name} {_json_text(value)}" for name, value in pairs if value is not None)
        suffix = f" ({values})" if values else ""
        return escape_unprintable(f"{self.severity} {self.rule}{event}{pointer}: {self.message}{suffix}")


class NumberedFinding(NamedTuple):
    """A finding, and the number of its request in the journal."""

    request_number: int
    """From 1; 0 if the finding belongs to no request."""
    finding: Finding


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that break the contract."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def truncate_value(value: Any) -> Any:
    """Return `value` if it is short, else the start of its JSON text."""
    text = _json_text(_start_of(value, [MAX_VALUE_CHARACTERS]))
    return value if len(text) <= MAX_VALUE_CHARACTERS else text[:MAX_VALUE_CHARACTERS] + "…"


def _start_of(value: Any, room: list[int]) -> Any:
    """The first members of `value`, whose JSON text has more characters than there is `room`, if it can."""
    if isinstance(value, str):
        start = value[: max(room[0], 0) + 1]
        room[0] -= len(start)
        return start
    if isinstance(value, list | tuple):
        elements = []
        for each in value:
            if room[0] < 0:
                break
            room[0] -= 1
            elements.append(_start_of(each, room))
        return elements
    if value.__class__ is dict:
        members = {}
        for name, each in value.items():
            if room[0] < 0:
                break
            room[0] -= 1
            members[_start_of(name, room)] = _start_of(each, room)
        return members
    return value


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return ascii(value) if isinstance(value, str) else f"a {type(value).__name__} that is not JSON"
