"""Placeholders: values of the request in a reply, `{{request.prompt}}`, if the reply says `template`.

The names are a fixed list. Nothing is evaluated, and no value of a request is read for placeholders again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.replies.script import (
    MAX_SCRIPT_BYTES,
    FunctionCall,
    Item,
    Script,
    ToolCall,
    chunk_text,
)
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.suggestions import choose_from
from mockserver.wire import json

__all__ = ["fill_placeholders", "require_known_placeholders"]

_PLACEHOLDER = r"\{\{([^{}]*)\}\}"

#: What each name stands for. Headers are not among them, because they hold keys.
_VALUES: Mapping[str, Callable[[IncomingRequest], str]] = {
    "request.prompt": lambda request: request.prompt,
    "request.model": lambda request: request.model,
    "request.instructions": lambda request: request.instructions,
    "request.tool_output": lambda request: "".join(request.tool_outputs[-1:]),
    "request.turn": lambda request: str(request.turn),
}


def require_known_placeholders(script: Script) -> None:
    """Raise ConfigurationError if a placeholder has an unknown name."""
    for name in _names(script):
        if name not in _VALUES:
            raise ConfigurationError(f"there is no placeholder {name!r}{choose_from(name, _VALUES)}")


def fill_placeholders(script: Script, request: IncomingRequest) -> Script:
    """The script with the values of a request. Raises ConfigurationError if it becomes too long."""
    names = [*_names(script)]
    values = {name: _VALUES[name](request) for name in names}
    if sum(len(values[name]) for name in names) > MAX_SCRIPT_BYTES:
        raise ConfigurationError(
            f"with its placeholders filled in, the reply exceeds {MAX_SCRIPT_BYTES} bytes"
        )
    return replace(script, items=tuple(_fill_item(item, values) for item in script.items))


def _names(script: Script) -> Iterator[str]:
    for item in script.items:
        for text in _texts(item):
            yield from (name.strip() for name in re.findall(_PLACEHOLDER, text))


def _texts(item: Item) -> Iterator[str]:
    if isinstance(item, FunctionCall):
        yield item.arguments
    elif isinstance(item, ToolCall):
        yield from _strings(dict(item.data))
    else:
        yield item.text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _fill_item(item: Item, values: Mapping[str, str]) -> Item:
    if isinstance(item, FunctionCall):
        return FunctionCall(item.name, _fill_text(item.arguments, values), item.call_id)
    if isinstance(item, ToolCall):
        return ToolCall(item.kind, _fill_strings(dict(item.data), values))
    return replace(item, chunks=_fill_chunks(item.chunks, values))


def _fill_chunks(chunks: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """Fill chunks that the user has chosen one by one; else fill the text, and cut it as usual."""
    text = "".join(chunks)
    if chunks != chunk_text(text):
        filled = (re.sub(_PLACEHOLDER, lambda found: values[found[1].strip()], each) for each in chunks)
        return tuple(each for each in filled if each)
    return chunk_text(_fill_text(text, values))


def _fill_text(text: str, values: Mapping[str, str]) -> str:
    """Fill a text. In one that is JSON, the values are escaped, so that it stays JSON."""
    is_json = text[:1] in ("{", "[") and json.loads_or_none(text.encode()) is not None
    return re.sub(_PLACEHOLDER, lambda found: _escape(values[found[1].strip()], is_json=is_json), text)


def _escape(value: str, *, is_json: bool) -> str:
    return json.dumps(value).decode()[1:-1] if is_json else value


def _fill_strings(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill_text(value, values)
    if isinstance(value, dict):
        return {name: _fill_strings(each, values) for name, each in value.items()}
    return [_fill_strings(each, values) for each in value] if isinstance(value, list) else value
