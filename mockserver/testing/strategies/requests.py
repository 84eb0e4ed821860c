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
from mockserver.testing.strategies import openresponses
from mockserver.testing.strategies.values import (
    JSONObject,
    json_values,
    render_context,
    select_names,
    texts,
    tool_declaration,
)

__all__ = ["input_items", "invalid_requests", "requests"]

_ITEM_IDS = st.sampled_from(["msg_1", "msg_2"])
_CALL_IDS = st.sampled_from(["call_1", "call_2"])
_ITEM_STATUSES = st.sampled_from(["completed", "incomplete", "in_progress"])
_NULL_OR_EMPTY_LIST: SearchStrategy[Any] = st.sampled_from([None, []])
_NONEMPTY_TEXTS = texts().map(lambda text: text or "a")


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
    about = render_context(profile, "wire").profile
    request: JSONObject = draw(_request_bodies(profile, surrogates))
    if request.get("conversation") is not None:
        request.pop("previous_response_id", None)
    if stream is not None:
        request["stream"] = stream
    _add_tool_requirements(request, about)
    if unknown:
        known = {"x_note": json_values(), "metadata": _METADATA, "truncation": st.just("auto")}
        others = {name: value for name, value in known.items() if name not in about.parameters}
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
    about = load_profile(profile)
    if openresponses.is_open_responses(about):
        return openresponses.request_bodies(profile, surrogates)
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
    optional |= _later_parameters(about)
    return st.fixed_dictionaries(
        {"model": st.sampled_from(about.models), "input": words | _input_item_lists(surrogates, about.date)},
        optional={name: value for name, value in optional.items() if name in about.parameters},
    )


def _later_parameters(profile: Profile) -> dict[str, SearchStrategy[Any]]:
    """Parameters that came after January; a profile has those that are in its list."""
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
    "mcp": {
        "server_description": st.sampled_from(["Maps.", None]),
        "headers": st.sampled_from([{"x-a": "b"}, None]),
    },
}


def _without_duplicates(tools: list[JSONObject]) -> list[JSONObject]:
    """The tools without those that are there already: a built-in one, or a function of the same name."""
    return [*{(tool["type"], tool.get("name")): tool for tool in tools}.values()]


def input_items(profile: str) -> SearchStrategy[list[JSONObject]]:
    """Lists of items as the `input` of a request may be."""
    about = load_profile(profile)
    return (
        openresponses.input_items(False)
        if openresponses.is_open_responses(about)
        else _input_item_lists(False, about.date)
    )


@cache
def _input_item_lists(surrogates: bool, date: str) -> SearchStrategy[list[JSONObject]]:
    """Items that end with something to answer."""
    before = st.lists(_item_groups(surrogates, date), max_size=3).map(_flatten)
    return st.tuples(before, _item_groups(surrogates, date)).map(lambda pair: [*pair[0], *pair[1]])


def _flatten(turns: list[list[JSONObject]]) -> list[JSONObject]:
    return [item for turn in turns for item in turn]


@cache
def _item_groups(surrogates: bool, date: str) -> SearchStrategy[list[JSONObject]]:
    """One or two items that belong together: a call is followed by its output."""
    single = _messages(surrogates, date) | _replayed_items(surrogates, date)
    return single.map(lambda item: [item]) | _calls_with_outputs(surrogates)


