"""Scripts: what the model says, independent of any rendering.

Scripts are frozen, hashable and comparable, so that a script can be the key of a compiled template.
`parse_script` reads the format of exchange files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from mockserver.errors import ConfigurationError
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.suggestions import choose_from
from mockserver.wire import json

__all__ = [
    "MAX_SCRIPT_BYTES",
    "FunctionCall",
    "Item",
    "Message",
    "Reasoning",
    "Script",
    "ScriptError",
    "ToolCall",
    "Usage",
    "chunk_text",
    "item_kind",
    "message_script",
    "parse_script",
    "require_servable",
    "unknown_tool",
]

#: Bytes of text that leave room for the other members in an event of 1 MiB.
MAX_SCRIPT_BYTES = 1_000_000

_WORD_PATTERN = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Message:
    """An assistant message; each chunk becomes one `response.output_text.delta`."""

    chunks: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.chunks)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A reasoning item; each chunk becomes one reasoning delta."""

    chunks: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.chunks)


@dataclass(frozen=True, slots=True, init=False)
class FunctionCall:
    """A call of a function that the request declares.

    >>> FunctionCall("get_weather", {"city": "Paris"}).arguments
    '{"city":"Paris"}'
    """

    name: str
    arguments: str
    """JSON text."""
    call_id: str | None
    """None: generated with the reply's other ids."""

    def __init__(
        self, name: str, arguments: str | Mapping[str, Any] = "{}", call_id: str | None = None
    ) -> None:
        """`arguments`: an object, or its JSON text. ConfigurationError if one has another type."""
        object.__setattr__(self, "name", _require_text(name, "the name of a function"))
        object.__setattr__(self, "arguments", _arguments_text(arguments))
        object.__setattr__(self, "call_id", None if call_id is None else _require_text(call_id, "call_id"))


def _require_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be a text, not {value!r}")
    return value


