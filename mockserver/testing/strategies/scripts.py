"""Scripts: what a model may say, drawn."""

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
from mockserver.testing.strategies.values import event_types, one_of, texts
from mockserver.wire import json

__all__ = ["item_kinds", "items", "script_statuses", "scripts", "scripts_of"]

#: Codes of failed responses (API reference, August 2026; live probes, 2026).
ERROR_CODES = ("server_error", "InvalidParameter", "DataInspectionFailed")

_URLS = st.sampled_from(["https://www.example.com/", "https://www.example.org/a?b=c#d"])
_NAMES = st.sampled_from(["get_weather", "f", "Look-up_2"])
_ARGUMENTS = st.sampled_from(
    ['{"city":"Paris"}', "{}", '{"a": [1, {"b": null}], "c": "\\"\\n\\n"}', '{"城市":"杭州", "n":-1.5e3}']
)


def scripts(
    *,
    profile: str = DEFAULT_PROFILE,
    kinds: Collection[str] | None = None,
    statuses: Collection[str] | None = None,
    min_items: int = 1,
    max_items: int = 4,
    surrogates: bool = False,
) -> SearchStrategy[Script]:
    """Scripts, ready for `MockServer.reply` where their status is "completed".

    `kinds` are those of `item_kinds`, `statuses` those of `script_statuses`; None stands for all that
    the profile has. A failed script may have fewer items than `min_items`.
    """
    return _scripts(profile, _named(kinds), _named(statuses), (min_items, max_items), surrogates)


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
    every = items(profile, one_of("kinds", kinds, item_kinds(profile)), surrogates)
    status = draw(_statuses(one_of("statuses", statuses, script_statuses(profile))))
    said = draw(st.lists(every, min_size=0 if status == "failed" else least, max_size=most))
    return _ended(draw, status, said, surrogates)


@st.composite
def scripts_of(
    draw: DrawFn,
    *,
    profile: str,
    kinds: tuple[str, ...],
    statuses: tuple[str, ...] = ("completed",),
    needs: tuple[str, ...] = (),
    surrogates: bool = False,
) -> Script:
    """Scripts that begin with an item of each of `needs` (without any: one of `kinds`), none without text."""
    firsts = [draw(items(profile, (kind,), surrogates, 1)) for kind in needs]
    if not firsts:
        firsts = [draw(items(profile, kinds, surrogates, 1))]
    more = draw(st.lists(items(profile, kinds, surrogates), max_size=2))
    return _ended(draw, draw(st.sampled_from(statuses)), [*firsts, *more], surrogates)


def _ended(draw: DrawFn, status: str, said: list[Item], surrogates: bool) -> Script:
    error = draw(_errors(surrogates)) if status == "failed" else None
    return Script(tuple(said), draw(_USAGES), status, error)


def _named(names: Collection[str] | None) -> tuple[str, ...] | str | None:
    return names if names is None or isinstance(names, str) else tuple(names)


