"""What a server of Open Responses may say and the mock does not: drawn by rewriting what the mock says.

Each way takes the events of a whole stream, and gives those of another that is as legal: a queued response,
probabilities, a refusal, thoughts beside their summary, a citation, an item that is no message. Source: Open
Responses OpenAPI document, 2026-04-24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mockserver.testing.strategies.values import JSONObject

__all__ = ["CITATION", "EVENTS", "WAYS", "rewritten", "ways"]

Events = list[JSONObject]

CITATION: JSONObject = {
    "type": "url_citation", "url": "https://www.example.com/", "title": "t", "start_index": 0, "end_index": 1,
}  # fmt: skip
_PROBABILITY: JSONObject = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
_LIKELIEST: JSONObject = {"token": "b", "logprob": -1, "bytes": [98]}


def _queued(events: Events) -> Events:
    waiting = {**events[0]["response"], "status": "queued"}
    return [events[0], {**events[0], "type": "response.queued", "response": waiting}, *events[1:]]


def _padded(events: Events) -> Events:
    likely = {"logprobs": [{**_PROBABILITY, "top_logprobs": [dict(_LIKELIEST)]}]}
    texts = "response.output_text.delta"
    return [
        {**event, "obfuscation": "Wd6S", **(likely if event["type"] == texts else {})}
        if event["type"].endswith(".delta") and "refusal" not in event["type"]
        else event
        for event in events
    ]


def _refused(events: Events) -> Events:
    index = _first(events, "message")
    changed = [_refusing(event) if event.get("output_index") == index else event for event in events]
    return _with_items(changed, index, lambda item: {**item, "content": [*map(_refusal, item["content"])]})


def _refusing(event: JSONObject) -> JSONObject:
    kept = {name: value for name, value in event.items() if name not in ("logprobs", "text")}
    kept["type"] = event["type"].replace("output_text", "refusal")
    if "text" in event:
        kept["refusal"] = event["text"]
    return {**kept, "part": _refusal(event["part"])} if "part" in event else kept


def _refusal(part: JSONObject) -> JSONObject:
    return {"type": "refusal", "refusal": part["text"]}


def _thought(events: Events) -> Events:
    index = _first(events, "reasoning")
    changed = [_thinking(event) if event.get("output_index") == index else event for event in events]

    def told(item: JSONObject) -> JSONObject:
        content = [{"type": "reasoning_text", "text": part["text"]} for part in item["summary"]]
        return {**item, "summary": [], **({"content": content, "encrypted_content": "x"} if content else {})}

    return _with_items(changed, index, told)


def _thinking(event: JSONObject) -> JSONObject:
    if "summary_index" not in event:
        return event
    kept = {name: value for name, value in event.items() if name != "summary_index"}
    kind = event["type"].replace("reasoning_summary_part", "content_part")
    kept |= {"type": kind.replace("reasoning_summary_text", "reasoning"), "content_index": 0}
    return {**kept, "part": {**event["part"], "type": "reasoning_text"}} if "part" in event else kept


def _cited(events: Events) -> Events:
    index = _first(events, "message")
    changed: Events = []
    for event in events:
        if event.get("output_index") == index and event["type"] == "response.output_text.done":
            about = {name: event[name] for name in ("item_id", "output_index", "content_index")}
            kind = "response.output_text.annotation.added"
            changed.append({**about, "type": kind, "annotation_index": 0, "annotation": dict(CITATION)})
            changed.append({**event, "logprobs": [{**_PROBABILITY, "top_logprobs": [_LIKELIEST]}]})
        elif event.get("output_index") == index and event["type"] == "response.content_part.done":
            changed.append({**event, "part": _annotated(event["part"])})
        else:
            changed.append(event)
    return _with_items(changed, index, lambda item: {**item, "content": [*map(_annotated, item["content"])]})


def _annotated(part: JSONObject) -> JSONObject:
    return {
        **part,
        "annotations": [dict(CITATION)],
        "logprobs": [{**_PROBABILITY, "top_logprobs": [dict(_LIKELIEST)]}],
    }


def _compacted(events: Events) -> Events:
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x", "created_by": "mock"}
    return _with_another(events, {**item, "status": "completed"})


def _answered(events: Events) -> Events:
    image = {"type": "input_image", "image_url": "https://example.invalid/a", "detail": "auto"}
    file = {"type": "input_file", "filename": "a.txt", "file_url": "https://example.invalid/a"}
    parts = [{"type": "input_text", "text": "x"}, image, file]
    about = {"type": "function_call_output", "id": "fco_1", "call_id": "call_of_a_server", "output": parts}
    return _with_another(events, {**about, "status": "completed"})


def _extended(events: Events) -> Events:
    return _with_another(events, {"type": "acme:search_call", "id": "sc_1", "status": "completed", "hits": 3})


def _with_another(events: Events, item: JSONObject) -> Events:
    """The events with one more item at the end; as they are where nothing may follow."""
    response = events[-1]["response"]
    if response["status"] != "completed":
        return events
    about = {"output_index": len(response["output"])}
    begun = {**about, "type": "response.output_item.added", "item": {**item, "status": "in_progress"}}
    whole = {**about, "type": "response.output_item.done", "item": item}
    last = {**events[-1], "response": {**response, "output": [*response["output"], item]}}
    return [*events[:-1], begun, whole, last]


def _first(events: Events, kind: str) -> int:
    """Place of the first item of a kind; -1 where there is none."""
    begun = (each for each in events if each["type"] == "response.output_item.added")
    return next((each["output_index"] for each in begun if each["item"]["type"] == kind), -1)


def _with_items(events: Events, index: int, change: Callable[[JSONObject], JSONObject]) -> Events:
    """The events with the item at `index` changed wherever it is."""
    return [*_changed(events, index, change)] if index >= 0 else events


def _changed(events: Events, index: int, change: Callable[[JSONObject], JSONObject]) -> Iterator[JSONObject]:
    for event in events:
        if "item" in event and event["output_index"] == index:
            yield {**event, "item": change(event["item"])}
        elif event.get("response", {}).get("output"):
            output = [
                change(each) if at == index else each for at, each in enumerate(event["response"]["output"])
            ]
            yield {**event, "response": {**event["response"], "output": output}}
        else:
            yield event


WAYS: Mapping[str, Callable[[Events], Events]] = MappingProxyType(
    {
        "queued": _queued,
        "padded": _padded,
        "refused": _refused,
        "thought": _thought,
        "cited": _cited,
        "compacted": _compacted,
        "answered": _answered,
        "extended": _extended,
    }
)
"""Ways to rewrite a stream, by name; `refused` and `cited` exclude each other."""

EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "response.queued": ("queued", "message"),
        "response.refusal.delta": ("refused", "message"),
        "response.refusal.done": ("refused", "message"),
        "response.reasoning.delta": ("thought", "reasoning"),
        "response.reasoning.done": ("thought", "reasoning"),
        "response.output_text.annotation.added": ("cited", "message"),
    }
)
"""Types of events that only a rewritten stream has: the way, and the kind of item that it takes."""


def ways() -> SearchStrategy[tuple[str, ...]]:
    """Some ways that go together; most often none."""
    alone = [(name,) for name in WAYS]
    return st.sampled_from(
        [(), (), (), (), *alone, ("queued", "thought", "refused"), ("thought", "cited", "padded")]
    )


def rewritten(events: Events, names: tuple[str, ...]) -> Events:
    """The events, numbered anew, after these ways."""
    for name in names:
        events = WAYS[name](events)
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]
