"""Canonical requests: when two requests are equal, and what is masked in them."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.errors import ConfigurationError
from mockserver.recordings.canonical_requests import (
    CanonicalRequest,
    canonicalize_request,
)
from mockserver.wire import json
from mockserver.wire.masks import parse_masks
from mockserver.wire.redaction import mask_request

VALUE = {"a": {"b": ["x", {"c": "secret text"}], "~/": "odd"}, "list": [{"k": "1"}, {"k": 2}]}


@pytest.mark.parametrize(
    ("pointer", "value", "removed"),
    [
        ("/a/b/1/c", {**VALUE, "a": {**VALUE["a"], "b": ["x", {"c": "[masked]"}]}}, ("secret text",)),  # type: ignore[dict-item]
        ("/a/~0~1", {**VALUE, "a": {**VALUE["a"], "~/": "[masked]"}}, ()),  # type: ignore[dict-item]
        ("/list/*/k", {**VALUE, "list": [{"k": "[masked]"}, {"k": "[masked]"}]}, ()),
        ("/a", {**VALUE, "a": "[masked]"}, ("secret text",)),
        ("/nowhere/at/all", VALUE, ()),
        ("/list/7", VALUE, ()),
    ],
)
def test_pointers_mask_members(pointer: str, value: Any, removed: tuple[str, ...]) -> None:
    assert mask_request(VALUE, (), parse_masks([pointer])) == (value, removed)


@pytest.mark.parametrize("pointer", ["", "user", "user/name", "/a\x00"])
def test_invalid_pointer_is_an_error(pointer: str) -> None:
    with pytest.raises(ConfigurationError, match="--mask"):
        parse_masks([pointer])


def canonical_request(value: Any, path: str = "/responses") -> CanonicalRequest:
    return canonicalize_request("POST", path, value if isinstance(value, bytes) else json.dumps(value))[0]


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        ({"input": "Hello!"}, "Hello!"),
        ({"input": [{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]}, "Two"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Parts"}, 7]}]}, "Parts"),
        ({"input": [{"type": "function_call_output"}, 7]}, ""),
        ({"input": [{"role": "user"}]}, ""),
        ({"input": 7}, ""),
        ([], ""),
    ],
)
def test_prompt_is_the_last_user_text(value: Any, prompt: str) -> None:
    assert canonical_request(value).prompt == prompt


def test_equal_and_different_requests() -> None:
    one = canonical_request({"a": 1, "b": [1.5, None]})
    assert canonical_request(b'{"b": [1.5, null], "a": 1}').digest == one.digest
    for other in ({"a": 1}, {"a": 1.0, "b": [1.5, None]}, {"a": True, "b": [1.5, None]}):
        assert canonical_request(other).digest != one.digest
    assert canonical_request({"a": 1, "b": [1.5, None]}, "/conversations").digest != one.digest


def test_differences_are_listed_by_location() -> None:
    one, other = (
        canonical_request({"a": {"b": 1}, "c": [1, 2], "d": 0}),
        canonical_request({"a": {"b": True}, "c": [1, 3], "e": "x" * 99}),
    )
    assert [*one.differences(other)] == [
        "/a/b: recorded 1, got true",
        "/c/1: recorded 2, got 3",
        "/d: recorded 0, got nothing",
        f'/e: not recorded, got "{"x" * 59}…',
    ]
    assert [*one.differences(one)] == []
    assert [*canonical_request(b"{", "/a").differences(canonical_request(b"{", "/b"))] == [
        "POST /b instead of POST /a"
    ]
    assert [*canonical_request(b"{").differences(canonical_request(b"["))] == ['body: recorded "{", got "["']
