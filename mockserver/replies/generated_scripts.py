"""What the model says when nobody scripted it: short texts in the language of the input.

Faker fills a pool for each language once; a reply picks from it, so generated text costs nothing on
the way of a request. The pools are fixed: which text a request gets is decided by its own draw.

What the model does when nobody scripted it: think, run the built-in tools, call a function, say something.

Each declared built-in tool runs once, in the profile's order, with a thought before each where thinking
is on; then functions are called if there are any to call, else something is said. The order reasoning,
web_search_call, reasoning, web_extractor_call, message is that of the vendor's tool sample (January 2026).
Where a form is asked for, what is said is JSON that is valid under it: the mock's own extension, for
nobody has documented what the service makes of `text.format`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import Any

from mockserver.replies.json_schema.generator import generate_arguments, generate_value
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall, chunk_text
from mockserver.wire import json

__all__ = [
    "FAKER_LOCALES",
    "POOL_SIZE",
    "GenerationRequest",
    "complete_tool_call",
    "detect_language",
    "generate_script",
    "message_from_pool",
    "reasoning_from_pool",
    "text_from_pool",
]

#: Texts in each language's pool.
POOL_SIZE = 64

#: Faker's locale for each language.
FAKER_LOCALES = {"en": "en_US", "zh": "zh_CN", "ja": "ja_JP", "ru": "ru_RU", "ar": "ar_AA"}

#: The first script found decides; kana before Han, since Japanese is written in both.
_WRITING_SYSTEMS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)

#: How far into an input to look for its language.
_MAX_DETECTION_CHARACTERS = 2000


def detect_language(text: str) -> str:
    """The language a reply to `text` is in, by its script; English where nothing says otherwise."""
    sample = text[:_MAX_DETECTION_CHARACTERS]
    if sample.isascii():
        return "en"
    return next((language for language, script in _WRITING_SYSTEMS if script.search(sample)), "en")


def text_from_pool(language: str, text_seed: int) -> str:
    """A few sentences; any whole number picks one."""
    pool = _text_pool(language)
    return pool[text_seed % len(pool)]


@lru_cache(maxsize=1024)
def message_from_pool(language: str, text_seed: int) -> Message:
    """A message of that pool, cut into deltas of one to four words."""
    return Message(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


@lru_cache(maxsize=1024)
def reasoning_from_pool(language: str, text_seed: int) -> Reasoning:
    """A thought of that pool, cut into deltas of one to four words."""
    return Reasoning(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


def _chunk_sizes(text_seed: int) -> list[int]:
    chooser = Random(text_seed)
    return [chooser.randint(1, 4) for _ in range(64)]


@cache
def _text_pool(language: str) -> tuple[str, ...]:
    from faker import Faker  # 0.2 s to import: paid by the first generated text, not by every command

    faker = Faker(FAKER_LOCALES[language])
    faker.seed_instance(20260127)
    return tuple(_localize_punctuation(faker.paragraph(nb_sentences=3), language) for _ in range(POOL_SIZE))


def _localize_punctuation(text: str, language: str) -> str:
    """Faker ends Chinese sentences with a Latin full stop."""
    return text.replace(".", "。") if language == "zh" else text


#: Addresses that can never be anybody's (RFC 2606).
_SOURCE_URLS = ("https://www.example.com/", "https://www.example.org/guide")

_IMAGE_URL_PREFIXES = ("https://www.example.com/picture-", "https://www.example.org/picture-")
_MAX_TITLE_CHARACTERS = 40

#: Longest query made of a prompt, in characters.
_MAX_QUERY_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What a request asks for, as far as an unscripted reply depends on it."""

    prompt: str
    """Text of the last user message."""
    text_seed: int
    """The request's own draw: decides which texts are picked."""
    thinking: bool = False
    builtin_tools: tuple[str, ...] = ()
    """Built-in tools to run, in order."""
    called_functions: tuple[tuple[str, Any], ...] = ()
    """Name and `parameters` of the functions to call."""
    output_schema: Mapping[str, Any] | None = None
    """JSON Schema of what is said; None: plain text."""
    mcp_server_label: str = ""
    """The label of the MCP server."""


def generate_script(request: GenerationRequest) -> Script:
    """The script of an unscripted reply; Unsatisfiable where a schema admits no arguments, or no value."""
    return Script(tuple(_generate_items(request)))


