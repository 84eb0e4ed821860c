"""Generates the script of a reply that no stub configures.

Each declared built-in tool runs once, in the profile's order, with a reasoning item before each run if
thinking is on. Then come the function calls, or a message if there are none. The order reasoning,
web_search_call, reasoning, web_extractor_call, message is that of the vendor's tool sample (January 2026).
With an output schema the message is JSON that is valid under the schema, which is an extension of the mock.

Messages are short texts in the language of the input. A reply picks from a fixed pool of its language, so that
generating a text costs a request almost nothing. `schemas/texts` has the pools of the most common languages, which
Faker generated once; Faker generates the others when they are first needed (`prepare_texts`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from random import Random
from typing import Any

from mockserver import resources
from mockserver.named_tuples import NamedTuple
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall, chunk_text
from mockserver.replies.token_counts import count_tokens
from mockserver.replies.truncation import first_tokens
from mockserver.replies.usage import count_item_tokens
from mockserver.slow_imports import require_import
from mockserver.wire import json

__all__ = [
    "LANGUAGES",
    "POOL_SIZE",
    "GenerationRequest",
    "complete_tool_call",
    "detect_language",
    "generate_plain_script",
    "generate_script",
    "message_from_pool",
    "prepare_texts",
    "reasoning_from_pool",
    "resize_message",
    "text_from_pool",
]

#: Number of texts in the pool of each language.
POOL_SIZE = 64

#: Faker's locales of the languages whose texts are not in `schemas/texts`.
_FAKER_LOCALES = {"el": "el_GR", "he": "he_IL", "hy": "hy_AM", "bn": "bn_BD"}

#: The languages of generated texts.
LANGUAGES = ("en", "zh", "ja", "ru", "ar", *_FAKER_LOCALES)

#: The first writing system found decides; kana before Han, because Japanese uses both. Compiled when a text is
#: not ASCII, because the range of Han takes milliseconds.
_WRITING_SYSTEMS = (
    ("ja", r"[\u3040-\u30ff]"),
    ("zh", r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    ("ru", r"[\u0400-\u04ff]"),
    ("ar", r"[\u0600-\u06ff]"),
    ("el", r"[\u0370-\u03ff]"),
    ("he", r"[\u0590-\u05ff]"),
    ("hy", r"[\u0530-\u058f]"),
    ("bn", r"[\u0980-\u09ff]"),
)

#: How much of an input `detect_language` reads.
_MAX_DETECTION_CHARACTERS = 2000


def detect_language(text: str) -> str:
    """The language of a reply to `text`, by its writing system; English by default."""
    if text.isascii():
        return "en"
    sample = text[:_MAX_DETECTION_CHARACTERS]
    if sample.isascii():
        return "en"
    return next((language for language, pattern in _WRITING_SYSTEMS if re.search(pattern, sample)), "en")


def text_from_pool(language: str, text_seed: int) -> str:
    """A few sentences; `text_seed` may be any integer."""
    pool = _text_pool(language)
    return pool[text_seed % len(pool)]


@lru_cache(maxsize=1024)
def message_from_pool(language: str, text_seed: int) -> Message:
    """A message from the pool, in chunks of one to four words."""
    return Message(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


@lru_cache(maxsize=1024)
def reasoning_from_pool(language: str, text_seed: int) -> Reasoning:
    """A reasoning item from the pool, in chunks of one to four words."""
    return Reasoning(chunk_text(text_from_pool(language, text_seed), _chunk_sizes(text_seed)))


def _chunk_sizes(text_seed: int, count: int = 64) -> list[int]:
    random = Random(text_seed)
    return [random.randint(1, 4) for _ in range(count)]


def prepare_texts(prompt: str) -> None:
    """Load the texts for replies to a prompt. ImportPending on a server's loop if that takes long."""
    if not prompt.isascii():
        _text_pool(detect_language(prompt))


@cache
def _text_pool(language: str) -> tuple[str, ...]:
    locale = _FAKER_LOCALES.get(language)
    if locale is None:
        return tuple(json.loads(resources.read_json("schemas", "texts", language)))
    require_import(f"faker.providers.lorem.{locale}")
    from faker import Faker

    faker = Faker(locale, ["faker.providers.lorem"])
    faker.seed_instance(20260127)
    return tuple(faker.paragraph(nb_sentences=3) for _ in range(POOL_SIZE))


