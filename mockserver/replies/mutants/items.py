"""Mutants of the ITM family: items and parts, opened, filled and closed."""

from __future__ import annotations

from mockserver.profiles import Profile
from mockserver.replies.mutants import places
from mockserver.replies.mutants.registry import Event, Pick, breaks

Events = list[Event]

_ONE = ("item",)
_CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}


@breaks("ITM-001", "stream", needs=_ONE)
def index_left_out(events: Events, pick: Pick, profile: Profile) -> Events:
    first = pick.one(places.added(events), "item")["output_index"]
    for event in events:
        if event.get("output_index", -1) >= first:
            event["output_index"] += 1
    return events


@breaks("ITM-002", "stream", needs=_ONE)
def never_opened(events: Events, pick: Pick, profile: Profile) -> Events:
    # Of the last item: the place of any other would be taken by the item after it.
    last = pick.one(places.added(events)[-1:], "item")
    return places.numbered([event for event in events if event is not last])


@breaks("ITM-003", "stream", needs=("message",))
def id_of_another_item(events: Events, pick: Pick, profile: Profile) -> Events:
    pick.one(places.children(events), "event of an item")["item_id"] += "0"
    return events


@breaks("ITM-004", "stream", needs=_ONE)
def event_of_another_type_of_item(events: Events, pick: Pick, profile: Profile) -> Events:
    begun = pick.one(places.added(events), "item")
    name = profile.reasoning_events if begun["item"]["type"] != "reasoning" else "output_text"
    event = {
        "delta": "x",
        "item_id": begun["item"]["id"],
        "output_index": begun["output_index"],
        "summary_index" if name == "reasoning_summary_text" else "content_index": 0,
        "sequence_number": 0,
        "type": f"response.{name}.delta",
    }
    return places.insert(events, places.place(events, begun) + 1, event)


@breaks("ITM-005", "stream", needs=_ONE)
def becomes_another_item(events: Events, pick: Pick, profile: Profile) -> Events:
    same = places.same_items(events, pick)
    name = pick.one(_texts(same[0]), "way")
    for item in same:
        item[name] += "0"
    return events


@breaks("ITM-006", "stream", needs=("item", "item"))
def two_of_one_id(events: Events, pick: Pick, profile: Profile) -> Events:
    begun = places.added(events)
    index = pick.one(begun[1:], "second item")["output_index"]
    first = begun[0]["item"]["id"]
    for item in places.items(events, index):
        item["id"] = first
    for event in places.children(events):
        if event["output_index"] == index:
            event["item_id"] = first
    return events


@breaks("ITM-006", "response", needs=("item", "item"))
def two_of_one_id_at_last(response: Event, pick: Pick, profile: Profile) -> Event:
    second = pick.one(response["output"][1:], "second item")
    second["id"] = response["output"][0]["id"]
    return response


@breaks("ITM-007", "stream", needs=("function_call", "function_call"))
def two_of_one_call_id(events: Events, pick: Pick, profile: Profile) -> Events:
    calls = [event for event in places.added(events) if "call_id" in event["item"]]
    index = pick.one(calls[1:], "second function call")["output_index"]
    for item in places.items(events, index):
        item["call_id"] = calls[0]["item"]["call_id"]
    return events


@breaks("ITM-007", "response", needs=("function_call", "function_call"))
def two_of_one_call_id_at_last(response: Event, pick: Pick, profile: Profile) -> Event:
    calls = [item for item in response["output"] if "call_id" in item]
    second = pick.one(calls[1:], "second function call")
    second["call_id"] = calls[0]["call_id"]
    return response


@breaks("ITM-008", "stream", needs=_ONE)
def never_done(events: Events, pick: Pick, profile: Profile) -> Events:
    places.completed(events)
    # The last item: after any other, the next one would begin too early as well.
    last = pick.one(places.done(events)[-1:], "item")
    return places.numbered([event for event in events if event is not last])


@breaks("ITM-009", "stream", needs=("message",))
def status_at_the_wrong_time(events: Events, pick: Pick, profile: Profile) -> Events:
    begun = [event["item"] for event in places.added(events) if isinstance(event["item"].get("status"), str)]
    item = pick.one(begun, "item with a status")
    if pick.one(["added", "done"], "way") == "added":
        item["status"] = "incomplete"
    else:
        for each in places.same_items(events, pick, item["type"]):
            each["status"] = "in_progress"
    return events


@breaks("ITM-009", "response", needs=("message",))
def status_of_something_unfinished(response: Event, pick: Pick, profile: Profile) -> Event:
    output = places.completed(response)["output"]
    pick.one(_with_status(output), "item with a status")["status"] = "in_progress"
    return response


@breaks("ITM-010", "stream", needs=_ONE)
def another_item_at_last(events: Events, pick: Pick, profile: Profile) -> Events:
    item = pick.one(places.same_items(events, pick)[1:], "final output")
    item[pick.one(_texts(item), "way")] += "0"
    return events


@breaks("ITM-011", "stream", needs=("message",))
def full_from_the_start(events: Events, pick: Pick, profile: Profile) -> Events:
    members = {"message": "content", "reasoning": "summary", "function_call": "arguments"}
    members |= {"web_extractor_call": "output", "code_interpreter_call": "outputs"}
    members |= dict.fromkeys(("web_search_image_call", "image_search_call", "mcp_call"), "output")
    members |= {"file_search_call": "results"}
    ends = [
        event for event in places.done(events) if event["item"].get(members.get(event["item"]["type"], ""))
    ]
    end = pick.one(ends, "item that gathers something")
    name = members[end["item"]["type"]]
    next(places.items(events, end["output_index"]))[name] = end["item"][name]
    return events


