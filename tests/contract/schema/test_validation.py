"""Findings for members and types that a profile does not know."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.schema.registry import load_schemas
from mockserver.contract.schema.validation import find_unknown_members
from tests.contract import samples


def unknown_members(name: str, value: Any) -> list[tuple[str, str | None, str | None]]:
    return [
        (each.pointer, each.since, each.rule)
        for each in find_unknown_members(load_schemas(), name, value).found
    ]


def test_a_known_value_has_no_unknown_members() -> None:
    for event in samples.tools_stream():
        assert unknown_members("event", event) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fingerprint": "x"}, ("/fingerprint", None, None)),
        ({"a/b~c": 1}, ("/a~1b~0c", None, None)),
        ({"temperature": 1.0}, ("/temperature", "2026-05", None)),
        ({"output": [{"type": "custom:note", "x": 1}]}, ("/output/0/type", None, "SCH-005")),
        ({"output": [{"type": "mcp_call"}]}, ("/output/0/type", "2026-03", "SCH-005")),
        ({"usage": {"x_details": []}}, ("/usage/x_details", "2026-02", None)),
        ({"usage": {"x_tools": {"web_search": {"cost": 1}}}}, ("/usage/x_tools/web_search/cost", None, None)),
        ({"tools": [{"type": "web_search", "x": 1}]}, ("/tools/0/x", None, None)),
    ],
)
def test_unknown_members_are_named(
    change: dict[str, Any], expected: tuple[str, str | None, str | None]
) -> None:
    assert unknown_members("response", {**samples.response(), **change}) == [expected]


def test_null_in_a_later_member_counts_as_absent() -> None:
    assert unknown_members("response", {**samples.response(), "temperature": None}) == []


def test_unknown_values_are_not_searched() -> None:
    assert unknown_members("response", {"x": {"y": {"z": 1}}}) == [("/x", None, None)]
