"""The structural summary of a reply: everything that a client could rely on, without the texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Severity
from mockserver.contract.operations import find_operation
from mockserver.live.findings import UNFINISHED_STREAM_RULES
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["BrokenRule", "ComparedReply", "MemberSummary", "ObjectSummary", "StructuralSummary", "summarize"]

#: Members whose content belongs to the user or repeats the request.
_OPAQUE_MEMBERS = frozenset(
    "metadata tools parameters schema headers x_tools attributes arguments format variables".split()
)
#: Members whose values the contract enumerates.
_ENUM_MEMBERS = frozenset({"object", "role", "status", "phase", "service_tier", "truncation"})
#: Headers whose presence is compared.
_COMPARED_HEADERS = ("retry-after", "retry-after-ms", "x-request-id", "x-should-retry", "content-encoding")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{8,}")
_TERMINAL_EVENTS = frozenset({"response.completed", "response.failed", "response.incomplete"})


@dataclass(frozen=True)
class ComparedReply:
    """A reply to compare, from a recording or a live endpoint."""

    method: str
    path: str
    request: Any
    """The request's JSON value."""
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    end: str
    """complete, cut or left."""

    @cached_property
    def value(self) -> Any:
        """The body's JSON value; None if it is not JSON."""
        return json.loads_or_none(self.body)

    @cached_property
    def frames(self) -> tuple[sse.Frame, ...]:
        """The frames of a stream."""
        return sse.decode_frames(self.body)

    @cached_property
    def events(self) -> tuple[dict[str, Any], ...]:
        """The events of a stream; empty if the body is a JSON value."""
        if self.value is not None:
            return ()
        return tuple(event for frame in self.frames if (event := _parse_event(frame.data)) is not None)


def _parse_event(data: str | None) -> dict[str, Any] | None:
    value = json.loads_or_none(data or "")
    return value if isinstance(value, dict) else None


@dataclass
class MemberSummary:
    """What was seen of one member of an object."""

    count: int = 0
    types: set[str] = field(default_factory=set)
    enum_values: set[str] = field(default_factory=set)


@dataclass
class ObjectSummary:
    """What was seen of the objects of one kind in one context."""

    count: int = 0
    members: dict[str, MemberSummary] = field(default_factory=dict)


class BrokenRule(NamedTuple):
    """A rule that a reply breaks."""

    message: str
    is_error: bool
    """Otherwise it is a warning."""


