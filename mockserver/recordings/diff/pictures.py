"""The picture of an answer: all that a client could rely on, and none of its texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from mockserver.contract.check import check_body, check_error, check_response, check_stream
from mockserver.contract.findings import Severity
from mockserver.contract.operations import find_operation
from mockserver.profiles import Profile
from mockserver.wire import json, sse

__all__ = ["Answer", "Broken", "Member", "Picture", "Shape", "picture"]

#: Members whose own members are the user's, or follow from what was asked.
_OPAQUE = frozenset(
    "metadata tools parameters schema headers x_tools attributes arguments format variables".split()
)
#: Members whose values are words of the contract.
_WORDS = frozenset({"object", "role", "status", "phase", "service_tier", "truncation"})
#: Headers whose coming and going is told.
_HEADERS = ("retry-after", "retry-after-ms", "x-request-id", "x-should-retry", "content-encoding")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{8,}")
_FINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})


@dataclass(frozen=True)
class Answer:
    """What came, wherever it is from."""

    method: str
    path: str
    asked: Any
    """The request's JSON value."""
    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes
    end: str
    """complete, cut or left."""

    @cached_property
    def value(self) -> Any:
        """The body's JSON value; None where it is none."""
        return json.value_or_none(self.body)

    @cached_property
    def frames(self) -> tuple[sse.Frame, ...]:
        """The frames of a stream."""
        return sse.frames_of(self.body)

    @cached_property
    def events(self) -> tuple[dict[str, Any], ...]:
        """The events of a stream; none where it is a JSON value."""
        if self.value is not None:
            return ()
        return tuple(event for frame in self.frames if (event := _event(frame.data)) is not None)


def _event(data: str | None) -> dict[str, Any] | None:
    value = json.value_or_none(data or "")
    return value if isinstance(value, dict) else None


@dataclass
class Member:
    """A member of a shape."""

    count: int = 0
    types: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


@dataclass
class Shape:
    """Objects of one kind in one place of an answer."""

    count: int = 0
    members: dict[str, Member] = field(default_factory=dict)


class Broken(NamedTuple):
    """A rule that is broken."""

    message: str
    is_error: bool
    """Else it is a warning."""


