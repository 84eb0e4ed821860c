"""Strategies for the items of a request's `input`."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mockserver.profiles import load_profile
from mockserver.testing.strategies import openresponses
from mockserver.testing.strategies.values import JSONObject, join_item_groups, texts

__all__ = ["input_item_lists", "input_items"]

_ITEM_IDS = st.sampled_from(["msg_1", "msg_2"])


_ITEM_STATUSES = st.sampled_from(["completed", "incomplete", "in_progress"])


_NULL_OR_EMPTY_LIST: SearchStrategy[Any] = st.sampled_from([None, []])


_NONEMPTY_TEXTS = texts().map(lambda text: text or "a")


def input_items(profile: str) -> SearchStrategy[list[JSONObject]]:
    """Lists of items for the `input` of a request."""
    loaded = load_profile(profile)
    return (
        openresponses.input_items(False)
        if openresponses.is_open_responses(loaded)
        else input_item_lists(False, loaded.date)
    )


@cache
def input_item_lists(surrogates: bool, date: str) -> SearchStrategy[list[JSONObject]]:
    """Lists of items that end with something to reply to."""
    before = st.lists(_item_groups(surrogates, date), max_size=3)
    return st.tuples(before, _item_groups(surrogates, date)).map(
        lambda pair: join_item_groups([*pair[0], pair[1]])
    )


@cache
def _item_groups(surrogates: bool, date: str) -> SearchStrategy[list[JSONObject]]:
    """One item, or a function call and its output."""
    single = _messages(surrogates, date) | _replayed_items(surrogates, date)
    return single.map(lambda item: [item]) | _calls_with_outputs(surrogates)


def _messages(surrogates: bool, date: str) -> SearchStrategy[JSONObject]:
    any_text = texts(surrogates)
    media = [each for since, each in _MEDIA_PARTS if since <= date]
    parts = {
        role: st.lists(
            st.one_of([_text_parts(kind, any_text) for kind in kinds]),
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
    contents = {role: any_text | parts[role] for role in parts}
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


#: Parts of a user message that are not text, each with the profile date since when they are accepted.
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
    any_text = texts(surrogates)
    summary = st.lists(st.fixed_dictionaries({"type": st.just("summary_text"), "text": any_text}), max_size=1)
    shared_members: dict[str, SearchStrategy[Any]] = {
        "id": st.none() | _ITEM_IDS,
        "status": st.none() | _ITEM_STATUSES,
    }
    reasoning = st.fixed_dictionaries(
        {"type": st.just("reasoning")},
        optional={
            **shared_members,
            "summary": summary | st.none(),
            "content": _NULL_OR_EMPTY_LIST,
            "encrypted_content": st.none() | st.just("x"),
        },
    )
    calls = [
        st.fixed_dictionaries({"type": st.just(f"{tool}_call")}, optional={**shared_members, **members})
        for tool, (since, members) in _TOOL_CALL_MEMBERS.items()
        if since <= date
    ]
    reference = st.fixed_dictionaries({"type": st.just("item_reference"), "id": _ITEM_IDS})
    return st.one_of([reasoning, reference, *calls])


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
"""By tool: the profile date since when it exists, and members of its item as a client sends it back."""


def _calls_with_outputs(surrogates: bool) -> SearchStrategy[list[JSONObject]]:
    any_text = texts(surrogates)
    shared_members: dict[str, SearchStrategy[Any]] = {
        "id": st.none() | _ITEM_IDS,
        "status": st.none() | _ITEM_STATUSES,
    }
    part = _text_parts("input_text", any_text)
    call = st.fixed_dictionaries(
        {
            "type": st.just("function_call"),
            "name": st.sampled_from(["get_weather", "f"]),
            "arguments": st.sampled_from(["{}", '{"city":"Paris"}']),
        },
        optional=shared_members,
    )
    output = st.fixed_dictionaries(
        {"type": st.just("function_call_output"), "output": any_text | st.lists(part, max_size=2)},
        optional=shared_members,
    )
    return st.tuples(call, output).map(lambda drawn: [{**item, "call_id": "call_1"} for item in drawn])
