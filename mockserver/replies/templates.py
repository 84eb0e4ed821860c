"""Templates: a script rendered once, then filled with each request's ids, times, counters and echoes.

The builders get markers in place of a request's own values; `markers` compiles the rendered bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile, load_profile
from mockserver.replies.events import (
    ResponseFacts,
    build_events,
    build_failed_response,
    build_failed_stream,
    build_response,
)
from mockserver.replies.framing import encode_event
from mockserver.replies.items import JSONObject
from mockserver.replies.markers import (
    ReplyTemplate,
    SharedStreamTemplate,
    SlotValues,
    StreamTemplate,
    compile_body,
    compile_frames,
    string_marker,
    value_marker,
)
from mockserver.replies.renderings import Rendering, load_rendering
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall, Usage
from mockserver.replies.usage import CacheTokens, build_usage, stated_or_estimated_tokens
from mockserver.wire import json, sse

__all__ = [
    "DEFAULT_SHAPE",
    "FixedValues",
    "TemplateShape",
    "can_share_stream",
    "can_share_template",
    "compile_chunked",
    "compile_generated_reply",
    "compile_reply",
    "compile_stream",
    "render_failed_reply",
    "render_failed_stream",
    "reply_slots",
    "text_slots",
]


class TemplateShape(NamedTuple):
    """How a request changes the structure of its reply; part of a template's cache key."""

    optional_echoes: tuple[str, ...] = ()
    """Echoed members that are present only because the request has them."""
    has_session_cache: bool = False
    """Whether the session cache is on."""
    whole_arguments: bool = False
    """Whether function calls have their arguments when they are added, instead of in events."""


#: The slots of every reply; the slots for echoes, cache tokens, item ids and call ids follow.
_COMMON_SLOTS = ("response_id", "created_at", "input_tokens", "total_tokens", "tools", "tool_choice")


class FixedValues(NamedTuple):
    """What a request fills into every reply to it."""

    input_tokens: int
    total_tokens: int
    tools: bytes
    """The echoed tools, as JSON."""
    tool_choice: bytes
    """The echoed choice, as JSON."""
    echoes: tuple[bytes, ...] = ()
    """The profile's echoed members, then the optional ones of the request, as JSON."""
    cache_tokens: tuple[bytes, ...] = ()
    """Tokens read from and added to the session cache, if it is on."""

    def slots(self) -> SlotValues:
        """The values in the order of the slots."""
        return (
            b"%d" % self.input_tokens,
            b"%d" % self.total_tokens,
            self.tools,
            self.tool_choice,
            *self.echoes,
            *self.cache_tokens,
        )


def reply_slots(
    rendering: Rendering, response_id: str, created_at: int, fixed: SlotValues, ids: Sequence[str]
) -> SlotValues:
    """The values of one reply; `ids` are those of its items, then of the function calls that need one."""
    return (
        response_id.encode(),
        rendering.encode_timestamp(created_at),
        *fixed,
        *map(str.encode, ids),
    )


#: A reply that no request parameter changes.
DEFAULT_SHAPE = TemplateShape()


