"""Mutants of the TXT and USE families: texts that agree, and counts that add up."""

from __future__ import annotations

from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants import places
from mockserver.replies.mutants.registry import Event, Pick, breaks, not_applicable

Events = list[Event]


@breaks("TXT-001", "stream", needs=("message",))
def deltas_make_another_text(events: Events, pick: Pick, profile: Profile) -> Events:
    kinds = ("response.output_text.done", f"response.{profile.reasoning_events}.done")
    return _another_delta(events, pick, *kinds)


@breaks("TXT-002", "stream", needs=("message",))
def part_of_another_text(events: Events, pick: Pick, profile: Profile) -> Events:
    event = pick.one(places.children(events, "response.content_part.done"), "part")
    event["part"]["text"] += "x"
    for item in [*places.items(events, event["output_index"])][1:]:
        item["content"][event["content_index"]]["text"] += "x"
    return events


@breaks("TXT-003", "stream", needs=("message",))
def item_of_another_text(events: Events, pick: Pick, profile: Profile) -> Events:
    for item in places.same_items(events, pick, "message", "reasoning"):
        part = item.get("content") or item["summary"]
        part[0]["text"] += "x"
    return events


@breaks("TXT-004", "stream", needs=("function_call",))
def deltas_make_other_arguments(events: Events, pick: Pick, profile: Profile) -> Events:
    return _another_delta(events, pick, "response.function_call_arguments.done")


def _another_delta(events: Events, pick: Pick, *kinds: str) -> Events:
    whole = pick.one(places.children(events, *kinds), "text")
    kind = whole["type"].replace(".done", ".delta")
    own = [each for each in places.children(events, kind) if each["output_index"] == whole["output_index"]]
    telling = [each for each in own if each["delta"]]
    way = pick.one(["more", "other", "less"] if telling else ["more"], "way")
    if way == "less":
        gone = pick.one(telling, "delta")
        return places.numbered([event for event in events if event is not gone])
    if way == "other":
        pick.one(telling, "delta")["delta"] += "x"
        return events
    told = {name: value for name, value in whole.items() if name not in ("text", "arguments", "name")}
    return places.insert(events, places.place(events, whole), {**told, "type": kind, "delta": "x"})


@breaks("TXT-005", "stream", needs=("function_call",))
def arguments_that_are_no_object(events: Events, pick: Pick, profile: Profile) -> Events:
    kind = "response.function_call_arguments"
    told = pick.one(places.children(events, f"{kind}.done"), "function call")
    told["arguments"] += "]"
    for item in [*places.items(events, told["output_index"])][1:]:
        item["arguments"] += "]"
    about = {name: value for name, value in told.items() if name not in ("arguments", "name")}
    more = {**about, "type": f"{kind}.delta", "delta": "]"}
    return places.insert(events, places.place(events, told), more)


@breaks("TXT-005", "response", needs=("function_call",))
def final_arguments_that_are_no_object(response: Event, pick: Pick, profile: Profile) -> Event:
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    pick.one(calls, "function call")["arguments"] = pick.one(["", "{", "[]", '"x"', "1"], "way")
    return response


@breaks("TXT-006", "stream", needs=("message",))
def another_text_at_last(events: Events, pick: Pick, profile: Profile) -> Events:
    kinds = ("message", "reasoning", "function_call")
    item = pick.one(places.same_items(events, pick, *kinds)[1:], "final output")
    if "arguments" in item:
        item["arguments"] += " "
    else:
        (item.get("content") or item["summary"])[0]["text"] += "x"
    return events


@breaks("USE-001", "stream", "response")
def total_is_no_sum(value: Any, pick: Pick, profile: Profile) -> Any:
    _usage(value)["total_tokens"] += pick.one([1, 1000], "way")
    return value


@breaks("USE-002", "stream", "response")
def more_thoughts_than_output(value: Any, pick: Pick, profile: Profile) -> Any:
    usage = _usage(value)
    usage["output_tokens_details"]["reasoning_tokens"] = usage["output_tokens"] + 1
    return value


@breaks("USE-003", "stream", "response")
def more_cached_than_input(value: Any, pick: Pick, profile: Profile) -> Any:
    usage = _usage(value)
    usage["input_tokens_details"]["cached_tokens"] = usage["input_tokens"] + 1
    return value


@breaks("USE-004", "stream", "response")
def completed_without_usage(value: Any, pick: Pick, profile: Profile) -> Any:
    _usage(value)
    response = places.completed(value)
    # Where every member is always there, its absence is another breach.
    if profile.blank or pick.one(["null", "absent"], "way") == "null":
        response["usage"] = None
    else:
        del response["usage"]
    return value


@breaks("USE-005", "stream", "response")
def count_that_is_no_number(value: Any, pick: Pick, profile: Profile) -> Any:
    usage = _usage(value)
    details, name = pick.one(
        [("input_tokens_details", "cached_tokens"), ("output_tokens_details", "reasoning_tokens")], "way"
    )
    count = usage[details][name]
    usage[details][name] = pick.one([-1, float(count), str(count), None], "way")
    return value


@breaks("USE-006", "stream", "response")
def runs_counted_wrongly(value: Any, pick: Pick, profile: Profile) -> Any:
    usage = _usage(value)
    counts = usage.get("x_tools") or {}
    counted = [kind for kind, about in profile.tools.items() if about.counted]
    tool = pick.one(counted, "built-in tool")
    before = counts.get(tool, {"count": 0})["count"]
    usage["x_tools"] = {**counts, tool: {"count": before + 1}}
    return value


def _usage(value: Any) -> dict[str, Any]:
    usage = places.completed(value).get("usage")
    if not isinstance(usage, dict):
        raise not_applicable("usage of a completed response")
    return usage
