"""Converts a chat request to a Responses request, with notes about what has no counterpart.

`schemas/migration.json` says what becomes of each member; the page about migration and the notes are made of
it. Source: Migrate from the Chat Completions API (guide, 27 January 2026).
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

__all__ = [
    "MigratedRequest",
    "MigrationNote",
    "MigrationRow",
    "load_migration_tables",
    "migrate_body",
    "migrate_request",
]

#: Values that have no effect.
_EMPTY_VALUES: tuple[Any, ...] = (None, False, [], {})
#: Minimum of `max_output_tokens` (API reference, August 2026).
_MIN_OUTPUT_TOKENS = 16


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """What becomes of one member."""

    chat: str
    """Its path in the chat request, with `[]` for the elements of a list."""
    responses: str | None
    """Its path in the Responses request; None: it has no counterpart."""
    words: str
    """What to do, or what is different."""
    source: str


class MigrationNote(NamedTuple):
    """Something to know about a member of the chat request."""

    pointer: str
    """JSON pointer into the chat request."""
    message: str


class MigratedRequest(NamedTuple):
    """A chat request as a request of the Responses API."""

    body: dict[str, Any]
    notes: tuple[MigrationNote, ...]
    """What has no counterpart, or is different."""


@cache
def load_migration_tables() -> Mapping[str, tuple[MigrationRow, ...]]:
    """The tables "request", "messages", "response", "stream" and "errors"."""
    tables = json.loads((resources.data_folder("schemas") / "migration.json").read_bytes())["tables"]
    return MappingProxyType(
        {name: tuple(MigrationRow(**row) for row in rows) for name, rows in tables.items()}
    )


def migrate_request(chat_request: Mapping[str, Any], profile: Profile) -> MigratedRequest:
    """The Responses request for a valid chat request.

    Parameters that the profile ignores are included, with a note.
    """
    body = migrate_body(chat_request)
    return MigratedRequest(body, tuple(_migration_notes(_given_members(chat_request), body, profile)))


def migrate_body(chat_request: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the Responses request for a valid chat request, without notes."""
    given = _given_members(chat_request)
    body: dict[str, Any] = {"model": given["model"], "input": list(_input_items(given["messages"]))}
    for name, value in given.items():
        if name in _MEMBER_CONVERSIONS:
            body |= _MEMBER_CONVERSIONS[name](value)
    tools = [*map(_function_tool, given.get("tools") or ()), *_built_in_tools(given)]
    if tools:
        body["tools"] = tools
    return body


def _given_members(chat_request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chat_request.items() if value is not None}


def _input_items(messages: list[Any]) -> Iterator[dict[str, Any]]:
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "tool":
            yield {
                "type": "function_call_output",
                "call_id": message["tool_call_id"],
                "output": _tool_output_text(content),
            }
            continue
        calls = message.get("tool_calls") or ()
        if content or not calls:
            yield {"role": role, "content": _message_content(role, content)}
        for call in calls:
            function = call["function"]
            yield {
                "type": "function_call",
                "call_id": call["id"],
                **_pick_members(function, "name", "arguments"),
            }


def _message_content(role: str, content: Any) -> Any:
    if not isinstance(content, list):
        return content or ""
    return [piece for part in content for piece in _content_parts(role, part)]


