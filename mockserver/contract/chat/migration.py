"""From Chat to Responses: the Responses form of a chat request, and what of it has none.

What becomes of which member is data, `schemas/migration.json`: the page about migrating is made of it, and
so is what is told here of a member that does not come along. The document's own section is Migrate from the
Chat Completions API (guide, 27 January 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from mockserver import resources
from mockserver.profiles import Profile
from mockserver.wire import json

__all__ = ["Note", "Row", "Translated", "load_migration", "responses_form"]

#: Values that ask for nothing.
_NOTHING: tuple[Any, ...] = (None, False, [], {})
#: Least that `max_output_tokens` may be (API reference, August 2026).
_LEAST_OUTPUT = 16


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one member."""

    chat: str
    """Its name, from the outermost in, with `[]` for the elements of a list."""
    responses: str | None
    """Where it goes; None: nowhere."""
    words: str
    """What to do, or what is otherwise."""
    source: str


class Note(NamedTuple):
    """What one who migrates has to know of a member of the request."""

    member: str
    """JSON pointer into the chat request."""
    words: str


class Translated(NamedTuple):
    """A chat request as a request of the Responses API."""

    body: dict[str, Any]
    notes: tuple[Note, ...]
    """What has no counterpart, or is otherwise there."""


@cache
def load_migration() -> Mapping[str, tuple[Row, ...]]:
    """The tables by name: "request", "messages", "response", "stream" and "errors"."""
    tables = json.loads((resources.folder("schemas") / "migration.json").read_bytes())["tables"]
    return MappingProxyType({name: tuple(Row(**row) for row in rows) for name, rows in tables.items()})


def responses_form(chat: Mapping[str, Any], profile: Profile) -> Translated:
    """The request that asks the Responses API for the same; the chat request is one that its judge takes.

    What the profile's age ignores is there all the same, and told.
    """
    given = {name: value for name, value in chat.items() if value is not None}
    body: dict[str, Any] = {"model": given["model"], "input": list(_items(given["messages"]))}
    for name, value in given.items():
        if name in _MEMBERS:
            body |= _MEMBERS[name](value)
    tools = [*map(_tool, given.get("tools") or ()), *_built_in(given)]
    if tools:
        body["tools"] = tools
    return Translated(body, tuple(_notes(given, body, profile)))


def _items(messages: list[Any]) -> Iterator[dict[str, Any]]:
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "tool":
            yield {
                "type": "function_call_output",
                "call_id": message["tool_call_id"],
                "output": _text_of(content),
            }
            continue
        calls = message.get("tool_calls") or ()
        if content or not calls:
            yield {"role": role, "content": _content(role, content)}
        for call in calls:
            function = call["function"]
            yield {"type": "function_call", "call_id": call["id"], **_picked(function, "name", "arguments")}


def _content(role: str, content: Any) -> Any:
    if not isinstance(content, list):
        return content or ""
    return [piece for part in content for piece in _parts(role, part)]


def _parts(role: str, part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = part["type"]
    if kind == "text":
        yield {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    elif kind == "image_url":
        yield {"type": "input_image", "image_url": part["image_url"]["url"]}
    elif kind == "video":
        yield from ({"type": "input_image", "image_url": url} for url in part["video"])
    elif kind == "video_url":
        yield {"type": "input_video", "video_url": part["video_url"]["url"], **_picked(part, "fps")}
    else:
        sound = part["input_audio"]
        name = "data" if sound["data"].startswith("data:") else "audio_url"
        yield {"type": "input_audio", name: sound["data"], **_picked(sound, "format")}


def _text_of(content: Any) -> str:
    """A tool's answer as one text: parts that are no texts have no place in it."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return str(content)


def _picked(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names if value.get(name) is not None}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", **_picked(tool["function"], "name", "description", "parameters", "strict")}


def _built_in(given: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What Chat switches on is a tool there."""
    if given.get("enable_search"):
        yield {"type": "web_search"}
    if given.get("enable_code_interpreter"):
        yield {"type": "code_interpreter"}


def _choice(choice: Any) -> dict[str, Any]:
    named = isinstance(choice, dict)
    return {"tool_choice": {"type": "function", "name": choice["function"]["name"]} if named else choice}


def _limit(tokens: int) -> dict[str, Any]:
    return {"max_output_tokens": max(tokens, _LEAST_OUTPUT)}


def _format(form: Mapping[str, Any]) -> dict[str, Any]:
    if form["type"] != "json_schema":
        return {"text": {"format": {"type": form["type"]}}}
    about = _picked(form["json_schema"], "name", "description", "schema", "strict")
    return {"text": {"format": {"type": "json_schema", **about}}}


def _effort(effort: str) -> dict[str, Any]:
    return {"reasoning": {"effort": effort}}


def _same(name: str) -> Any:
    return lambda value: {name: value}


#: Members that become another, or stay what they are; both limits may be given: the later one counts.
_MEMBERS: Mapping[str, Any] = MappingProxyType(
    {
        **{
            name: _same(name)
            for name in ("stream", "temperature", "top_p", "presence_penalty", "top_logprobs")
        },
        "parallel_tool_calls": _same("parallel_tool_calls"),
        "enable_thinking": _same("enable_thinking"),
        "reasoning_effort": _effort,
        "tool_choice": _choice,
        "max_tokens": _limit,
        "max_completion_tokens": _limit,
        "response_format": _format,
    }
)


def _notes(given: Mapping[str, Any], body: Mapping[str, Any], profile: Profile) -> Iterator[Note]:
    rows = {row.chat: row for row in load_migration()["request"]}
    for name, value in given.items():
        words = _words(name, value, rows.get(name), body, profile)
        if words:
            yield Note(f"/{name}", words)
    if given["model"] not in profile.models:
        yield Note("/model", f"{profile.name} does not list {given['model']}: {', '.join(profile.models)}.")
    yield from _message_notes(given["messages"])


def _words(name: str, value: Any, row: Row | None, body: Mapping[str, Any], profile: Profile) -> str:
    """What is to be told of a member; nothing where it simply comes along."""
    if row is None:
        told = "the Responses API has it" if name in profile.parameters else "neither API has it"
        return f"is ignored by Chat Completions; {told}."
    if row.responses is None:
        return "" if value in _NOTHING or (name, value) == ("n", 1) else f"has no counterpart: {row.words}"
    top = row.responses.partition(".")[0].partition("[")[0]
    if top in body and top not in profile.parameters:
        return f"becomes {top}, which {profile.name} ignores. {row.words}"
    if top == "max_output_tokens" and value < _LEAST_OUTPUT:
        return f"is at least {_LEAST_OUTPUT} there."
    return ""


def _message_notes(messages: list[Any]) -> Iterator[Note]:
    rows = {row.chat: row for row in load_migration()["messages"]}
    for at, message in enumerate(messages):
        for name, value in message.items():
            row = rows.get(f"messages[].{name}")
            if row is not None and row.responses is None and value not in _NOTHING:
                yield Note(f"/messages/{at}/{name}", f"has no counterpart: {row.words}")
    if any(message["role"] == "assistant" for message in messages):
        yield Note("/messages", rows["history"].words)
    if [message["role"] for message in messages] == ["user"] and isinstance(messages[0]["content"], str):
        yield Note("/messages", "may be shorter: input can be the text itself.")