@breaks("ITM-012", "stream", needs=("message",))
def part_index_left_out(events: Events, pick: Pick, profile: Profile) -> Events:
    kinds = ("response.content_part.added", f"response.{profile.reasoning_events}.done")
    event = pick.one(places.children(events, *kinds), "part")
    if "part" in event:
        event["content_index"] += 1
        return events
    # A delta more: one that were moved would be missing where it was.
    about = {each: value for each, value in event.items() if each != "text"}
    more = {**about, "type": event["type"].replace(".done", ".delta"), "delta": "x"}
    name = "summary_index" if "summary_index" in event else "content_index"
    return places.insert(events, places.place(events, event), {**more, name: 7})


_CLOSING = (
    "response.content_part.added",
    "response.output_text.done",
    "response.content_part.done",
    "response.function_call_arguments.done",
)


@breaks("ITM-013", "stream", needs=("message",))
def part_not_whole(events: Events, pick: Pick, profile: Profile) -> Events:
    kinds = set(_CLOSING)
    # A thought without deltas would leave no trace at all.
    thoughts = places.children(events, f"response.{profile.reasoning_events}.delta")
    whole = {event["output_index"] for event in thoughts}
    last = [
        event
        for event in places.children(events, f"response.{profile.reasoning_events}.done")
        if event["output_index"] in whole
    ]
    gone = pick.one([*places.children(events, *kinds), *last], "part")
    return places.numbered([event for event in events if event is not gone])


@breaks("ITM-014", "stream", needs=("message",))
def part_full_from_the_start(events: Events, pick: Pick, profile: Profile) -> Events:
    event = pick.one(places.children(events, "response.content_part.added"), "part")
    name, value = pick.one([("text", "x"), ("annotations", [dict(_CITATION)])], "way")
    event["part"][name] = value
    return events


@breaks("ITM-015", "stream", needs=("tool",))
def progress_out_of_order(events: Events, pick: Pick, profile: Profile) -> Events:
    steps = {kind for tool in profile.tools.values() for kind in tool.events}
    event = pick.one(places.of_type(events, *steps), "progress of a tool")
    at = places.place(events, event)
    way = pick.one(["left out", "twice", "swapped"], "way")
    if way == "twice":
        return places.insert(events, at, event)
    if way == "swapped" and events[at + 1]["type"] in steps:
        events[at], events[at + 1] = events[at + 1], events[at]
        return places.numbered(events)
    return places.numbered([each for each in events if each is not event])


@breaks("ITM-016", "stream", needs=_ONE)
def after_its_end(events: Events, pick: Pick, profile: Profile) -> Events:
    end = pick.one(places.done(events), "item")
    index = end["output_index"]
    own = [event for event in places.children(events) if event["output_index"] == index]
    at = pick.one(range(places.place(events, end) + 1, len(events)), "event after an item")
    return places.insert(events, at, pick.one([end, *own], "way"))


@breaks("ITM-017", "stream", needs=("message",))
def after_its_text_is_done(events: Events, pick: Pick, profile: Profile) -> Events:
    kinds = ("output_text", profile.reasoning_events, "function_call_arguments")
    told = places.children(events, *(f"response.{kind}.done" for kind in kinds))
    event = pick.one(told, "text")
    more = event
    if pick.one(["done", "delta"], "way") == "delta":
        gone = ("text", "arguments", "name")
        rest = {name: value for name, value in event.items() if name not in gone}
        more = {**rest, "type": event["type"].replace(".done", ".delta"), "delta": "x"}
    return places.insert(events, places.place(events, event) + 1, more)


@breaks("ITM-018", "stream", needs=("message",))
def incomplete_in_a_whole_response(events: Events, pick: Pick, profile: Profile) -> Events:
    last = places.completed(events)
    item = pick.one(_with_status(last["output"]), "item with a status")
    for each in [*places.items(events, last["output"].index(item))][1:]:
        each["status"] = "incomplete"
    return events


@breaks("ITM-018", "response", needs=("message",))
def incomplete_in_a_whole_body(response: Event, pick: Pick, profile: Profile) -> Event:
    output = places.completed(response)["output"]
    pick.one(_with_status(output), "item with a status")["status"] = "incomplete"
    return response


@breaks("ITM-019", "stream", needs=("item", "item"))
def interleaved(events: Events, pick: Pick, profile: Profile) -> Events:
    # An item whose arguments come first begins after those, and may do so at any time.
    plain = [each for each in places.added(events)[1:] if each["item"]["type"] != "mcp_call"]
    at = places.place(events, pick.one(plain, "second item"))
    events[at - 1], events[at] = events[at], events[at - 1]
    return places.numbered(events)


@breaks("ITM-020", "stream", needs=("message",))
def output_not_all(events: Events, pick: Pick, profile: Profile) -> Events:
    output = places.completed(events)["output"]
    # A built-in call more or less would be counted wrongly as well.
    plain = [
        at for at, item in enumerate(output) if item["type"] in ("message", "reasoning", "function_call")
    ]
    at = pick.one(plain, "message")
    output[at : at + 1] = pick.one([[], [output[at], output[at]]], "way")
    return events


def _with_status(output: list[Event]) -> list[Event]:
    return [item for item in output if isinstance(item.get("status"), str)]


def _texts(item: Event) -> list[str]:
    """Names of members that tell one item from another."""
    names = ("id", "name", "call_id", "goal", "code", "container_id")
    return [name for name in names if isinstance(item.get(name), str)]
