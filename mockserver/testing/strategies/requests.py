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
from mockserver.testing.strategies import neighbours
from mockserver.testing.strategies.values import JSONObject, declaration, json_values, look, one_of, texts

__all__ = ["inputs", "invalid_requests", "requests"]

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
    if request.get("conversation") is not None:
        request.pop("previous_response_id", None)
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
            if (request.get("reasoning") or {}).get("effort") == "none":
                request["reasoning"] = None
    if (
        "enable_thinking" in about.parameters
        and about.efforts
        and len(tools) != 1
        and request.get("tool_choice") == "required"
    ):
        request["tool_choice"] = "auto"


@cache
def _members(profile: str, surrogates: bool) -> SearchStrategy[JSONObject]:
    about = load_profile(profile)
    if neighbours.is_neighbour(about):
        return neighbours.members(profile, surrogates)
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
    optional |= _later(about)
    return st.fixed_dictionaries(
        {"model": st.sampled_from(about.models), "input": words | _conversations(surrogates, about.date)},
        optional={name: value for name, value in optional.items() if name in about.parameters},
    )


def _later(about: Profile) -> dict[str, SearchStrategy[Any]]:
    """Parameters that came after January; a profile has those that are in its list."""
    penalty = st.sampled_from([0, -0.5, 1.5, None])
    allowed = {"type": "allowed_tools", "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]}
    choices = ["auto", "none", "required", {"type": "function", "name": "get_weather"}, None]
    later: dict[str, SearchStrategy[Any]] = {
        "instructions": texts() | st.none(),
        "conversation": st.sampled_from(["conv_1", None]),
        "store": st.booleans() | st.none(),
        "reasoning": st.fixed_dictionaries({}, optional={"effort": st.sampled_from([*about.efforts, None])})
        | st.none(),
        "parallel_tool_calls": st.booleans() | st.none(),
        "frequency_penalty": penalty,
        "presence_penalty": penalty,
        "top_logprobs": st.integers(0, 5) | st.none(),
        "metadata": _METADATA | st.none(),
        "text": st.fixed_dictionaries(
            {}, optional={"format": _FORMATS, "verbosity": st.sampled_from(["low", None])}
        )
        | st.none(),
        "max_output_tokens": st.integers(16, 4096) | st.none(),
        "ocr_options": st.just({"task": "document_parsing"}) | st.none(),
    }
    if about.efforts:
        modes = [{**allowed, "mode": mode} for mode in ("auto", "required")]
        later["tool_choice"] = st.sampled_from([*choices, *modes])
    return later


_FORMATS: SearchStrategy[Any] = st.one_of(
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


def _built_in(kind: str) -> SearchStrategy[JSONObject]:
    needed = {name: st.just(value) for name, value in declaration(kind).items()}
    return st.fixed_dictionaries(needed, optional=_TOOL_OPTIONS.get(kind, {}))


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


def _distinct(tools: list[JSONObject]) -> list[JSONObject]:
    """The tools without those that are there already: a built-in one, or a function of the same name."""
    return [*{(tool["type"], tool.get("name")): tool for tool in tools}.values()]


def inputs(profile: str) -> SearchStrategy[list[JSONObject]]:
    """Lists of items as the `input` of a request may be."""
    about = load_profile(profile)
    return neighbours.items(False) if neighbours.is_neighbour(about) else _conversations(False, about.date)


@cache
def _conversations(surrogates: bool, age: str) -> SearchStrategy[list[JSONObject]]:
    """Items that end with something to answer."""
    before = st.lists(_turns(surrogates, age), max_size=3).map(_joined)
    return st.tuples(before, _turns(surrogates, age)).map(lambda pair: [*pair[0], *pair[1]])


def _joined(turns: list[list[JSONObject]]) -> list[JSONObject]:
    return [item for turn in turns for item in turn]


@cache
def _turns(surrogates: bool, age: str) -> SearchStrategy[list[JSONObject]]:
    """One or two items that belong together: a call is followed by its output."""
    single = _messages(surrogates, age) | _earlier_items(surrogates, age)
    return single.map(lambda item: [item]) | _calls(surrogates)


def _messages(surrogates: bool, age: str) -> SearchStrategy[JSONObject]:
    said = texts(surrogates)
    media = [each for since, each in _MEDIA if since <= age]
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
    contents = {role: said | parts[role] for role in parts}
    if media:
        contents["user"] |= st.lists(st.one_of(media), min_size=1, max_size=3)
    return st.one_of(
        [
            st.fixed_dictionaries({"role": st.just(role), "content": content}, optional=optional)
            for role, content in contents.items()
        ]
    )


_LINKS = st.sampled_from(["https://example.invalid/a", "data:text/plain;base64,YQ=="])
_DETAIL = {"detail": st.sampled_from(["low", None])}
_SOUND: dict[str, SearchStrategy[Any]] = {"type": st.just("input_audio"), "format": st.just("wav")}
_STEREO = {"use_multichannel": st.booleans() | st.none()}

#: Parts of a user's message that are no text, each with the age since when it is read.
_MEDIA: tuple[tuple[str, SearchStrategy[JSONObject]], ...] = (
    (
        "2026-03",
        st.fixed_dictionaries({"type": st.just("input_image"), "image_url": _LINKS}, optional=_DETAIL),
    ),
    (
        "2026-03",
        st.fixed_dictionaries(
            {
                "type": st.just("image_url"),
                "image_url": _LINKS | st.fixed_dictionaries({"url": _LINKS}, optional=_DETAIL),
            }
        ),
    ),
    ("2026-08", st.fixed_dictionaries({"type": st.just("input_file"), "file_url": _LINKS})),
    ("2026-09", st.fixed_dictionaries({**_SOUND, "audio_url": _LINKS}, optional=_STEREO)),
    ("2026-09", st.fixed_dictionaries({**_SOUND, "data": _LINKS}, optional=_STEREO)),
    (
        "2026-09",
        st.fixed_dictionaries(
            {"type": st.just("input_video"), "video_url": _LINKS},
            optional={"fps": st.sampled_from([1, 0.5, None])},
        ),
    ),
)


def _part(kind: str, said: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    if kind == "refusal":
        return st.fixed_dictionaries({"type": st.just(kind), "refusal": said})
    extras = {"annotations": _LISTS, "logprobs": _LISTS} if kind == "output_text" else {}
    return st.fixed_dictionaries({"type": st.just(kind), "text": said}, optional=extras)


def _earlier_items(surrogates: bool, age: str) -> SearchStrategy[JSONObject]:
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
        for tool, (since, members) in _TOOL_MEMBERS.items()
        if since <= age
    ]
    reference = st.fixed_dictionaries({"type": st.just("item_reference"), "id": _IDS})
    return st.one_of([thought, reference, *calls])


_NAMED: dict[str, SearchStrategy[Any]] = {
    "name": st.just("f"),
    "arguments": st.just("{}"),
    "output": _ASKED | st.none(),
}
_TOOL_MEMBERS: dict[str, tuple[str, dict[str, SearchStrategy[Any]]]] = {
    "web_search": ("2026-01", {"action": st.sampled_from([{"type": "search", "query": "a"}, None])}),
    "web_extractor": (
        "2026-01",
        {
            "goal": _ASKED,
            "urls": st.just(["https://www.example.com/"]),
            "output": _ASKED | st.none(),
            "content": st.none(),
            "role": st.none(),
        },
    ),
    "code_interpreter": (
        "2026-01",
        {
            "code": _ASKED,
            "container_id": st.just(""),
            "outputs": st.just([{"type": "logs", "logs": "1"}]) | st.none(),
        },
    ),
    "web_search_image": ("2026-02", _NAMED),
    "image_search": ("2026-02", _NAMED),
    "file_search": ("2026-02", {"queries": st.just(["a"]), "results": st.none() | st.just([])}),
    "mcp": ("2026-03", {**_NAMED, "server_label": st.just("maps")}),
}
"""Since when there is a tool, and what its item has, as a client sends it back."""


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
    known = [rule for rule in mutants.rules_for("request") if load_rules()[rule].applies_to(profile)]
    severe = tuple(rule for rule in known if load_rules()[rule].severity is Severity.ERROR)
    rule = draw(st.sampled_from(severe if rules is None else one_of("rules", rules, known)))
    request = draw(_requests(profile, None, False, False))
    if rule == "REQ-007":
        # What a reference stands for is not in the request.
        request["input"] = "a"
    pick = draw(st.integers(0, 9999))
    return mutants.break_rule(rule, "request", request, profile=profile, pick=pick), rule
