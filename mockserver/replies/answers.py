"""What the model does when nobody scripted it: think, run the built-in tools, call a function, say something.

Each declared built-in tool runs once, in the profile's order, with a thought before each where thinking
is on; then a function is called if there is one to call, else something is said. The order reasoning,
web_search_call, reasoning, web_extractor_call, message is that of the vendor's tool sample (January 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mockserver.replies.arguments import draw_arguments
from mockserver.replies.script import FunctionCall, Item, Script, ToolCall
from mockserver.replies.texts import POOL_SIZE, language_of, saying, text_from_pool, thought

__all__ = ["Question", "answer"]

#: Addresses that can never be anybody's (RFC 2606).
_SOURCES = ("https://www.example.com/", "https://www.example.org/guide")

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
    function: tuple[str, Any] | None = None
    """Name and `parameters` of the function to call."""


def answer(question: Question) -> Script:
    """The script of an unscripted reply; Unsatisfiable where a function's schema admits no arguments."""
    return Script(tuple(_items(question)))


def _items(question: Question) -> Iterator[Item]:
    language = language_of(question.prompt)
    picks = (question.pick // POOL_SIZE**place % POOL_SIZE for place in range(16))
    if question.thinking and not question.tools:
        yield thought(language, next(picks))
    for kind in question.tools:
        if question.thinking:
            yield thought(language, next(picks))
        yield ToolCall(kind, _RUNS.get(kind, _no_data)(question.prompt, language, next(picks)))
    if question.function is not None:
        name, parameters = question.function
        yield FunctionCall(name, draw_arguments(parameters, question.pick))
    else:
        yield saying(language, next(picks))


def _no_data(prompt: str, language: str, pick: int) -> dict[str, Any]:
    return {}


def _web_search(prompt: str, language: str, pick: int) -> dict[str, Any]:
    query = " ".join(prompt.split())[:_QUERY_LENGTH].strip() or "Web search"
    sources = [{"type": "url", "url": url} for url in _SOURCES]
    return {"action": {"query": query, "sources": sources, "type": "search"}}


def _web_extractor(prompt: str, language: str, pick: int) -> dict[str, Any]:
    url = _SOURCES[0]
    goal = " ".join(prompt.split())[:_QUERY_LENGTH].strip() or "Extract the page"
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


_RUNS: dict[str, Callable[[str, str, int], dict[str, Any]]] = {
    "web_search": _web_search,
    "web_extractor": _web_extractor,
    "code_interpreter": _code_interpreter,
}
