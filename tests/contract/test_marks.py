"""The profile that something is of, by its marks."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.marks import choose_profile
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.wire import json
from tests.contract import samples


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
