"""Mutants for the TXT and USE rules: texts that disagree, and token counts that do not add up."""

from __future__ import annotations

from typing import Any

from mockserver.profiles import Profile
from mockserver.replies.mutants import event_lists
from mockserver.replies.mutants.registry import Chooser, Event, breaks, not_applicable

Events = list[Event]


@breaks("TXT-001", "stream", required_items=("message",))
def change_text_delta(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kinds = ("response.output_text.done", f"response.{profile.reasoning_events}.done")
    return _change_delta(events, chooser, *kinds)


@breaks("TXT-002", "stream", required_items=("message",))
def change_part_text(events: Events, chooser: Chooser, profile: Profile) -> Events:
    event = chooser.choose(event_lists.item_events(events, "response.content_part.done"), "part")
    event["part"]["text"] += "x"
    for item in [*event_lists.item_snapshots(events, event["output_index"])][1:]:
        item["content"][event["content_index"]]["text"] += "x"
    return events


@breaks("TXT-003", "stream", required_items=("message",))
def change_item_text(events: Events, chooser: Chooser, profile: Profile) -> Events:
    for item in event_lists.finished_snapshots(events, chooser, "message", "reasoning"):
        part = item.get("content") or item["summary"]
        part[0]["text"] += "x"
    return events


@breaks("TXT-004", "stream", required_items=("function_call",))
def change_arguments_delta(events: Events, chooser: Chooser, profile: Profile) -> Events:
    return _change_delta(events, chooser, "response.function_call_arguments.done")


def _change_delta(events: Events, chooser: Chooser, *kinds: str) -> Events:
    done = chooser.choose(event_lists.item_events(events, *kinds), "text")
    kind = done["type"].replace(".done", ".delta")
    deltas = [
        event
        for event in event_lists.item_events(events, kind)
        if event["output_index"] == done["output_index"] and event["delta"]
    ]
    ways = ["more", "other", "less"] if deltas else ["more"]
    if len(deltas) == 1 and "arguments" in kind:
        ways.remove("less")  # without deltas, arguments come whole
    way = chooser.choose(ways, "way")
    if way == "less":
        dropped = chooser.choose(deltas, "delta")
        return event_lists.renumber([event for event in events if event is not dropped])
    if way == "other":
        chooser.choose(deltas, "delta")["delta"] += "x"
        return events
    return event_lists.insert_events(
        events, event_lists.index_of(events, done), {**_without_text(done), "type": kind, "delta": "x"}
    )


def _without_text(done: Event) -> Event:
    return {name: value for name, value in done.items() if name not in ("text", "arguments", "name")}


@breaks("TXT-005", "stream", required_items=("function_call",))
def break_arguments(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kind = "response.function_call_arguments"
    done = chooser.choose(event_lists.item_events(events, f"{kind}.done"), "function call")
    done["arguments"] += "]"
    for item in [*event_lists.item_snapshots(events, done["output_index"])][1:]:
        item["arguments"] += "]"
    delta = {**_without_text(done), "type": f"{kind}.delta", "delta": "]"}
    return event_lists.insert_events(events, event_lists.index_of(events, done), delta)


@breaks("TXT-005", "response", required_items=("function_call",))
def break_arguments_in_response(response: Event, chooser: Chooser, profile: Profile) -> Event:
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    chooser.choose(calls, "function call")["arguments"] = chooser.choose(["", "{", "[]", '"x"', "1"], "way")
    return response


@breaks("TXT-006", "stream", required_items=("message",))
def change_final_output_text(events: Events, chooser: Chooser, profile: Profile) -> Events:
    kinds = ("message", "reasoning", "function_call")
    item = chooser.choose(event_lists.finished_snapshots(events, chooser, *kinds)[1:], "final output")
    if "arguments" in item:
        item["arguments"] += " "
    else:
        (item.get("content") or item["summary"])[0]["text"] += "x"
    return events


@breaks("USE-001", "stream", "response")
def change_total_tokens(value: Any, chooser: Chooser, profile: Profile) -> Any:
    _completed_usage(value)["total_tokens"] += chooser.choose([1, 1000], "way")
    return value


@breaks("USE-002", "stream", "response")
def exceed_output_tokens(value: Any, chooser: Chooser, profile: Profile) -> Any:
    usage = _completed_usage(value)
    usage["output_tokens_details"]["reasoning_tokens"] = usage["output_tokens"] + 1
    return value


@breaks("USE-003", "stream", "response")
def exceed_input_tokens(value: Any, chooser: Chooser, profile: Profile) -> Any:
    usage = _completed_usage(value)
    usage["input_tokens_details"]["cached_tokens"] = usage["input_tokens"] + 1
    return value


@breaks("USE-004", "stream", "response")
def drop_usage(value: Any, chooser: Chooser, profile: Profile) -> Any:
    _completed_usage(value)
    response = event_lists.completed_response(value)
    # If every member is always present, an absent one breaks another rule.
    if profile.blank or chooser.choose(["null", "absent"], "way") == "null":
        response["usage"] = None
    else:
        del response["usage"]
    return value


@breaks("USE-005", "stream", "response")
def break_token_count(value: Any, chooser: Chooser, profile: Profile) -> Any:
    usage = _completed_usage(value)
    details, name = chooser.choose(
        [("input_tokens_details", "cached_tokens"), ("output_tokens_details", "reasoning_tokens")], "way"
    )
    count = usage[details][name]
    usage[details][name] = chooser.choose([-1, float(count), str(count), None], "way")
    return value


@breaks("USE-006", "stream", "response")
def miscount_tool_runs(value: Any, chooser: Chooser, profile: Profile) -> Any:
    usage = _completed_usage(value)
    counts = usage.get("x_tools") or {}
    counted = [kind for kind, tool in profile.tools.items() if tool.counted]
    kind = chooser.choose(counted, "built-in tool")
    count = counts.get(kind, {"count": 0})["count"]
    usage["x_tools"] = {**counts, kind: {"count": count + 1}}
    return value


@breaks("USE-007", "stream", "response")
def change_bill(value: Any, chooser: Chooser, profile: Profile) -> Any:
    rows = _completed_usage(value).get("x_details")
    row = chooser.choose(rows or [], "row of x_details")
    name = chooser.choose(["input_tokens", "output_tokens"], "count")
    row[name] += 1
    row["total_tokens"] += 1
    return value


@breaks("SEQ-018", "stream", "response")
def drop_incomplete_details(value: Any, chooser: Chooser, profile: Profile) -> Any:
    if isinstance(value, list):
        terminal = event_lists.terminal_event(value)
        response = terminal["response"]
        if response["status"] == "completed":
            terminal["type"] = "response.incomplete"
    else:
        response = value
    if response.get("status") not in ("completed", "incomplete"):
        raise not_applicable("response that has not failed")
    response["status"] = "incomplete"
    # If every member is always present, an absent one breaks another rule.
    if profile.blank or chooser.choose(["null", "absent"], "way") == "null":
        response["incomplete_details"] = None
    else:
        response.pop("incomplete_details", None)
    return value


def _completed_usage(value: Any) -> dict[str, Any]:
    usage = event_lists.completed_response(value).get("usage")
    if not isinstance(usage, dict):
        raise not_applicable("usage of a completed response")
    return usage