def _arguments_text(arguments: Any) -> str:
    """The JSON text of a function's arguments."""
    if isinstance(arguments, str):
        return arguments
    if not isinstance(arguments, Mapping):
        raise ConfigurationError(
            f'the arguments of a function are an object, {{"city": "Paris"}}, or its JSON text, not {arguments!r}'
        )
    try:
        return json.dumps(dict(arguments)).decode()
    except TypeError as error:
        raise ConfigurationError(f"the arguments of a function are not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A run of a built-in tool: `kind` is the tool's type, `data` the members of its item."""

    kind: str
    data: Mapping[str, Any] = field(hash=False, compare=False)
    _canonical_data: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", MappingProxyType(dict(self.data)))
        object.__setattr__(self, "_canonical_data", json.canonical(dict(self.data)))


Item: TypeAlias = Message | Reasoning | FunctionCall | ToolCall


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one reply; None: estimated."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int = 0
    with_context: bool = False
    """Whether `input_tokens` includes the earlier turns."""


class ScriptError(NamedTuple):
    """The `error` member of a failed response."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Script:
    """One reply: its output items in order, and how it ends."""

    items: tuple[Item, ...]
    usage: Usage = Usage()
    status: str = "completed"
    error: ScriptError | None = None
    _hash: int = field(default=0, init=False, repr=False, compare=False)
    _calls_without_id: tuple[int, ...] | None = field(default=None, init=False, repr=False, compare=False)
    _json_size: int | None = field(default=None, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        # Every request looks up its template by this hash: compute it once.
        if not self._hash:
            object.__setattr__(self, "_hash", hash((self.items, self.usage, self.status, self.error)))
        return self._hash

    @property
    def json_size(self) -> int:
        """Size of the items' content as JSON, in bytes."""
        if self._json_size is None:
            object.__setattr__(self, "_json_size", sum(map(_item_json_size, self.items)))
        return self._json_size or 0

    @property
    def calls_without_id(self) -> tuple[int, ...]:
        """Indices of the function calls that need a generated `call_id`."""
        if self._calls_without_id is None:
            indices = tuple(
                index
                for index, item in enumerate(self.items)
                if isinstance(item, FunctionCall) and item.call_id is None
            )
            object.__setattr__(self, "_calls_without_id", indices)
        return self._calls_without_id or ()


def item_kind(item: Item) -> str:
    """The kind of an item: message, reasoning, function_call, or the type of the built-in tool."""
    return item.kind if isinstance(item, ToolCall) else _ITEM_KINDS[type(item)]


_ITEM_KINDS: Mapping[type, str] = MappingProxyType(
    {Message: "message", Reasoning: "reasoning", FunctionCall: "function_call"}
)


def _item_json_size(item: Item) -> int:
    if isinstance(item, Message | Reasoning):
        return len(json.dumps(item.text))
    if isinstance(item, FunctionCall):
        return len(json.dumps(item.arguments))
    return len(json.dumps(dict(item.data)))


def chunk_text(text: str, word_counts: Iterable[int] = ()) -> tuple[str, ...]:
    """`text` cut after words: `word_counts` words per chunk, then one word each. Joined, they are `text`.

    Writing systems without spaces are cut into chunks of a few characters instead.
    """
    tokens = [piece for word in _WORD_PATTERN.findall(text) for piece in _split_word(word)]
    sizes = iter(word_counts)
    chunks, at = [], 0
    while at < len(tokens):
        size = max(1, next(sizes, 1))
        chunks.append("".join(tokens[at : at + size]))
        at += size
    return tuple(chunks)


def _split_word(word: str) -> list[str]:
    size = 12 if max(word) < "\u3040" else 2  # from U+3040 on: writing systems without spaces
    return [word[at : at + size] for at in range(0, len(word), size)]


def message_script(text: str) -> Script:
    """The script of a reply with one message."""
    return Script(items=(Message(chunk_text(text)),))


def parse_script(data: Mapping[str, Any]) -> Script:
    """The script in an exchange file: `{"items": […], "usage"?: {…}, "status"?, "error"?}`.

    Each item has a `type`: `message` and `reasoning` have `text` or `chunks`; `function_call` has `name` and
    `arguments` (JSON text, or a value); for a built-in tool, the other members are those of its item.
    Raises ConfigurationError if an item has no type.
    """
    error = data.get("error")
    return Script(
        items=tuple(_parse_item(item) for item in data.get("items", ())),
        usage=Usage(**data.get("usage", {})),
        status=data.get("status", "completed"),
        error=ScriptError(error["code"], error["message"]) if error else None,
    )


def unknown_tool(kind: str, profile: Profile) -> str:
    """Why a profile refuses a tool that it does not have."""
    return f"{profile.name} has no tool {kind!r}{choose_from(kind, (*profile.tools, *_ITEM_KINDS.values()))}"


def require_servable(script: Script, profile: Profile) -> None:
    """Raise ConfigurationError if the profile cannot serve a script: an unknown tool, or too much text.

    The last event repeats all of the content, and no event may be longer than 1 MiB.
    """
    for item in script.items:
        if isinstance(item, ToolCall) and item.kind not in profile.tools:
            raise ConfigurationError(unknown_tool(item.kind, profile))
    try:
        size = script.json_size
    except TypeError as error:  # orjson's, for a lone surrogate
        raise ConfigurationError(f"the reply cannot be sent as JSON: {error}") from None
    if size > MAX_SCRIPT_BYTES:
        raise ConfigurationError(
            f"the reply has {size} bytes, too many for one event: the limit is {MAX_SCRIPT_BYTES}"
        )


def _parse_item(item: Mapping[str, Any]) -> Item:
    kind = item.get("type")
    if kind in ("message", "reasoning"):
        chunks = tuple(item["chunks"]) if "chunks" in item else chunk_text(item["text"])
        return Message(chunks) if kind == "message" else Reasoning(chunks)
    if kind == "function_call":
        return FunctionCall(item["name"], item.get("arguments", "{}"), item.get("call_id"))
    if not isinstance(kind, str):
        raise ConfigurationError(f"an item of a script needs a type: {dict(item)!r}")
    return ToolCall(kind, {name: value for name, value in item.items() if name != "type"})