@dataclass
class StructuralSummary:
    """The structure of a reply."""

    status: int
    content_type: str
    end: str
    kind: str
    """stream, response, error, json, or other."""
    envelope: str = ""
    error_code: str = ""
    response_status: str = ""
    framing: dict[str, bool] = field(default_factory=dict)
    headers: frozenset[str] = frozenset()
    objects: dict[tuple[str, str], ObjectSummary] = field(default_factory=dict)
    """By event type (or "") and name of the object."""
    event_types: tuple[str, ...] = ()
    """Event types in order of first appearance."""
    item_types: set[str] = field(default_factory=set)
    part_types: dict[str, set[str]] = field(default_factory=dict)
    """Part types, each with the types of the items that contain it, if known."""
    event_orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By item type: its event types in order of first appearance."""
    called_tools: set[str] = field(default_factory=set)
    """Names of functions, and types of built-in calls."""
    id_forms: dict[str, set[str]] = field(default_factory=dict)
    """Forms of ids, by what they identify."""
    broken_rules: dict[tuple[str, str], BrokenRule] = field(default_factory=dict)
    """By rule and location."""


def summarize(reply: ComparedReply, profile: Profile) -> StructuralSummary:
    """Summarize a reply, checked against a profile."""
    value = reply.value
    summary = StructuralSummary(
        reply.status,
        reply.headers.get("content-type", "").partition(";")[0].strip().lower(),
        reply.end,
        _reply_kind(reply),
        headers=frozenset(each for each in _COMPARED_HEADERS if each in reply.headers),
    )
    if summary.kind == "stream":
        _add_stream(summary, reply)
    elif summary.kind == "error":
        _add_error(summary, value)
    elif isinstance(value, dict):
        _add_body(summary, value, "")
    for rule, location, broken in _broken_rules(reply, profile):
        summary.broken_rules.setdefault((rule, location), broken)
    return summary


def _reply_kind(reply: ComparedReply) -> str:
    value = reply.value
    if isinstance(value, dict):
        if value.get("object") == "response" or isinstance(value.get("output"), list):
            return "response"
        is_error = reply.status >= 400 or (value.keys() & {"error", "code"} and "object" not in value)
        return "error" if is_error else "json"
    if reply.events:
        return "stream"
    return "json" if value is not None else "other"


def _add_stream(summary: StructuralSummary, reply: ComparedReply) -> None:
    summary.framing = _framing_features(reply)
    kinds: dict[str, None] = {}
    orders: dict[Any, dict[str, None]] = {}
    types: dict[Any, str] = {}
    for event in reply.events:
        kind = event.get("type")
        name = kind if isinstance(kind, str) else "an event without a type"
        kinds[name] = None
        index = event.get("output_index")
        if isinstance(index, int):
            orders.setdefault(index, {})[name] = None
        item = event.get("item")
        if isinstance(item, dict):
            types.setdefault(index, str(item.get("type")))
        _add_object(summary, event, name, name, frozenset({"response", "item", "part"}))
        if isinstance(event.get("response"), dict):
            _add_body(summary, event["response"], name)
        if isinstance(item, dict):
            _add_item(summary, item, name)
        if isinstance(event.get("part"), dict):
            _add_part(summary, event["part"], name, None)
        if name == "an event without a type":
            summary.error_code = str(event.get("code", ""))
    summary.event_types = tuple(kinds)
    for index, order in orders.items():
        summary.event_orders.setdefault(types.get(index, "an unknown item"), tuple(order))


def _framing_features(reply: ComparedReply) -> dict[str, bool]:
    body = reply.body
    return {
        "event: lines": b"\nevent:" in b"\n" + body,
        "id: lines": b"\nid:" in b"\n" + body,
        "space behind data:": b"\ndata: " in b"\n" + body.replace(b"data: [DONE]", b""),
        "[DONE]": b"[DONE]" in body[-40:],
        "comments": b"\n:" in b"\n" + body,
        "CRLF": b"\r\n" in body,
    }


def _add_error(summary: StructuralSummary, value: Mapping[str, Any]) -> None:
    inner = value.get("error")
    summary.envelope = "wrapped in error" if isinstance(inner, dict) else "flat"
    error = inner if isinstance(inner, dict) else value
    summary.error_code = str(error.get("code", error.get("type", "")))
    _add_object(summary, value, "", "error", frozenset({"error"}))
    if isinstance(inner, dict):
        _add_object(summary, inner, "", "error", frozenset())
    _add_id_form(summary, "error.request_id", value.get("request_id"))


def _add_body(summary: StructuralSummary, value: Mapping[str, Any], context: str) -> None:
    is_response = value.get("object") == "response" or "output" in value or context
    name = "response" if is_response else str(value.get("object", "body"))
    _add_object(summary, value, context, name, frozenset({"output", "data", "items"}))
    _add_id_form(summary, f"{name}.id", value.get("id"))
    if is_response and (context in _TERMINAL_EVENTS or not context):
        summary.response_status = str(value.get("status", ""))
        error = value.get("error")
        summary.error_code = str(error.get("code", "")) if isinstance(error, dict) else ""
    for member in ("output", "data", "items"):
        items = value.get(member)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                _add_item(summary, item, context)


def _add_item(summary: StructuralSummary, item: Mapping[str, Any], context: str) -> None:
    kind = item.get("type", item.get("object", "an item without a type"))
    name = str(kind)
    summary.item_types.add(name)
    if name == "function_call":
        summary.called_tools.add(str(item.get("name")))
    elif name.endswith("_call"):
        summary.called_tools.add(name)
    _add_object(summary, item, context, name, frozenset({"content", "summary"}))
    _add_id_form(summary, "item.id", item.get("id"))
    _add_id_form(summary, "call_id", item.get("call_id"))
    for member in ("content", "summary"):
        parts = item.get(member)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                _add_part(summary, part, context, name)


def _add_part(
    summary: StructuralSummary, part: Mapping[str, Any], context: str, item_type: str | None
) -> None:
    name = str(part.get("type", "a part without a type"))
    summary.part_types.setdefault(name, set()).update([item_type] if item_type else [])
    _add_object(summary, part, context, name, frozenset())


def _add_object(
    summary: StructuralSummary, value: Mapping[str, Any], context: str, name: str, excluded: frozenset[str]
) -> None:
    """Add an object's members to the summary; those in `excluded` are summarized separately."""
    object_summary = summary.objects.setdefault((context, name), ObjectSummary())
    object_summary.count += 1
    for member, inner in value.items():
        seen = object_summary.members.setdefault(member, MemberSummary())
        seen.count += 1
        seen.types.add(_json_type(inner))
        if member in _ENUM_MEMBERS and isinstance(inner, str):
            seen.enum_values.add(inner)
        if member in excluded or member in _OPAQUE_MEMBERS:
            continue
        inner_name = member if member in ("usage", "error") else f"{name}.{member}"
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                _add_object(summary, each, context, inner_name, frozenset())


def _add_id_form(summary: StructuralSummary, location: str, value: Any) -> None:
    if isinstance(value, str):
        form = _HEX.sub("<hex>", _UUID.sub("<uuid>", value))
        form = form if "<" in form else re.sub(r"[A-Za-z0-9-]{6,}$", "<text>", form)
        summary.id_forms.setdefault(location, set()).add(form)


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return "null" if value is None else names[type(value)]


def _broken_rules(reply: ComparedReply, profile: Profile) -> Iterator[tuple[str, str, BrokenRule]]:
    """(rule, location, broken rule) of every error and warning."""
    for each in _findings(reply, profile):
        if each.severity is not Severity.INFO:
            location = each.pointer if each.event is None else each.pointer.removeprefix("/response")
            broken = BrokenRule(each.message, each.severity is Severity.ERROR)
            yield each.rule, re.sub(r"/[0-9]+(?=/|$)", "/*", location), broken


def _findings(reply: ComparedReply, profile: Profile) -> list[Any]:
    path = profile.base_path + reply.path.partition("?")[0]
    operation = find_operation(profile, reply.method, path)
    if operation is None or 300 <= reply.status < 400:
        return []
    if reply.status != 200:
        return check_error(reply.body, profile, reply.status)
    if operation.name != "createResponse":
        return check_body(reply.body, operation.response_schema, profile)
    streamed = isinstance(reply.request, dict) and reply.request.get("stream") is True
    check = check_stream if streamed else check_response
    findings = check(reply.body, profile, reply.request)
    if reply.end == "complete":
        return findings
    return [each for each in findings if each.rule not in UNFINISHED_STREAM_RULES]
