"""Mutants for the ITM rules: how items and parts start, fill and end."""

from __future__ import annotations

from mockserver.profiles import Profile
from mockserver.replies.mutants import event_lists
from mockserver.replies.mutants.registry import Chooser, Event, breaks

Events = list[Event]

_ANY_ITEM = ("item",)
_CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}


@breaks("ITM-001", "stream", required_items=_ANY_ITEM)
def skip_output_index(events: Events, chooser: Chooser, profile: Profile) -> Events:
    first = chooser.choose(event_lists.added_events(events), "item")["output_index"]
    for event in events:
        if event.get("output_index", -1) >= first:
            event["output_index"] += 1
    return events


@breaks("ITM-002", "stream", required_items=_ANY_ITEM)
def drop_added_event(events: Events, chooser: Chooser, profile: Profile) -> Events:
    # Only of the last item: the next item would take the index of any other.
    last = chooser.choose(event_lists.added_events(events)[-1:], "item")
    return event_lists.renumber([event for event in events if event is not last])


@breaks("ITM-003", "stream", required_items=("message",))
def change_item_id(events: Events, chooser: Chooser, profile: Profile) -> Events:
    chooser.choose(event_lists.item_events(events), "event of an item")["item_id"] += "0"
    return events


@breaks("ITM-004", "stream", required_items=_ANY_ITEM)
def insert_event_of_other_item_type(events: Events, chooser: Chooser, profile: Profile) -> Events:
    added = chooser.choose(event_lists.added_events(events), "item")
    name = profile.reasoning_events if added["item"]["type"] != "reasoning" else "output_text"
    event = {
        "delta": "x",
        "item_id": added["item"]["id"],
        "output_index": added["output_index"],
        "summary_index" if name == "reasoning_summary_text" else "content_index": 0,
        "sequence_number": 0,
        "type": f"response.{name}.delta",
    }
    return event_lists.insert_events(events, event_lists.index_of(events, added) + 1, event)


@breaks("ITM-005", "stream", required_items=_ANY_ITEM)
def change_finished_item(events: Events, chooser: Chooser, profile: Profile) -> Events:
    snapshots = event_lists.finished_snapshots(events, chooser)
    name = chooser.choose(_identifying_members(snapshots[0]), "way")
    for item in snapshots:
        item[name] += "0"
    return events


@breaks("ITM-006", "stream", required_items=("item", "item"))
def duplicate_item_id(events: Events, chooser: Chooser, profile: Profile) -> Events:
    added = event_lists.added_events(events)
    index = chooser.choose(added[1:], "second item")["output_index"]
    first_id = added[0]["item"]["id"]
    for item in event_lists.item_snapshots(events, index):
        item["id"] = first_id
    for event in event_lists.item_events(events):
        if event["output_index"] == index:
            event["item_id"] = first_id
    return events


@breaks("ITM-006", "response", required_items=("item", "item"))
def duplicate_item_id_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    second = chooser.choose(response["output"][1:], "second item")
    second["id"] = response["output"][0]["id"]
    return response


@breaks("ITM-007", "stream", required_items=("function_call", "function_call"))
def duplicate_call_id(events: Events, chooser: Chooser, profile: Profile) -> Events:
    calls = [event for event in event_lists.added_events(events) if "call_id" in event["item"]]
    index = chooser.choose(calls[1:], "second function call")["output_index"]
    for item in event_lists.item_snapshots(events, index):
        item["call_id"] = calls[0]["item"]["call_id"]
    return events


@breaks("ITM-007", "response", required_items=("function_call", "function_call"))
def duplicate_call_id_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    calls = [item for item in response["output"] if "call_id" in item]
    second = chooser.choose(calls[1:], "second function call")
    second["call_id"] = calls[0]["call_id"]
    return response