def _content_parts(role: str, part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = part["type"]
    if kind == "text":
        yield {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    elif kind == "image_url":
        yield {"type": "input_image", "image_url": part["image_url"]["url"]}
    elif kind == "video":
        yield from ({"type": "input_image", "image_url": url} for url in part["video"])
    elif kind == "video_url":
        yield {"type": "input_video", "video_url": part["video_url"]["url"], **_pick_members(part, "fps")}
    else:
        audio = part["input_audio"]
        name = "data" if audio["data"].startswith("data:") else "audio_url"
        yield {"type": "input_audio", name: audio["data"], **_pick_members(audio, "format")}


def _tool_output_text(content: Any) -> str:
    """The output of a tool as one text, without parts that are not text."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return str(content)


def _pick_members(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names if value.get(name) is not None}


def _function_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        **_pick_members(tool["function"], "name", "description", "parameters", "strict"),
    }


def _built_in_tools(given: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The tools that Chat Completions turns on with parameters."""
    if given.get("enable_search"):
        yield {"type": "web_search"}
    if given.get("enable_code_interpreter"):
        yield {"type": "code_interpreter"}


def _tool_choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, dict):
        return {"tool_choice": {"type": "function", "name": choice["function"]["name"]}}
    return {"tool_choice": choice}


def _max_output_tokens(tokens: int) -> dict[str, Any]:
    return {"max_output_tokens": max(tokens, _MIN_OUTPUT_TOKENS)}


def _text_format(response_format: Mapping[str, Any]) -> dict[str, Any]:
    if response_format["type"] != "json_schema":
        return {"text": {"format": {"type": response_format["type"]}}}
    members = _pick_members(response_format["json_schema"], "name", "description", "schema", "strict")
    return {"text": {"format": {"type": "json_schema", **members}}}


def _reasoning_effort(effort: str) -> dict[str, Any]:
    return {"reasoning": {"effort": effort}}


def _unchanged(name: str) -> Any:
    return lambda value: {name: value}


#: Conversions of members; if a request has both token limits, the later one counts.
_MEMBER_CONVERSIONS: Mapping[str, Any] = MappingProxyType(
    {
        **{
            name: _unchanged(name)
            for name in ("stream", "temperature", "top_p", "presence_penalty", "top_logprobs")
        },
        "parallel_tool_calls": _unchanged("parallel_tool_calls"),
        "enable_thinking": _unchanged("enable_thinking"),
        "reasoning_effort": _reasoning_effort,
        "tool_choice": _tool_choice,
        "max_tokens": _max_output_tokens,
        "max_completion_tokens": _max_output_tokens,
        "response_format": _text_format,
    }
)


def _migration_notes(
    given: Mapping[str, Any], body: Mapping[str, Any], profile: Profile
) -> Iterator[MigrationNote]:
    rows = {row.chat: row for row in load_migration_tables()["request"]}
    for name, value in given.items():
        message = _note_message(name, value, rows.get(name), body, profile)
        if message:
            yield MigrationNote(f"/{name}", message)
    if given["model"] not in profile.models:
        yield MigrationNote(
            "/model", f"{profile.name} does not list {given['model']}: {', '.join(profile.models)}."
        )
    yield from _message_notes(given["messages"])


def _note_message(
    name: str, value: Any, row: MigrationRow | None, body: Mapping[str, Any], profile: Profile
) -> str:
    """The note about a member; empty if it keeps its meaning."""
    if row is None:
        reason = "the Responses API has it" if name in profile.parameters else "neither API has it"
        return f"is ignored by Chat Completions; {reason}."
    if row.responses is None:
        return (
            "" if value in _EMPTY_VALUES or (name, value) == ("n", 1) else f"has no counterpart: {row.words}"
        )
    top = row.responses.partition(".")[0].partition("[")[0]
    if top in body and top not in profile.parameters:
        return f"becomes {top}, which {profile.name} ignores. {row.words}"
    if top == "max_output_tokens" and value < _MIN_OUTPUT_TOKENS:
        return f"becomes {top}, which is at least {_MIN_OUTPUT_TOKENS}."
    return ""


def _message_notes(messages: list[Any]) -> Iterator[MigrationNote]:
    rows = {row.chat: row for row in load_migration_tables()["messages"]}
    for at, message in enumerate(messages):
        for name, value in message.items():
            row = rows.get(f"messages[].{name}")
            if row is not None and row.responses is None and value not in _EMPTY_VALUES:
                yield MigrationNote(f"/messages/{at}/{name}", f"has no counterpart: {row.words}")
    if any(message["role"] == "assistant" for message in messages):
        yield MigrationNote("/messages", rows["history"].words)
    if [message["role"] for message in messages] == ["user"] and isinstance(messages[0]["content"], str):
        yield MigrationNote("/messages", "can be shorter: input may be the text itself.")
