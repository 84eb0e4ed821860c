"""Texts of a report: nothing invisible, JSON as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.reports.formatting import escape_invisible, format_duration, indent_json, utf16_length

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES, st.booleans())
def test_indented_json_has_the_same_value(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert json.loads(escape_invisible(indent_json(text))) == value
    assert indent_json(indent_json(text)) == indent_json(text)


def test_numbers_and_repeated_names_are_not_normalised() -> None:
    text = '{"a":1769084048.0,"a":12345678901234567890123,"b":1e5,"c":[],"d":{},"e":[1,{"f":"}"}]}'
    assert "".join(indent_json(text).split()) == text
    assert indent_json('[1,{"a":[]}]') == '[\n  1,\n  {\n    "a": []\n  }\n]'


@given(st.text(st.characters(exclude_categories=())))
def test_invisible_characters_are_escaped(text: str) -> None:
    shown = escape_invisible(text)
    shown.encode()  # no lone surrogate is left
    assert not set(shown) & {*"\x00\x1b\x7f\u202e\u2066\u200f\ufeff\u2028"}
    assert escape_invisible(shown) == shown


def test_emoji_and_chinese_are_not_escaped() -> None:
    text = "家族 👨‍👩‍👧\u3000e\u0301\n\tend"
    assert escape_invisible(text) == text
    assert utf16_length("a👧") == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00025, "0.25 ms"), (0.0123, "12.3 ms"), (0.48, "480 ms"), (2.345, "2.35 s"), (61, "61.0 s")],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