def _messages(surrogates: bool, date: str) -> SearchStrategy[JSONObject]:
    said = texts(surrogates)
    media = [each for since, each in _MEDIA_PARTS if since <= date]
    parts = {
        role: st.lists(
            st.one_of([_text_parts(kind, said) for kind in kinds]),
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
        "id": st.none() | _ITEM_IDS,
        "status": st.none() | _ITEM_STATUSES,
    }
    contents = {role: said | parts[role] for role in parts}
    if media:
        contents["user"] |= st.lists(st.one_of(media), min_size=1, max_size=3)
    return st.one_of(
        [
            st.fixed_dictionaries({"role": st.just(role), "content": content}, optional=optional)
            for role, content in contents.items()
        ]
    )


_URLS = st.sampled_from(["https://example.invalid/a", "data:text/plain;base64,YQ=="])
_IMAGE_DETAIL = {"detail": st.sampled_from(["low", None])}
_AUDIO_PART: dict[str, SearchStrategy[Any]] = {"type": st.just("input_audio"), "format": st.just("wav")}
_AUDIO_OPTIONS = {"use_multichannel": st.booleans() | st.none()}

#: Parts of a user's message that are no text, each with the age since when it is read.
_MEDIA_PARTS: tuple[tuple[str, SearchStrategy[JSONObject]], ...] = (
    (
        "2026-03",
        st.fixed_dictionaries({"type": st.just("input_image"), "image_url": _URLS}, optional=_IMAGE_DETAIL),
    ),
    (
        "2026-03",
        st.fixed_dictionaries(
            {
                "type": st.just("image_url"),
                "image_url": _URLS | st.fixed_dictionaries({"url": _URLS}, optional=_IMAGE_DETAIL),
            }
        ),
    ),
    ("2026-08", st.fixed_dictionaries({"type": st.just("input_file"), "file_url": _URLS})),
    ("2026-09", st.fixed_dictionaries({**_AUDIO_PART, "audio_url": _URLS}, optional=_AUDIO_OPTIONS)),
    ("2026-09", st.fixed_dictionaries({**_AUDIO_PART, "data": _URLS}, optional=_AUDIO_OPTIONS)),
    (
        "2026-09",
        st.fixed_dictionaries(
            {"type": st.just("input_video"), "video_url": _URLS},
            optional={"fps": st.sampled_from([1, 0.5, None])},
        ),
    ),
)


def _text_parts(kind: str, any_text: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    if kind == "refusal":
        return st.fixed_dictionaries({"type": st.just(kind), "refusal": any_text})
    extras = (
        {"annotations": _NULL_OR_EMPTY_LIST, "logprobs": _NULL_OR_EMPTY_LIST} if kind == "output_text" else {}
    )
    return st.fixed_dictionaries({"type": st.just(kind), "text": any_text}, optional=extras)


def _replayed_items(surrogates: bool, date: str) -> SearchStrategy[JSONObject]:
    """Items of an earlier output, as clients send them back."""
    said = texts(surrogates)
    summary = st.lists(st.fixed_dictionaries({"type": st.just("summary_text"), "text": said}), max_size=1)
    about: dict[str, SearchStrategy[Any]] = {
        "id": st.none() | _ITEM_IDS,
        "status": st.none() | _ITEM_STATUSES,
    }
    thought = st.fixed_dictionaries(
        {"type": st.just("reasoning")},
        optional={
            **about,
            "summary": summary | st.none(),
            "content": _NULL_OR_EMPTY_LIST,
            "encrypted_content": st.none() | st.just("x"),
        },
    )
    calls = [
        st.fixed_dictionaries({"type": st.just(f"{tool}_call")}, optional={**about, **members})
        for tool, (since, members) in _TOOL_CALL_MEMBERS.items()
        if since <= date
    ]
    reference = st.fixed_dictionaries({"type": st.just("item_reference"), "id": _ITEM_IDS})
    return st.one_of([thought, reference, *calls])


_NAMED_CALL_MEMBERS: dict[str, SearchStrategy[Any]] = {
    "name": st.just("f"),
    "arguments": st.just("{}"),
    "output": _NONEMPTY_TEXTS | st.none(),
}
_TOOL_CALL_MEMBERS: dict[str, tuple[str, dict[str, SearchStrategy[Any]]]] = {
    "web_search": ("2026-01", {"action": st.sampled_from([{"type": "search", "query": "a"}, None])}),
    "web_extractor": (
        "2026-01",
        {
            "goal": _NONEMPTY_TEXTS,
            "urls": st.just(["https://www.example.com/"]),
            "output": _NONEMPTY_TEXTS | st.none(),
            "content": st.none(),
            "role": st.none(),
        },
    ),
    "code_interpreter": (
        "2026-01",
        {
            "code": _NONEMPTY_TEXTS,
            "container_id": st.just(""),
            "outputs": st.just([{"type": "logs", "logs": "1"}]) | st.none(),
        },
    ),
    "web_search_image": ("2026-02", _NAMED_CALL_MEMBERS),
    "image_search": ("2026-02", _NAMED_CALL_MEMBERS),
    "file_search": ("2026-02", {"queries": st.just(["a"]), "results": st.none() | st.just([])}),
    "mcp": ("2026-03", {**_NAMED_CALL_MEMBERS, "server_label": st.just("maps")}),
}
"""Since when there is a tool, and what its item has, as a client sends it back."""


def _calls_with_outputs(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    said = texts(surrogates)
    about: dict[str, SearchStrategy[Any]] = {
        "id": st.none() | _ITEM_IDS,
        "status": st.none() | _ITEM_STATUSES,
    }
    part = _text_parts("input_text", said)
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
    return st.tuples(_CALL_IDS, call, output).map(_with_call_id)


def _with_call_id(drawn: tuple[str, JSONObject, JSONObject]) -> list[JSONObject]:
    call_id, asked, answered = drawn
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
    known = [rule for rule in mutants.rules_for("request") if load_rules()[rule].applies_to(profile)]
    severe = tuple(rule for rule in known if load_rules()[rule].severity is Severity.ERROR)
    rule = draw(st.sampled_from(severe if rules is None else select_names("rules", rules, known)))
    request = draw(_requests(profile, None, False, False))
    if rule == "REQ-007":
        # What a reference stands for is not in the request.
        request["input"] = "a"
    pick = draw(st.integers(0, 9999))
    return mutants.break_rule(rule, "request", request, profile=profile, pick=pick), rule
