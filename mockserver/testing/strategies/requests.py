"""Requests: legal ones, and ones that the service refuses, each with the rule it breaks."""

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
from mockserver.testing.strategies.values import JSONObject, json_values, look, one_of, texts

__all__ = ["invalid_requests", "requests"]

_IDS = st.sampled_from(["msg_1", "msg_2"])
_CALL_IDS = st.sampled_from(["call_1", "call_2"])
_FINAL = st.sampled_from(["completed", "incomplete", "in_progress"])
_LISTS: SearchStrategy[Any] = st.sampled_from([None, []])
_ASKED = texts().map(lambda text: text or "a")


def requests(
    *,
    profile: str = DEFAULT_PROFILE,
    stream: bool | None = None,
    unknown: bool = False,
    surrogates: bool = False,
) -> SearchStrategy[JSONObject]:
    """Bodies of create requests that the service takes.

    `stream` says whether a stream is asked for; None draws either. `unknown` adds parameters that the
    service ignores.
    """
    return _requests(profile, stream, unknown, surrogates)


@st.composite
def _requests(draw: DrawFn, profile: str, stream: bool | None, unknown: bool, surrogates: bool) -> JSONObject:
    about = look(profile, "wire").profile
    request: JSONObject = draw(_members(profile, surrogates))
    if stream is not None:
        request["stream"] = stream
    _thinks(request, about)
    if unknown:
        known = {"x_note": json_values(), "metadata": _METADATA, "truncation": st.just("auto")}
        others = {name: value for name, value in known.items() if name not in about.parameters}
        request |= draw(st.fixed_dictionaries({}, optional=others))
    return request


_METADATA = st.dictionaries(st.sampled_from(["a", "b"]), texts(), max_size=2)


def _thinks(request: JSONObject, about: Profile) -> None:
    """Add what the declared tools need: another tool, or thinking."""
    tools = request.get("tools") or []
    declared = [tool["type"] for tool in tools]
    needed = [about.tools[kind] for kind in declared if kind in about.tools]
    for tool in needed:
        if tool.needs_tool is not None and tool.needs_tool not in declared:
            tools.append({"type": tool.needs_tool})
        if tool.needs_thinking_message is not None:
            request["enable_thinking"] = True


@cache
def _members(profile: str, surrogates: bool) -> SearchStrategy[JSONObject]:
    about = load_profile(profile)
    words = texts(surrogates).map(lambda text: text or "a")
    functions = st.fixed_dictionaries(
        {"type": st.just("function"), "name": st.sampled_from(["get_weather", "f", "Look-up_2"])},
        optional={
            "description": st.none() | texts(),
            "parameters": st.sampled_from([{"type": "object"}, {}, None]),
            "strict": st.none() | st.booleans(),
        },
    )
    kinds = tuple(about.tools)
    built_in = st.one_of([_built_in(kind) for kind in kinds]) if kinds else functions
    temperature = st.floats(0, 2, exclude_max=True, allow_subnormal=False) | st.sampled_from([0, 1])
    top_p = st.floats(0.001, 1) | st.just(1)
    optional: dict[str, SearchStrategy[Any]] = {
        "stream": st.booleans() | st.none(),
        "previous_response_id": st.sampled_from(["resp_1", None]),
        "tools": st.lists(built_in | functions, max_size=3).map(_distinct) | st.none(),
        "enable_thinking": st.booleans() | st.none(),
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", {"type": "function", "name": "get_weather"}, None]
        ),
        "temperature": temperature | st.none(),
        "top_p": top_p | st.none(),
    }
    return st.fixed_dictionaries(
        {"model": st.sampled_from(about.models), "input": words | _conversations(surrogates)},
        optional={name: value for name, value in optional.items() if name in about.parameters},
    )


def _built_in(kind: str) -> SearchStrategy[JSONObject]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=_TOOL_OPTIONS.get(kind, {}))


#: Options of OpenAI's tools that clients send, without effect (recorded November 2026).
_TOOL_OPTIONS: dict[str, dict[str, SearchStrategy[Any]]] = {
    "web_search": {
        "search_context_size": st.sampled_from(["medium", None]),
        "user_location": st.sampled_from([{"type": "approximate", "country": "CN"}, None]),
        "filters": st.sampled_from([{}, None]),
        "external_web_access": st.booleans() | st.none(),
    },
    "web_extractor": dict.fromkeys(("name", "parameters", "strict", "description"), st.none()),
    "code_interpreter": {"container": st.sampled_from([{"type": "auto"}, "cntr_1", None])},
}


def _distinct(tools: list[JSONObject]) -> list[JSONObject]:
    """The tools without those that are there already: a built-in one, or a function of the same name."""
    return [*{(tool["type"], tool.get("name")): tool for tool in tools}.values()]