def _generate_items(request: GenerationRequest) -> Iterator[Item]:
    language = detect_language(request.prompt)
    picks = (request.text_seed // POOL_SIZE**place % POOL_SIZE for place in range(16))
    if request.thinking and not request.builtin_tools:
        yield reasoning_from_pool(language, next(picks))
    for kind in request.builtin_tools:
        if request.thinking:
            yield reasoning_from_pool(language, next(picks))
        data = _TOOL_DATA.get(kind, _empty_data)(request.prompt, language, next(picks))
        if request.mcp_server_label and "server_label" in data:
            data["name"] = f"{request.mcp_server_label}-{data['name']}"
        yield ToolCall(kind, data)
    for name, parameters in request.called_functions:
        yield FunctionCall(name, generate_arguments(parameters, request.text_seed))
    if request.output_schema is not None and not request.called_functions:
        value = generate_value(request.output_schema, "", request.text_seed)
        yield Message(chunk_text(json.dumps(value).decode()))
    elif not request.called_functions:
        yield message_from_pool(language, next(picks))


def complete_tool_call(call: ToolCall) -> ToolCall:
    """A tool's run with made-up data where nothing was said of a member."""
    return ToolCall(call.kind, {**_TOOL_DATA.get(call.kind, _empty_data)("", "en", 0), **call.data})


def _empty_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    return {}


def _search_query(prompt: str, default: str) -> str:
    return " ".join(prompt.split())[:_MAX_QUERY_CHARACTERS].strip() or default


def _web_search_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    query = _search_query(prompt, "Web search")
    sources = [{"type": "url", "url": url} for url in _SOURCE_URLS]
    return {"action": {"query": query, "sources": sources, "type": "search"}}


def _web_extractor_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    url = _SOURCE_URLS[0]
    goal = _search_query(prompt, "Extract the page")
    found = text_from_pool(language, text_seed)
    # Heading, "Evidence in page:" and "Summary:" as in recorded extractor output (2026).
    output = (
        f"Information in {url} for the goal {goal}:\n\nEvidence in page: \n{found}\n\nSummary: \n{found}\n"
    )
    return {"goal": goal, "output": output, "urls": [url]}


def _code_interpreter_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # container_id is empty and logs come in a markdown fence: live recordings, September 2026.
    logs = f"```\n{text_seed * text_seed}\n```"
    return {
        "code": f"print({text_seed} ** 2)",
        "container_id": "",
        "outputs": [{"logs": logs, "type": "logs"}],
    }


def _image_results(language: str, text_seed: int) -> str:
    """The output of an image tool: JSON text of what was found, counted from 1."""
    title = text_from_pool(language, text_seed)[:_MAX_TITLE_CHARACTERS].strip()
    found = [
        {"title": title, "url": f"{url}{text_seed % 100}.png", "index": at}
        for at, url in enumerate(_IMAGE_URL_PREFIXES, 1)
    ]
    return json.dumps(found).decode()


def _web_search_image_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    arguments = json.dumps({"queries": [_search_query(prompt, "Image search")]}).decode()
    return {"arguments": arguments, "name": "web_search_image", "output": _image_results(language, text_seed)}


def _image_search_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # The whole of the first image: the arguments of the guide's sample, February 2026.
    arguments = json.dumps({"img_idx": 0, "bbox": [0, 0, 1000, 1000]}).decode()
    return {"arguments": arguments, "name": "image_search", "output": _image_results(language, text_seed)}


def _file_search_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    found = {
        "file_id": f"file_{text_seed % 1000:03}",
        "filename": "notes.txt",
        "score": round(0.5 + text_seed % 50 / 100, 2),
        "text": text_from_pool(language, text_seed),
    }
    return {"queries": [_search_query(prompt, "File search")], "results": [found]}


def _mcp_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # The label is this literal in the vendor's sample, whatever the request called it (March 2026).
    return {
        "arguments": json.dumps({"query": _search_query(prompt, "Look up")}).decode(),
        "name": "search",
        "output": text_from_pool(language, text_seed),
        "server_label": "MCP Server",
    }


_TOOL_DATA: dict[str, Callable[[str, str, int], dict[str, Any]]] = {
    "web_search": _web_search_data,
    "web_extractor": _web_extractor_data,
    "code_interpreter": _code_interpreter_data,
    "web_search_image": _web_search_image_data,
    "image_search": _image_search_data,
    "file_search": _file_search_data,
    "mcp": _mcp_data,
}
