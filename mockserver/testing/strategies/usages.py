"""Strategy for `usage`, the token counts of a response."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mockserver.profiles import DEFAULT_PROFILE, Profile
from mockserver.testing.strategies import openresponses
from mockserver.testing.strategies.rendered_replies import render_context
from mockserver.testing.strategies.values import UNKNOWN_MEMBERS, JSONObject

__all__ = ["usages"]


@st.composite
def usages(
    draw: DrawFn, *, profile: str = DEFAULT_PROFILE, rendering: str = "wire", unknown: bool = False
) -> JSONObject:
    """`usage` of completed responses; the details may be absent or null."""
    context = render_context(profile, rendering)
    input_tokens, output_tokens = draw(st.integers(0, 100_000)), draw(st.integers(0, 100_000))
    cached_tokens = st.sampled_from([0, input_tokens, input_tokens // 2])
    reasoning_tokens = st.sampled_from([0, output_tokens, output_tokens // 2])
    details: dict[str, SearchStrategy[Any]] = {
        "input_tokens_details": st.fixed_dictionaries({"cached_tokens": cached_tokens}),
        "output_tokens_details": st.fixed_dictionaries({"reasoning_tokens": reasoning_tokens}),
    }
    is_open = openresponses.is_open_responses(context.profile)
    counts = {"count": st.integers(1, 9)}
    tools = st.dictionaries(st.sampled_from(tuple(context.profile.tools)), st.fixed_dictionaries(counts))
    members: JSONObject = draw(
        st.fixed_dictionaries(
            {
                "input_tokens": st.just(input_tokens),
                "output_tokens": st.just(output_tokens),
                "total_tokens": st.just(input_tokens + output_tokens),
                **(details if is_open else {}),
            },
            optional={
                **({} if is_open else {name: each | st.none() for name, each in details.items()}),
                **({} if is_open else {"x_tools": tools if context.profile.tools else st.none()}),
                **(
                    {"x_details": _billing_rows(context.profile, input_tokens, output_tokens)}
                    if context.profile.x_details
                    else {}
                ),
            },
        )
    )
    rendered: JSONObject = context.rendering.stream_layout.apply("usage", members)
    return {**rendered, **draw(UNKNOWN_MEMBERS)} if unknown else rendered


def _billing_rows(profile: Profile, input_tokens: int, output_tokens: int) -> SearchStrategy[Any]:
    """`x_details`: one or more rows of billing."""
    part, runs = st.sampled_from([0, input_tokens // 2]), st.just({"web_search": {"count": 1}})
    creation = st.fixed_dictionaries({"ephemeral_5m_input_tokens": part})
    caching = {
        "cache_creation_input_tokens": part,
        "cache_creation": creation | st.none(),
        "cache_type": st.sampled_from(["ephemeral", None]),
    }
    of_input = {"text_tokens": part, "image_tokens": part, "audio_tokens": st.just(0)}
    of_output = {"reasoning_tokens": st.just(0), "text_tokens": st.just(output_tokens)}
    members: dict[str, SearchStrategy[Any]] = {
        "image_tokens": part,
        "input_tokens_details": st.fixed_dictionaries({}, optional=of_input) | st.none(),
        "output_tokens_details": st.fixed_dictionaries({}, optional=of_output) | st.none(),
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": part}, optional=caching) | st.none(),
    }
    if "plugins" in profile.x_details:
        members["plugins"] = runs | st.none()
    totals = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    fixed = {name: st.just(value) for name, value in {**totals, "x_billing_type": "response_api"}.items()}
    return st.lists(st.fixed_dictionaries(fixed, optional=members), max_size=2) | st.none()
