"""The profile that something is of, by its marks."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.marks import choose_profile
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.testing.strategies.framing import frames_of
from mockserver.wire import json
from tests.contract import bases, samples


def test_the_service_is_known_by_its_marks() -> None:
    events = samples.text_stream()
    for body, value in (
        (json.dumps(samples.response()), samples.response()),
        (json.dumps(events), events),
        (samples.framed(events), None),
        (b"\n".join(map(json.dumps, events)), None),
        (b"", samples.REQUEST),
    ):
        choice = choose_profile(body, value)
        assert choice.profile == DEFAULT_PROFILE
        assert choice.why.startswith("by ")


def test_framing_is_a_mark() -> None:
    choice = choose_profile(b':HTTP_STATUS/200\ndata:{"type":"x"}\n\n')
    assert choice == (DEFAULT_PROFILE, "by framing :HTTP_STATUS/200, framing data:{")


@pytest.mark.parametrize("value", [{}, [], [3], {"model": 3, "output": 7, "tools": [None]}, "x", 3, None])
def test_without_a_mark_it_is_the_default(value: Any) -> None:
    choice = choose_profile(b"", value)
    assert choice.profile == DEFAULT_PROFILE
    assert "default" in choice.why


def test_an_event_beyond_all_bounds_has_no_mark() -> None:
    assert "default" in choose_profile(b"data: " + b"x" * (1 << 21)).why


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09"])
def test_the_ages_are_told_apart(profile: str, rendering: str) -> None:
    told = dict(bases.streams(profile))
    thinking, tools = told[f"thinking, {rendering}"], told[f"tools, {rendering}"]
    for events in (thinking, tools):
        assert choose_profile(json.dumps(events), events).profile == profile
        assert choose_profile(b"".join(frames_of(events, profile))).profile == profile


def test_of_ages_that_nothing_tells_apart_it_is_the_newest() -> None:
    response = dict(bases.responses("qwen-2026-05"))["text, wire"]
    assert choose_profile(b"", response).profile == "qwen-2026-09"
    asked = {"model": "qwen3.5-plus", "input": "x"}
    assert choose_profile(b"", asked).profile == "qwen-2026-09"
    # What January's model is asked proves nothing: its parameters may be ignored.
    stored = {"model": "qwen3-max-2026-01-23", "input": "x", "store": False}
    assert choose_profile(b"", stored).profile == DEFAULT_PROFILE


def test_what_other_services_have_too_is_no_mark() -> None:
    value = {"type": "response.reasoning_text.delta", "delta": "x"}
    assert choose_profile(b"", value).profile != "qwen-2026-09"
