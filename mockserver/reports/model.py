"""The contents of a report as frozen values without secrets, and exchanges as JSON text.

The processes of a test run pass exchanges as JSON text to the process that writes the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mockserver.contract.coverage import ContractCoverage
from mockserver.contract.findings import Finding, Severity
from mockserver.wire import json

__all__ = [
    "EventKind",
    "EventStream",
    "ExchangeFinding",
    "Lane",
    "MessageBody",
    "ReportExchange",
    "ReportPage",
    "StreamEvent",
    "Table",
    "exchange_from_json",
    "exchange_to_json",
    "report_time",
]


class EventKind(StrEnum):
    """What an event is about; it decides the colour and height of the tick."""

    LIFECYCLE = "response"
    FAILURE = "failure"
    STRUCTURE = "item or part"
    TEXT = "text"
    REASONING = "reasoning"
    ARGUMENTS = "arguments or code"
    TOOL = "tool progress"
    OTHER = "other event"
    FRAMING = "comment or marker"
    """Not an event: a keep-alive or `[DONE]`."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One frame of a stream."""

    index: int | None
    """Index among the events, from 0, as findings use it; None if the frame is not an event."""
    elapsed: float | None
    """Seconds since the request; None if unknown."""
    type: str
    kind: EventKind
    lane: int
    data: str
    """The data as it was sent."""
    added_text: str = ""
    """The text that the event adds to its lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """An output item; the first lane is the response itself."""

    label: str
    text: str = ""
    """All the text that its events add."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """A stream as far as it could be read."""

    events: tuple[StreamEvent, ...]
    lanes: tuple[Lane, ...]
    note: str = ""
    """What could not be read."""


@dataclass(frozen=True, slots=True)
class MessageBody:
    """A request or a reply, or a sample of one."""

    title: str
    text: str
    is_json: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    """Headers whose values may be shown."""
    event_index: int | None = None
    """Index of the event that contains this response."""
    schema: str = ""
    """Schema of the value, "create_request" for example; empty if none is known."""


@dataclass(frozen=True, slots=True)
class ExchangeFinding:
    """A finding, and the part of the exchange in which it is."""

    finding: Finding
    part: str = ""
    """request, reply or stream; empty for none of them."""
    pointer: str = ""
    """JSON Pointer into the body of that part, or into the event."""


@dataclass(frozen=True, slots=True)
class ReportExchange:
    """A request and its reply, as far as they are known."""

    name: str
    kind: str
    profile: str = ""
    group: str = ""
    """The probe or test that it belongs to."""
    findings: tuple[ExchangeFinding, ...] = ()
    request: MessageBody | None = None
    reply: MessageBody | None = None
    stream: EventStream | None = None
    details: tuple[tuple[str, str], ...] = ()
    """More facts, as names and values."""
    duration: float | None = None
    operation: str = ""
    """Name of the operation of the service; empty if the profile has no such operation."""
    rule_path: str = ""
    """The path, on the server that shows this exchange, of the pages about rules; empty: there are none."""

    @property
    def worst_severity(self) -> Severity | None:
        """The highest severity among the findings."""
        found = {each.finding.severity for each in self.findings}
        return next((each for each in Severity if each in found), None)


@dataclass(frozen=True, slots=True)
class Table:
    """More results in rows; a first cell that is a verdict is shown with its icon."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A whole report."""

    title: str
    subject: str
    """What was checked: an endpoint, files, a test run."""
    verdict: str
    passed: bool
    """Whether the verdict is positive."""
    created_at: datetime
    metadata: tuple[tuple[str, str], ...] = ()
    exchanges: tuple[ReportExchange, ...] = ()
    coverage: Mapping[str, ContractCoverage] = field(default_factory=dict)
    """Coverage by profile."""
    tables: tuple[Table, ...] = ()


#: Digits of a time up to the year 5138; Python knows no year after 9999.
_MAX_TIME_DIGITS = 11


def report_time() -> datetime:
    """The time of a report: now, or SOURCE_DATE_EPOCH (seconds; reproducible-builds.org)."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    is_time = given.isdecimal() and len(given) <= _MAX_TIME_DIGITS
    return datetime.fromtimestamp(int(given) if is_time else time.time(), UTC)


def exchange_to_json(exchange: ReportExchange) -> str:
    """An exchange as JSON text."""
    return json.dumps(exchange).decode()


def exchange_from_json(text: str) -> ReportExchange:
    """The exchange that `exchange_to_json` wrote."""
    members = json.loads(text.encode())
    return ReportExchange(
        **{
            **members,
            "findings": tuple(_finding_from_json(each) for each in members["findings"]),
            "request": _body_from_json(members["request"]),
            "reply": _body_from_json(members["reply"]),
            "stream": _stream_from_json(members["stream"]),
            "details": _pairs_from_json(members["details"]),
        }
    )


def _finding_from_json(value: dict[str, Any]) -> ExchangeFinding:
    finding = value["finding"]
    return ExchangeFinding(
        **{**value, "finding": Finding(**{**finding, "severity": Severity(finding["severity"])})}
    )


def _body_from_json(value: dict[str, Any] | None) -> MessageBody | None:
    return None if value is None else MessageBody(**{**value, "headers": _pairs_from_json(value["headers"])})


def _stream_from_json(value: dict[str, Any] | None) -> EventStream | None:
    if value is None:
        return None
    events = tuple(StreamEvent(**{**each, "kind": EventKind(each["kind"])}) for each in value["events"])
    return EventStream(events, tuple(Lane(**each) for each in value["lanes"]), value["note"])


def _pairs_from_json(pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((what, value) for what, value in pairs)
