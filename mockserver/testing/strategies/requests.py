"""Strategies for requests: valid ones, and ones that break a rule."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.contract.findings import Severity
from mockserver.contract.rules import load_rules
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.replies import mutants
from mockserver.testing.strategies import openresponses
from mockserver.testing.strategies.input_items import input_item_lists
from mockserver.testing.strategies.rendered_replies import render_context, tool_declaration
from mockserver.testing.strategies.values import (
    JSONObject,
    json_values,
    long_text,
    select_names,
    texts,
)

__all__ = ["invalid_requests", "requests"]


def requests(
    *,
    profile: str = DEFAULT_PROFILE,
    stream: bool | None = None,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[JSONObject]:
    """Bodies of valid create requests.

    `stream` sets whether the request streams; None draws either. `unknown` adds parameters that the service
    ignores.
    """
    return _requests(profile, stream, unknown, surrogates)


@st.composite
def _requests(draw: DrawFn, profile: str, stream: bool | None, unknown: bool, surrogates: bool) -> JSONObject:
    loaded = render_context(profile, "wire").profile
    request: JSONObject = draw(_request_bodies(profile, surrogates))
    if request.get("conversation") is not None:
        request.pop("previous_response_id", None)
    if stream is not None:
        request["stream"] = stream
    extra = draw(_REQUEST_EXTRAS)
    has_functions = any(tool["type"] == "function" for tool in request.get("tools") or ())
    if extra == "functions" and not has_functions:
        request["tools"] = [*(request.get("tools") or ()), *draw(_function_lists())]
    elif extra == "long input" and isinstance(request["input"], str):
        request["input"] = long_text(request["input"])
    _add_tool_requirements(request, loaded)
    if unknown:
        extra = {"x_note": json_values(), "metadata": _METADATA, "truncation": st.just("auto")}
        others = {name: value for name, value in extra.items() if name not in loaded.parameters}
        request |= draw(st.fixed_dictionaries({}, optional=others))
    return request


_METADATA = st.dictionaries(st.sampled_from(["a", "b"]), texts(), max_size=2)


def _add_tool_requirements(request: JSONObject, profile: Profile) -> None:
    """Add what the declared tools need: another tool, or thinking."""
    tools = request.get("tools") or []
    declared = [tool["type"] for tool in tools]
    needed = [profile.tools[kind] for kind in declared if kind in profile.tools]
    for tool in needed:
        if tool.needs_tool is not None and tool.needs_tool not in declared:
            tools.append({"type": tool.needs_tool})
        if tool.needs_thinking_message is not None:
            request["enable_thinking"] = True
            if (request.get("reasoning") or {}).get("effort") == "none":
                request["reasoning"] = None
    if (
        "enable_thinking" in profile.parameters
        and profile.efforts
        and len(tools) != 1
        and request.get("tool_choice") == "required"
    ):
        request["tool_choice"] = "auto"


@cache
def _request_bodies(profile: str, surrogates: bool) -> SearchStrategy[JSONObject]:
    loaded = load_profile(profile)
    if openresponses.is_open_responses(loaded):
        return openresponses.request_bodies(profile, surrogates)
    nonempty_texts = texts(surrogates).map(lambda text: text or "a")
    functions = _function_tools()
    kinds = tuple(loaded.tools)
    built_in = st.one_of([_built_in_tools(kind) for kind in kinds]) if kinds else functions
    temperature = st.floats(0, 2, exclude_max=True, allow_subnormal=False) | st.sampled_from([0, 1])
    top_p = st.floats(0.001, 1) | st.just(1)
    optional: dict[str, SearchStrategy[Any]] = {
        "stream": st.booleans() | st.none(),
        "previous_response_id": st.sampled_from(["resp_1", None]),
        "tools": st.lists(built_in | functions, max_size=3).map(_without_duplicates) | st.none(),
        "enable_thinking": st.booleans() | st.none(),
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", {"type": "function", "name": "get_weather"}, None]
        ),
        "temperature": temperature | st.none(),
        "top_p": top_p | st.none(),
    }
    optional |= _later_parameters(loaded)
    return st.fixed_dictionaries(
        {
            "model": st.sampled_from(loaded.models),
            "input": nonempty_texts | input_item_lists(surrogates, loaded.date),
        },
        optional={name: value for name, value in optional.items() if name in loaded.parameters},
    )


#: Additions to a drawn request, weighted so that a third of the requests has function tools.
_REQUEST_EXTRAS = st.sampled_from(("",) * 3 + ("functions",) * 9 + ("long input",))


@cache
def _function_tools() -> SearchStrategy[JSONObject]:
    return st.fixed_dictionaries(
        {"type": st.just("function"), "name": st.sampled_from(["get_weather", "f", "Look-up_2"])},
        optional={
            "description": st.none() | texts(),
            "parameters": st.sampled_from([{"type": "object"}, {}, None]),
            "strict": st.none() | st.booleans(),
        },
    )


@cache
def _function_lists() -> SearchStrategy[list[JSONObject]]:
    return st.lists(_function_tools(), min_size=1, max_size=2).map(_without_duplicates)


def _later_parameters(profile: Profile) -> dict[str, SearchStrategy[Any]]:
    """Parameters introduced after January 2026; a profile has those in its list."""
    penalty = st.sampled_from([0, -0.5, 1.5, None])
    allowed = {"type": "allowed_tools", "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]}
    choices = ["auto", "none", "required", {"type": "function", "name": "get_weather"}, None]
    later: dict[str, SearchStrategy[Any]] = {
        "instructions": texts() | st.none(),
        "conversation": st.sampled_from(["conv_1", None]),
        "store": st.booleans() | st.none(),
        "reasoning": st.fixed_dictionaries({}, optional={"effort": st.sampled_from([*profile.efforts, None])})
        | st.none(),
        "parallel_tool_calls": st.booleans() | st.none(),
        "frequency_penalty": penalty,
        "presence_penalty": penalty,
        "top_logprobs": st.integers(0, 5) | st.none(),
        "metadata": _METADATA | st.none(),
        "text": st.fixed_dictionaries(
            {}, optional={"format": _TEXT_FORMATS, "verbosity": st.sampled_from(["low", None])}
        )
        | st.none(),
        "max_output_tokens": st.integers(16, 4096) | st.none(),
        "ocr_options": st.just({"task": "document_parsing"}) | st.none(),
    }
    if profile.efforts:
        modes = [{**allowed, "mode": mode} for mode in ("auto", "required")]
        later["tool_choice"] = st.sampled_from([*choices, *modes])
    return later


_TEXT_FORMATS: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.fixed_dictionaries({"type": st.sampled_from(["text", "json_object"])}),
    st.fixed_dictionaries(
        {"type": st.just("json_schema"), "schema": st.sampled_from([{"type": "object"}, {}])},
        optional={
            "name": st.sampled_from(["City", None]),
            "description": st.none() | st.just("A city."),
            "strict": st.booleans() | st.none(),
        },
    ),
)


def _built_in_tools(tool_type: str) -> SearchStrategy[JSONObject]:
    needed = {name: st.just(value) for name, value in tool_declaration(tool_type).items()}
    return st.fixed_dictionaries(needed, optional=_TOOL_OPTIONS.get(tool_type, {}))


#: Options of OpenAI's tools that clients send and the service ignores (recorded November 2026).
_TOOL_OPTIONS: dict[str, dict[str, SearchStrategy[Any]]] = {
    "web_search": {
        "search_context_size": st.sampled_from(["medium", None]),
        "user_location": st.sampled_from([{"type": "approximate", "country": "CN"}, None]),
        "filters": st.sampled_from([{}, None]),
        "external_web_access": st.booleans() | st.none(),
    },
    "web_extractor": dict.fromkeys(("name", "parameters", "strict", "description"), st.none()),
    "code_interpreter": {"container": st.sampled_from([{"type": "auto"}, "cntr_1", None])},
    "mcp": {
        "server_description": st.sampled_from(["Maps.", None]),
        "headers": st.sampled_from([{"x-a": "b"}, None]),
    },
}


def _without_duplicates(tools: list[JSONObject]) -> list[JSONObject]:
    """Remove repeated tools: the same built-in tool, or a function of the same name."""
    return [*{(tool["type"], tool.get("name")): tool for tool in tools}.values()]


def invalid_requests(
    *, profile: str = DEFAULT_PROFILE, rules: Collection[str] | None = None
) -> SearchStrategy[tuple[JSONObject, str]]:
    """(body, rule id): requests that break one rule.

    `rules` are the rules to break; None stands for all of severity error.
    """
    selected = rules if rules is None or isinstance(rules, str) else tuple(rules)
    return _invalid_requests(profile, selected)


@st.composite
def _invalid_requests(
    draw: DrawFn, profile: str, rules: tuple[str, ...] | str | None
) -> tuple[JSONObject, str]:
    breakable = [rule for rule in mutants.rules_for("request") if load_rules()[rule].applies_to(profile)]
    error_rules = tuple(
        rule for rule in breakable if load_rules()[rule].severity_for(profile) is Severity.ERROR
    )
    rule = draw(st.sampled_from(error_rules if rules is None else select_names("rules", rules, breakable)))
    request = draw(_requests(profile, None, False, False))
    if rule in ("REQ-007", "REQ-013"):
        # Items that a reference names are not in the request.
        request["input"] = "a"
    pick = draw(st.integers(0, 9999))
    return mutants.break_rule(rule, "request", request, profile=profile, pick=pick), rule
