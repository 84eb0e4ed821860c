"""Request facts: what a valid body asks for, read once and used for its reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from mockserver.contract.bodies.requests import is_thinking_enabled
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile, load_profile
from mockserver.replies.token_counts import count_tokens
from mockserver.server.echoes import echo_declared_tools
from mockserver.server.errors import ApiError
from mockserver.wire import json

__all__ = [
    "CallableFunction",
    "RequestFacts",
    "as_integer",
    "item_texts",
    "output_schema_of",
    "parse_request",
]


class CallableFunction(NamedTuple):
    """A declared function that may be called."""

    name: str
    parameters: bytes
    """Its `parameters` as JSON."""


class RequestFacts(NamedTuple):
    """What a create request asks for."""

    model: str
    stream: bool
    prompt: str
    """Text of the last user message of this turn."""
    input_tokens: int
    """Estimated tokens of this turn's own input, without the hidden prompt."""
    thinking: bool
    has_function_output: bool
    """Whether a function's output comes after the last user message."""
    previous_response_id: str | None
    tool_choice: Any
    builtin_tools: tuple[str, ...] = ()
    """The declared built-in tools that may run, in the profile's order."""
    declared_tool_types: frozenset[str] = frozenset()
    """Types of all declared tools."""
    callable_functions: tuple[CallableFunction, ...] = ()
    """Declared functions that may be called."""
    tools_json: bytes = b"[]"
    """The declared tools as JSON."""
    mcp_server_label: str = ""
    """Label of the first declared MCP server."""
    parallel_tool_calls: bool = False
    """Whether several functions may be called at once."""
    max_tool_calls: int | None = None
    """How many functions may be called; None: no limit."""
    conversation_id: str | None = None
    store: bool = True
    """Whether later requests can continue and retrieve the response."""
    instruction_tokens: int = 0
    """Tokens of `instructions`, part of `input_tokens`; later turns do not inherit them."""
    max_output_tokens: int | None = None
    output_schema: Mapping[str, Any] | None = None
    """JSON Schema of the message."""

    @property
    def asks_for_more_than_text(self) -> bool:
        """Whether a reply may run tools, call functions or follow a schema."""
        return bool(self.builtin_tools or self.callable_functions or self.output_schema is not None)


#: Parameters that switch thinking on or off.
_THINKING_PARAMETERS = frozenset({"reasoning", "enable_thinking"})
#: Parameters that most requests lack: without any of them, parsing is faster.
_OPTIONAL_PARAMETERS = frozenset(
    {"conversation", "store", "instructions", "max_output_tokens", "text", "background"}
)
#: Parameters that limit how many functions are called.
_CALL_PARAMETERS = frozenset({"parallel_tool_calls", "max_tool_calls"})
#: Bytes of tools, with the choice among them, that are read once for all requests with them.
_MAX_CACHED_BYTES = 16 << 10
_BACKGROUND_UNSUPPORTED = "background: the mock server does not support background responses."
#: The schema for `json_object`: any object will do, but an empty one tests little.
_JSON_OBJECT_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
}


def parse_request(body: Mapping[str, Any], profile: Profile) -> RequestFacts:
    """The facts of a body that has passed the contract check; ApiError 400 for `background: true`."""
    content = body["input"]
    if isinstance(content, str):
        prompt, tokens, answered = content, count_tokens(content), False
    else:
        prompt, tokens, answered = _summarize_items(content)
    tools = body.get("tools")
    choice = body.get("tool_choice")
    facts = RequestFacts(
        body["model"],
        body.get("stream") is True,
        prompt,
        tokens,
        (
            profile.thinking[body["model"]] != "off"
            if _THINKING_PARAMETERS.isdisjoint(body)
            else is_thinking_enabled(body, profile)
        ),
        answered,
        body.get("previous_response_id"),
        choice,
        *(_read_tools(tools, choice, profile) if tools else ()),
    )
    if not _OPTIONAL_PARAMETERS.isdisjoint(body):
        parameters = {name: body.get(name) for name in profile.parameters}
        facts = _with_optional_parameters(facts, parameters, ignores_text_format=profile.ignores_text_format)
    if not tools or _CALL_PARAMETERS.isdisjoint(body):
        return facts
    return facts._replace(
        parallel_tool_calls=facts.parallel_tool_calls and body.get("parallel_tool_calls") is not False,
        max_tool_calls=as_integer(body.get("max_tool_calls"))
        if "max_tool_calls" in profile.parameters
        else None,
    )


def as_integer(value: float | None) -> int | None:
    """A valid integer of a body as `int`: in JSON Schema, 5.0 is one too."""
    return None if value is None else int(value)


def _with_optional_parameters(
    facts: RequestFacts, parameters: Mapping[str, Any], *, ignores_text_format: bool
) -> RequestFacts:
    """The facts with those of optional parameters; `parameters` has only those that the profile processes."""
    if parameters.get("background") is True:
        raise ApiError(400, "UnsupportedParameter", _BACKGROUND_UNSUPPORTED).with_parameter("background")
    instructions = count_tokens(parameters.get("instructions") or "")
    return facts._replace(
        input_tokens=facts.input_tokens + instructions,
        instruction_tokens=instructions,
        conversation_id=parameters.get("conversation"),
        store=parameters.get("store") is not False,
        max_output_tokens=as_integer(parameters.get("max_output_tokens")),
        output_schema=None if ignores_text_format else output_schema_of(parameters.get("text")),
    )


