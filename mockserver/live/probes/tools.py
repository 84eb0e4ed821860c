"""Probes of tools: functions of the client's, and those that the service runs itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.live.client import Crossing
from mockserver.live.probes.pictures import PICTURE
from mockserver.live.probes.registry import probe
from mockserver.live.talk import Inconclusive, NotAsked, Talk
from mockserver.profiles import Profile

__all__: list[str] = []

_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city. Always use it when asked for the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city."}},
        "required": ["city"],
    },
}

_QUESTIONS = {
    "web_search": "What is in the news today? Search the web.",
    "web_extractor": "Search the web for the Alibaba Cloud website and extract what it offers.",
    "code_interpreter": "Compute 2 to the power of 100 with code.",
    "web_search_image": "Find a picture of the Great Wall.",
    "image_search": "Find pictures like this one.",
    "file_search": "What do the files say? Search them.",
    "mcp": "Use the tools of the server to answer: what can it do?",
}

#: What the user has to name for a tool to be asked, by the member of its declaration.
_OWN = {
    "file_search": ("vector_store", "it needs a vector store of yours: --vector-store ID"),
    "mcp": ("mcp_server", "it needs an MCP server of yours: --mcp-server URL"),
}


@probe("function-loop", "a function is called, and its output answered", requests=2, tokens=1200)
def function_loop(talk: Talk) -> None:
    question = {"role": "user", "content": f"What is the weather in Paris? ({talk.nonce})"}
    first = talk.answer([question], {"tools": [_WEATHER]}, tokens=600)
    call = _call(first)
    outputs = [
        call,
        {"type": "function_call_output", "call_id": call.get("call_id"), "output": '{"sky":"clear"}'},
    ]
    talk.answer([question, *outputs], {"tools": [_WEATHER]}, tokens=600)


@probe("function-stream", "a function call is streamed", tokens=600)
def function_stream(talk: Talk) -> None:
    question = f"What is the weather in Rome? ({talk.nonce})"
    _call(talk.answer(question, {"tools": [_WEATHER], "stream": True}, tokens=600))


def _call(crossing: Crossing) -> dict[str, Any]:
    call = next((item for item in crossing.output if item.get("type") == "function_call"), None)
    if call is None:
        raise Inconclusive("the model has not called the function")
    kept = ("type", "name", "arguments", "call_id", "id", "status")
    return {name: value for name, value in call.items() if name in kept}


def _runs(kind: str, tokens: int) -> None:
    """Register the probe of a built-in tool."""

    @probe(
        f"tool-{kind.replace('_', '-')}",
        f"{kind} runs, as a reply and as a stream",
        requests=2,
        tokens=2 * tokens,
        lacks=_has_not(kind),
    )
    def run(talk: Talk) -> None:
        tool = talk.profile.tools[kind]
        if kind in _OWN and not talk.own.get(_OWN[kind][0]):
            raise NotAsked(_OWN[kind][1])
        asked: dict[str, Any] = {"tools": [_declared(each, talk) for each in (tool.needs_tool, kind) if each]}
        if tool.needs_thinking_message:
            asked["enable_thinking"] = True
        for parameters in (asked, {**asked, "stream": True}):
            crossing = talk.answer(_question(kind, talk), parameters, tokens=tokens)
            if not any(item.get("type") == tool.item for item in crossing.output):
                raise Inconclusive(f"the model has not used {kind}")


def _declared(kind: str, talk: Talk) -> dict[str, Any]:
    if kind == "file_search":
        return {"type": kind, "vector_store_ids": [talk.own["vector_store"]]}
    if kind == "mcp":
        server = {"server_protocol": "sse", "server_label": "probe", "server_url": talk.own["mcp_server"]}
        return {"type": kind, **server}
    return {"type": kind}


def _question(kind: str, talk: Talk) -> Any:
    text = f"{_QUESTIONS[kind]} ({talk.nonce})"
    if kind != "image_search":
        return text
    parts = [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": PICTURE}]
    return [{"role": "user", "content": parts}]


def _has_not(kind: str) -> Callable[[Profile], str | None]:
    def lacks(profile: Profile) -> str | None:
        return None if kind in profile.tools else f"{profile.name} has no {kind}"

    return lacks


# About what the documents' samples cost: a search reads some ten pages (guide, 27 January 2026: 40,836).
for _kind, _tokens in {
    "code_interpreter": 3_000,
    "web_search_image": 5_000,
    "image_search": 5_000,
    "file_search": 5_000,
    "mcp": 5_000,
    "web_search": 12_000,
    "web_extractor": 42_000,
}.items():
    _runs(_kind, _tokens)