@dataclass
class Picture:
    """What an answer shows."""

    status: int
    content_type: str
    end: str
    form: str
    """stream, response, error, json, or other."""
    envelope: str = ""
    code: str = ""
    outcome: str = ""
    framing: dict[str, bool] = field(default_factory=dict)
    headers: frozenset[str] = frozenset()
    shapes: dict[tuple[str, str], Shape] = field(default_factory=dict)
    """By the event (or "") and the name of the shape."""
    events: tuple[str, ...] = ()
    """Kinds of events, in the order in which each first came."""
    items: set[str] = field(default_factory=set)
    parts: dict[str, set[str]] = field(default_factory=dict)
    """Kinds of parts, with the types of the items that have them, as far as that is told."""
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By type of item: its kinds of events, in the order in which each first came."""
    tools: set[str] = field(default_factory=set)
    """Functions by name, and types of built-in calls."""
    ids: dict[str, set[str]] = field(default_factory=dict)
    """Forms of ids, by whose they are."""
    rules: dict[tuple[str, str], Broken] = field(default_factory=dict)
    """Rules that are broken, by rule and place."""


def picture(answer: Answer, profile: Profile) -> Picture:
    """The picture of an answer, judged by a profile."""
    value = answer.value
    found = Picture(
        answer.status,
        answer.headers.get("content-type", "").partition(";")[0].strip().lower(),
        answer.end,
        _form(answer),
        headers=frozenset(each for each in _HEADERS if each in answer.headers),
    )
    if found.form == "stream":
        _see_stream(found, answer)
    elif found.form == "error":
        _see_error(found, value)
    elif isinstance(value, dict):
        _see_body(found, value, "")
    for rule, place, broken in _broken(answer, profile):
        found.rules.setdefault((rule, place), broken)
    return found


def _form(answer: Answer) -> str:
    value = answer.value
    if isinstance(value, dict):
        if value.get("object") == "response" or isinstance(value.get("output"), list):
            return "response"
        is_error = answer.status >= 400 or (value.keys() & {"error", "code"} and "object" not in value)
        return "error" if is_error else "json"
    if answer.events:
        return "stream"
    return "json" if value is not None else "other"


def _see_stream(found: Picture, answer: Answer) -> None:
    found.framing = _framing(answer)
    kinds: dict[str, None] = {}
    orders: dict[Any, dict[str, None]] = {}
    types: dict[Any, str] = {}
    for event in answer.events:
        kind = event.get("type")
        name = kind if isinstance(kind, str) else "an event without a type"
        kinds[name] = None
        index = event.get("output_index")
        if isinstance(index, int):
            orders.setdefault(index, {})[name] = None
        item = event.get("item")
        if isinstance(item, dict):
            types.setdefault(index, str(item.get("type")))
        _see(found, event, name, name, frozenset({"response", "item", "part"}))
        if isinstance(event.get("response"), dict):
            _see_body(found, event["response"], name)
        if isinstance(item, dict):
            _see_item(found, item, name)
        if isinstance(event.get("part"), dict):
            _see_part(found, event["part"], name, None)
        if name == "an event without a type":
            found.code = str(event.get("code", ""))
    found.events = tuple(kinds)
    for index, order in orders.items():
        found.orders.setdefault(types.get(index, "an unknown item"), tuple(order))


def _framing(answer: Answer) -> dict[str, bool]:
    body = answer.body
    return {
        "event: lines": b"\nevent:" in b"\n" + body,
        "id: lines": b"\nid:" in b"\n" + body,
        "space behind data:": b"\ndata: " in b"\n" + body.replace(b"data: [DONE]", b""),
        "[DONE]": b"[DONE]" in body[-40:],
        "comments": b"\n:" in b"\n" + body,
        "CRLF": b"\r\n" in body,
    }


def _see_error(found: Picture, value: Mapping[str, Any]) -> None:
    inner = value.get("error")
    found.envelope = "wrapped in error" if isinstance(inner, dict) else "flat"
    told = inner if isinstance(inner, dict) else value
    found.code = str(told.get("code", told.get("type", "")))
    _see(found, value, "", "error", frozenset({"error"}))
    if isinstance(inner, dict):
        _see(found, inner, "", "error", frozenset())
    _see_id(found, "error.request_id", value.get("request_id"))


def _see_body(found: Picture, value: Mapping[str, Any], context: str) -> None:
    is_response = value.get("object") == "response" or "output" in value or context
    name = "response" if is_response else str(value.get("object", "body"))
    _see(found, value, context, name, frozenset({"output", "data", "items"}))
    _see_id(found, f"{name}.id", value.get("id"))
    if is_response and (context in _FINAL or not context):
        found.outcome = str(value.get("status", ""))
        error = value.get("error")
        found.code = str(error.get("code", "")) if isinstance(error, dict) else ""
    for member in ("output", "data", "items"):
        items = value.get(member)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                _see_item(found, item, context)


def _see_item(found: Picture, item: Mapping[str, Any], context: str) -> None:
    kind = item.get("type", item.get("object", "an item without a type"))
    name = str(kind)
    found.items.add(name)
    if name == "function_call":
        found.tools.add(str(item.get("name")))
    elif name.endswith("_call"):
        found.tools.add(name)
    _see(found, item, context, name, frozenset({"content", "summary"}))
    _see_id(found, "item.id", item.get("id"))
    _see_id(found, "call_id", item.get("call_id"))
    for member in ("content", "summary"):
        parts = item.get(member)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                _see_part(found, part, context, name)


def _see_part(found: Picture, part: Mapping[str, Any], context: str, owner: str | None) -> None:
    name = str(part.get("type", "a part without a type"))
    found.parts.setdefault(name, set()).update([owner] if owner else [])
    _see(found, part, context, name, frozenset())


def _see(found: Picture, value: Mapping[str, Any], context: str, name: str, apart: frozenset[str]) -> None:
    """Take note of an object's members; those `apart` are looked at by themselves."""
    shape = found.shapes.setdefault((context, name), Shape())
    shape.count += 1
    for member, inner in value.items():
        seen = shape.members.setdefault(member, Member())
        seen.count += 1
        seen.types.add(_type(inner))
        if member in _WORDS and isinstance(inner, str):
            seen.words.add(inner)
        if member in apart or member in _OPAQUE:
            continue
        inner_name = member if member in ("usage", "error") else f"{name}.{member}"
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                _see(found, each, context, inner_name, frozenset())


def _see_id(found: Picture, place: str, value: Any) -> None:
    if isinstance(value, str):
        form = _HEX.sub("<hex>", _UUID.sub("<uuid>", value))
        form = form if "<" in form else re.sub(r"[A-Za-z0-9-]{6,}$", "<text>", form)
        found.ids.setdefault(place, set()).add(form)


def _type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return "null" if value is None else names[type(value)]


def _broken(answer: Answer, profile: Profile) -> Iterator[tuple[str, str, Broken]]:
    """What breaks the contract: rule, place, and how."""
    for each in _findings(answer, profile):
        if each.severity is not Severity.INFO:
            place = each.pointer if each.event is None else each.pointer.removeprefix("/response")
            broken = Broken(each.message, each.severity is Severity.ERROR)
            yield each.rule, re.sub(r"/[0-9]+(?=/|$)", "/*", place), broken


def _findings(answer: Answer, profile: Profile) -> list[Any]:
    path = profile.base_path + answer.path.partition("?")[0]
    operation = find_operation(profile, answer.method, path)
    if operation is None or 300 <= answer.status < 400:
        return []
    if answer.status != 200:
        return check_error(answer.body, profile, answer.status)
    if operation.name != "createResponse":
        return check_body(answer.body, operation.reply, profile)
    streamed = isinstance(answer.asked, dict) and answer.asked.get("stream") is True
    check = check_stream if streamed else check_response
    found = check(answer.body, profile, answer.asked)
    if answer.end == "complete":
        return found
    return [each for each in found if each.rule not in ("SEQ-006", "SSE-003", "ITM-008", "SSE-006")]
