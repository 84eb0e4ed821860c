"""Patches and dates, on schemas made for the test."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.schema.overlays import bundle_schema, is_newer, merge_patch, union_branches


# RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        (["a", "b"], {"a": "b"}, {"a": "b"}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, "bar", "bar"),
    ],
)
def test_merge_patch(target: Any, patch: Any, merged: Any) -> None:
    assert merge_patch(target, patch) == merged


CORE: dict[str, dict[str, Any]] = {
    "box": {
        "type": "object",
        "required": ["old", "new"],
        "properties": {
            "old": {"$ref": "thing.json"},
            "new": {"type": "string", "x-since": "2026-05"},
            "nullable": {"type": ["string", "null"], "x-since": "2026-05"},
        },
    },
    "thing": {
        "x-dispatch": "type",
        "type": "object",
        "properties": {"type": {"type": "string"}},
        "allOf": [
            {"if": {"properties": {"type": {"const": "a"}}}, "then": {"$ref": "a.json"}},
            {
                "if": {"properties": {"type": {"const": "b"}}},
                "then": {"$ref": "b.json"},
                "x-since": "2026-05",
            },
        ],
    },
    "a": {"type": "object", "properties": {"type": {"const": "a"}, "box": {"$ref": "box.json"}}},
    "b": {"type": "object"},
}


def test_later_members_are_left_out() -> None:
    document = bundle_schema(CORE, "box", "2026-01", closed=False)
    assert document["properties"].keys() == {"old"}
    assert document["required"] == ["old"]
    assert document["$defs"].keys() == {"a", "box", "thing"}
    assert bundle_schema(CORE, "box", "2026-05", closed=False)["required"] == ["old", "new"]


def test_a_closed_schema_rejects_unknown_members() -> None:
    document = bundle_schema(CORE, "box", "2026-01", closed=True)
    assert document["additionalProperties"] is False
    assert document["properties"]["nullable"] == {"type": "null"}
    thing = document["$defs"]["thing"]
    assert thing["properties"]["type"]["enum"] == ["a"]
    assert "additionalProperties" not in thing


def test_the_input_is_not_modified() -> None:
    before = repr(CORE)
    bundle_schema(CORE, "box", "2026-01", closed=True)
    assert repr(CORE) == before


def test_union_branches_and_dates() -> None:
    assert [kind for kind, _ in union_branches(CORE["thing"])] == ["a", "b"]
    assert is_newer({"x-since": "2026-05"}, "2026-01")
    assert not is_newer({"x-since": "2026-05"}, "2026-05")
    assert not is_newer({}, "2026-01")
