"""Texts of a report: nothing hidden, JSON as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.reports.texts import indented, milliseconds, utf16_length, visible

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES, st.booleans())
def test_json_stays_the_same(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert json.loads(visible(indented(text))) == value
    assert indented(indented(text)) == indented(text)


def test_numbers_and_repeated_names_stay_as_they_were_written() -> None:
    text = '{"a":1769084048.0,"a":12345678901234567890123,"b":1e5,"c":[],"d":{},"e":[1,{"f":"}"}]}'
    assert "".join(indented(text).split()) == text
    assert indented('[1,{"a":[]}]') == '[\n  1,\n  {\n    "a": []\n  }\n]'


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_not_seen_is_escaped(text: str) -> None:
    shown = visible(text)
    shown.encode()  # no lone surrogate is left
    assert not set(shown) & {*"\x00\x1b\x7f\u202e\u2066\u200f\ufeff\u2028"}
    assert visible(shown) == shown


def test_emoji_and_chinese_stay() -> None:
    text = "家族 👨‍👩‍👧\u3000e\u0301\n\tend"
    assert visible(text) == text
    assert utf16_length("a👧") == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00025, "0.25 ms"), (0.0123, "12.3 ms"), (0.48, "480 ms"), (2.345, "2.35 s"), (61, "61.0 s")],
)
def test_times_have_three_figures(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
