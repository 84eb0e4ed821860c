"""Strategies for requests and errors of the Open Responses profiles.

Source: Open Responses OpenAPI document, 2026-04-24.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mockserver.profiles import Profile, load_profile
from mockserver.testing.strategies.openresponses_streams import CITATION
from mockserver.testing.strategies.values import JSONObject, join_item_groups, texts

__all__ = ["echoed_members", "error_bodies", "input_items", "is_open_responses", "request_bodies"]

_ITEM_IDS = st.none() | st.sampled_from(["msg_1", "msg_2"])
_ITEM_STATUSES = st.none() | st.sampled_from(["completed", "incomplete", "in_progress"])
_REPLAYED_MEMBERS: dict[str, SearchStrategy[Any]] = {"id": _ITEM_IDS, "status": _ITEM_STATUSES}
_URLS = st.sampled_from(["https://example.invalid/a", "data:text/plain;base64,YQ=="])
_FUNCTION_NAMES = st.sampled_from(["get_weather", "f", "Look-up_2"])
_PENALTIES = st.sampled_from([0, -0.5, 1.5, None])
_BOOLEANS = st.booleans() | st.none()


def is_open_responses(profile: Profile) -> bool:
    """Whether a profile follows Open Responses, where all errors have one form."""
    return bool(profile.error_types)


@cache
def request_bodies(profile: str, surrogates: bool) -> SearchStrategy[JSONObject]:
    """Bodies of create requests."""
    loaded = load_profile(profile)
    any_text = texts(surrogates)
    inputs = any_text | input_items(surrogates) | _media_messages().map(lambda message: [message])
    needed = {"model": st.sampled_from([*loaded.models, "any-model"]), "input": inputs}
    return st.fixed_dictionaries(
        needed, optional={**_generation_parameters(loaded), **_echoed_parameters(loaded)}
    )


def _generation_parameters(profile: Profile) -> dict[str, SearchStrategy[Any]]:
    """Parameters that influence the reply."""
    functions = st.fixed_dictionaries(
        {"type": st.just("function"), "name": _FUNCTION_NAMES},
        optional={
            "description": st.none() | texts(),
            "parameters": st.sampled_from([{"type": "object"}, {}, None]),
            "strict": _BOOLEANS,
        },
    )
    named = {"type": "function", "name": "get_weather"}
    allowed = {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}
    modes = [{**allowed, "mode": mode} for mode in ("none", "auto", "required", None)]
    formats = [{"type": "text"}, {"type": "json_object"}, None, *_json_schema_formats()]
    summaries = ["concise", "detailed", "auto", None]
    return {
        "previous_response_id": st.sampled_from(["resp_1", None]),
        "tools": st.lists(functions, max_size=2).map(_last_of_each_name) | st.none(),
        "tool_choice": st.sampled_from(["auto", "none", "required", named, allowed, *modes, None]),
        "text": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "format": st.sampled_from(formats),
                "verbosity": st.sampled_from(["low", "medium", "high", None]),
            },
        ),
        "stream": _BOOLEANS,
        "stream_options": st.sampled_from([None, {}, {"include_obfuscation": False}]),
        "background": st.sampled_from([False, None]),
        "max_output_tokens": st.integers(16, 4096) | st.none(),
        "reasoning": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "effort": st.sampled_from([*profile.efforts, None]),
                "summary": st.sampled_from(summaries),
            },
        ),
        "instructions": texts() | st.none(),
        "include": st.sampled_from([None, [], ["reasoning.encrypted_content"]]),
    }


def _last_of_each_name(tools: list[JSONObject]) -> list[JSONObject]:
    """Keep the last tool of each name: a request has each name once."""
    return [*{tool["name"]: tool for tool in tools}.values()]


def _json_schema_formats() -> list[JSONObject]:
    form: JSONObject = {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}
    return [form, {**form, "strict": True, "description": "An answer."}, {**form, "strict": None}]


def _echoed_parameters(profile: Profile) -> dict[str, SearchStrategy[Any]]:
    """Parameters that are echoed and influence nothing."""
    notes = st.fixed_dictionaries({}, optional={"a": texts(), "type": texts()})
    members: dict[str, SearchStrategy[Any]] = {
        "metadata": notes | st.none(),
        "temperature": st.sampled_from([0, 0.5, 2, None]),
        "top_p": st.sampled_from([0, 0.5, 1, None]),
        "presence_penalty": _PENALTIES,
        "frequency_penalty": _PENALTIES,
        "parallel_tool_calls": _BOOLEANS,
        "max_tool_calls": st.integers(1, 9) | st.none(),
        "safety_identifier": st.sampled_from(["user-1", None]),
        "prompt_cache_key": st.sampled_from(["key-1", None]),
        "truncation": st.sampled_from(["auto", "disabled", None]),
        "store": _BOOLEANS,
        "service_tier": st.sampled_from(["auto", "default", "flex", "priority", None]),
        "top_logprobs": st.integers(0, 20) | st.none(),
    }
    return {name: each for name, each in members.items() if name in profile.parameters}


@cache
def input_items(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    """Lists of items for the `input` of a request; each call is followed by its output."""
    any_text = texts(surrogates)
    alone = (_messages(any_text), _reasoning_items(any_text), _compaction_items(), _item_references())
    single = st.one_of(alone).map(lambda item: [item])
    return st.lists(single | _calls_with_outputs(any_text), max_size=3).map(join_item_groups)


def _messages(any_text: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    text = _text_parts("input_text", any_text)
    extras: SearchStrategy[JSONObject] = st.sampled_from(
        [{}, {"annotations": None, "logprobs": None}, {"annotations": [CITATION], "logprobs": []}]
    )
    written = st.tuples(_text_parts("output_text", any_text), extras).map(
        lambda drawn: {**drawn[0], **drawn[1]}
    )
    refused = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": any_text})
    contents = {
        "user": st.lists(st.one_of(text, *_media_parts()), max_size=3),
        "system": st.lists(text, max_size=2),
        "developer": st.lists(text, max_size=2),
        "assistant": st.lists(written | refused, max_size=2),
    }
    members: dict[str, SearchStrategy[Any]] = {
        "type": st.sampled_from(["message", None]),
        **_REPLAYED_MEMBERS,
    }
    phase = {"phase": st.sampled_from(["commentary", "final_answer", None])}
    return st.one_of(
        [
            st.fixed_dictionaries(
                {"role": st.just(role), "content": any_text | parts},
                optional={**members, **(phase if role == "assistant" else {})},
            )
            for role, parts in contents.items()
        ]
    )


def _text_parts(kind: str, any_text: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    return st.fixed_dictionaries({"type": st.just(kind), "text": any_text})


_IMAGE_PARTS: list[JSONObject] = [
    {"type": "input_image"},
    *({"type": "input_image", "detail": each} for each in ("low", "high", "auto", None)),
]


def _media_parts() -> list[SearchStrategy[JSONObject]]:
    link = st.none() | _URLS
    return [
        st.tuples(st.sampled_from(_IMAGE_PARTS), link).map(lambda drawn: {**drawn[0], "image_url": drawn[1]}),
        st.fixed_dictionaries(
            {"type": st.just("input_file")},
            optional={"filename": st.none() | st.just("a.txt"), "file_data": link, "file_url": link},
        ),
    ]


def _media_messages() -> SearchStrategy[JSONObject]:
    """Messages that consist of one image or one file."""
    parts = [{**look, "image_url": "https://example.invalid/a"} for look in _IMAGE_PARTS]
    parts.append({"type": "input_file", "file_url": "https://example.invalid/a"})
    return st.sampled_from(parts).map(lambda part: {"role": "user", "content": [part]})


def _reasoning_items(any_text: SearchStrategy[str]) -> SearchStrategy[JSONObject]:
    needed = {
        "type": st.just("reasoning"),
        "summary": st.lists(_text_parts("summary_text", any_text), max_size=1),
    }
    return st.fixed_dictionaries(
        needed,
        optional={
            **_REPLAYED_MEMBERS,
            "content": st.none() | st.lists(_text_parts("reasoning_text", any_text), max_size=1),
            "encrypted_content": st.sampled_from([None, "x"]),
        },
    )


def _compaction_items() -> SearchStrategy[JSONObject]:
    needed = {"type": st.just("compaction"), "encrypted_content": st.sampled_from(["x", "eyJhIjoxfQ=="])}
    return st.fixed_dictionaries(needed, optional=_REPLAYED_MEMBERS)


def _item_references() -> SearchStrategy[JSONObject]:
    return st.just({"type": "item_reference", "id": "msg_1"})


def _calls_with_outputs(any_text: SearchStrategy[str]) -> SearchStrategy[list[JSONObject]]:
    call = st.fixed_dictionaries(
        {
            "type": st.just("function_call"),
            "name": _FUNCTION_NAMES,
            "arguments": st.sampled_from(["{}", '{"a":1}']),
        },
        optional=_REPLAYED_MEMBERS,
    )
    link = "https://example.invalid/v"
    video: JSONObject = {"type": "input_video", "video_url": link}
    one_of_each = [
        {"type": "input_text", "text": "x"},
        _IMAGE_PARTS[0],
        {"type": "input_file", "file_url": link},
        video,
    ]
    parts = st.lists(
        st.one_of(_text_parts("input_text", any_text), st.just(video), *_media_parts()), max_size=2
    )
    output = st.fixed_dictionaries(
        {"type": st.just("function_call_output"), "output": any_text | parts | st.just(one_of_each)},
        optional=_REPLAYED_MEMBERS,
    )
    return st.tuples(call, output).map(lambda drawn: [{**item, "call_id": "call_1"} for item in drawn])


@cache
def echoed_members() -> SearchStrategy[JSONObject]:
    """Some of the members that a response echoes, each complete."""
    schema: JSONObject = {"type": "object"}
    forms = [{"type": "json_schema", "name": "a", "description": None, "schema": schema, "strict": False}]
    formats = st.sampled_from([{"type": "text"}, {"type": "json_object"}, *forms])
    efforts = st.sampled_from(["none", "low", "medium", "high", "xhigh", None])
    summaries = st.sampled_from(["concise", "detailed", "auto", None])
    verbosity = {"verbosity": st.sampled_from(["low", "medium", "high"])}
    members: dict[str, SearchStrategy[Any]] = {
        "reasoning": st.none() | st.fixed_dictionaries({"effort": efforts, "summary": summaries}),
        "text": st.fixed_dictionaries({"format": formats}, optional=verbosity),
        "truncation": st.sampled_from(["auto", "disabled"]),
        "instructions": st.none() | texts(),
        "metadata": st.dictionaries(st.sampled_from(["a", "b"]), texts(), max_size=2),
        "max_output_tokens": st.integers(16, 4096) | st.none(),
        "service_tier": st.sampled_from(["default", "flex"]),
        "temperature": st.sampled_from([0, 0.5]),
        "parallel_tool_calls": st.booleans(),
    }
    return st.fixed_dictionaries({}, optional=members)


@cache
def error_bodies(profile: str, surrogates: bool) -> SearchStrategy[JSONObject]:
    """Error bodies."""
    kinds = sorted(set(load_profile(profile).error_types.values()))
    inner = st.fixed_dictionaries(
        {"message": texts(surrogates), "type": st.sampled_from(kinds)},
        optional={
            "param": st.sampled_from(["model", None]),
            "code": st.sampled_from(["missing_required_parameter", None]),
        },
    )
    return inner.map(lambda error: {"error": error})