@breaks("ITM-008", "stream", required_items=_ANY_ITEM)
def drop_done_event(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event_lists.completed_response(events)
    # Only of the last item: after any other, the next item would start too early as well.
    last = chooser.choose(event_lists.done_events(events)[-1:], "item")
    return event_lists.renumber([event for event in events if event is not last])


@breaks("ITM-009", "stream", required_items=("message",))
def change_item_status(events: Events, chooser: Chooser, profile: Profile) -> Events:
    added = [
        event["item"]
        for event in event_lists.added_events(events)
        if isinstance(event["item"].get("status"), str)
    ]
    item = chooser.choose(added, "item with a status")
    if chooser.choose(["added", "done"], "way") == "added":
        item["status"] = "incomplete"
    else:
        for snapshot in event_lists.finished_snapshots(events, chooser, item["type"]):
            snapshot["status"] = "in_progress"
    return events


@breaks("ITM-009", "response", required_items=("message",))
def change_item_status_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    output = event_lists.completed_response(response)["output"]
    chooser.choose(_items_with_status(output), "item with a status")["status"] = "in_progress"
    return response


@breaks("ITM-010", "stream", required_items=_ANY_ITEM)
def change_final_output_item(events: Events, chooser: Chooser, profile: Profile) -> Events:
    item = chooser.choose(event_lists.finished_snapshots(events, chooser)[1:], "final output")
    item[chooser.choose(_identifying_members(item), "way")] += "0"
    return events


@breaks("ITM-011", "stream", required_items=("message",))
def fill_added_item(events: Events, chooser: Chooser, profile: Profile) -> Events:
    members = {"message": "content", "reasoning": "summary", "function_call": "arguments"}
    members |= {"web_extractor_call": "output", "code_interpreter_call": "outputs"}
    members |= dict.fromkeys(("web_search_image_call", "image_search_call", "mcp_call"), "output")
    members |= {"file_search_call": "results"}
    filled = [
        event
        for event in event_lists.done_events(events)
        if event["item"].get(members.get(event["item"]["type"], ""))
    ]
    done = chooser.choose(filled, "item with content")
    name = members[done["item"]["type"]]
    next(event_lists.item_snapshots(events, done["output_index"]))[name] = done["item"][name]
    return events


@breaks("ITM-012", "stream", required_items=("message",))
def skip_part_index(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kinds = ("response.content_part.added", f"response.{profile.reasoning_events}.done")
    event = chooser.choose(event_lists.item_events(events, *kinds), "part")
    if "part" in event:
        event["content_index"] += 1
        return events
    # An additional delta: a moved one would be missing where it was.
    members = {name: value for name, value in event.items() if name != "text"}
    delta = {**members, "type": event["type"].replace(".done", ".delta"), "delta": "x"}
    delta["summary_index" if "summary_index" in event else "content_index"] = 7
    return event_lists.insert_events(events, event_lists.index_of(events, event), delta)


_PART_EVENTS = (
    "response.content_part.added",
    "response.output_text.done",
    "response.content_part.done",
    "response.function_call_arguments.done",
)


@breaks("ITM-013", "stream", required_items=("message",))
def drop_part_event(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kinds = set(_PART_EVENTS)
    # A reasoning item without deltas would have no events left.
    deltas = event_lists.item_events(events, f"response.{profile.reasoning_events}.delta")
    with_deltas = {event["output_index"] for event in deltas}
    reasoning = [
        event
        for event in event_lists.item_events(events, f"response.{profile.reasoning_events}.done")
        if event["output_index"] in with_deltas
    ]
    dropped = chooser.choose([*event_lists.item_events(events, *kinds), *reasoning], "part")
    return event_lists.renumber([event for event in events if event is not dropped])


@breaks("ITM-014", "stream", required_items=("message",))
def fill_added_part(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event = chooser.choose(event_lists.item_events(events, "response.content_part.added"), "part")
    name, value = chooser.choose([("text", "x"), ("annotations", [dict(_CITATION)])], "way")
    event["part"][name] = value
    return events


@breaks("ITM-015", "stream", required_items=("tool",))
def reorder_tool_progress(events: Events, chooser: Chooser, profile: Profile) -> Events:
    steps = {kind for tool in profile.tools.values() for kind in tool.events}
    event = chooser.choose(event_lists.events_of_type(events, *steps), "progress of a tool")
    at = event_lists.index_of(events, event)
    optional = {name for tool in profile.tools.values() for name in tool.optional_events}
    is_next_step = events[at + 1]["type"] in steps
    way = chooser.choose(["left out", "twice", "swapped"], "way")
    if way == "twice" or (event["type"] in optional and not (way == "swapped" and is_next_step)):
        return event_lists.insert_events(events, at, event)
    if way == "swapped" and is_next_step:
        events[at], events[at + 1] = events[at + 1], events[at]
        return event_lists.renumber(events)
    return event_lists.renumber([other for other in events if other is not event])


@breaks("ITM-016", "stream", required_items=_ANY_ITEM)
def insert_event_after_item_done(events: Events, chooser: Chooser, profile: Profile) -> Events:
    done = chooser.choose(event_lists.done_events(events), "item")
    index = done["output_index"]
    own = [event for event in event_lists.item_events(events) if event["output_index"] == index]
    at = chooser.choose(range(event_lists.index_of(events, done) + 1, len(events)), "event after an item")
    return event_lists.insert_events(events, at, chooser.choose([done, *own], "way"))


@breaks("ITM-017", "stream", required_items=("message",))
def insert_event_after_text_done(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kinds = ("output_text", profile.reasoning_events, "function_call_arguments")
    done = chooser.choose(
        event_lists.item_events(events, *(f"response.{kind}.done" for kind in kinds)), "text"
    )
    later = done
    if chooser.choose(["done", "delta"], "way") == "delta":
        members = {name: value for name, value in done.items() if name not in ("text", "arguments", "name")}
        later = {**members, "type": done["type"].replace(".done", ".delta"), "delta": "x"}
    return event_lists.insert_events(events, event_lists.index_of(events, done) + 1, later)


@breaks("ITM-018", "stream", required_items=("message",))
def make_item_incomplete(events: Events, chooser: Chooser, profile: Profile) -> Events:
    output = event_lists.completed_response(events)["output"]
    item = chooser.choose(_items_with_status(output), "item with a status")
    for snapshot in [*event_lists.item_snapshots(events, output.index(item))][1:]:
        snapshot["status"] = "incomplete"
    return events


@breaks("ITM-018", "response", required_items=("message",))
def make_item_incomplete_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    output = event_lists.completed_response(response)["output"]
    chooser.choose(_items_with_status(output), "item with a status")["status"] = "incomplete"
    return response


@breaks("ITM-019", "stream", required_items=("item", "item"))
def interleave_items(events: Events, chooser: Chooser, profile: Profile) -> Events:
    # The arguments of an mcp_call come before it, so it may be added at any time.
    added = [event for event in event_lists.added_events(events)[1:] if event["item"]["type"] != "mcp_call"]
    at = event_lists.index_of(events, chooser.choose(added, "second item"))
    events[at - 1], events[at] = events[at], events[at - 1]
    return event_lists.renumber(events)


@breaks("ITM-020", "stream", required_items=("message",))
def change_output_length(events: Events, chooser: Chooser, profile: Profile) -> Events:
    output = event_lists.completed_response(events)["output"]
    # With one run of a built-in tool more or less, the tool counts would be wrong as well.
    uncounted = [
        at for at, item in enumerate(output) if item["type"] in ("message", "reasoning", "function_call")
    ]
    at = chooser.choose(uncounted, "message")
    output[at : at + 1] = chooser.choose([[], [output[at], output[at]]], "way")
    return events


def _items_with_status(output: list[Event]) -> list[Event]:
    return [item for item in output if isinstance(item.get("status"), str)]


def _identifying_members(item: Event) -> list[str]:
    """Names of the members that must not change in an item."""
    names = ("id", "name", "call_id", "goal", "code", "container_id")
    return [name for name in names if isinstance(item.get(name), str)]
