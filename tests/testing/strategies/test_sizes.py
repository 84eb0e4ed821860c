"""Strategies draw long values too, and shrink them as well as short ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis.strategies import SearchStrategy

from mockserver import strategies
from mockserver.profiles import load_profile_document, profile_names
from tests.marks import slow_except

pytestmark = pytest.mark.slow


PROFILES = [name for name in profile_names() if load_profile_document(name)["renderings"]]
DRAWING = settings(
    max_examples=600,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SHRINKING = settings(DRAWING, derandomize=True, max_examples=2000, phases=[Phase.generate, Phase.shrink])


def drawn(strategy: SearchStrategy[Any], start: int = 0) -> list[Any]:
    values: list[Any] = []

    @seed(start)
    @DRAWING
    @given(strategy)
    def draw(value: Any) -> None:
        values.append(value)

    draw()
    return values


def first_drawn(strategy: SearchStrategy[Any], *conditions: Callable[[Any], bool]) -> list[Any]:
    """Draw until each condition was fulfilled once, from five seeds at most.

    What one seed draws depends on the constants of the modules that are loaded, and rare values come in clusters.
    """
    found: dict[int, Any] = {}
    for start in range(5):
        for value in drawn(strategy, start):
            for index, condition in enumerate(conditions):
                if index not in found and condition(value):
                    found[index] = value
        if len(found) == len(conditions):
            break
    return [found.get(index) for index in range(len(conditions))]


def delta_count(stream: list[dict[str, Any]]) -> int:
    return max(Counter(event["output_index"] for event in stream if "delta" in event).values(), default=0)


def longest_text(stream: list[dict[str, Any]]) -> int:
    return max((len(event["delta"]) for event in stream if isinstance(event.get("delta"), str)), default=0)


def item_count(stream: Any) -> int:
    return len(stream[-1]["response"]["output"])


@pytest.mark.parametrize("profile", slow_except({"qwen-2026-09"}, PROFILES))
def test_long_streams_are_drawn(profile: str) -> None:
    conditions = (
        lambda stream: delta_count(stream) > 30,
        lambda stream: longest_text(stream) > 1000,
        lambda stream: item_count(stream) >= 10,
    )

    assert all(first_drawn(strategies.streams(profile=profile), *conditions))


@pytest.mark.parametrize("profile", slow_except({"qwen-2026-09"}, PROFILES))
def test_a_third_of_the_requests_have_function_tools(profile: str) -> None:
    requests = drawn(strategies.requests(profile=profile))
    with_functions = [
        request
        for request in requests
        if any(tool["type"] == "function" for tool in request.get("tools") or ())
    ]

    assert 0.25 < len(with_functions) / len(requests) < 0.6


@pytest.mark.parametrize("profile", slow_except({"qwen-2026-09"}, PROFILES))
def test_long_inputs_are_drawn(profile: str) -> None:
    def has_long_input(request: dict[str, Any]) -> bool:
        return isinstance(request["input"], str) and len(request["input"]) > 1000

    assert all(first_drawn(strategies.requests(profile=profile), has_long_input))


@pytest.mark.parametrize(
    ("condition", "most_events"),
    [
        (lambda stream: item_count(stream) > 1, 13),
        (lambda stream: longest_text(stream) > 1000, 9),
        (lambda stream: delta_count(stream) > 30, 49),
        (lambda stream: item_count(stream) >= 10, 53),
        (lambda stream: any("\u2028" in str(event.get("delta")) for event in stream), 10),
    ],
)
def test_streams_shrink_to_what_is_needed(condition: Callable[[Any], bool], most_events: int) -> None:
    smallest = find(strategies.streams(statuses=["completed"]), condition, settings=SHRINKING)

    assert len(smallest) <= most_events
