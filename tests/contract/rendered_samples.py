"""Valid streams and responses of every kind, in both renderings: the base of the blind mutants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ScriptError, ToolCall, Usage
from mockserver.testing.strategies.rendered_replies import (
    RenderContext,
    ReplySpec,
    render_context,
    render_events,
    render_response,
    tools_for_script,
)
from mockserver.testing.strategies.scripts import script_statuses

RENDERINGS = ("wire", "documented")

_SOURCES = [{"type": "url", "url": "https://www.example.com/"}]

SCRIPTS = {
    "text": Script((Message(("Hello", ", ", "you")),)),
    "empty text": Script((Message(()),), Usage(30, 0, 0, 0)),
    "thinking": Script((Reasoning(("Well", ", then.")), Message(("Yes", ".")))),
    "functions": Script(
        (FunctionCall("get_weather", '{"city": "Paris"}'), FunctionCall("get_weather", '{"city": "Rome"}'))
    ),
    "tools": Script(
        (
            Reasoning(("Search.",)),
            ToolCall("web_search", {"action": {"query": "q", "sources": _SOURCES, "type": "search"}}),
            ToolCall("web_extractor", {"goal": "g", "output": "o", "urls": ["https://www.example.com/"]}),
            ToolCall(
                "code_interpreter",
                {"code": "1", "container_id": "", "outputs": [{"logs": "1", "type": "logs"}]},
            ),
            Message(("Done", ".")),
        )
    ),
    "failed": Script((Message(("Well",)),), status="failed", error=ScriptError("server_error", "Later.")),
}


_FOUND_IMAGES = '[{"title":"t","url":"https://www.example.com/a.png","index":1}]'

#: Scripts that only the profiles after January have.
LATER_SCRIPTS = {
    "later tools": Script(
        (
            ToolCall(
                "web_search_image", {"arguments": "{}", "name": "web_search_image", "output": _FOUND_IMAGES}
            ),
            ToolCall("image_search", {"arguments": "{}", "name": "image_search", "output": _FOUND_IMAGES}),
            ToolCall(
                "file_search",
                {
                    "queries": ["q"],
                    "results": [{"file_id": "f", "filename": "n", "score": 0.5, "text": "t"}],
                },
            ),
            ToolCall(
                "mcp",
                {"arguments": '{"a": 1}', "name": "maps-f", "output": "o", "server_label": "MCP Server"},
            ),
            Message(("Done", ".")),
        )
    ),
}
INCOMPLETE_SCRIPTS = {
    "incomplete": Script((Reasoning(("Well",)), Message(("Once", " upon"))), status="incomplete")
}


def profile_scripts(profile: str) -> dict[str, Script]:
    """The scripts of a profile's base streams, by name."""
    about = load_profile(profile)
    every = SCRIPTS | LATER_SCRIPTS | (INCOMPLETE_SCRIPTS if "incomplete" in script_statuses(profile) else {})
    return {name: script for name, script in every.items() if _tool_kinds(script) <= about.tools.keys()}


def _tool_kinds(script: Script) -> set[str]:
    return {item.kind for item in script.items if isinstance(item, ToolCall)}


def streams(profile: str = DEFAULT_PROFILE) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(name, events) of each base stream."""
    for rendering in RENDERINGS:
        for name, script in profile_scripts(profile).items():
            here = render_context(profile, rendering)
            yield f"{name}, {rendering}", render_events(_reply(script, here), here)


def responses(profile: str = DEFAULT_PROFILE) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, response) of each base response that is not streamed."""
    for rendering in RENDERINGS:
        for name, script in profile_scripts(profile).items():
            here = render_context(profile, rendering)
            yield f"{name}, {rendering}", render_response(_reply(script, here), here)


def _reply(script: Script, here: RenderContext) -> ReplySpec:
    tools = tools_for_script(script, here)
    return ReplySpec(script, here.profile.models[0], 1769084048, "auto", tools=tools)