@cache
def _conversations(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    """Items that end with something to answer."""
    before = st.lists(_turns(surrogates), max_size=3).map(_joined)
    return st.tuples(before, _turns(surrogates)).map(lambda pair: [*pair[0], *pair[1]])


def _joined(turns: list[list[JSONObject]]) -> list[JSONObject]:
    return [item for turn in turns for item in turn]


@cache
def _turns(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    """One or two items that belong together: a call is followed by its output."""
    single = _messages(surrogates) | _earlier_items(surrogates)
    return single.map(lambda item: [item]) | _calls(surrogates)


def _messages(surrogates: bool) -> SearchStrategy[JSONObject]:
    said = texts(surrogates)
    parts = {
        role: st.lists(
            st.one_of([_part(kind, said) for kind in kinds]),
            max_size=2,
        )
        for role, kinds in {
            "user": ("input_text", "text"),
            "system": ("input_text",),
            "developer": ("input_text",),
            "assistant": ("output_text", "refusal"),
        }.items()
    }
    optional = {
        "type": st.sampled_from(["message", None]),
        "id": st.none() | _IDS,
        "status": st.none() | _FINAL,
    }
    return st.one_of(
        [
            st.fixed_dictionaries({"role": st.just(role), "content": said | parts[role]}, optional=optional)
            for role in parts
        ]
    )


def _part(kind: str, said: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    if kind == "refusal":
        return st.fixed_dictionaries({"type": st.just(kind), "refusal": said})
    extras = {"annotations": _LISTS, "logprobs": _LISTS} if kind == "output_text" else {}
    return st.fixed_dictionaries({"type": st.just(kind), "text": said}, optional=extras)


def _earlier_items(surrogates: bool) -> SearchStrategy[JSONObject]:
    """Items of an earlier output, as clients send them back."""
    said = texts(surrogates)
    summary = st.lists(st.fixed_dictionaries({"type": st.just("summary_text"), "text": said}), max_size=1)
    about: dict[str, SearchStrategy[Any]] = {"id": st.none() | _IDS, "status": st.none() | _FINAL}
    thought = st.fixed_dictionaries(
        {"type": st.just("reasoning")},
        optional={
            **about,
            "summary": summary | st.none(),
            "content": _LISTS,
            "encrypted_content": st.none() | st.just("x"),
        },
    )
    calls = [
        st.fixed_dictionaries({"type": st.just(f"{tool}_call")}, optional={**about, **members})
        for tool, members in _TOOL_MEMBERS.items()
    ]
    reference = st.fixed_dictionaries({"type": st.just("item_reference"), "id": _IDS})
    return st.one_of([thought, reference, *calls])


_TOOL_MEMBERS: dict[str, dict[str, SearchStrategy[Any]]] = {
    "web_search": {"action": st.sampled_from([{"type": "search", "query": "a"}, None])},
    "web_extractor": {
        "goal": _ASKED,
        "urls": st.just(["https://www.example.com/"]),
        "output": _ASKED | st.none(),
        "content": st.none(),
        "role": st.none(),
    },
    "code_interpreter": {
        "code": _ASKED,
        "container_id": st.just(""),
        "outputs": st.just([{"type": "logs", "logs": "1"}]) | st.none(),
    },
}


def _calls(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    said = texts(surrogates)
    about: dict[str, SearchStrategy[Any]] = {"id": st.none() | _IDS, "status": st.none() | _FINAL}
    part = _part("input_text", said)
    call = st.fixed_dictionaries(
        {
            "type": st.just("function_call"),
            "name": st.sampled_from(["get_weather", "f"]),
            "arguments": st.sampled_from(["{}", '{"city":"Paris"}']),
        },
        optional=about,
    )
    output = st.fixed_dictionaries(
        {"type": st.just("function_call_output"), "output": said | st.lists(part, max_size=2)}, optional=about
    )
    return st.tuples(_CALL_IDS, call, output).map(_tied)


def _tied(call: tuple[str, JSONObject, JSONObject]) -> list[JSONObject]:
    call_id, asked, answered = call
    return [{**asked, "call_id": call_id}, {**answered, "call_id": call_id}]


def invalid_requests(
    *, profile: str = DEFAULT_PROFILE, rules: Collection[str] | None = None
) -> SearchStrategy[tuple[JSONObject, str]]:
    """(body, id of the rule it breaks): requests that the service refuses.

    `rules` are those to break; None stands for all whose breach is an error.
    """
    named = rules if rules is None or isinstance(rules, str) else tuple(rules)
    return _invalid_requests(profile, named)


@st.composite
def _invalid_requests(
    draw: DrawFn, profile: str, rules: tuple[str, ...] | str | None
) -> tuple[JSONObject, str]:
    known = tuple(rule for rule in mutants.rules_for("request") if load_rules()[rule].is_for(profile))
    severe = tuple(rule for rule in known if load_rules()[rule].severity is Severity.ERROR)
    rule = draw(st.sampled_from(severe if rules is None else one_of("rules", rules, known)))
    request = draw(_requests(profile, None, False, False))
    if rule == "REQ-007":
        # What a reference stands for is not in the request.
        request["input"] = "a"
    pick = draw(st.integers(0, 9999))
    return mutants.break_rule(rule, "request", request, profile=profile, pick=pick), rule
