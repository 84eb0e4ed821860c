"""Check the events of a stream: their numbers, their order, and that they are all of one response.

The language of a stream (Open Responses specification, April 2026; guide, Streaming output, 27 January
2026; rules that the SDKs' accumulators enforce):

    stream   = created, in_progress, { item }, terminal
    item     = item added, events, item done         events: see `contract.stream.item_events`
    terminal = completed | incomplete | failed

Time is linear in the length of the stream. An open item keeps at most 64 Ki characters of a text. Done items
are kept until the terminal event, to compare the final output with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from mockserver.contract.bodies.responses import (
    RESPONSE_STATUSES,
    check_incomplete_details,
    check_incomplete_items,
    check_usage,
)
from mockserver.contract.findings import Finding
from mockserver.contract.rules import Report
from mockserver.contract.schema.registry import load_schemas
from mockserver.contract.schema.validation import schema_findings, unknown_member_findings, violation_findings
from mockserver.contract.stream.item_events import ItemEventHandler, item_event_handlers
from mockserver.contract.stream.items import ItemTracker
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile

__all__ = ["EventSequenceChecker"]

Event = dict[str, Any]

#: How many invalid events of a type are explained: an explanation takes a thousand times as long as a check.
_MAX_EXPLAINED_OF_A_TYPE = 20

_TERMINAL_STATUSES = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}


class _EventHandler(NamedTuple):
    """How to handle one type of event: `item_handler` if it belongs to an item, else `handle`."""

    is_closed_valid: Callable[[Any], bool]
    item_handler: ItemEventHandler | None
    handle: Callable[[Event], None]


class EventSequenceChecker:
    """Checks the events of one stream, one after another.

    Call `feed` with each event, then `finish`; both return findings. `feed` takes any JSON value within the
    limits of `wire.json`: a value that is not an event is a finding, never an exception.
    """

    def __init__(self, profile: str | Profile = DEFAULT_PROFILE) -> None:
        profile = load_profile(profile) if isinstance(profile, str) else profile
        self._profile = profile
        self._schemas = load_schemas(profile.name)
        self._report = Report(profile.name)
        self._items = ItemTracker(profile, self._report)
        self._open_items = self._items.open_items
        self._handlers = self._build_handlers()
        self._event_count = 0
        self._invalid_counts: Counter[str] = Counter()
        self._last_violations: dict[str, list[Finding]] = {}
        self._unexplained: dict[str, Finding] = {}
        """By type, what stands for the invalid events that were only counted."""
        self._next_number: int | None = None
        self._repeated_at = -1
        self._ended = False
        self._constant_values: dict[str, Any] | None = None
        self._created_event: int | None = None
        self._in_progress_seen = False
        self._error_seen = False
        self._after_error_reported = False
        self._untyped_error_seen = False
        self.final_response: dict[str, Any] | None = None
        """The response of the terminal event, once that has come."""

    @property
    def ended(self) -> bool:
        """Whether the terminal event has come."""
        return self._ended

    def feed(self, event: Any, *, is_valid: bool = False) -> list[Finding]:
        """Return the findings of the next event; `is_valid` if it is known to have the schema of its type."""
        report = self._report
        report.event = self._event_count
        self._event_count += 1
        report.findings = []
        kind: Any = event.get("type") if event.__class__ is dict else None
        known = self._handlers.get(kind) if kind.__class__ is str else None
        if known is None:
            self._handle_unknown(event, kind)
            return report.findings
        is_closed_valid, item_handler, handle = known
        if not (is_valid or is_closed_valid(event)):
            self._check_schema(kind, event)
        found = report.findings
        number = event.get("sequence_number")
        if number.__class__ is int and number == self._next_number and not self._ended:
            self._next_number = number + 1
        elif not self._check_number(kind, number):
            return found
        if item_handler is None:
            handle(event)
            if self._error_seen and not (found or self._ended):
                self._check_after_error(kind)
            return found
        index = event.get("output_index")
        item = self._open_items.get(index) if index.__class__ is int else None
        if item is not None and item.id == event.get("item_id") and item.kind == item_handler.item_type:
            item_handler.handle(item, event, report)
        else:
            self._items.handle_misplaced(item_handler, event)
        if self._error_seen and not found:
            self._check_after_error(kind)
        return found

    def is_valid_item_event(self, event: Event) -> bool:
        """Whether an event belongs to an item and has the schema of its type, with no unknown member."""
        kind = event.get("type")
        known = self._handlers.get(kind) if isinstance(kind, str) else None
        return known is not None and known.item_handler is not None and known.is_closed_valid(event)

    def mark_unreadable(self) -> None:
        """Count an event that could not be read."""
        self._event_count += 1
        self._next_number = (self._next_number or 0) + 1
        self._items.mark_unreadable()

    def finish(self) -> list[Finding]:
        """Return the findings that only the end of the stream shows."""
        self._report.event = None
        self._report.findings = []
        # In some services an error event ends the stream. Qwen's have no such event.
        ended_by_error = self._error_seen and "error" in self._handlers and not self._profile.error_types
        if not (self._ended or ended_by_error or self._untyped_error_seen):
            message = (
                "the stream ends without a terminal event"
                if self._event_count
                else "the stream has no events"
            )
            self._report.add("SEQ-006", "", message, expected="response.completed")
        return self._report.findings + self.omitted_findings()

    def omitted_findings(self) -> list[Finding]:
        """What stands for the findings that are not listed, once the stream has ended."""
        unexplained, self._unexplained = self._unexplained, {}
        return [*unexplained.values(), *self._report.omitted_findings()]

    def _check_schema(self, name: str, event: Any) -> None:
        """Explain what is wrong with an event; of each type of event, only in the first that are invalid."""
        report = self._report
        if not self._schemas.is_valid(name, event):
            self._invalid_counts[name] += 1
            if self._invalid_counts[name] <= _MAX_EXPLAINED_OF_A_TYPE:
                found = violation_findings(self._schemas, name, event, report.event)
                report.extend(found)
                self._last_violations[name] = found[-1:]
            else:
                self._count_unexplained(name)
        report.extend(unknown_member_findings(self._schemas, name, event, report.event))

    def _count_unexplained(self, name: str) -> None:
        more = self._invalid_counts[name] - _MAX_EXPLAINED_OF_A_TYPE
        for last in self._last_violations[name]:
            message = f"and {more} more events that break the schema of {name}"
            self._unexplained[name] = Finding(last.rule, last.severity, "", None, message, more=more)

    def _build_handlers(self) -> dict[str, _EventHandler]:
        handlers: dict[str, Callable[[Event], None]] = {
            "response.created": self._handle_created,
            "response.in_progress": self._handle_in_progress,
            "response.queued": self._handle_queued,
            "error": self._handle_error,
            "response.output_item.added": self._items.handle_added,
            "response.output_item.done": self._items.handle_done,
            **dict.fromkeys(_TERMINAL_STATUSES, self._handle_terminal),
        }
        item_handlers = item_event_handlers(self._profile)
        return {
            kind: _EventHandler(
                self._schemas.closed_validator(kind),
                item_handlers.get(kind),
                handlers.get(kind, _ignore_event),
            )
            for kind in self._schemas.event_types
        }

    def _handle_unknown(self, event: Any, kind: Any) -> None:
        report = self._report
        if not isinstance(event, dict):
            report.add("SSE-002", "", "not a JSON object", got=event)
            self._next_number = (self._next_number or 0) + 1
            self._items.mark_unreadable()
        elif "type" not in event and ("code" in event or "error" in event):
            self._handle_untyped_error(event)
        else:
            self._check_schema("event", event)
            is_open = self._check_number(kind, event.get("sequence_number"))
            if is_open and self._error_seen and not report.findings:
                self._check_after_error(kind)
            if is_open and kind == "error":
                self._error_seen = True
            if is_open and isinstance(kind, str) and kind in _TERMINAL_STATUSES:
                self._handle_terminal(event)

    def _handle_untyped_error(self, event: Event) -> None:
        """Handle an error payload without a type, as Qwen sends it."""
        report = self._report
        if not report.applies("SEQ-014"):
            report.add("SCH-002", "/type", "an error payload without a type", expected="error")
            self._untyped_error_seen = True
            return
        if "error" in event or "error" not in self._handlers:
            name = "error_wrapped" if "error" in event else "error"
            report.extend(schema_findings(self._schemas, name, event, event=report.event))
        if self._ended:
            report.add("SEQ-007", "", "an error after the terminal event")
        elif self._next_number is None:
            report.add("SEQ-014", "", "the stream is a single error payload without a type")
        else:
            report.add("SEQ-015", "", "an error payload without a type, in mid-stream")
        self._ended = True

    def _check_number(self, kind: Any, number: Any) -> bool:
        """Check that the event may come here and has the right number; False if the stream was over."""
        add = self._report.add
        if self._ended:
            add("SEQ-007", "/type", "comes after the terminal event", got=kind)
            return False
        first, expected = self._next_number is None, self._next_number or 0
        if first:
            self._check_first_event(kind)
        if isinstance(number, float) and number.is_integer():
            add("SEQ-001", "/sequence_number", "is not written as a whole number", got=number)
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            self._next_number = expected + 1
            return True
        # After a repeated number the next may count numbers or events: both are right.
        if number != expected and not (number == expected + 1 and self._repeated_at == self._event_count - 1):
            rule = "SEQ-002" if first else "SEQ-003" if number < expected else "SEQ-013"
            add(rule, "/sequence_number", _NUMBER_MESSAGES[rule], expected=expected, got=number)
            if number < expected:
                self._repeated_at = self._event_count
        self._next_number = max(expected, number + 1)
        return True

    def _check_first_event(self, kind: Any) -> None:
        if kind == "response.failed" and self._report.applies("SEQ-014"):
            self._report.add("SEQ-014", "", "the stream is a single response.failed")
        elif kind != "response.created":
            message = "the stream does not start with response.created"
            self._report.add("SEQ-004", "/type", message, expected="response.created", got=kind)

    def _handle_created(self, event: Event) -> None:
        if self._created_event is not None:
            self._report.add("SEQ-005", "/type", "a second response.created")
            return
        self._created_event = self._report.event
        response = event.get("response")
        waits = isinstance(response, dict) and response.get("background") is True
        profile = self._profile
        status = response.get("status") if isinstance(response, dict) else None
        if not waits and status in profile.other_created_statuses:
            self._check_early_response(event, str(status))
        else:
            self._check_early_response(event, "queued" if waits else profile.created_status)

    def _handle_queued(self, event: Event) -> None:
        self._check_early_response(event, "queued")

    def _handle_error(self, event: Event) -> None:
        self._error_seen = True

    def _check_after_error(self, kind: Any) -> None:
        """Report the first event after an error event, unless it has findings of its own."""
        if kind not in ("error", "response.failed") and not self._after_error_reported:
            self._after_error_reported = True
            message = "comes after an error event, which only response.failed may follow"
            self._report.add("SEQ-007", "/type", message, expected="response.failed", got=kind)

    def _handle_in_progress(self, event: Event) -> None:
        created = self._created_event
        if self._in_progress_seen or (created is not None and self._report.event != created + 1):
            self._report.add("SEQ-008", "/type", "must come once, directly after response.created")
        self._in_progress_seen = True
        self._check_early_response(event, "in_progress")

    def _check_early_response(self, event: Event, status: str) -> None:
        response = self._check_constant_members(event, status)
        for name in ("output", "usage"):
            if response.get(name):
                message = f"{name} is not empty before the first item"
                self._report.add("SEQ-016", f"/response/{name}", message, got=response[name])

    def _handle_terminal(self, event: Event) -> None:
        self._ended = True
        kind = event["type"]
        if self._error_seen:
            self._check_after_error(kind)
        response = self._check_constant_members(event, _TERMINAL_STATUSES[kind])
        self.final_response = response
        if kind == "response.failed":
            self._items.check_failed_output(response.get("output"))
            return
        check_incomplete_details(response, self._report, "/response")
        add = self._report.add
        if response.get("model") == "":
            add("SEQ-011", "/response/model", "the model is empty in a finished response", got="")
        if self._created_event is not None and not self._in_progress_seen:
            add("SEQ-008", "/type", "there was no response.in_progress")
        self._items.check_final_output(response.get("output"))
        check_usage(response, self._profile, self._report, "/response")
        check_incomplete_items(response, self._report, "/response")

    def _check_constant_members(self, event: Event, status: str) -> dict[str, Any]:
        """Compare the response of an event with earlier snapshots, and return it; empty if there is none."""
        given = event.get("response")
        if not isinstance(given, dict):
            return {}
        add = self._report.add
        got = given.get("status")
        if isinstance(got, str) and got != status and got in RESPONSE_STATUSES:
            message = f"is not the status of {event['type']}"
            add("SEQ-009", "/response/status", message, expected=status, got=got)
        if self._constant_values is None:
            self._constant_values = {name: given.get(name) for name in _CONSTANT_MEMBERS if name in given}
        for name, before in self._constant_values.items():
            now = given.get(name)
            # A member that is missing, or empty because it is not known yet, contradicts nothing.
            if name in given and before not in (now, ""):
                rule = _CONSTANT_MEMBERS[name]
                if not (name == "model" and now == ""):
                    add(rule, f"/response/{name}", "changes in mid-stream", expected=before, got=now)
        if self._constant_values.get("model") == "":
            self._constant_values["model"] = given.get("model")
        return given


_CONSTANT_MEMBERS = {
    "id": "SEQ-010",
    "created_at": "SEQ-011",
    "model": "SEQ-011",
    "tools": "SEQ-017",
    "tool_choice": "SEQ-017",
    "parallel_tool_calls": "SEQ-017",
}
"""Members of the response that stay the same in a stream, with the rule of each."""

_NUMBER_MESSAGES = {
    "SEQ-002": "the first number is not 0",
    "SEQ-003": "the number is not greater than the one before",
    "SEQ-013": "a number is skipped",
}


def _ignore_event(event: Event) -> None:
    """Handle an event that only its schema describes."""
