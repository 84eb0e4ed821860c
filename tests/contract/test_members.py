"""The walk that names what a profile does not know."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.members import strangers
from mockserver.contract.schemas import schemas
from tests.contract import samples


def named(name: str, value: Any) -> list[tuple[str, str | None, str | None]]:
    return [(each.pointer, each.since, each.rule) for each in strangers(schemas(), name, value)]


def test_a_known_value_has_none() -> None:
    for event in samples.tools_stream():
        assert named("event", event) == []


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
def test_strangers(change: dict[str, Any], expected: tuple[str, str | None, str | None]) -> None:
    assert named("response", {**samples.response(), **change}) == [expected]


def test_null_in_a_later_member_is_absence() -> None:
    assert named("response", {**samples.response(), "temperature": None}) == []


def test_nothing_is_looked_for_in_what_is_unknown() -> None:
    assert named("response", {"x": {"y": {"z": 1}}}) == [("/x", None, None)]
