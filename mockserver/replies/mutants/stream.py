"""Mutants for the SEQ rules: sequence numbers, the order of events, and the snapshots of the response."""

from __future__ import annotations

from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants import event_lists
from mockserver.replies.mutants.registry import Chooser, Event, breaks, not_applicable

Events = list[Event]

_ERROR = {"code": "InternalError", "message": "Internal server error."}


@breaks("SEQ-001", "stream")
def change_number_type(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event = chooser.choose(events, "event")
    number = event["sequence_number"]
    event["sequence_number"] = chooser.choose([float(number), str(number), None, -1, True], "way")
    return events


@breaks("SEQ-002", "stream")
def start_at_later_number(events: Events, chooser: Chooser, profile: Profile) -> Events:
    first = chooser.choose([1, 2, 100], "way")
    for event in events:
        event["sequence_number"] += first
    return events


@breaks("SEQ-003", "stream")
def repeat_number(events: Events, chooser: Chooser, profile: Profile) -> Events:
    at = chooser.choose(range(1, len(events)), "second event")
    events[at]["sequence_number"] = chooser.choose([at - 1, 0], "way")
    return events


@breaks("SEQ-004", "stream")
def drop_created(events: Events, chooser: Chooser, profile: Profile) -> Events:
    if events[0]["type"] != "response.created":
        raise not_applicable("response.created at its start")
    return event_lists.renumber(events[1:])


@breaks("SEQ-005", "stream")
def repeat_created(events: Events, chooser: Chooser, profile: Profile) -> Events:
    at = chooser.choose(range(2, len(events)), "third event")
    return event_lists.insert_events(events, at, events[0])


@breaks("SEQ-006", "stream")
def truncate_stream(events: Events, chooser: Chooser, profile: Profile) -> Events:
    return events[: chooser.choose(range(len(events) - 1, -1, -1), "event")]


@breaks("SEQ-007", "stream")
def append_after_terminal_event(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event_lists.terminal_event(events)
    return event_lists.insert_events(events, len(events), chooser.choose(events[::-1], "event"))


@breaks("SEQ-008", "stream")
def misplace_in_progress(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event_lists.completed_response(events)
    event = chooser.choose(event_lists.events_of_type(events, "response.in_progress"), "response.in_progress")
    rest = [other for other in events if other is not event]
    way = chooser.choose(["left out", "late", "twice"], "way")
    if way == "left out":
        return event_lists.renumber(rest)
    if way == "late" and len(rest) > 2:
        return event_lists.insert_events(rest, chooser.choose(range(2, len(rest)), "third event"), event)
    return event_lists.insert_events(events, 2, event)


@breaks("SEQ-009", "stream")
def change_lifecycle_status(events: Events, chooser: Chooser, profile: Profile) -> Events:
    # The `error` of a failed response would be invalid with any other status.
    successful = [
        event for event in event_lists.lifecycle_events(events) if not event["response"].get("error")
    ]
    response = chooser.choose(successful, "lifecycle event")["response"]
    response["status"] = "queued" if response["status"] == "in_progress" else "in_progress"
    return events


@breaks("SEQ-010", "stream")
def change_response_id(events: Events, chooser: Chooser, profile: Profile) -> Events:
    response = chooser.choose(event_lists.lifecycle_events(events)[1:], "second lifecycle event")["response"]
    response["id"] += "0"
    return events


@breaks("SEQ-011", "stream")
def change_time_or_model(events: Events, chooser: Chooser, profile: Profile) -> Events:
    later = event_lists.lifecycle_events(events)[1:]
    way = chooser.choose(["time", "time", "model"], "way")
    last = event_lists.terminal_event(events)["response"]
    if way == "model" and last["status"] == "completed":
        last["model"] = ""
    else:
        chooser.choose(later, "second lifecycle event")["response"]["created_at"] += 1
    return events


@breaks("SEQ-012", "stream")
def insert_unknown_event(events: Events, chooser: Chooser, profile: Profile) -> Events:
    at = chooser.choose(range(2, len(events)), "third event")
    return event_lists.insert_events(events, at, {"type": "response.vendor_note", "sequence_number": 0})


@breaks("SEQ-013", "stream")
def skip_number(events: Events, chooser: Chooser, profile: Profile) -> Events:
    at = chooser.choose(range(1, len(events)), "second event")
    gap = chooser.choose([1, 7], "way")
    for event in events[at:]:
        event["sequence_number"] += gap
    return events


@breaks("SEQ-014", "stream")
def fail_at_start(events: Events, chooser: Chooser, profile: Profile) -> Events:
    if chooser.choose(["event", "payload"], "way") == "payload":
        return [_error_payload()]
    failed = {**events[0]["response"], "status": "failed", "output": [], "error": dict(_ERROR)}
    return [{"response": failed, "sequence_number": 0, "type": "response.failed"}]


@breaks("SEQ-015", "stream")
def end_with_error_payload(events: Events, chooser: Chooser, profile: Profile) -> Events:
    return [*events[: chooser.choose(range(1, len(events)), "second event")], _error_payload()]


def _error_payload() -> Event:
    return {**_ERROR, "request_id": "00000000-0000-9000-8000-000000000000"}


@breaks("SEQ-016", "stream")
def fill_initial_snapshot(events: Events, chooser: Chooser, profile: Profile) -> Events:
    initial = event_lists.events_of_type(events, "response.created", "response.in_progress")
    response = chooser.choose(initial, "response.created")["response"]
    final = event_lists.terminal_event(events)["response"]
    name = chooser.choose([name for name in ("output", "usage") if final.get(name)], "output or usage")
    response[name] = final[name]
    return events


@breaks("SEQ-017", "stream")
def change_echoed_member(events: Events, chooser: Chooser, profile: Profile) -> Events:
    response = chooser.choose(event_lists.lifecycle_events(events)[1:], "second lifecycle event")["response"]
    changes: list[tuple[str, Any]] = [
        ("tool_choice", "none" if response["tool_choice"] != "none" else "auto"),
        ("parallel_tool_calls", not response["parallel_tool_calls"]),
        ("tools", [] if response["tools"] else [{"type": "web_search"}]),
    ]
    name, value = chooser.choose(changes, "way")
    response[name] = value
    return events