def item_kinds(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """Kinds of the items that a profile's model leaves: message, reasoning, function_call, and its tools."""
    return ("message", "reasoning", "function_call", *load_profile(profile).tools)


def script_statuses(profile: str = DEFAULT_PROFILE) -> tuple[str, ...]:
    """How a reply can end, in a profile."""
    ends = ("completed", "failed", "incomplete")
    return tuple(each for each in ends if f"response.{each}" in event_types(profile))


@cache
def items(
    profile: str, kinds: tuple[str, ...], surrogates: bool = False, least: int = 0
) -> SearchStrategy[Item]:
    """Items of these kinds, their texts in `least` chunks or more."""
    about = load_profile(profile)
    return st.one_of([_item(about, kind, surrogates, least) for kind in kinds])


def _item(profile: Profile, kind: str, surrogates: bool, least: int) -> SearchStrategy[Item]:
    if kind in ("message", "reasoning"):
        chunks = st.lists(texts(surrogates), min_size=least, max_size=4).map(tuple)
        return chunks.map(Message if kind == "message" else Reasoning)
    if kind == "function_call":
        return st.builds(FunctionCall, _NAMES, _ARGUMENTS | _drawn_arguments())
    if kind not in _DATA or kind not in profile.tools:
        raise InvalidArgument(f"{profile.name} has no items of kind {kind!r} that can be drawn")
    return _DATA[kind]().map(lambda data: ToolCall(kind, data))


def _drawn_arguments() -> SearchStrategy[str]:
    return st.dictionaries(texts(), texts() | st.integers(-9, 9) | st.none(), max_size=2).map(_json_text)


def _json_text(value: Any) -> str:
    return json.dumps(value).decode()


def _web_search() -> SearchStrategy[dict[str, Any]]:
    sources = st.lists(st.fixed_dictionaries({"type": st.just("url"), "url": _URLS}), max_size=2)
    action = {"query": texts(), "type": st.just("search")}
    return st.fixed_dictionaries({"action": st.fixed_dictionaries(action, optional={"sources": sources})})


def _web_extractor() -> SearchStrategy[dict[str, Any]]:
    urls = st.lists(_URLS, max_size=2)
    return st.fixed_dictionaries({"goal": texts(), "output": texts(), "urls": urls})


def _code_interpreter() -> SearchStrategy[dict[str, Any]]:
    logs = st.fixed_dictionaries({"logs": texts(), "type": st.just("logs")})
    return st.fixed_dictionaries(
        {
            "code": texts() | st.none(),
            "container_id": st.sampled_from(["", "cntr_1"]),
            "outputs": st.lists(logs, max_size=2),
        }
    )


def _pictures() -> SearchStrategy[str]:
    found = st.fixed_dictionaries({"title": texts(), "url": _URLS, "index": st.just(1)})
    return st.lists(found, max_size=1).map(_json_text)


def _web_search_image() -> SearchStrategy[dict[str, Any]]:
    arguments = st.lists(texts(), min_size=1, max_size=2).map(lambda asked: _json_text({"queries": asked}))
    return st.fixed_dictionaries(
        {"arguments": arguments, "name": st.just("web_search_image"), "output": _pictures()}
    )


def _image_search() -> SearchStrategy[dict[str, Any]]:
    arguments = st.sampled_from(['{"img_idx":0,"bbox":[0,0,1000,1000]}', '{"img_idx":1,"bbox":[0,0,1,1]}'])
    return st.fixed_dictionaries(
        {"arguments": arguments, "name": st.just("image_search"), "output": _pictures()}
    )


def _file_search() -> SearchStrategy[dict[str, Any]]:
    found = st.fixed_dictionaries(
        {"file_id": st.just("file_1"), "filename": texts(), "score": st.floats(0, 1), "text": texts()}
    )
    return st.fixed_dictionaries(
        {"queries": st.lists(texts(), min_size=1, max_size=2), "results": st.lists(found, max_size=2)}
    )


def _mcp() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "arguments": _ARGUMENTS | _drawn_arguments(),
            "name": st.sampled_from(["amap-maps-maps_weather", "x-f"]),
            "output": texts(),
            "server_label": st.just("MCP Server"),
        }
    )


_DATA: Mapping[str, Callable[[], SearchStrategy[dict[str, Any]]]] = MappingProxyType(
    {
        "web_search": _web_search,
        "web_extractor": _web_extractor,
        "code_interpreter": _code_interpreter,
        "web_search_image": _web_search_image,
        "image_search": _image_search,
        "file_search": _file_search,
        "mcp": _mcp,
    }
)
"""Own members of a built-in tool's item, by tool."""


@cache
def _statuses(statuses: tuple[str, ...]) -> SearchStrategy[str]:
    # Most replies are whole.
    return st.sampled_from((statuses[0],) * 6 + statuses[1:])


@cache
def _errors(surrogates: bool) -> SearchStrategy[ScriptError]:
    return st.builds(ScriptError, st.sampled_from(ERROR_CODES), texts(surrogates))


@st.composite
def _usages(draw: DrawFn) -> Usage:
    given, written = draw(st.integers(0, 5000)), draw(st.integers(0, 5000))
    reasoning = draw(st.sampled_from([0, written, written // 2]))
    return Usage(given, written, reasoning, draw(st.sampled_from([0, given, given // 2])), True)


_USAGES = st.just(Usage()) | _usages()
