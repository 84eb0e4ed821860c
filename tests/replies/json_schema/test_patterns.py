"""Strings for regular expressions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.replies.json_schema.generator import generate_value
from tests.replies.json_schema.generation import generation_error


@pytest.mark.parametrize(
    "pattern",
    [
        *("^(a|b)c{2,4}$", "^[^a-z]+$", r"^\d+\.\d+\.\d+(?:-[\w.]+)?$", r"^\S+@\S+\.[a-z]{2,}$", "^.{5}$"),
        *(r"^[\w\-.]+/[\w\-.]+$", r"^(?<year>\d{4})$", r"^\p{Lu}\p{L}*$", r"\bfoo\b.*\bbar\b", "^a+?b*?$"),
        *("^#(?:[0-9a-fA-F]{3}){1,2}$", r"^$", "^你+$", r"^\u4f60$", "(?i)^ABC$", "^[^ -~]$", "a{3}"),
    ],
)
@pytest.mark.parametrize("pick", [0, 3])
def test_patterns(pattern: str, pick: int) -> None:
    # The generator checks the string with an engine that matches in linear time.
    assert isinstance(generate_value({"type": "string", "pattern": pattern}, seed=pick), str)


def test_patterns_repeat_up_to_min_length() -> None:
    schema = {"type": "string", "pattern": "^[a-z]+-[0-9]*$", "minLength": 300, "maxLength": 300}
    assert len(generate_value(schema)) == 300


@settings(max_examples=1_000, suppress_health_check=list(HealthCheck), derandomize=True)
@given(pattern=st.text(alphabet="ab0^$.*+?()[]{}|\\dwsbpLu-,:<>=!&~é", max_size=14))
def test_arbitrary_pattern_raises_only_unsatisfiable(pattern: str) -> None:
    error = generation_error(generate_value, {"type": "string", "pattern": pattern})
    assert error is None or error.pointer == "/pattern"
