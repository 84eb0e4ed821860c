"""Templates: a script rendered once, filled in for each request.

Builders are called with markers where a request's own values go; the rendered bytes are cut at the
markers. What is left for each request is one formatting of bytes per event: ids, times, token counts
and echoes drop into place. A marker carries a random token, so no text can look like one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from mockserver.profiles import Profile, load_profile
from mockserver.replies.events import (
    ResponseFacts,
    build_events,
    build_failed_response,
    build_failed_stream,
    build_response,
)
from mockserver.replies.items import JSONObject
from mockserver.replies.renderings import Rendering, load_rendering
from mockserver.replies.script import Script
from mockserver.replies.usage import CacheTokens, build_usage
from mockserver.wire import json, sse

__all__ = [
    "DEFAULT_SHAPE",
    "ReplyTemplate",
    "SlotValues",
    "StreamTemplate",
    "TemplateShape",
    "TemplateValues",
    "compile_reply",
    "compile_stream",
    "encode_error_payload",
    "encode_event",
    "render_failed_reply",
    "render_failed_stream",
]

_MARKER_TOKEN = secrets.token_hex(8)
_MARKER = re.compile(rf'"\\u0002{_MARKER_TOKEN}:(\w+)\\u0002"|\\u0001{_MARKER_TOKEN}:(\w+)\\u0001'.encode())


class TemplateShape(NamedTuple):
    """What a request changes in the form of its reply: part of what a template is known by."""

    optional_echoes: tuple[str, ...] = ()
    """Echoed members that are there only because the request had them."""
    has_session_cache: bool = False
    """Whether the session's cache is on."""
    whole_arguments: bool = False
    """Whether arguments of function calls come with their items, and not by events."""


#: Slots every reply has; the echoes follow, what the cache did, the items' ids, then their call ids.
_COMMON_SLOTS = ("response_id", "created_at", "input_tokens", "total_tokens", "tools", "tool_choice")


class TemplateValues(NamedTuple):
    """What a request puts into a template."""

    response_id: str
    created_at: int
    input_tokens: int
    total_tokens: int
    tools: bytes
    """The echoed tools, as JSON."""
    tool_choice: bytes
    """The echoed choice, as JSON."""
    item_ids: Sequence[str]
    call_ids: Sequence[str]
    """One for each function call whose id has to be drawn."""
    echoes: tuple[bytes, ...] = ()
    """The profile's echoed members, then those that the request alone has, as JSON."""
    cache_tokens: tuple[bytes, ...] = ()
    """Tokens that the session's cache gave and took, where it is on."""

    def slot_values(self, rendering: Rendering) -> tuple[bytes, ...]:
        """The values as bytes, in the order of the slots."""
        filled = (
            self.response_id.encode(),
            rendering.encode_timestamp(self.created_at),
            b"%d" % self.input_tokens,
            b"%d" % self.total_tokens,
            self.tools,
            self.tool_choice,
            *self.echoes,
            *self.cache_tokens,
            *map(str.encode, self.item_ids),
        )
        return (*filled, *map(str.encode, self.call_ids)) if self.call_ids else filled


#: Nothing out of the ordinary.
DEFAULT_SHAPE = TemplateShape()

SlotValues: TypeAlias = tuple[bytes, ...]
_CompiledPart: TypeAlias = tuple[bytes, Callable[[SlotValues], Any]]


@dataclass(frozen=True, slots=True)
class ReplyTemplate:
    """The body of a reply without `stream`."""

    part: _CompiledPart
    rendering: Rendering

    def render(self, values: TemplateValues) -> bytes:
        """The body with the values in place."""
        form, pick = self.part
        body: bytes = form % pick(values.slot_values(self.rendering))
        return body


@dataclass(frozen=True, slots=True)
class StreamTemplate:
    """The frames of a stream, one per event (and one for the done marker, if the profile has it)."""

    parts: tuple[_CompiledPart, ...]
    rendering: Rendering

    def render(self, values: TemplateValues) -> list[bytes]:
        """One frame of bytes per event, with the values in place."""
        filled = values.slot_values(self.rendering)
        return [form % pick(filled) for form, pick in self.parts]


