"""Finding one's way in a list of events: what mutants share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mockserver.replies.mutants.registry import Event, Pick, not_applicable

__all__ = [
    "added",
    "children",
    "completed",
    "done",
    "insert",
    "items",
    "lifecycle",
    "numbered",
    "of_type",
    "place",
    "same_items",
    "terminal",
]

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def numbered(events: list[Event]) -> list[Event]:
    """The events with fresh sequence numbers."""
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return events


def of_type(events: Iterable[Event], *kinds: str) -> list[Event]:
    """The events of these types."""
    return [event for event in events if event.get("type") in kinds]


def place(events: list[Event], event: Event) -> int:
    """Where `event` itself is; an equal one does not count."""
    return next(at for at, each in enumerate(events) if each is event)


def insert(events: list[Event], at: int, *more: Event) -> list[Event]:
    """The events with more of them before place `at`, numbered anew."""
    return numbered([*events[:at], *({**event} for event in more), *events[at:]])


def lifecycle(events: list[Event]) -> list[Event]:
    """The events that carry a response."""
    return [event for event in events if isinstance(event.get("response"), dict)]


def terminal(events: list[Event]) -> Event:
    """The last event, which ends the stream."""
    if not events or events[-1].get("type") not in _TERMINAL:
        raise not_applicable("terminal event at its end")
    return events[-1]


def completed(value: Any) -> dict[str, Any]:
    """The response of a stream, or the response itself, that ends well."""
    response: dict[str, Any] = terminal(value)["response"] if isinstance(value, list) else value
    if response.get("status") != "completed":
        raise not_applicable("successful end")
    return response


def added(events: list[Event]) -> list[Event]:
    """The `response.output_item.added` of each item."""
    return of_type(events, "response.output_item.added")


def done(events: list[Event], *kinds: str) -> list[Event]:
    """The `response.output_item.done` of each item of these types; of all where none is named."""
    every = of_type(events, "response.output_item.done")
    return [event for event in every if not kinds or event["item"]["type"] in kinds]


def children(events: Iterable[Event], *kinds: str) -> list[Event]:
    """The events between an item's added and done, of these types; all where none is named."""
    return [event for event in events if "item_id" in event and (not kinds or event["type"] in kinds)]


def items(events: list[Event], index: int) -> Iterator[dict[str, Any]]:
    """The item at `index` wherever it is whole: added, done and in the final output."""
    for event in of_type(events, "response.output_item.added", "response.output_item.done"):
        if event["output_index"] == index:
            yield event["item"]
    yield from terminal(events)["response"]["output"][index : index + 1]


def same_items(events: list[Event], pick: Pick, *kinds: str) -> list[dict[str, Any]]:
    """One item of these types, as it is done and as it is in the final output."""
    event = pick.one(done(events, *kinds), f"item of type {' or '.join(kinds) or 'any'}")
    index = event["output_index"]
    return [event["item"], *terminal(events)["response"]["output"][index : index + 1]]
