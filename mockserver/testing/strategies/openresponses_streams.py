"""Stream variants that Open Responses allows and the mock does not send, made by rewriting its streams.

Each variant turns the events of a whole stream into those of another valid stream: a queued response,
log probabilities, a refusal, reasoning text beside its summary, a citation, an item that is not a message.
Source: Open Responses OpenAPI document, 2026-04-24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mockserver.testing.strategies.values import JSONObject

__all__ = ["CITATION", "VARIANTS", "VARIANT_EVENTS", "apply_variants", "variant_names"]

Events = list[JSONObject]

CITATION: JSONObject = {
    "type": "url_citation", "url": "https://www.example.com/", "title": "t", "start_index": 0, "end_index": 1,
}  # fmt: skip
_LOGPROB: JSONObject = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
_TOP_LOGPROB: JSONObject = {"token": "b", "logprob": -1, "bytes": [98]}


def _add_queued_event(events: Events) -> Events:
    waiting = {**events[0]["response"], "status": "queued"}
    return [events[0], {**events[0], "type": "response.queued", "response": waiting}, *events[1:]]


def _add_obfuscation(events: Events) -> Events:
    likely = {"logprobs": [{**_LOGPROB, "top_logprobs": [dict(_TOP_LOGPROB)]}]}
    texts = "response.output_text.delta"
    return [
        {**event, "obfuscation": "Wd6S", **(likely if event["type"] == texts else {})}
        if event["type"].endswith(".delta") and "refusal" not in event["type"]
        else event
        for event in events
    ]


def _replace_message_by_refusal(events: Events) -> Events:
    index = _first_index(events, "message")
    changed = [_refusal_event(event) if event.get("output_index") == index else event for event in events]
    return _change_item(
        changed, index, lambda item: {**item, "content": [*map(_refusal_part, item["content"])]}
    )


def _refusal_event(event: JSONObject) -> JSONObject:
    kept = {name: value for name, value in event.items() if name not in ("logprobs", "text")}
    kept["type"] = event["type"].replace("output_text", "refusal")
    if "text" in event:
        kept["refusal"] = event["text"]
    return {**kept, "part": _refusal_part(event["part"])} if "part" in event else kept


def _refusal_part(part: JSONObject) -> JSONObject:
    return {"type": "refusal", "refusal": part["text"]}


def _move_reasoning_to_content(events: Events) -> Events:
    index = _first_index(events, "reasoning")
    changed = [_reasoning_event(event) if event.get("output_index") == index else event for event in events]

    def with_content(item: JSONObject) -> JSONObject:
        content = [{"type": "reasoning_text", "text": part["text"]} for part in item["summary"]]
        return {**item, "summary": [], **({"content": content, "encrypted_content": "x"} if content else {})}

    return _change_item(changed, index, with_content)


def _reasoning_event(event: JSONObject) -> JSONObject:
    if "summary_index" not in event:
        return event
    kept = {name: value for name, value in event.items() if name != "summary_index"}
    kind = event["type"].replace("reasoning_summary_part", "content_part")
    kept |= {"type": kind.replace("reasoning_summary_text", "reasoning"), "content_index": 0}
    return {**kept, "part": {**event["part"], "type": "reasoning_text"}} if "part" in event else kept


def _add_citation(events: Events) -> Events:
    index = _first_index(events, "message")
    changed: Events = []
    for event in events:
        if event.get("output_index") == index and event["type"] == "response.output_text.done":
            about = {name: event[name] for name in ("item_id", "output_index", "content_index")}
            kind = "response.output_text.annotation.added"
            changed.append({**about, "type": kind, "annotation_index": 0, "annotation": dict(CITATION)})
            changed.append({**event, "logprobs": [{**_LOGPROB, "top_logprobs": [_TOP_LOGPROB]}]})
        elif event.get("output_index") == index and event["type"] == "response.content_part.done":
            changed.append({**event, "part": _with_annotations(event["part"])})
        else:
            changed.append(event)
    return _change_item(
        changed, index, lambda item: {**item, "content": [*map(_with_annotations, item["content"])]}
    )


def _with_annotations(part: JSONObject) -> JSONObject:
    return {
        **part,
        "annotations": [dict(CITATION)],
        "logprobs": [{**_LOGPROB, "top_logprobs": [dict(_TOP_LOGPROB)]}],
    }


def _append_compaction(events: Events) -> Events:
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x", "created_by": "mock"}
    return _append_item(events, {**item, "status": "completed"})


def _append_function_output(events: Events) -> Events:
    image = {"type": "input_image", "image_url": "https://example.invalid/a", "detail": "auto"}
    file = {"type": "input_file", "filename": "a.txt", "file_url": "https://example.invalid/a"}
    parts = [{"type": "input_text", "text": "x"}, image, file]
    about = {"type": "function_call_output", "id": "fco_1", "call_id": "call_of_a_server", "output": parts}
    return _append_item(events, {**about, "status": "completed"})


def _append_extension_item(events: Events) -> Events:
    return _append_item(events, {"type": "acme:search_call", "id": "sc_1", "status": "completed", "hits": 3})


def _append_item(events: Events, item: JSONObject) -> Events:
    """The events with one more item at the end; unchanged if nothing may follow."""
    response = events[-1]["response"]
    if response["status"] != "completed":
        return events
    about = {"output_index": len(response["output"])}
    begun = {**about, "type": "response.output_item.added", "item": {**item, "status": "in_progress"}}
    whole = {**about, "type": "response.output_item.done", "item": item}
    last = {**events[-1], "response": {**response, "output": [*response["output"], item]}}
    return [*events[:-1], begun, whole, last]


def _first_index(events: Events, kind: str) -> int:
    """Index of the first item of a kind; -1 if there is none."""
    begun = (each for each in events if each["type"] == "response.output_item.added")
    return next((each["output_index"] for each in begun if each["item"]["type"] == kind), -1)


def _change_item(events: Events, index: int, change: Callable[[JSONObject], JSONObject]) -> Events:
    """The events with the item at `index` changed wherever it occurs."""
    return [*_changed_events(events, index, change)] if index >= 0 else events


def _changed_events(
    events: Events, index: int, change: Callable[[JSONObject], JSONObject]
) -> Iterator[JSONObject]:
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


VARIANTS: Mapping[str, Callable[[Events], Events]] = MappingProxyType(
    {
        "queued": _add_queued_event,
        "padded": _add_obfuscation,
        "refused": _replace_message_by_refusal,
        "reasoning_text": _move_reasoning_to_content,
        "cited": _add_citation,
        "compacted": _append_compaction,
        "answered": _append_function_output,
        "extended": _append_extension_item,
    }
)
"""Variants by name; `refused` and `cited` exclude each other."""

VARIANT_EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "response.queued": ("queued", "message"),
        "response.refusal.delta": ("refused", "message"),
        "response.refusal.done": ("refused", "message"),
        "response.reasoning.delta": ("reasoning_text", "reasoning"),
        "response.reasoning.done": ("reasoning_text", "reasoning"),
        "response.output_text.annotation.added": ("cited", "message"),
    }
)
"""By event type that only a variant has: the variant, and the item kind that it rewrites."""


def variant_names() -> SearchStrategy[tuple[str, ...]]:
    """Names of variants to combine; usually none."""
    alone = [(name,) for name in VARIANTS]
    return st.sampled_from(
        [
            (),
            (),
            (),
            (),
            *alone,
            ("queued", "reasoning_text", "refused"),
            ("reasoning_text", "cited", "padded"),
        ]
    )


def apply_variants(events: Events, names: tuple[str, ...]) -> Events:
    """The events after these variants, with new sequence numbers."""
    for name in names:
        events = VARIANTS[name](events)
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]
