"""The profile that something is of, by its marks."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.marks import detect_profile
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.testing.strategies.framing import frames_of
from mockserver.wire import json
from tests.contract import bases, samples


def test_the_profile_is_detected_by_its_signals() -> None:
    events = samples.text_stream()
    for body, value in (
        (json.dumps(samples.response()), samples.response()),
        (json.dumps(events), events),
        (samples.service_frames(events), None),
        (b"\n".join(map(json.dumps, events)), None),
        (b"", samples.REQUEST),
    ):
        choice = detect_profile(body, value)
        assert choice.profile == DEFAULT_PROFILE
        assert choice.reason.startswith("by ")


def test_framing_is_a_signal() -> None:
    choice = detect_profile(b':HTTP_STATUS/200\ndata:{"type":"x"}\n\n')
    assert choice == (DEFAULT_PROFILE, "by framing :HTTP_STATUS/200, framing data:{")


@pytest.mark.parametrize("value", [{}, [], [3], {"model": 3, "output": 7, "tools": [None]}, "x", 3, None])
def test_without_a_signal_the_default_profile_is_chosen(value: Any) -> None:
    choice = detect_profile(b"", value)
    assert choice.profile == DEFAULT_PROFILE
    assert "default" in choice.reason


def test_an_oversized_event_has_no_signal() -> None:
    assert "default" in detect_profile(b"data: " + b"x" * (1 << 21)).reason


@pytest.mark.parametrize("rendering", ["wire", "documented"])
@pytest.mark.parametrize("profile", ["qwen-2026-01", "qwen-2026-05", "qwen-2026-09"])
def test_dated_profiles_are_told_apart(profile: str, rendering: str) -> None:
    told = dict(bases.streams(profile))
    thinking, tools = told[f"thinking, {rendering}"], told[f"tools, {rendering}"]
    for events in (thinking, tools):
        assert detect_profile(json.dumps(events), events).profile == profile
        assert detect_profile(b"".join(frames_of(events, profile))).profile == profile


def test_without_a_difference_the_newest_profile_is_chosen() -> None:
    response = dict(bases.responses("qwen-2026-05"))["text, wire"]
    assert detect_profile(b"", response).profile == "qwen-2026-09"
    asked = {"model": "qwen3.5-plus", "input": "x"}
    assert detect_profile(b"", asked).profile == "qwen-2026-09"
    # What January's model is asked proves nothing: its parameters may be ignored.
    stored = {"model": "qwen3-max-2026-01-23", "input": "x", "store": False}
    assert detect_profile(b"", stored).profile == DEFAULT_PROFILE


def test_what_other_services_share_is_not_a_signal() -> None:
    value = {"type": "response.reasoning_text.delta", "delta": "x"}
    assert detect_profile(b"", value).profile != "qwen-2026-09"
