"""What a report tells: frozen values, whoever made them. Texts in them hold no key any more.

Exchanges as JSON text and back: what goes from the processes of a test run to the one that writes.
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
    """What an event is about: its colour, and how high its tick is."""

    LIFECYCLE = "response"
    FAILURE = "failure"
    STRUCTURE = "item or part"
    TEXT = "text"
    REASONING = "reasoning"
    ARGUMENTS = "arguments or code"
    TOOL = "tool progress"
    OTHER = "other event"
    FRAMING = "comment or marker"
    """What is no event: keep-alives, `[DONE]`."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One frame of a stream."""

    index: int | None
    """Place among the events, from 0, as findings have it; None for what is no event."""
    elapsed: float | None
    """Seconds since the request; None where no time is known."""
    type: str
    kind: EventKind
    lane: int
    data: str
    """Its data as it came."""
    added_text: str = ""
    """The text it adds to its lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """An output item, or, as the first, the response itself."""

    label: str
    text: str = ""
    """All the text that its events add."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """A stream as far as it could be read."""

    events: tuple[StreamEvent, ...]
    lanes: tuple[Lane, ...]
    note: str = ""
    """What could not be read of it."""


@dataclass(frozen=True, slots=True)
class MessageBody:
    """A request, a reply, or what stands for one."""

    title: str
    text: str
    is_json: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    """Headers, with values that may be shown."""
    event_index: int | None = None
    """The number of the event whose response it is."""
    schema: str = ""
    """The schema that its value is an instance of, "create_request"; empty: of none that is known."""


@dataclass(frozen=True, slots=True)
class ExchangeFinding:
    """A finding, and what part of the exchange it is in."""

    finding: Finding
    part: str = ""
    """request, reply or stream; empty: none of them."""
    pointer: str = ""
    """JSON pointer into that part's body, or into the event."""


@dataclass(frozen=True, slots=True)
class ReportExchange:
    """A request and what came of it, as much as is known of them."""

    name: str
    kind: str
    profile: str = ""
    group: str = ""
    """What it belongs to: a probe, a test."""
    findings: tuple[ExchangeFinding, ...] = ()
    request: MessageBody | None = None
    reply: MessageBody | None = None
    stream: EventStream | None = None
    details: tuple[tuple[str, str], ...] = ()
    """More of it, as names and values."""
    duration: float | None = None
    operation: str = ""
    """Which of the service's operations it is, by its name; empty: none that the profile has."""

    @property
    def worst_severity(self) -> Severity | None:
        """The worst of its findings."""
        found = {each.finding.severity for each in self.findings}
        return next((each for each in Severity if each in found), None)


@dataclass(frozen=True, slots=True)
class Table:
    """More that was found out, in rows; a row's cell that begins with a mark of a verdict shows it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A whole report."""

    title: str
    subject: str
    """What was looked at: an endpoint, files, a run of tests."""
    verdict: str
    passed: bool
    """Whether the verdict is a good one."""
    created_at: datetime
    metadata: tuple[tuple[str, str], ...] = ()
    exchanges: tuple[ReportExchange, ...] = ()
    coverage: Mapping[str, ContractCoverage] = field(default_factory=dict)
    """By profile."""
    tables: tuple[Table, ...] = ()


def report_time() -> datetime:
    """When a report is made: now, or as SOURCE_DATE_EPOCH says (reproducible-builds.org, seconds)."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(given) if given.isdecimal() else time.time(), UTC)


def exchange_to_json(exchange: ReportExchange) -> str:
    """An exchange as JSON text: its members by their names."""
    return json.dumps(exchange).decode()


def exchange_from_json(text: str) -> ReportExchange:
    """The exchange that `packed` made a text of."""
    told = json.loads(text.encode())
    return ReportExchange(
        **{
            **told,
            "findings": tuple(_finding_from_json(each) for each in told["findings"]),
            "request": _body_from_json(told["request"]),
            "reply": _body_from_json(told["reply"]),
            "stream": _stream_from_json(told["stream"]),
            "details": _pairs_from_json(told["details"]),
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
