"""Strategy for scripts: what a model says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.replies.script import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    Script,
    ScriptError,
    ToolCall,
    Usage,
)
from mockserver.testing.strategies.values import event_types, long_text, select_names, texts
from mockserver.wire import json

__all__ = ["item_kinds", "script_items", "script_statuses", "scripts", "scripts_starting_with"]

#: Codes of failed responses (API reference, August 2026; live probes, 2026).
ERROR_CODES = ("server_error", "InvalidParameter", "DataInspectionFailed")

_URLS = st.sampled_from(["https://www.example.com/", "https://www.example.org/a?b=c#d"])
_FUNCTION_NAMES = st.sampled_from(["get_weather", "f", "Look-up_2"])
_ARGUMENTS = st.sampled_from(
    ['{"city":"Paris"}', "{}", '{"a": [1, {"b": null}], "c": "\\"\\n\\n"}', '{"城市":"杭州", "n":-1.5e3}']
)


def scripts(
    *,
    profile: str = DEFAULT_PROFILE,
    kinds: Collection[str] | None = None,
    statuses: Collection[str] | None = None,
    min_items: int = 1,
    max_items: int = 10,
    surrogates: bool = False,
) -> SearchStrategy[Script]:
    """Scripts, valid arguments of `MockServer.reply` if their status is "completed".

    `kinds` are those of `item_kinds`, `statuses` those of `script_statuses`; None stands for all of the
    profile's. A failed script may have fewer items than `min_items`.
    """
    return _scripts(profile, _as_tuple(kinds), _as_tuple(statuses), (min_items, max_items), surrogates)


@st.composite
def _scripts(
    draw: DrawFn,
    profile: str,
    kinds: tuple[str, ...] | str | None,
    statuses: tuple[str, ...] | str | None,
    size: tuple[int, int],
    surrogates: bool,
) -> Script:
    least, most = size
    if not 0 <= least <= most:
        raise InvalidArgument(f"0 <= min_items={least} <= max_items={most} does not hold")
    every = script_items(profile, select_names("kinds", kinds, item_kinds(profile)), surrogates)
    status = draw(_statuses(select_names("statuses", statuses, script_statuses(profile))))
    usual_most = min(most, max(least, _USUAL_MAX_ITEMS))
    drawn_items = draw(st.lists(every, min_size=0 if status == "failed" else least, max_size=usual_most))
    if most > usual_most and drawn_items and draw(_IS_LONG_SCRIPT):
        drawn_items = (drawn_items * most)[:most]
    return _finish_script(draw, status, drawn_items, surrogates)


#: Most items of a usual script. Long ones repeat theirs, which is fast and shrinks to a usual one.
_USUAL_MAX_ITEMS = 4
_IS_LONG_SCRIPT = st.sampled_from((False,) * 24 + (True,))


@st.composite
def scripts_starting_with(
    draw: DrawFn,
    *,
    profile: str,
    kinds: tuple[str, ...],
    statuses: tuple[str, ...] = ("completed",),
    first_kinds: tuple[str, ...] = (),
    surrogates: bool = False,
) -> Script:
    """Scripts that start with an item of each of `first_kinds` (default: one of any kind), each with text."""
    firsts = [draw(script_items(profile, (kind,), surrogates, 1)) for kind in first_kinds]
    if not firsts:
        firsts = [draw(script_items(profile, kinds, surrogates, 1))]
    more = draw(st.lists(script_items(profile, kinds, surrogates), max_size=2))
    return _finish_script(draw, draw(st.sampled_from(statuses)), [*firsts, *more], surrogates)


def _finish_script(draw: DrawFn, status: str, drawn_items: list[Item], surrogates: bool) -> Script:
    error = draw(_errors(surrogates)) if status == "failed" else None
    return Script(tuple(drawn_items), draw(_USAGES), status, error)


def _as_tuple(names: Collection[str] | None) -> tuple[str, ...] | str | None:
    return names if names is None or isinstance(names, str) else tuple(names)


def item_kinds(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """Kinds of a profile's output items: message, reasoning, function_call, and its built-in tools."""
    return ("message", "reasoning", "function_call", *load_profile(profile).tools)