@lru_cache(maxsize=1024)
def compile_reply(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> ReplyTemplate:
    """The compiled reply; the 1,024 most recently used stay in a cache."""
    facts, slot_positions = _facts_with_markers(script, load_profile(profile), model, shape)
    loaded = load_rendering(profile, rendering)
    response = loaded.reply_layout.apply("response", build_response(script, facts, load_profile(profile)))
    return compile_body(json.dumps(response), slot_positions)


def compile_generated_reply(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> ReplyTemplate:
    """The compiled reply of one of many scripts, such as those that are made for one request: all of its kind share it.

    Its slots are those of `compile_reply`, then `text_slots`.
    """
    return compile_reply(_mark_texts(script), profile, rendering, model, shape)


def _mark_texts(script: Script, *, by_chunk: bool = False) -> Script:
    """The script with markers in place of its texts, or of each chunk of them, and of its token counts."""
    kinds = tuple(
        FunctionCall(item.name, "", item.call_id)
        if isinstance(item, FunctionCall)
        else (type(item), len(item.chunks) if by_chunk else 1)
        if isinstance(item, Message | Reasoning)
        else item
        for item in script.items
    )
    return _script_with_markers(kinds, script.status)


def can_share_template(script: Script) -> bool:
    """Whether `compile_generated_reply` gives what `compile_reply` does: only texts and token counts are its own."""
    return script.error is None and not script.usage.cached_tokens


def can_share_stream(script: Script) -> bool:
    """Whether `compile_chunked` gives what `compile_stream` does, for texts of a moderate length."""
    # The arguments of a function are cut into chunks by what they are.
    return can_share_template(script) and all(
        isinstance(item, ToolCall)
        or (isinstance(item, Message | Reasoning) and len(item.chunks) <= _MAX_SHARED_CHUNKS)
        for item in script.items
    )


def text_slots(script: Script) -> SlotValues:
    """The values of a generated reply's own slots: its token counts, and its texts as in a JSON string."""
    output, reasoning = stated_or_estimated_tokens(script)
    texts = [
        item.arguments if isinstance(item, FunctionCall) else item.text
        for item in script.items
        if not isinstance(item, ToolCall)
    ]
    return (b"%d" % output, b"%d" % reasoning, *[json.dumps(text)[1:-1] for text in texts])


#: Chunks of a text that are slots: each is an object that its script keeps.
_MAX_SHARED_CHUNKS = 256

#: The slots of `text_slots`, before those of the texts.
_TOKEN_SLOTS = ("output_tokens", "reasoning_tokens")


@lru_cache(maxsize=1024)
def _script_with_markers(kinds: tuple[Any, ...], status: str) -> Script:
    """A script of these items with markers in place of its texts and token counts."""
    items: list[Item] = []
    for at, kind in enumerate(kinds):
        if isinstance(kind, FunctionCall):
            items.append(FunctionCall(kind.name, string_marker(f"text{at}_0"), kind.call_id))
        elif isinstance(kind, ToolCall):
            items.append(kind)
        else:
            item_type, chunk_count = kind
            items.append(item_type(tuple(string_marker(f"text{at}_{n}") for n in range(chunk_count))))
    return Script(tuple(items), _MARKED_USAGE, status)


def compile_chunked(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> tuple[SharedStreamTemplate, ReplyTemplate, SlotValues]:
    """The compiled stream of one of many scripts, its reply in wire form, and the slots of that reply's texts.

    The templates have a slot for each chunk. Scripts with as many chunks share them.
    """
    marked = _mark_texts(script, by_chunk=True)
    stream = compile_stream(marked, profile, rendering, model, shape)
    stored = compile_reply(marked, profile, "wire", model, shape)
    output, reasoning = stated_or_estimated_tokens(script)
    chunks = [
        chunk for item in script.items if isinstance(item, Message | Reasoning) for chunk in item.chunks
    ]
    texts = (b"%d" % output, b"%d" % reasoning, *[json.dumps(chunk)[1:-1] for chunk in chunks])
    return SharedStreamTemplate(stream, texts), stored, texts


@lru_cache(maxsize=1024)
def compile_stream(
    script: Script, profile: str, rendering: str, model: str, shape: TemplateShape = DEFAULT_SHAPE
) -> StreamTemplate:
    """The compiled stream; the 1,024 most recently used stay in a cache."""
    facts, slot_positions = _facts_with_markers(script, load_profile(profile), model, shape)
    loaded = load_rendering(profile, rendering)
    frames = _stream_frames(build_events(script, facts, load_profile(profile)), load_profile(profile), loaded)
    return compile_frames(frames, slot_positions)


def _stream_frames(events: list[JSONObject], profile: Profile, rendering: Rendering) -> Iterator[bytes]:
    for event in events:
        yield encode_event(rendering.stream_layout.apply("event", event), profile)
    if profile.done_marker:
        yield sse.encode(sse.DONE_DATA)


def render_failed_reply(
    response_id: str, created_at: int, error: JSONObject, profile: str, rendering: str
) -> JSONObject:
    """A response that failed before it started. Too rare for a template."""
    loaded, look = load_profile(profile), load_rendering(profile, rendering)
    created: float = float(created_at) if look.float_timestamps else created_at
    facts = _failed_response_facts(response_id, created, loaded)
    rendered: JSONObject = look.reply_layout.apply("response", build_failed_response(facts, loaded, error))
    return rendered


def render_failed_stream(
    response_id: str, created_at: int, error: JSONObject, profile: str, rendering: str
) -> tuple[bytes, ...]:
    """A stream that failed before it started: one event, or all of them if errors have their own."""
    loaded = load_profile(profile)
    if not loaded.error_types:
        response = render_failed_reply(response_id, created_at, error, profile, rendering)
        event = {"response": response, "sequence_number": 0, "type": "response.failed"}
        return (encode_event(event, loaded),)
    events = build_failed_stream(_failed_response_facts(response_id, created_at, loaded), loaded, error)
    return tuple(_stream_frames(events, loaded, load_rendering(profile, rendering)))


def _failed_response_facts(response_id: str, created_at: float, profile: Profile) -> ResponseFacts:
    echoes = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in profile.echoes.items()
    }
    return ResponseFacts(response_id, created_at, "", (), (), {}, [], "auto", echoes if profile.blank else {})


def _facts_with_markers(
    script: Script, profile: Profile, model: str, shape: TemplateShape
) -> tuple[ResponseFacts, dict[bytes, int]]:
    echoed = (*profile.echoes, *shape.optional_echoes)
    cached = ("cached", "cache_created") if shape.has_session_cache else ()
    item_slots = [f"item{at}" for at in range(len(script.items))]
    call_slots = {at: f"call{at}" for at in script.calls_without_id}
    facts = ResponseFacts(
        response_id=string_marker("response_id"),
        created_at=value_marker("created_at"),
        model=model,
        item_ids=tuple(string_marker(slot) for slot in item_slots),
        call_ids=tuple(string_marker(call_slots.get(at, "")) for at in range(len(script.items))),
        usage=build_usage(
            script,
            value_marker("input_tokens"),
            value_marker("total_tokens"),
            profile,
            CacheTokens(*map(value_marker, cached)) if cached else None,
        ),
        tools=value_marker("tools"),
        tool_choice=value_marker("tool_choice"),
        echoes={name: value_marker(f"echo_{name}") for name in echoed},
        whole_arguments=shape.whole_arguments,
    )
    slots = [*_COMMON_SLOTS, *(f"echo_{name}" for name in echoed), *cached, *item_slots, *call_slots.values()]
    if script.usage is _MARKED_USAGE:
        slots += _TOKEN_SLOTS
        for at, item in enumerate(script.items):
            text_count = len(item.chunks) if isinstance(item, Message | Reasoning) else 1
            slots += [f"text{at}_{n}" for n in range(text_count) if not isinstance(item, ToolCall)]
    return facts, {slot.encode(): at for at, slot in enumerate(slots)}


#: The usage of scripts whose texts and token counts are slots.
_MARKED_USAGE: Usage = Usage(None, *cast("Any", map(value_marker, _TOKEN_SLOTS)))
