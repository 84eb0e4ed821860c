"""Responses against the tool_choice of their request."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.check import check_response, check_stream
from tests.contract import samples

FUNCTION = {"type": "function", "name": "get_weather"}


def rules_for(events: list[dict[str, Any]], choice: Any) -> set[str]:
    request = {**samples.REQUEST, "tools": [FUNCTION], "tool_choice": choice, "stream": True}
    streamed = {each.rule for each in check_stream(events, request=request)}
    whole = check_response(samples.response(events), request={**request, "stream": False})
    assert {each.rule for each in whole} & {"REQ-016"} == streamed & {"REQ-016"}
    return streamed & {"REQ-016"}


@pytest.mark.parametrize(
    "choice",
    ["required", {"type": "function", "name": "get_weather"}, {"type": "allowed_tools", "mode": "required"}],
)
def test_missing_call_is_found_if_one_is_required(choice: Any) -> None:
    assert rules_for(samples.text_stream(), choice) == {"REQ-016"}
    assert rules_for(samples.function_stream(), choice) == set()


def test_call_is_found_if_none_is_allowed() -> None:
    assert rules_for(samples.function_stream(), "none") == {"REQ-016"}
    assert rules_for(samples.text_stream(), "none") == set()
    assert rules_for(samples.function_stream(), "auto") == set()
