"""What a report tells: frozen values, whoever made them. Texts in them hold no key any more."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mockserver.contract.coverage import ContractCoverage
from mockserver.contract.findings import Finding, Severity

__all__ = ["Body", "Event", "Exchange", "Kind", "Lane", "Mark", "Page", "Stream", "Table", "made_now"]


class Kind(StrEnum):
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
class Event:
    """One frame of a stream."""

    number: int | None
    """Place among the events, from 0, as findings have it; None for what is no event."""
    at: float | None
    """Seconds since the request; None where no time is known."""
    type: str
    kind: Kind
    lane: int
    data: str
    """Its data as it came."""
    grown: str = ""
    """The text it adds to its lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """An output item, or, as the first, the response itself."""

    label: str
    text: str = ""
    """All the text that its events add."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as far as it could be read."""

    events: tuple[Event, ...]
    lanes: tuple[Lane, ...]
    note: str = ""
    """What could not be read of it."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request, a reply, or what stands for one."""

    title: str
    text: str
    is_json: bool = False
    head: tuple[tuple[str, str], ...] = ()
    """Headers, with values that may be shown."""
    event: int | None = None
    """The number of the event whose response it is."""
    schema: str = ""
    """The schema that its value is an instance of, "create_request"; empty: of none that is known."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding, and what part of the exchange it is in."""

    finding: Finding
    part: str = ""
    """request, reply or stream; empty: none of them."""
    pointer: str = ""
    """JSON pointer into that part's body, or into the event."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came of it, as much as is known of them."""

    name: str
    kind: str
    profile: str = ""
    group: str = ""
    """What it belongs to: a probe, a test."""
    marks: tuple[Mark, ...] = ()
    request: Body | None = None
    reply: Body | None = None
    stream: Stream | None = None
    about: tuple[tuple[str, str], ...] = ()
    """More of it, as names and values."""
    seconds: float | None = None
    operation: str = ""
    """Which of the service's operations it is, by its name; empty: none that the profile has."""

    @property
    def worst(self) -> Severity | None:
        """The worst of its findings."""
        found = {each.finding.severity for each in self.marks}
        return next((each for each in Severity if each in found), None)


@dataclass(frozen=True, slots=True)
class Table:
    """More that was found out, in rows; a row's cell that begins with a mark of a verdict shows it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    title: str
    subject: str
    """What was looked at: an endpoint, files, a run of tests."""
    verdict: str
    good: bool
    """Whether the verdict is a good one."""
    made: datetime
    facts: tuple[tuple[str, str], ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    coverage: Mapping[str, ContractCoverage] = field(default_factory=dict)
    """By profile."""
    tables: tuple[Table, ...] = ()


def made_now() -> datetime:
    """When a report is made: now, or as SOURCE_DATE_EPOCH says (reproducible-builds.org, seconds)."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(given) if given.isdecimal() else time.time(), UTC)
