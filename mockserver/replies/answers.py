"""What the model does when nobody scripted it: think, run the built-in tools, call a function, say something.

Each declared built-in tool runs once, in the profile's order, with a thought before each where thinking
is on; then functions are called if there are any to call, else something is said. The order reasoning,
web_search_call, reasoning, web_extractor_call, message is that of the vendor's tool sample (January 2026).
Where a form is asked for, what is said is JSON that is valid under it: the mock's own extension, for
nobody has documented what the service makes of `text.format`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mockserver.replies.arguments import draw_arguments, draw_value
from mockserver.replies.script import FunctionCall, Item, Message, Script, ToolCall, chunked
from mockserver.replies.texts import POOL_SIZE, language_of, saying, text_from_pool, thought
from mockserver.wire import json

__all__ = ["Question", "answer", "made_up"]

#: Addresses that can never be anybody's (RFC 2606).
_SOURCES = ("https://www.example.com/", "https://www.example.org/guide")

_PICTURES = ("https://www.example.com/picture-", "https://www.example.org/picture-")
_TITLE_LENGTH = 40

#: Longest query made of a prompt, in characters.
_QUERY_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks for, as far as an unscripted reply depends on it."""

    prompt: str
    """Text of the last user message."""
    pick: int
    """The request's own draw: decides which texts are picked."""
    thinking: bool = False
    tools: tuple[str, ...] = ()
    """Built-in tools to run, in order."""
    functions: tuple[tuple[str, Any], ...] = ()
    """Name and `parameters` of the functions to call."""
    form: Mapping[str, Any] | None = None
    """JSON Schema of what is said; None: plain text."""
    server_label: str = ""
    """The label of the MCP server."""


def answer(question: Question) -> Script:
    """The script of an unscripted reply; Unsatisfiable where a schema admits no arguments, or no value."""
    return Script(tuple(_items(question)))


def _items(question: Question) -> Iterator[Item]:
    language = language_of(question.prompt)
    picks = (question.pick // POOL_SIZE**place % POOL_SIZE for place in range(16))
    if question.thinking and not question.tools:
        yield thought(language, next(picks))
    for kind in question.tools:
        if question.thinking:
            yield thought(language, next(picks))
        data = _RUNS.get(kind, _no_data)(question.prompt, language, next(picks))
        if question.server_label and "server_label" in data:
            data["name"] = f"{question.server_label}-{data['name']}"
        yield ToolCall(kind, data)
    for name, parameters in question.functions:
        yield FunctionCall(name, draw_arguments(parameters, question.pick))
    if question.form is not None and not question.functions:
        value = draw_value(question.form, "", question.pick)
        yield Message(chunked(json.dumps(value).decode()))
    elif not question.functions:
        yield saying(language, next(picks))


def made_up(call: ToolCall) -> ToolCall:
    """A tool's run with made-up data where nothing was said of a member."""
    return ToolCall(call.kind, {**_RUNS.get(call.kind, _no_data)("", "en", 0), **call.data})


def _no_data(prompt: str, language: str, pick: int) -> dict[str, Any]:
    return {}


def _query(prompt: str, instead: str) -> str:
    return " ".join(prompt.split())[:_QUERY_LENGTH].strip() or instead


def _web_search(prompt: str, language: str, pick: int) -> dict[str, Any]:
    query = _query(prompt, "Web search")
    sources = [{"type": "url", "url": url} for url in _SOURCES]
    return {"action": {"query": query, "sources": sources, "type": "search"}}


def _web_extractor(prompt: str, language: str, pick: int) -> dict[str, Any]:
    url = _SOURCES[0]
    goal = _query(prompt, "Extract the page")
    found = text_from_pool(language, pick)
    # Heading, "Evidence in page:" and "Summary:" as in recorded extractor output (2026).
    output = (
        f"Information in {url} for the goal {goal}:\n\nEvidence in page: \n{found}\n\nSummary: \n{found}\n"
    )
    return {"goal": goal, "output": output, "urls": [url]}


def _code_interpreter(prompt: str, language: str, pick: int) -> dict[str, Any]:
    # container_id is empty and logs come in a markdown fence: live recordings, September 2026.
    logs = f"```\n{pick * pick}\n```"
    return {"code": f"print({pick} ** 2)", "container_id": "", "outputs": [{"logs": logs, "type": "logs"}]}


def _pictures(language: str, pick: int) -> str:
    """The output of an image tool: JSON text of what was found, counted from 1."""
    title = text_from_pool(language, pick)[:_TITLE_LENGTH].strip()
    found = [
        {"title": title, "url": f"{url}{pick % 100}.png", "index": at} for at, url in enumerate(_PICTURES, 1)
    ]
    return json.dumps(found).decode()


def _web_search_image(prompt: str, language: str, pick: int) -> dict[str, Any]:
    arguments = json.dumps({"queries": [_query(prompt, "Image search")]}).decode()
    return {"arguments": arguments, "name": "web_search_image", "output": _pictures(language, pick)}


def _image_search(prompt: str, language: str, pick: int) -> dict[str, Any]:
    # The whole of the first image: the arguments of the guide's sample, February 2026.
    arguments = json.dumps({"img_idx": 0, "bbox": [0, 0, 1000, 1000]}).decode()
    return {"arguments": arguments, "name": "image_search", "output": _pictures(language, pick)}


def _file_search(prompt: str, language: str, pick: int) -> dict[str, Any]:
    found = {
        "file_id": f"file_{pick % 1000:03}",
        "filename": "notes.txt",
        "score": round(0.5 + pick % 50 / 100, 2),
        "text": text_from_pool(language, pick),
    }
    return {"queries": [_query(prompt, "File search")], "results": [found]}


def _mcp(prompt: str, language: str, pick: int) -> dict[str, Any]:
    # The label is this literal in the vendor's sample, whatever the request called it (March 2026).
    return {
        "arguments": json.dumps({"query": _query(prompt, "Look up")}).decode(),
        "name": "search",
        "output": text_from_pool(language, pick),
        "server_label": "MCP Server",
    }


_RUNS: dict[str, Callable[[str, str, int], dict[str, Any]]] = {
    "web_search": _web_search,
    "web_extractor": _web_extractor,
    "code_interpreter": _code_interpreter,
    "web_search_image": _web_search_image,
    "image_search": _image_search,
    "file_search": _file_search,
    "mcp": _mcp,
}
