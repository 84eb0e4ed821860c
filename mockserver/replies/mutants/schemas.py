"""Mutants for the SCH rules, for the status and model of a response, and for the REQ rules of responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants import event_lists
from mockserver.replies.mutants.registry import Chooser, Event, breaks, not_applicable

Events = list[Event]

#: Members of a response that were added after January: (name, value, month).
_LATER_MEMBERS: tuple[tuple[str, Any, str], ...] = (
    ("temperature", 1.0, "2026-05"),
    ("max_output_tokens", 16, "2026-08"),
)


def has_later_members(profile: Profile) -> bool:
    """Whether a later dated profile has members that this one lacks."""
    return bool(_later_members(profile))


def _later_members(profile: Profile) -> list[tuple[str, Any]]:
    """(name, value) of members that a later profile has; none if every member is always present."""
    return [
        (name, value) for name, value, since in _LATER_MEMBERS if since > profile.date and not profile.blank
    ]


@breaks("SCH-001", "stream")
def change_event_member_type(events: Events, chooser: Chooser, profile: Profile) -> Events:
    changes: list[tuple[Event, str, Any]] = [
        (event["response"], "object", "thing") for event in event_lists.lifecycle_events(events)
    ]
    changes += [(event, "delta", None) for event in events if "delta" in event]
    changes += [
        (event["part"], "type", "custom_part")
        for event in event_lists.events_of_type(events, "response.content_part.added")
    ]
    target, name, value = chooser.choose(changes, "lifecycle event")
    target[name] = value
    return events


@breaks("SCH-001", "response")
def change_response_member_type(response: Event, chooser: Chooser, profile: Profile) -> Event:
    name, value = chooser.choose(
        [("object", "thing"), ("created_at", "today"), ("output", None), ("model", None), ("id", "")], "way"
    )
    response[name] = value
    return response


@breaks("SCH-002", "stream")
def drop_event_member(events: Events, chooser: Chooser, profile: Profile) -> Events:
    missing: list[tuple[Event, str]] = [
        (event["response"], "object") for event in event_lists.lifecycle_events(events)
    ]
    missing += [(event, "item_id") for event in event_lists.item_events(events) if "output_index" in event]
    missing += [(event, "sequence_number") for event in events[1:-1]]
    target, name = chooser.choose(missing, "lifecycle event")
    del target[name]
    return events


@breaks("SCH-002", "response")
def drop_response_member(response: Event, chooser: Chooser, profile: Profile) -> Event:
    del response[chooser.choose(["id", "created_at", "object", "output"], "way")]
    return response


@breaks("SCH-003", "stream")
def add_unknown_event_member(events: Events, chooser: Chooser, profile: Profile) -> Events:
    chooser.choose(events, "event")["x_note"] = "x"
    return events


@breaks("SCH-003", "response", "request")
def add_unknown_member(value: Event, chooser: Chooser, profile: Profile) -> Event:
    if "input" in value:
        # Unknown parameters break another rule (REQ-002); unknown members of a tool break this one.
        known = {"type": "web_search"} if profile.tools else {"type": "function", "name": "f_note"}
        value["tools"] = [*(value.get("tools") or ()), {**known, "x_note": "x"}]
    else:
        value["x_note"] = "x"
    return value


@breaks("SCH-004", "stream", "response")
def add_member_of_later_profile(value: Any, chooser: Chooser, profile: Profile) -> Any:
    name, member = chooser.choose(_later_members(profile), "member of a later profile")
    response = event_lists.terminal_event(value)["response"] if isinstance(value, list) else value
    response[name] = member
    return value


@breaks("SCH-005", "stream")
def add_unknown_item_to_stream(events: Events, chooser: Chooser, profile: Profile) -> Events:
    response = event_lists.terminal_event(events)["response"]
    if response["status"] == "incomplete":
        raise not_applicable("complete last item, after which another may come")
    item = {"id": f"{profile.item_id_prefix}note", "status": "completed", "type": "custom_note"}
    members = {"output_index": len(response["output"]), "sequence_number": 0}
    added = {**members, "type": "response.output_item.added", "item": {**item, "status": "in_progress"}}
    done = {**members, "type": "response.output_item.done", "item": item}
    response["output"] = [*response["output"], dict(item)]
    return event_lists.insert_events(events, len(events) - 1, added, done)


@breaks("SCH-005", "response")
def add_unknown_item(response: Event, chooser: Chooser, profile: Profile) -> Event:
    item = {"id": f"{profile.item_id_prefix}note", "status": "completed", "type": "custom_note"}
    # No item may follow an incomplete one.
    after = 0 if response["status"] == "incomplete" else 1
    response["output"].insert(chooser.choose(range(len(response["output"]) + after), "index"), item)
    return response


@breaks("SEQ-009", "response")
def make_status_unfinished(response: Event, chooser: Chooser, profile: Profile) -> Event:
    event_lists.completed_response(response)["status"] = chooser.choose(["in_progress", "queued"], "way")
    return response


@breaks("SEQ-011", "response")
def clear_model(response: Event, chooser: Chooser, profile: Profile) -> Event:
    event_lists.completed_response(response)["model"] = ""
    return response


@breaks("REQ-008", "stream", "response")
def change_model(value: Any, chooser: Chooser, profile: Profile) -> Any:
    event_lists.completed_response(value)["model"] += "-other"
    return value


@breaks("REQ-012", "stream", "response")
def change_echoed_parameter(value: Any, chooser: Chooser, profile: Profile) -> Any:
    response = event_lists.completed_response(value)
    echoes = {name: echo for name, echo in profile.echoes.items() if echo is not None}
    others = {"tool_choice": "none", **{name: _different_value(echo) for name, echo in echoes.items()}}
    name = chooser.choose([name for name in others if response.get(name) is not None], "echoed parameter")
    for snapshot in (
        [value] if value is response else [event["response"] for event in event_lists.lifecycle_events(value)]
    ):
        if name in snapshot:
            snapshot[name] = others[name]
    return value


def _different_value(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}-other"
    return {"other": "x"} if isinstance(value, Mapping) else value + 1


@breaks("REQ-009", "stream", required_items=("function_call",))
def call_undeclared_function(events: Events, chooser: Chooser, profile: Profile) -> Events:
    calls = [event for event in event_lists.added_events(events) if event["item"]["type"] == "function_call"]
    index = chooser.choose(calls, "function call")["output_index"]
    for item in event_lists.item_snapshots(events, index):
        item["name"] = "undeclared"
    for event in event_lists.item_events(events):
        if event["output_index"] == index and isinstance(event.get("name"), str):
            event["name"] = "undeclared"
    return events


@breaks("REQ-009", "response", required_items=("function_call",))
def call_undeclared_function_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    chooser.choose(calls, "function call")["name"] = "undeclared"
    return response
