"""The judge of event streams: numbering, the order of events, and one response all along.

The language of a stream (Open Responses specification, April 2026; guide, Streaming output, 27 January
2026; rules that the SDKs' accumulators enforce):

    stream   = created, in_progress, { item }, terminal
    item     = item added, body, item done           bodies: see `contract.bodies`
    terminal = completed | incomplete | failed

Linear in the length of the stream. An open item holds at most 64 Ki characters of a text; done items
are kept until the final output has been compared with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mockserver.contract.bodies import Child, children
from mockserver.contract.findings import Finding
from mockserver.contract.items import Items
from mockserver.contract.responses import STATUSES, incomplete_rule, usage_rules
from mockserver.contract.rules import Report
from mockserver.contract.schemas import schemas
from mockserver.contract.shapes import breaches, shape_findings, unknowns
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile

__all__ = ["StreamChecker"]

Event = dict[str, Any]

_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}


class _Known(NamedTuple):
    """What to do with one type of event: a child goes to its item, all others to `act`."""

    closed: Callable[[Any], bool]
    child: Child | None
    act: Callable[[Event], None]


class StreamChecker:
    """Judges the events of one stream, one after another.

    `feed` each event, then `finish`; each returns the findings that it brought. Any JSON value within
    the limits of `wire.json` may be fed: what is not an event is a finding, never an exception.
    """

    def __init__(self, profile: str | Profile = DEFAULT_PROFILE) -> None:
        profile = load_profile(profile) if isinstance(profile, str) else profile
        self._profile = profile
        self._schemas = schemas(profile.name)
        self._report = Report(profile.name)
        self._items = Items(profile, self._report)
        self._open = self._items.open
        self._known = self._table()
        self._count = 0
        self._next: int | None = None
        self._repeated = -1
        self._over = False
        self._snapshot: dict[str, Any] | None = None
        self._created_at: int | None = None
        self._in_progress_seen = False
        self._errored = False
        self.response: dict[str, Any] | None = None
        """The response of the terminal event, once it has come."""

    def feed(self, event: Any) -> list[Finding]:
        """The findings that the next event brings."""
        report = self._report
        report.event = self._count
        self._count += 1
        found: list[Finding] = []
        report.found = found
        kind: Any = event.get("type") if event.__class__ is dict else None
        known = self._known.get(kind) if kind.__class__ is str else None
        if known is None:
            self._other(event, kind)
            return found
        closed, child, act = known
        if not closed(event):
            found += breaches(self._schemas, kind, event, report.event)
            found += unknowns(self._schemas, kind, event, report.event)
        number = event.get("sequence_number")
        if number.__class__ is int and number == self._next and not self._over:
            self._next = number + 1
        elif not self._numbered(kind, number):
            return found
        if child is None:
            act(event)
            return found
        index = event.get("output_index")
        item = self._open.get(index) if index.__class__ is int else None
        if item is not None and item.id == event.get("item_id") and item.kind == child.kind:
            child.act(item, event, report)
        else:
            self._items.stray(child, event)
        return found

    def lost(self) -> None:
        """Take note of an event that could not be read: it has its place and number, and no more."""
        self._count += 1
        self._next = (self._next or 0) + 1
        self._items.lost()

    def finish(self) -> list[Finding]:
        """The findings that the end of the stream brings."""
        self._report.event = None
        found: list[Finding] = []
        self._report.found = found
        if not self._over and not (self._errored and not self._profile.error_types):
            message = (
                "the stream ends without a terminal event" if self._count else "there is no event at all"
            )
            self._report.say("SEQ-006", "", message, expected="response.completed")
        return found

    def _table(self) -> dict[str, _Known]:
        acts: dict[str, Callable[[Event], None]] = {
            "response.created": self._created,
            "response.in_progress": self._in_progress,
            "response.queued": self._queued,
            "error": self._error,
            "response.output_item.added": self._items.added,
            "response.output_item.done": self._items.done,
            **dict.fromkeys(_TERMINAL, self._terminal),
        }
        bodies = children(self._profile)
        return {
            kind: _Known(self._schemas.closed_check(kind), bodies.get(kind), acts.get(kind, _nothing))
            for kind in self._schemas.event_types
        }

    def _other(self, event: Any, kind: Any) -> None:
        """Take what is not an event that the profile knows."""
        report = self._report
        if not isinstance(event, dict):
            report.say("SSE-002", "", "an event is a JSON object", got=event)
            self._next = (self._next or 0) + 1
            self._items.lost()
        elif "type" not in event and ("code" in event or "error" in event) and report.hears("SEQ-014"):
            self._fault(event)
        else:
            report.found += breaches(self._schemas, "event", event, report.event)
            report.found += unknowns(self._schemas, "event", event, report.event)
            going_on = self._numbered(kind, event.get("sequence_number"))
            if going_on and isinstance(kind, str) and kind in _TERMINAL:
                self._terminal(event)

    def _fault(self, event: Event) -> None:
        report = self._report
        name = "error_wrapped" if "error" in event else "error"
        report.found += shape_findings(self._schemas, name, event, event=report.event)
        if self._over:
            report.say("SEQ-007", "", "an error after the terminal event")
        elif self._next is None:
            report.say("SEQ-014", "", "the stream is one error payload without a type")
        else:
            report.say("SEQ-015", "", "an error payload without a type, in mid-stream")
        self._over = True

    def _numbered(self, kind: Any, number: Any) -> bool:
        """Judge place and number of an event; whether the stream was still going on."""
        say = self._report.say
        if self._over:
            say("SEQ-007", "/type", "comes after the terminal event", got=kind)
            return False
        first, expected = self._next is None, self._next or 0
        if first:
            self._first(kind)
        if isinstance(number, float) and number.is_integer():
            say("SEQ-001", "/sequence_number", "is not written as a whole number", got=number)
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            self._next = expected + 1
            return True
        # After a repeated number both are right: to go on counting numbers, or events.
        if number != expected and not (number == expected + 1 and self._repeated == self._count - 1):
            rule = "SEQ-002" if first else "SEQ-003" if number < expected else "SEQ-013"
            say(rule, "/sequence_number", _NUMBERS[rule], expected=expected, got=number)
            if number < expected:
                self._repeated = self._count
        self._next = max(expected, number + 1)
        return True

    def _first(self, kind: Any) -> None:
        if kind == "response.failed" and self._report.hears("SEQ-014"):
            self._report.say("SEQ-014", "", "the stream is one lone response.failed")
        elif kind != "response.created":
            message = "the stream does not begin with response.created"
            self._report.say("SEQ-004", "/type", message, expected="response.created", got=kind)

    def _created(self, event: Event) -> None:
        if self._created_at is not None:
            self._report.say("SEQ-005", "/type", "a second response.created")
            return
        self._created_at = self._report.event
        response = event.get("response")
        waits = isinstance(response, dict) and response.get("background") is True
        self._early(event, "queued" if waits else self._profile.created_status)

    def _queued(self, event: Event) -> None:
        self._early(event, "queued")

    def _error(self, event: Event) -> None:
        """Take an error that has a type: response.failed follows; with some services it need not."""
        self._errored = True

    def _in_progress(self, event: Event) -> None:
        created = self._created_at
        if self._in_progress_seen or (created is not None and self._report.event != created + 1):
            self._report.say("SEQ-008", "/type", "comes once, directly after response.created")
        self._in_progress_seen = True
        self._early(event, "in_progress")

    def _early(self, event: Event, status: str) -> None:
        response = self._same(event, status)
        for name in ("output", "usage"):
            if response.get(name):
                message = f"there is {name} before there is an item"
                self._report.say("SEQ-016", f"/response/{name}", message, got=response[name])

    def _terminal(self, event: Event) -> None:
        self._over = True
        kind = event["type"]
        if self._errored and kind != "response.failed":
            message = "after an error the stream ends with response.failed"
            self._report.say("SEQ-007", "/type", message, expected="response.failed", got=kind)
        response = self._same(event, _TERMINAL[kind])
        self.response = response
        if kind == "response.failed":
            self._items.failed(response.get("output"))
            return
        say = self._report.say
        if response.get("model") == "":
            say("SEQ-011", "/response/model", "the model has no name at the end", got="")
        if self._created_at is not None and not self._in_progress_seen:
            say("SEQ-008", "/type", "there was no response.in_progress")
        self._items.final(response.get("output"))
        usage_rules(response, self._profile, self._report, "/response")
        incomplete_rule(response, self._report, "/response")

    def _same(self, event: Event, status: str) -> dict[str, Any]:
        """The event's response, compared with the snapshots before; empty where there is none."""
        given = event.get("response")
        if not isinstance(given, dict):
            return {}
        say = self._report.say
        told = given.get("status")
        if isinstance(told, str) and told != status and told in STATUSES:
            message = f"is not the status of {event['type']}"
            say("SEQ-009", "/response/status", message, expected=status, got=told)
        if self._snapshot is None:
            self._snapshot = {name: given.get(name) for name in _CONSTANT if name in given}
        for name, before in self._snapshot.items():
            now = given.get(name)
            # What is missing, or empty because it is not known yet, contradicts nothing.
            if name in given and before not in (now, ""):
                rule = _CONSTANT[name]
                if not (name == "model" and now == ""):
                    say(rule, f"/response/{name}", "changes in mid-stream", expected=before, got=now)
        if self._snapshot.get("model") == "":
            self._snapshot["model"] = given.get("model")
        return given


_CONSTANT = {
    "id": "SEQ-010",
    "created_at": "SEQ-011",
    "model": "SEQ-011",
    "tools": "SEQ-017",
    "tool_choice": "SEQ-017",
    "parallel_tool_calls": "SEQ-017",
}
"""Members of the response that stay the same in a stream, and the rule that says so."""

_NUMBERS = {
    "SEQ-002": "the first number is not 0",
    "SEQ-003": "the number has been before",
    "SEQ-013": "a number is left out",
}


def _nothing(event: Event) -> None:
    """An event that only its schema has anything to say about."""
