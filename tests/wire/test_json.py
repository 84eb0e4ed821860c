"""Strict JSON: accepted and rejected input, duplicates, canonical form and JSON Pointers."""

from __future__ import annotations

import json as reference
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", (1, 0)),
        ("[1, 2, 3]", (4, 0)),
        ('{"a": [{"b": 1}, "cd"]}', (5, 2)),
        (r'["a, [b], {c}", "\\", "\\\"[,,,", ""]', (5, 11)),
        ("[[], {}]", (5, 0)),  # empty ones count twice
    ],
)
def test_the_size_of_a_text_counts_values_outside_of_strings(text: str, size: tuple[int, int]) -> None:
    reference.loads(text)
    assert json.measure(text.encode()) == size


@pytest.mark.parametrize("position", range(-3, 4))
@pytest.mark.parametrize("escape", [r"\"", r"\\", r"\\\""])
def test_the_size_of_a_text_with_an_escape_at_the_end_of_a_window(position: int, escape: str) -> None:
    count = 2 * json._WINDOW_BYTES + position
    text = f'["{"a" * (count - 2)}{escape},,,", 1, "{escape},,,"]'
    assert len(reference.loads(text)) == 3
    assert json.measure(text.encode()) == (4, count - 2 + len(escape) + 3)


LONG = '你好, "world" \\ \n😀 ' * 100


@pytest.fixture
def large_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is a large one."""
    monkeypatch.setattr(json, "_MAX_BYTES_AT_ONCE", 0)
    monkeypatch.setattr(json, "_WINDOW_BYTES", 64)


@pytest.mark.usefixtures("large_texts")
@pytest.mark.parametrize("ensure_ascii", [False, True])
def test_a_large_text_is_parsed_in_parts(ensure_ascii: bool) -> None:
    value = {"a": LONG, "b": [1, LONG, {"c": [LONG, None]}, "short"], LONG: LONG}
    for each in (value, [value], LONG):
        assert json.loads(reference.dumps(each, ensure_ascii=ensure_ascii).encode()) == each


@pytest.mark.usefixtures("large_texts")
@pytest.mark.parametrize("ending", ["x}", '"\\x"}', '"\ud800"}', '"', '"' + "y" * 1000])
def test_an_error_in_a_large_text_has_the_same_offset(ending: str) -> None:
    data = f'{{"a": "{"x" * 1000}", "b": {ending}'.encode("utf-8", "surrogatepass")
    with pytest.raises(orjson.JSONDecodeError) as expected:
        orjson.loads(data)
    with pytest.raises(InvalidJSON) as caught:
        json.loads(data)
    assert (caught.value.reason, caught.value.offset) == (expected.value.msg, expected.value.pos)


@pytest.mark.usefixtures("large_texts")
def test_duplicate_keys_of_a_large_text() -> None:
    long = reference.dumps(LONG)
    data = f'[{{"a": {long}, "a": 1}}, {{{long}: 1, "b": 2, {long}: 3}}]'
    assert json.find_duplicate_keys(data.encode()) == ["a", LONG]
    assert json.loads(data.encode()) == [{"a": 1}, {LONG: 3, "b": 2}]


@pytest.mark.usefixtures("large_texts")
def test_the_canonical_form_in_pieces_is_the_same() -> None:
    value = {"b": [1.5, LONG, {"c": [], "a": {}}, None, True], "a": "", "😀": LONG, "é": [LONG]}
    pieces = [*json.canonical_pieces(value)]
    assert b"".join(pieces) == json.canonical(value)
    assert max(map(len, pieces)) < len(LONG)


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


NAMES = st.sampled_from(["a", "b", '"', "\\", "\u00e4", "[", "{"])
OBJECTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=4).map(tuple),
    max_leaves=20,
)


def as_text(value: Any) -> str:
    """JSON text in which a tuple of pairs is an object, which may have a name twice."""
    if isinstance(value, tuple):
        return "{" + ",".join(f"{reference.dumps(name)}:{as_text(each)}" for name, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_text, value)) + "]"
    return reference.dumps(value)


def duplicates_in(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in duplicates_in(each)]
    if not isinstance(value, tuple):
        return []
    own = [name for name, count in Counter(name for name, _ in value).items() if count > 1]
    return own + [name for _, each in value for name in duplicates_in(each)]


@given(OBJECTS)
def test_duplicate_keys_are_those_of_a_naive_search(value: Any) -> None:
    assert sorted(json.find_duplicate_keys(as_text(value).encode())) == sorted(duplicates_in(value))


def levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


@given(st.integers(90, 110), st.booleans(), OBJECTS)
def test_the_depth_is_that_of_the_value(outer: int, is_object: bool, value: Any) -> None:
    opening, closing = ('{"a":', "}") if is_object else ("[0,", "]")
    text = opening * outer + as_text(value) + closing * outer
    try:
        json.loads(text.encode())
    except InvalidJSON:
        assert outer + levels(reference.loads(as_text(value))) > json.MAX_DEPTH
    else:
        assert outer + levels(reference.loads(as_text(value))) <= json.MAX_DEPTH


def test_a_number_of_many_digits_is_no_obstacle() -> None:
    assert json.find_duplicate_keys(b'{"a":0.' + b"1" * 5_000 + b',"a":' + b"1" * 5_000 + b"}") == ["a"]


def test_a_large_text_beside_many_brackets_takes_no_memory_of_its_own() -> None:
    data = reference.dumps({"picture": "x" * 2_000_000, "tools": [[[]]] * 100}).encode()

    def peak(parse: Callable[[bytes], Any]) -> int:
        tracemalloc.start()
        try:
            parse(data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(json.loads) < 1.5 * peak(orjson.loads)