@lru_cache(maxsize=1024)
def compile_reply(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> ReplyTemplate:
    """The compiled reply; kept for the 1,024 latest."""
    facts, names = _facts_with_markers(script, load_profile(profile), model, shape)
    look = load_rendering(profile, rendering)
    response = look.reply_layout.apply("response", build_response(script, facts, load_profile(profile)))
    return ReplyTemplate(_compile_part(json.dumps(response), names), look)


@lru_cache(maxsize=1024)
def compile_stream(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> StreamTemplate:
    """The compiled stream; kept for the 1,024 latest."""
    facts, names = _facts_with_markers(script, load_profile(profile), model, shape)
    about, look = load_profile(profile), load_rendering(profile, rendering)
    events = build_events(script, facts, about)
    frames = [encode_event(look.stream_layout.apply("event", event), about) for event in events]
    if about.done_marker:
        frames.append(sse.encode(b"[DONE]"))
    return StreamTemplate(tuple(_compile_part(frame, names) for frame in frames), look)


def encode_event(event: JSONObject, profile: Profile) -> bytes:
    """A numbered event as the profile frames it."""
    data = json.dumps(event)
    if profile.framing == "vendor":
        # id, event, a comment, data, no spaces: raw SSE sample recorded on 26 January 2026.
        return b"id:%d\nevent:%b\n:HTTP_STATUS/200\ndata:%b\n\n" % (
            event["sequence_number"] + 1,
            event["type"].encode(),
            data,
        )
    return sse.encode(data, event=event["type"])


def render_failed_reply(
    response_id: str, created_at: int, error: JSONObject, profile: str, rendering: str
) -> JSONObject:
    """A response that failed before it began, as it looks; compiled for nobody, since it is rare."""
    about, look = load_profile(profile), load_rendering(profile, rendering)
    created: float = float(created_at) if look.float_timestamps else created_at
    rendered: JSONObject = look.reply_layout.apply(
        "response", build_failed_response(_failed_response_facts(response_id, created, about), about, error)
    )
    return rendered


def render_failed_stream(
    response_id: str, created_at: int, error: JSONObject, profile: str, rendering: str
) -> tuple[bytes, ...]:
    """A stream that failed before it began: one event, or all that there are where errors have their own."""
    about, look = load_profile(profile), load_rendering(profile, rendering)
    if not about.error_types:
        response = render_failed_reply(response_id, created_at, error, profile, rendering)
        return (encode_event({"response": response, "sequence_number": 0, "type": "response.failed"}, about),)
    events = build_failed_stream(_failed_response_facts(response_id, created_at, about), about, error)
    frames = [encode_event(look.stream_layout.apply("event", event), about) for event in events]
    return (*frames, *([sse.encode(b"[DONE]")] if about.done_marker else ()))


def _failed_response_facts(response_id: str, created_at: float, profile: Profile) -> ResponseFacts:
    """What is known of a response that never began."""
    usual = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in profile.echoes.items()
    }
    return ResponseFacts(response_id, created_at, "", (), (), {}, [], "auto", usual if profile.blank else {})


def encode_error_payload(code: str, message: str, request_id: str, profile: Profile) -> bytes:
    """An error within a stream that has no type, as the service sends some (client notes, August 2026)."""
    data = json.dumps({"code": code, "message": message, "request_id": request_id})
    return b"data:%b\n\n" % data if profile.framing == "vendor" else sse.encode(data)


def _facts_with_markers(
    script: Script, profile: Profile, model: str, shape: TemplateShape
) -> tuple[ResponseFacts, dict[bytes, int]]:
    echoed = (*profile.echoes, *shape.optional_echoes)
    cached = ("cached", "cache_created") if shape.has_session_cache else ()
    item_slots = [f"item{at}" for at in range(len(script.items))]
    call_slots = {at: f"call{at}" for at in script.calls_without_id}
    facts = ResponseFacts(
        response_id=_string_marker("response_id"),
        created_at=_value_marker("created_at"),
        model=model,
        item_ids=tuple(_string_marker(slot) for slot in item_slots),
        call_ids=tuple(_string_marker(call_slots.get(at, "")) for at in range(len(script.items))),
        usage=build_usage(
            script,
            _value_marker("input_tokens"),
            _value_marker("total_tokens"),
            profile,
            CacheTokens(*map(_value_marker, cached)) if cached else None,
        ),
        tools=_value_marker("tools"),
        tool_choice=_value_marker("tool_choice"),
        echoes={name: _value_marker(f"echo_{name}") for name in echoed},
        whole_arguments=shape.whole_arguments,
    )
    slots = (*_COMMON_SLOTS, *(f"echo_{name}" for name in echoed), *cached, *item_slots, *call_slots.values())
    return facts, {slot.encode(): at for at, slot in enumerate(slots)}


def _string_marker(slot: str) -> str:
    """A marker inside a JSON string."""
    return f"\1{_MARKER_TOKEN}:{slot}\1"


def _value_marker(slot: str) -> str:
    """A marker that stands for a whole JSON value."""
    return f"\2{_MARKER_TOKEN}:{slot}\2"


def _compile_part(rendered: bytes, slot_positions: dict[bytes, int]) -> _CompiledPart:
    used: list[int] = []

    def replace(match: re.Match[bytes]) -> bytes:
        used.append(slot_positions[match[1] or match[2]])
        return b"%b"

    form = _MARKER.sub(replace, rendered.replace(b"%", b"%%"))
    if not used:
        return form, lambda filled: ()
    # itemgetter of one index gives the value itself: a tuple is what formatting wants either way.
    pick = itemgetter(*used) if len(used) > 1 else itemgetter(slice(used[0], used[0] + 1))
    return form, pick
