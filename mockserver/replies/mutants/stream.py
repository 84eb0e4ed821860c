"""Mutants of the SEQ family: numbers, the order of events, one response all along."""

from __future__ import annotations

from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants import places
from mockserver.replies.mutants.registry import Event, Pick, breaks, not_applicable

Events = list[Event]

_ERROR = {"code": "InternalError", "message": "Internal server error."}


@breaks("SEQ-001", "stream")
def number_of_another_type(events: Events, pick: Pick, profile: Profile) -> Events:
    event = pick.one(events, "event")
    number = event["sequence_number"]
    event["sequence_number"] = pick.one([float(number), str(number), None, -1, True], "way")
    return events


@breaks("SEQ-002", "stream")
def begins_later(events: Events, pick: Pick, profile: Profile) -> Events:
    first = pick.one([1, 2, 100], "way")
    for event in events:
        event["sequence_number"] += first
    return events


@breaks("SEQ-003", "stream")
def number_repeated(events: Events, pick: Pick, profile: Profile) -> Events:
    at = pick.one(range(1, len(events)), "second event")
    events[at]["sequence_number"] = pick.one([at - 1, 0], "way")
    return events


@breaks("SEQ-004", "stream")
def created_left_out(events: Events, pick: Pick, profile: Profile) -> Events:
    if events[0]["type"] != "response.created":
        raise not_applicable("response.created at its beginning")
    return places.numbered(events[1:])


@breaks("SEQ-005", "stream")
def created_again(events: Events, pick: Pick, profile: Profile) -> Events:
    at = pick.one(range(2, len(events)), "third event")
    return places.insert(events, at, events[0])


@breaks("SEQ-006", "stream")
def cut(events: Events, pick: Pick, profile: Profile) -> Events:
    return events[: pick.one(range(len(events) - 1, -1, -1), "event")]


@breaks("SEQ-007", "stream")
def after_the_end(events: Events, pick: Pick, profile: Profile) -> Events:
    places.terminal(events)
    return places.insert(events, len(events), pick.one(events[::-1], "event"))


@breaks("SEQ-008", "stream")
def in_progress_misplaced(events: Events, pick: Pick, profile: Profile) -> Events:
    places.completed(events)
    event = pick.one(places.of_type(events, "response.in_progress"), "response.in_progress")
    rest = [each for each in events if each is not event]
    way = pick.one(["left out", "late", "twice"], "way")
    if way == "left out":
        return places.numbered(rest)
    if way == "late" and len(rest) > 2:
        return places.insert(rest, pick.one(range(2, len(rest)), "third event"), event)
    return places.insert(events, 2, event)


@breaks("SEQ-009", "stream")
def status_of_another_event(events: Events, pick: Pick, profile: Profile) -> Events:
    # A failed response's error would be illegal under any other status.
    whole = [event for event in places.lifecycle(events) if not event["response"].get("error")]
    response = pick.one(whole, "lifecycle event")["response"]
    response["status"] = "queued" if response["status"] == "in_progress" else "in_progress"
    return events


@breaks("SEQ-010", "stream")
def another_response(events: Events, pick: Pick, profile: Profile) -> Events:
    response = pick.one(places.lifecycle(events)[1:], "second lifecycle event")["response"]
    response["id"] += "0"
    return events


@breaks("SEQ-011", "stream")
def another_time_or_model(events: Events, pick: Pick, profile: Profile) -> Events:
    later = places.lifecycle(events)[1:]
    way = pick.one(["time", "time", "model"], "way")
    last = places.terminal(events)["response"]
    if way == "model" and last["status"] == "completed":
        last["model"] = ""
    else:
        pick.one(later, "second lifecycle event")["response"]["created_at"] += 1
    return events


@breaks("SEQ-012", "stream")
def unknown_event(events: Events, pick: Pick, profile: Profile) -> Events:
    at = pick.one(range(2, len(events)), "third event")
    return places.insert(events, at, {"type": "response.vendor_note", "sequence_number": 0})


@breaks("SEQ-013", "stream")
def number_left_out(events: Events, pick: Pick, profile: Profile) -> Events:
    at = pick.one(range(1, len(events)), "second event")
    gap = pick.one([1, 7], "way")
    for event in events[at:]:
        event["sequence_number"] += gap
    return events


@breaks("SEQ-014", "stream")
def fails_at_once(events: Events, pick: Pick, profile: Profile) -> Events:
    if pick.one(["event", "payload"], "way") == "payload":
        return [_payload()]
    before = events[0]["response"]
    failed = {**before, "status": "failed", "output": [], "error": dict(_ERROR)}
    return [{"response": failed, "sequence_number": 0, "type": "response.failed"}]


@breaks("SEQ-015", "stream")
def payload_in_mid_stream(events: Events, pick: Pick, profile: Profile) -> Events:
    return [*events[: pick.one(range(1, len(events)), "second event")], _payload()]


def _payload() -> Event:
    return {**_ERROR, "request_id": "00000000-0000-9000-8000-000000000000"}


@breaks("SEQ-016", "stream")
def full_at_the_beginning(events: Events, pick: Pick, profile: Profile) -> Events:
    early = places.of_type(events, "response.created", "response.in_progress")
    response = pick.one(early, "response.created")["response"]
    last = places.terminal(events)["response"]
    name = pick.one([name for name in ("output", "usage") if last.get(name)], "output or usage")
    response[name] = last[name]
    return events


@breaks("SEQ-017", "stream")
def another_echo(events: Events, pick: Pick, profile: Profile) -> Events:
    response = pick.one(places.lifecycle(events)[1:], "second lifecycle event")["response"]
    changes: list[tuple[str, Any]] = [
        ("tool_choice", "none" if response["tool_choice"] != "none" else "auto"),
        ("parallel_tool_calls", not response["parallel_tool_calls"]),
        ("tools", [] if response["tools"] else [{"type": "web_search"}]),
    ]
    name, value = pick.one(changes, "way")
    response[name] = value
    return events