#: Reserved domains that nobody can own (RFC 2606).
_SOURCE_URLS = ("https://www.example.com/", "https://www.example.org/guide")

_IMAGE_URL_PREFIXES = ("https://www.example.com/picture-", "https://www.example.org/picture-")
_MAX_TITLE_CHARACTERS = 40

#: Characters of the arguments of a script that is kept for other replies.
_MAX_KEPT_CHARACTERS = 16 << 10

#: Longest query made from a prompt, in characters.
_MAX_QUERY_CHARACTERS = 80


class GenerationRequest(NamedTuple):
    """What a request asks for, as far as a generated reply depends on it."""

    prompt: str
    """Text of the last user message."""
    text_seed: int
    """Decides which texts are picked."""
    thinking: bool = False
    builtin_tools: tuple[str, ...] = ()
    """Built-in tools to run, in order."""
    called_functions: tuple[tuple[str, bytes], ...] = ()
    """Name and `parameters`, as JSON, of the functions to call."""
    output_schema: Mapping[str, Any] | None = None
    """JSON Schema of the message; None: plain text."""
    mcp_server_label: str = ""


def generate_script(request: GenerationRequest) -> Script:
    """The script of a generated reply.

    Raises UnsatisfiableSchema if no arguments, or no output, are valid under a schema of the request.
    """
    if request.builtin_tools or request.output_schema is not None:
        # Runs of tools repeat the prompt, and a schema may ask for a message of any size.
        return Script(tuple(_generate_items(request)))
    if not request.called_functions:
        return generate_plain_script(request.prompt, request.text_seed, request.thinking)
    calls = _generate_calls(request)
    thought = request.text_seed % POOL_SIZE if request.thinking else None
    is_large = sum(len(arguments) for _, arguments in calls) > _MAX_KEPT_CHARACTERS
    find_script = _script_from_pool.__wrapped__ if is_large else _script_from_pool
    return find_script(detect_language(request.prompt), thought, None, calls)


def generate_plain_script(prompt: str, text_seed: int, thinking: bool) -> Script:
    """The script of a generated reply without tools and schema."""
    rest, pick = divmod(text_seed, POOL_SIZE)
    language = detect_language(prompt)
    if thinking:
        return _script_from_pool(language, pick, rest % POOL_SIZE)
    return _script_from_pool(language, None, pick)


@lru_cache(maxsize=1024)
def _script_from_pool(
    language: str, thought: int | None, message: int | None, calls: tuple[tuple[str, str], ...] = ()
) -> Script:
    """One script for all replies with the same texts and calls, so that its hash, size and template are known."""
    return Script(
        (
            *(() if thought is None else (reasoning_from_pool(language, thought),)),
            *(FunctionCall(*each) for each in calls),
            *(() if message is None else (message_from_pool(language, message),)),
        )
    )


def _generate_calls(request: GenerationRequest) -> tuple[tuple[str, str], ...]:
    """The name and the arguments of each call."""
    generate, seed = _argument_generator(), request.text_seed
    return tuple([(name, generate(parameters, seed)) for name, parameters in request.called_functions])


@cache
def _argument_generator() -> Callable[[bytes, int], str]:
    from mockserver.replies.json_schema.generator import (
        generate_arguments_for_text,
    )  # for calls only: it is large

    return generate_arguments_for_text


