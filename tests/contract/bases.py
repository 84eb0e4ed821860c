"""Base streams and responses of every kind, in both renderings: what blind mutants are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ScriptError, ToolCall, Usage
from mockserver.testing.strategies.replies import Reply, declared, render_events, render_response
from mockserver.testing.strategies.values import look

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


def streams() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(name, events) of each base stream."""
    for rendering in RENDERINGS:
        for name, script in SCRIPTS.items():
            yield (
                f"{name}, {rendering}",
                render_events(_reply(script, rendering), look(DEFAULT_PROFILE, rendering)),
            )


def responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, response) of each base answer that was not streamed."""
    for rendering in RENDERINGS:
        for name, script in SCRIPTS.items():
            here = look(DEFAULT_PROFILE, rendering)
            yield f"{name}, {rendering}", render_response(_reply(script, rendering), here)


def _reply(script: Script, rendering: str) -> Reply:
    here = look(DEFAULT_PROFILE, rendering)
    tools = declared(script, here)
    return Reply(script, here.profile.models[0], 1769084048, "auto", tools=tools)
