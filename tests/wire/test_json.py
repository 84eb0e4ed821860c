"""Strict JSON: accepted and rejected input, duplicates, canonical form and JSON Pointers."""

from __future__ import annotations

import pytest

from mockserver.errors import InvalidJSON
from mockserver.wire import json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"{", "end"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("{}".encode("utf-16"), ""),
        (b'{"a":NaN}', ""),
        (b'{"a":Infinity}', ""),
        (b'"\\ud800"', "surrogate"),
        (b'"\xff"', "UTF-8"),
        (b"1" * 5000, "infinity"),
        (b"{} {}", "after document"),
        (b"[" * 101 + b"]" * 101, "100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "100 levels"),
    ],
)
def test_loads_rejects_anything_but_one_value_within_limits(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidJSON) as caught:
        json.loads(data)
    assert reason in str(caught.value)


def test_the_error_has_the_byte_offset() -> None:
    with pytest.raises(InvalidJSON) as caught:
        json.loads(b'{"a": x}')
    assert caught.value.offset == 6
    assert "(byte 6)" in str(caught.value)


def test_100_levels_are_valid_and_brackets_in_strings_do_not_count() -> None:
    assert json.loads(b"[" * 100 + b"]" * 100)
    assert json.loads(b'["' + b"[{" * 200 + b'"]') == ["[{" * 200]
    assert json.loads(b'["\\"' + b"[" * 200 + b'"]') == ['"' + "[" * 200]


def test_duplicate_keys_are_valid_and_can_be_found() -> None:
    data = b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 2}'
    assert json.loads(data) == {"a": 2, "b": {"c": 2}}
    assert sorted(json.find_duplicate_keys(data)) == ["a", "c"]
    assert json.find_duplicate_keys(b'{"a": {"a": 1}}') == []


def test_equal_values_have_equal_canonical_bytes() -> None:
    assert json.canonical({"b": 1, "a": {"d": 1, "c": 2}}) == json.canonical({"a": {"c": 2, "d": 1}, "b": 1})


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"a": 1}', {"a": 1}), ("[2]", [2]), (b"null", None), (b"{", None), (b"\xff", None), ("\ud800", None)],
)
def test_loads_or_none_returns_none_for_invalid_json(data: bytes | str, value: object) -> None:
    assert json.loads_or_none(data) == value
