"""Replaces features of the service's replies by what OpenAI's service sends.

Each feature is one of `WIRE_FEATURES`. Controls use this to vary a single feature of a failing case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from mockserver.testing.strategies.values import JSONObject

__all__ = ["NULLABLE_MEMBERS", "item_objects", "response_objects", "use_usual_frame", "use_usual_payloads"]

#: Members of a response that may be null in every profile (OpenAI's OpenAPI document, 2026).
NULLABLE_MEMBERS = (
    *("background", "conversation", "error", "incomplete_details", "instructions", "max_output_tokens"),
    *("max_tool_calls", "metadata", "previous_response_id", "prompt", "reasoning", "service_tier"),
    *("temperature", "text", "top_logprobs", "top_p", "truncation", "usage", "user"),
)

#: Prefixes of item ids (OpenAI's API reference, 2026); `item_` stands for any other.
_ID_PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "message": "msg_",
        "reasoning": "rs_",
        "function_call": "fc_",
        "web_search_call": "ws_",
        "code_interpreter_call": "ci_",
        "file_search_call": "fs_",
        "mcp_call": "mcp_",
    }
)


def use_usual_payloads(payloads: list[JSONObject], features: Collection[str], model: str) -> list[JSONObject]:
    """The events or the response with these features replaced; the other features are unchanged."""
    for feature, change in _PAYLOAD_CHANGES.items():
        if feature in features:
            change(payloads)
    if "model" in features:
        for response in response_objects(payloads):
            response["model"] = response["model"] or model
    if "order" in features:
        return [{"type": value["type"], **value} if "type" in value else value for value in payloads]
    return payloads


def use_usual_frame(frame: bytes, features: Collection[str]) -> bytes:
    """A frame with these features replaced."""
    lines = frame.split(b"\n")
    for feature, start in (("comment", b":"), ("id", b"id:"), ("event", b"event:")):
        if feature in features:
            lines = [line for line in lines if not line.startswith(start)]
    if "space" in features:
        lines = [_with_space(line) for line in lines]
    return b"\n".join(lines)


def _with_space(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return name + b": " + value if colon and not value.startswith(b" ") else line


def response_objects(payloads: Sequence[JSONObject]) -> Iterator[JSONObject]:
    """The responses among the payloads or in their events."""
    for value in payloads:
        if "output" in value:
            yield value
        elif "response" in value:
            yield value["response"]


def item_objects(payloads: Sequence[JSONObject]) -> Iterator[JSONObject]:
    """The items in the payloads' responses and events."""
    for response in response_objects(payloads):
        yield from response["output"]
    yield from (value["item"] for value in payloads if "item" in value)


def _start_in_progress(payloads: Sequence[JSONObject]) -> None:
    for response in response_objects(payloads):
        if response["status"] == "queued":
            response["status"] = "in_progress"


def _prefix_response_ids(payloads: Sequence[JSONObject]) -> None:
    for response in response_objects(payloads):
        if not response["id"].startswith("resp_"):
            response["id"] = "resp_" + response["id"]


def _prefix_item_ids(payloads: Sequence[JSONObject]) -> None:
    ids: dict[str, str] = {}
    for item in item_objects(payloads):
        prefix = _ID_PREFIXES.get(item["type"], "item_")
        if item["id"] not in ids.values():
            item["id"] = ids.setdefault(item["id"], prefix + item["id"].removeprefix("msg_"))
    for value in payloads:
        if value.get("item_id") in ids:
            value["item_id"] = ids[value["item_id"]]


def _add_content(payloads: Sequence[JSONObject]) -> None:
    for item in item_objects(payloads):
        item.setdefault("content", [])


def _add_nulls(payloads: Sequence[JSONObject]) -> None:
    for response in response_objects(payloads):
        response.update({name: None for name in NULLABLE_MEMBERS if name not in response})


def _remove_extensions(payloads: Sequence[JSONObject]) -> None:
    for response in response_objects(payloads):
        usage = response.get("usage") or {}
        for name in [name for name in usage if name.startswith("x_")]:
            del usage[name]


_PAYLOAD_CHANGES: Mapping[str, Callable[[Sequence[JSONObject]], None]] = MappingProxyType(
    {
        "ids": _prefix_response_ids,
        "item_ids": _prefix_item_ids,
        "queued": _start_in_progress,
        "content": _add_content,
        "nulls": _add_nulls,
        "extensions": _remove_extensions,
    }
)
