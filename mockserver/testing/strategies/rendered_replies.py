"""Render scripts: the responses and event streams of a profile, with ids that count.

No Hypothesis here: tests, benchmarks and the fuzzing server use these functions too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from mockserver.ids import format_call_id, format_uuid
from mockserver.profiles import Profile, load_profile
from mockserver.replies.events import ResponseFacts, build_events, build_response
from mockserver.replies.renderings import Rendering, load_rendering
from mockserver.replies.script import FunctionCall, Script, ToolCall, item_kind
from mockserver.replies.usage import CacheTokens, build_usage, count_output_tokens
from mockserver.testing.strategies.values import JSONObject

__all__ = [
    "RenderContext",
    "ReplySpec",
    "render_context",
    "render_events",
    "render_response",
    "tool_declaration",
    "tools_for_script",
]


class RenderContext(NamedTuple):
    """The profile and rendering with which scripts are rendered."""

    profile: Profile
    rendering: Rendering

    def response_id(self, number: int) -> str:
        """The id of a session's response, counted from 1."""
        form = self.profile.id_form
        return ("" if form == "uuid" else form) + self._id_digits(number)

    def item_id(self, number: int, kind: str = "message") -> str:
        """The id of an item of a kind."""
        prefix = self.profile.item_id_prefixes.get(kind, self.profile.item_id_prefix)
        return prefix + self._id_digits(number)

    def _id_digits(self, number: int) -> str:
        digits = self.profile.id_digits
        return f"{number:0{digits}x}" if digits else format_uuid(f"{number:032x}")

    def call_id(self, number: int) -> str:
        """The `call_id` of a function call."""
        return format_call_id(f"{number:024x}")

    def created_at(self, seconds: int) -> int | float:
        """The value of `created_at`."""
        return float(seconds) if self.rendering.float_timestamps else seconds


@cache
def render_context(profile: str, rendering: str) -> RenderContext:
    """Load a profile and a rendering; UnknownProfile or ConfigurationError list the valid names."""
    return RenderContext(load_profile(profile), load_rendering(profile, rendering))


def tool_declaration(tool_type: str) -> JSONObject:
    """The smallest declaration of a built-in tool."""
    return {"type": tool_type, **_REQUIRED_TOOL_MEMBERS.get(tool_type, {})}


_REQUIRED_TOOL_MEMBERS: dict[str, JSONObject] = {
    "file_search": {"vector_store_ids": ["vs_1"]},
    "mcp": {"server_protocol": "sse", "server_label": "maps", "server_url": "https://example.invalid/sse"},
}


class ReplySpec(NamedTuple):
    """A script, and the facts with which it is rendered."""

    script: Script
    model: str
    created_at: int
    tool_choice: Any
    response_number: int = 1
    """Position of the response in its session; its ids count from there."""
    tools: tuple[JSONObject, ...] = ()
    input_tokens: int = 30
    echoed_parameters: Mapping[str, Any] = MappingProxyType({})
    """The request's values of members that the response echoes."""
    cache_tokens: tuple[int, int] | None = None
    """Tokens read from and written to the session cache; None if it is off."""


def tools_for_script(script: Script, context: RenderContext) -> tuple[JSONObject, ...]:
    """The tools that a request for such a reply declares."""
    kinds = {item.kind for item in script.items if isinstance(item, ToolCall)}
    kinds |= {other for kind in kinds if (other := context.profile.tools[kind].needs_tool) is not None}
    names = {item.name for item in script.items if isinstance(item, FunctionCall)}
    about = {"parameters": {"type": "object"}, "type": "function"}
    functions = [{"name": name, **about} for name in sorted(names)]
    return (*(tool_declaration(kind) for kind in context.profile.tools if kind in kinds), *functions)


def _echo_tools(tools: tuple[JSONObject, ...], context: RenderContext) -> list[JSONObject]:
    """The tools as the response echoes them."""
    lacking = context.profile.completed.get("tools", {})
    return [{**lacking, **tool} if tool["type"] == "function" else tool for tool in tools]


def render_response(spec: ReplySpec, context: RenderContext) -> JSONObject:
    """The body of a reply."""
    response = build_response(spec.script, _response_facts(spec, context), context.profile)
    rendered: JSONObject = context.rendering.reply_layout.apply("response", response)
    return rendered


def render_events(spec: ReplySpec, context: RenderContext) -> list[JSONObject]:
    """The events of a reply's stream."""
    layout = context.rendering.stream_layout
    events = build_events(spec.script, _response_facts(spec, context), context.profile)
    return [layout.apply("event", event) for event in events]


def _response_facts(spec: ReplySpec, context: RenderContext) -> ResponseFacts:
    script = spec.script
    before = (spec.response_number - 1) * 100
    echoes = {
        name: value for name, value in context.profile.echoes.items() if name not in spec.echoed_parameters
    }
    input_tokens = spec.input_tokens if script.usage.input_tokens is None else script.usage.input_tokens
    scripted_tokens = script.usage.output_tokens
    output_tokens = count_output_tokens(script)[0] if scripted_tokens is None else scripted_tokens
    return ResponseFacts(
        response_id=context.response_id(spec.response_number),
        created_at=context.created_at(spec.created_at),
        model=spec.model,
        item_ids=tuple(
            context.item_id(before + at, item_kind(item)) for at, item in enumerate(script.items, 1)
        ),
        call_ids=tuple(context.call_id(before + at) for at in range(1, len(script.items) + 1)),
        usage=build_usage(
            script,
            input_tokens,
            input_tokens + output_tokens,
            context.profile,
            CacheTokens(*spec.cache_tokens) if spec.cache_tokens else None,
        ),
        tools=_echo_tools(spec.tools, context),
        tool_choice=spec.tool_choice,
        echoes={**{name: _as_dict(value) for name, value in echoes.items()}, **spec.echoed_parameters},
    )


def _as_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
