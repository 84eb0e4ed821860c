"""What a request asks for: the facts in a valid body that decide its reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.contract.requests import thinks
from mockserver.profiles import Profile
from mockserver.replies.usage import count_tokens
from mockserver.server.echoes import echoed_tools
from mockserver.server.envelopes import ApiError
from mockserver.wire import json

__all__ = ["Ask", "form_of", "read_ask", "texts_of"]


class Ask(NamedTuple):
    """A request's facts."""

    model: str
    stream: bool
    prompt: str
    """Text of the last user message of this turn."""
    input_tokens: int
    """The estimate for this turn's own input, without the hidden prompt."""
    thinking: bool
    answered: bool
    """Whether a function's output came after the last user message."""
    previous: str | None
    choice: Any
    """`tool_choice`; None where there was none."""
    tools: tuple[str, ...] = ()
    """The profile's built-in tools that were declared and may run, in the profile's order."""
    declared: frozenset[str] = frozenset()
    """Types of all declared tools."""
    functions: tuple[Mapping[str, Any], ...] = ()
    """Declared functions that may be called."""
    echo_tools: bytes = b"[]"
    """The declared tools as JSON."""
    conversation: str | None = None
    store: bool = True
    """Whether the response can be continued and retrieved."""
    instruction_tokens: int = 0
    """Tokens of `instructions`, which no later turn inherits; they are in `input_tokens`."""
    max_output_tokens: int | None = None
    form: Mapping[str, Any] | None = None
    """JSON Schema that the message has to meet."""
    parallel: bool = False
    """Whether several functions may be called at once."""
    server_label: str = ""
    """Of the first MCP server that was declared."""


#: Those that say whether the model is to think.
_THINKING = frozenset({"reasoning", "enable_thinking"})
#: Parameters that most requests do without: those with none of them are read faster.
_LATER = frozenset({"conversation", "store", "instructions", "max_output_tokens", "text", "background"})
_NO_BACKGROUND = "background: nothing runs in the background here; leave it out, or say false."
#: What `json_object` asks for: any object, but one with something in it.
_SOME_OBJECT = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
}


def read_ask(body: Mapping[str, Any], profile: Profile) -> Ask:
    """The facts of a body that the contract accepts."""
    content = body["input"]
    if isinstance(content, str):
        prompt, tokens, answered = content, count_tokens(content), False
    else:
        prompt, tokens, answered = _read_items(content)
    tools = body.get("tools")
    choice = body.get("tool_choice")
    ask = Ask(
        body["model"],
        body.get("stream") is True,
        prompt,
        tokens,
        profile.thinking if _THINKING.isdisjoint(body) else thinks(body, profile),
        answered,
        body.get("previous_response_id"),
        choice,
    )
    if not _LATER.isdisjoint(body):
        ask = _with_later(ask, {name: body.get(name) for name in profile.parameters})
    if not tools:
        return ask
    return ask._replace(
        tools=_runnable(tools, choice, profile),
        declared=frozenset(_kind(tool) for tool in tools),
        functions=_callable(tools, choice),
        echo_tools=json.dumps(echoed_tools(tools, profile)),
        parallel=profile.parallel_tool_calls and body.get("parallel_tool_calls") is not False,
        server_label=next((str(tool["server_label"]) for tool in tools if _kind(tool) == "mcp"), "")
        if "mcp" in profile.tools
        else "",
    )


def _with_later(ask: Ask, listed: Mapping[str, Any]) -> Ask:
    """The ask with what a later age's parameters say; `listed` are those that the profile processes.

    ApiError 400 where it is to be answered later: there is no operation that would fetch the answer.
    """
    if listed.get("background") is True:
        raise ApiError(400, "UnsupportedParameter", _NO_BACKGROUND).about("background")
    instructions = count_tokens(listed.get("instructions") or "")
    return ask._replace(
        input_tokens=ask.input_tokens + instructions,
        instruction_tokens=instructions,
        conversation=listed.get("conversation"),
        store=listed.get("store") is not False,
        max_output_tokens=listed.get("max_output_tokens"),
        form=form_of(listed.get("text")),
    )


def form_of(text: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The schema of `text.format`; None where plain text will do."""
    about = (text or {}).get("format") or {}
    if about.get("type") == "json_schema":
        schema: Mapping[str, Any] = about["schema"]
        return schema
    return _SOME_OBJECT if about.get("type") == "json_object" else None


def _read_items(items: list[Any]) -> tuple[str, int, bool]:
    """(text of the last user message, tokens of everything, whether a function's output came after it)."""
    prompt, tokens, answered = "", 0, False
    for item in items:
        text = "\n".join(texts_of(item))
        tokens += count_tokens(text)
        if _is_user(item):
            prompt, answered = text, False
        elif item.get("type") == "function_call_output":
            answered = True
    return prompt, tokens, answered


def _is_user(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "user" and item.get("type", "message") == "message"


def texts_of(item: Mapping[str, Any]) -> Iterator[str]:
    """The texts of an input item, wherever its type keeps them."""
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


def _kind(tool: Any) -> str:
    return str(tool.get("type"))


def _runnable(tools: list[Any], choice: Any, profile: Profile) -> tuple[str, ...]:
    if choice == "none" or _named(choice):
        return ()
    declared = {_kind(tool) for tool in tools if _allowed(tool, choice)}
    return tuple(kind for kind in profile.tools if kind in declared)


def _callable(tools: list[Any], choice: Any) -> tuple[Mapping[str, Any], ...]:
    if choice == "none":
        return ()
    name = _named(choice)
    functions = (tool for tool in tools if _kind(tool) == "function" and _allowed(tool, choice))
    return tuple(tool for tool in functions if name is None or tool.get("name") == name)


def _named(choice: Any) -> str | None:
    """The function that a choice insists on."""
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = choice.get("name")
        return name if isinstance(name, str) else None
    return None


def _allowed(tool: Mapping[str, Any], choice: Any) -> bool:
    """Whether a choice of the form `allowed_tools` leaves the tool in."""
    if not (isinstance(choice, dict) and choice.get("type") == "allowed_tools"):
        return True
    listed = choice.get("tools")
    return not isinstance(listed, list) or any(
        isinstance(each, dict)
        and each.get("type") == tool.get("type")
        and each.get("name") == tool.get("name")
        for each in listed
    )