def output_schema_of(text_parameter: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The schema that `text.format` asks for; None for plain text."""
    text_format = text_parameter.get("format") if isinstance(text_parameter, dict) else None
    if not isinstance(text_format, dict):
        return None
    if text_format.get("type") == "json_schema":
        schema = text_format.get("schema")
        if not isinstance(schema, dict):
            raise ApiError(400, "InvalidParameter", "text.format.schema must be an object.")
        return schema
    return _JSON_OBJECT_SCHEMA if text_format.get("type") == "json_object" else None


def _summarize_items(items: list[Any]) -> tuple[str, int, bool]:
    """(text of the last user message, tokens of all items, whether a function's output comes after it)."""
    prompt, answered = "", False
    texts = []
    for item in items:
        is_message = item.get("type", "message") == "message"
        text = item.get("content") if is_message else None
        if text.__class__ is not str:
            text = "\n".join(item_texts(item))
        texts.append(text)
        if is_message:
            if item.get("role") == "user":
                prompt, answered = text, False
        elif item.get("type") == "function_call_output":
            answered = True
    # No token spans lines.
    return prompt, count_tokens("\n".join(texts)), answered


def item_texts(item: Mapping[str, Any]) -> Iterator[str]:
    """The texts of an input item, of whatever type."""
    for name in ("content", "summary", "output", "arguments"):
        value = item.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (part["text"] for part in value if _has_text(part))
    if item.get("type") == "compaction":
        yield item["encrypted_content"]


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


#: The members of `RequestFacts` from `builtin_tools` to `parallel_tool_calls`.
_ToolFacts: TypeAlias = tuple[tuple[str, ...], frozenset[str], tuple[CallableFunction, ...], bytes, str, bool]


def _read_tools(tools: list[Any], tool_choice: Any, profile: Profile) -> _ToolFacts:
    """The facts that follow from the tools and the choice among them, which many requests have in common."""
    text = json.dumps([tools, tool_choice])
    if len(text) > _MAX_CACHED_BYTES:
        return _build_tool_facts(tools, tool_choice, profile)
    return _read_tools_from_text(text, profile.name)


@lru_cache(maxsize=256)
def _read_tools_from_text(text: bytes, profile_name: str) -> _ToolFacts:
    tools, tool_choice = json.loads(text)
    return _build_tool_facts(tools, tool_choice, load_profile(profile_name))


def _build_tool_facts(tools: list[Any], tool_choice: Any, profile: Profile) -> _ToolFacts:
    return (
        _runnable_tools(tools, tool_choice, profile),
        frozenset(map(_tool_type, tools)),
        _callable_functions(tools, tool_choice),
        json.dumps(echo_declared_tools(tools, profile)),
        next((str(tool["server_label"]) for tool in tools if _tool_type(tool) == "mcp"), "")
        if "mcp" in profile.tools
        else "",
        profile.parallel_tool_calls,
    )


def _tool_type(tool: Any) -> str:
    return str(tool.get("type"))


def _runnable_tools(tools: list[Any], tool_choice: Any, profile: Profile) -> tuple[str, ...]:
    if tool_choice == "none" or _forced_function(tool_choice):
        return ()
    is_allowed = _allowed_tools(tool_choice)
    declared = {_tool_type(tool) for tool in tools if is_allowed(tool)}
    return tuple(kind for kind in profile.tools if kind in declared)


def _callable_functions(tools: list[Any], tool_choice: Any) -> tuple[CallableFunction, ...]:
    if tool_choice == "none":
        return ()
    name = _forced_function(tool_choice)
    is_allowed = _allowed_tools(tool_choice)
    functions = (tool for tool in tools if _tool_type(tool) == "function" and is_allowed(tool))
    return tuple(
        CallableFunction(tool["name"], json.dumps(tool.get("parameters")))
        for tool in functions
        if name is None or tool.get("name") == name
    )


def _forced_function(tool_choice: Any) -> str | None:
    """The name of the function that `tool_choice` requires."""
    if isinstance(tool_choice, dict) and tool_choice.get("type") == "function":
        name = tool_choice.get("name")
        return name if isinstance(name, str) else None
    return None


def _allowed_tools(tool_choice: Any) -> Callable[[Mapping[str, Any]], bool]:
    """Tells whether `tool_choice` allows a tool: only its `allowed_tools` form excludes any."""
    is_list = isinstance(tool_choice, dict) and tool_choice.get("type") == "allowed_tools"
    listed = tool_choice.get("tools") if is_list else None
    if not isinstance(listed, list):
        return lambda _: True
    allowed = {_tool_key(each) for each in listed if isinstance(each, dict)}
    return lambda tool: _tool_key(tool) in allowed


def _tool_key(tool: Mapping[str, Any]) -> bytes:
    return json.dumps([tool.get("type"), tool.get("name")])