def script_statuses(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """Final statuses that a profile knows."""
    ends = ("completed", "failed", "incomplete")
    return tuple(each for each in ends if f"response.{each}" in event_types(profile))


@cache
def script_items(
    profile: str, kinds: tuple[str, ...], surrogates: bool = False, min_chunks: int = 0
) -> SearchStrategy[Item]:
    """Items of these kinds, with at least `min_chunks` chunks of text each."""
    loaded = load_profile(profile)
    return st.one_of([_item(loaded, kind, surrogates, min_chunks) for kind in kinds])


def _item(profile: Profile, kind: str, surrogates: bool, min_chunks: int) -> SearchStrategy[Item]:
    if kind in ("message", "reasoning"):
        chunks = st.tuples(
            st.lists(texts(surrogates), min_size=min_chunks, max_size=4), st.sampled_from(_TEXT_SIZES)
        )
        return chunks.map(_scale_text).map(Message if kind == "message" else Reasoning)
    if kind == "function_call":
        return st.builds(FunctionCall, _FUNCTION_NAMES, _ARGUMENTS | _random_arguments())
    if kind not in _TOOL_DATA or kind not in profile.tools:
        raise InvalidArgument(f"{profile.name} has no items of kind {kind!r} that can be drawn")
    return _TOOL_DATA[kind]().map(lambda data: ToolCall(kind, data))


#: Sizes of a text: usual, of many deltas, or of long ones. The others shrink to the first.
_TEXT_SIZES = ("",) * 8 + ("many", "long")
_MANY_DELTAS = 40


def _scale_text(drawn: tuple[list[str], str]) -> tuple[str, ...]:
    """The chunks of a text, repeated to many deltas or to more than 1,000 characters."""
    chunks, size = drawn
    if size == "many":
        return tuple(((chunks or ["a"]) * _MANY_DELTAS)[:_MANY_DELTAS])
    if size == "long":
        return (*chunks[:-1], long_text(chunks[-1] if chunks else ""))
    return tuple(chunks)


def _random_arguments() -> SearchStrategy[str]:
    return st.dictionaries(texts(), texts() | st.integers(-9, 9) | st.none(), max_size=2).map(_json_text)


def _json_text(value: Any) -> str:
    return json.dumps(value).decode()


def _web_search_data() -> SearchStrategy[dict[str, Any]]:
    sources = st.lists(st.fixed_dictionaries({"type": st.just("url"), "url": _URLS}), max_size=2)
    action = {"query": texts(), "type": st.just("search")}
    return st.fixed_dictionaries({"action": st.fixed_dictionaries(action, optional={"sources": sources})})


def _web_extractor_data() -> SearchStrategy[dict[str, Any]]:
    urls = st.lists(_URLS, max_size=2)
    return st.fixed_dictionaries({"goal": texts(), "output": texts(), "urls": urls})


def _code_interpreter_data() -> SearchStrategy[dict[str, Any]]:
    logs = st.fixed_dictionaries({"logs": texts(), "type": st.just("logs")})
    return st.fixed_dictionaries(
        {
            "code": texts() | st.none(),
            "container_id": st.sampled_from(["", "cntr_1"]),
            "outputs": st.lists(logs, max_size=2),
        }
    )


def _image_results() -> SearchStrategy[str]:
    found = st.fixed_dictionaries({"title": texts(), "url": _URLS, "index": st.just(1)})
    return st.lists(found, max_size=1).map(_json_text)


def _web_search_image_data() -> SearchStrategy[dict[str, Any]]:
    arguments = st.lists(texts(), min_size=1, max_size=2).map(
        lambda queries: _json_text({"queries": queries})
    )
    return st.fixed_dictionaries(
        {"arguments": arguments, "name": st.just("web_search_image"), "output": _image_results()}
    )


def _image_search_data() -> SearchStrategy[dict[str, Any]]:
    arguments = st.sampled_from(['{"img_idx":0,"bbox":[0,0,1000,1000]}', '{"img_idx":1,"bbox":[0,0,1,1]}'])
    return st.fixed_dictionaries(
        {"arguments": arguments, "name": st.just("image_search"), "output": _image_results()}
    )


def _file_search_data() -> SearchStrategy[dict[str, Any]]:
    found = st.fixed_dictionaries(
        {"file_id": st.just("file_1"), "filename": texts(), "score": st.floats(0, 1), "text": texts()}
    )
    return st.fixed_dictionaries(
        {"queries": st.lists(texts(), min_size=1, max_size=2), "results": st.lists(found, max_size=2)}
    )


def _mcp_data() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "arguments": _ARGUMENTS | _random_arguments(),
            "name": st.sampled_from(["amap-maps-maps_weather", "x-f"]),
            "output": texts(),
            "server_label": st.just("MCP Server"),
        }
    )


_TOOL_DATA: Mapping[str, Callable[[], SearchStrategy[dict[str, Any]]]] = MappingProxyType(
    {
        "web_search": _web_search_data,
        "web_extractor": _web_extractor_data,
        "code_interpreter": _code_interpreter_data,
        "web_search_image": _web_search_image_data,
        "image_search": _image_search_data,
        "file_search": _file_search_data,
        "mcp": _mcp_data,
    }
)
"""By built-in tool: members that only its item has."""


@cache
def _statuses(statuses: tuple[str, ...]) -> SearchStrategy[str]:
    # Most replies are completed.
    return st.sampled_from((statuses[0],) * 6 + statuses[1:])


@cache
def _errors(surrogates: bool) -> SearchStrategy[ScriptError]:
    return st.builds(ScriptError, st.sampled_from(ERROR_CODES), texts(surrogates))


@st.composite
def _usages(draw: DrawFn) -> Usage:
    input_tokens, output_tokens = draw(st.integers(0, 5000)), draw(st.integers(0, 5000))
    reasoning = draw(st.sampled_from([0, output_tokens, output_tokens // 2]))
    return Usage(
        input_tokens,
        output_tokens,
        reasoning,
        draw(st.sampled_from([0, input_tokens, input_tokens // 2])),
        True,
    )


_USAGES = st.just(Usage()) | _usages()
