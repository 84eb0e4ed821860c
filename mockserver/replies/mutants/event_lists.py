"""Finds and inserts events in the list of a stream; shared by the mutants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mockserver.replies.mutants.registry import Chooser, Event, not_applicable

__all__ = [
    "added_events",
    "completed_response",
    "done_events",
    "events_of_type",
    "finished_snapshots",
    "index_of",
    "insert_events",
    "item_events",
    "item_snapshots",
    "lifecycle_events",
    "renumber",
    "terminal_event",
]

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def renumber(events: list[Event]) -> list[Event]:
    """The events, numbered from 0."""
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return events


def events_of_type(events: Iterable[Event], *kinds: str) -> list[Event]:
    """The events of these types."""
    return [event for event in events if event.get("type") in kinds]


def index_of(events: list[Event], event: Event) -> int:
    """The index of this very event, not of an equal one."""
    return next(at for at, other in enumerate(events) if other is event)


def insert_events(events: list[Event], at: int, *more: Event) -> list[Event]:
    """The events with copies of `more` before index `at`, renumbered."""
    return renumber([*events[:at], *({**event} for event in more), *events[at:]])


def lifecycle_events(events: list[Event]) -> list[Event]:
    """The events that carry a response."""
    return [event for event in events if isinstance(event.get("response"), dict)]


def terminal_event(events: list[Event]) -> Event:
    """The last event, if it is terminal."""
    if not events or events[-1].get("type") not in _TERMINAL:
        raise not_applicable("terminal event at its end")
    return events[-1]


def completed_response(value: Any) -> dict[str, Any]:
    """The response, or the response at the end of a stream, if it is completed."""
    response: dict[str, Any] = terminal_event(value)["response"] if isinstance(value, list) else value
    if response.get("status") != "completed":
        raise not_applicable("successful end")
    return response


def added_events(events: list[Event]) -> list[Event]:
    """The `response.output_item.added` of each item."""
    return events_of_type(events, "response.output_item.added")


def done_events(events: list[Event], *kinds: str) -> list[Event]:
    """The `response.output_item.done` of each item of these types, or of all items."""
    done = events_of_type(events, "response.output_item.done")
    return [event for event in done if not kinds or event["item"]["type"] in kinds]


def item_events(events: Iterable[Event], *kinds: str) -> list[Event]:
    """The events between an item's added and done, of these types or of all."""
    return [event for event in events if "item_id" in event and (not kinds or event["type"] in kinds)]


def item_snapshots(events: list[Event], index: int) -> Iterator[dict[str, Any]]:
    """The item at `index` as it is added, done, and in the final output."""
    for event in events_of_type(events, "response.output_item.added", "response.output_item.done"):
        if event["output_index"] == index:
            yield event["item"]
    yield from terminal_event(events)["response"]["output"][index : index + 1]


def finished_snapshots(events: list[Event], chooser: Chooser, *kinds: str) -> list[dict[str, Any]]:
    """An item of one of these types, as it is done and in the final output."""
    event = chooser.choose(done_events(events, *kinds), f"item of type {' or '.join(kinds) or 'any'}")
    index = event["output_index"]
    return [event["item"], *terminal_event(events)["response"]["output"][index : index + 1]]