def _generate_items(request: GenerationRequest) -> Iterator[Item]:
    language = detect_language(request.prompt)
    picks = (request.text_seed // POOL_SIZE**digit % POOL_SIZE for digit in range(16))
    if request.thinking and not request.builtin_tools:
        yield reasoning_from_pool(language, next(picks))
    for kind in request.builtin_tools:
        if request.thinking:
            yield reasoning_from_pool(language, next(picks))
        data = _TOOL_DATA.get(kind, _empty_data)(request.prompt, language, next(picks))
        if request.mcp_server_label and "server_label" in data:
            data["name"] = f"{request.mcp_server_label}-{data['name']}"
        yield ToolCall(kind, data)
    for call in _generate_calls(request):
        yield FunctionCall(*call)
    if request.output_schema is not None and not request.called_functions:
        from mockserver.replies.json_schema.generator import generate_value

        value = generate_value(request.output_schema, "", request.text_seed)
        yield Message(chunk_text(json.dumps(value).decode()))
    elif not request.called_functions:
        yield message_from_pool(language, next(picks))


def resize_message(script: Script, language: str, text_seed: int, tokens: int) -> Script:
    """A generated script whose message makes the output `tokens` tokens long, at least one of them in the message.

    It has no reasoning if that leaves no room for the message. A script that ends with something else is unchanged.
    """
    *before, last = script.items
    return (
        _resize(tuple(before), language, text_seed % POOL_SIZE, tokens)
        if isinstance(last, Message)
        else script
    )


@lru_cache(maxsize=256)
def _resize(before: tuple[Item, ...], language: str, pick: int, tokens: int) -> Script:
    """A script of these items and a message, of texts in the pool from this one on."""
    used = sum(map(count_item_tokens, before))
    if used >= tokens:
        before = tuple(each for each in before if not isinstance(each, Reasoning))
        used = sum(map(count_item_tokens, before))
    texts: list[str] = []
    size = missing = max(1, tokens - used)
    while missing > 0:
        texts.append(text_from_pool(language, pick + len(texts)))
        missing -= count_tokens(texts[-1])
    text = first_tokens("\n\n".join(texts), size)
    return Script((*before, Message(chunk_text(text, _chunk_sizes(pick, size)))))


def complete_tool_call(call: ToolCall) -> ToolCall:
    """A run of a built-in tool, with generated data for members that it does not set."""
    data = {**_TOOL_DATA.get(call.kind, _empty_data)("", "en", 0), **call.data}
    action = data.get("action")
    if call.kind == "web_search" and isinstance(action, Mapping) and "type" not in action:
        data["action"] = {**action, "type": "search"}
    return ToolCall(call.kind, data)


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
    text = text_from_pool(language, text_seed)
    # Heading, "Evidence in page:" and "Summary:" as in recorded extractor output (2026).
    output = f"Information in {url} for the goal {goal}:\n\nEvidence in page: \n{text}\n\nSummary: \n{text}\n"
    return {"goal": goal, "output": output, "urls": [url]}


def _code_interpreter_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # container_id is empty, and logs are in a Markdown code fence: live recordings, September 2026.
    logs = f"```\n{text_seed * text_seed}\n```"
    return {
        "code": f"print({text_seed} ** 2)",
        "container_id": "",
        "outputs": [{"logs": logs, "type": "logs"}],
    }


def _image_results(language: str, text_seed: int) -> str:
    """The output of an image tool: JSON text of results numbered from 1."""
    title = text_from_pool(language, text_seed)[:_MAX_TITLE_CHARACTERS].strip()
    results = [
        {"title": title, "url": f"{url}{text_seed % 100}.png", "index": at}
        for at, url in enumerate(_IMAGE_URL_PREFIXES, 1)
    ]
    return json.dumps(results).decode()


def _web_search_image_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    arguments = json.dumps({"queries": [_search_query(prompt, "Image search")]}).decode()
    return {"arguments": arguments, "name": "web_search_image", "output": _image_results(language, text_seed)}


def _image_search_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # Searches all of the first image: the arguments of the guide's sample, February 2026.
    arguments = json.dumps({"img_idx": 0, "bbox": [0, 0, 1000, 1000]}).decode()
    return {"arguments": arguments, "name": "image_search", "output": _image_results(language, text_seed)}


def _file_search_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    result = {
        "file_id": f"file_{text_seed % 1000:03}",
        "filename": "notes.txt",
        "score": round(0.5 + text_seed % 50 / 100, 2),
        "text": text_from_pool(language, text_seed),
    }
    return {"queries": [_search_query(prompt, "File search")], "results": [result]}


def _mcp_data(prompt: str, language: str, text_seed: int) -> dict[str, Any]:
    # The vendor's sample (March 2026) has this label whatever label the request sets.
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
