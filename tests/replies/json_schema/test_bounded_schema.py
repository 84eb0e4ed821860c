"""Hostile schemas: nothing is fetched, and the cost is bounded."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema.generator import generate_value
from tests.replies.json_schema.generation import INTEGER, STRING, Schema


def test_nothing_is_fetched(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "integer"}')
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for reference in (address, file.as_uri(), str(file), "schema.json"):
            for keyword in ("$ref", "$dynamicRef", "$schema", "$id"):
                schema: Schema = {keyword: reference, "properties": {"a": {keyword: reference}}}
                try:
                    generate_value(schema)
                except UnsatisfiableSchema:
                    continue
                assert keyword in {"$schema", "$id"}
        with pytest.raises(BlockingIOError):
            server.accept()


def nested_schema(levels: int, keyword: str) -> Schema:
    schema: Schema = dict(STRING)
    for _ in range(levels):
        schema = (
            {keyword: {"a": schema}, "required": ["a"]}
            if keyword == "properties"
            else {keyword: [schema, schema]}
        )
    return schema


def reference_chain(length: int, keyword: str) -> Schema:
    """A chain in which each link is referenced twice: 2**length references when expanded."""
    links: Schema = {
        f"d{each}": {keyword: [{"$ref": f"#/$defs/d{below}"}] * 2} for below, each in pairwise(range(length))
    }
    return {"$ref": f"#/$defs/d{length - 1}", "$defs": {"d0": {"minLength": 5, **STRING}, **links}}


def mutual_references(size: int, keyword: str) -> Schema:
    """Everything refers to everything else."""
    refs = {
        each: {f"m{other}": {"$ref": f"#/$defs/{other}"} for other in range(size) if other != each}
        for each in range(size)
    }
    links = {
        str(each): {keyword: members if keyword == "properties" else list(members.values())}
        for each, members in refs.items()
    }
    return {"$ref": "#/$defs/0", "$defs": links}


def nested_arrays(levels: int, size: int) -> Schema:
    schema: Schema = dict(STRING)
    for _ in range(levels):
        schema = {"type": "array", "minItems": size, "items": schema}
    return schema


def self_containing_schema() -> Schema:
    schema: Schema = {}
    schema["allOf"] = [schema]
    return schema


HOSTILE_SCHEMAS: dict[str, Any] = {
    "deep": nested_schema(5_000, "properties"),
    "deep enough": nested_schema(49, "properties"),
    "shared parts": nested_schema(60, "allOf"),
    "wide": {"properties": {f"a{n}": STRING for n in range(50_000)}},
    "wide enough": {"properties": {f"a{n}": STRING for n in range(6_000)}},
    "required": {"required": [f"a{n}" for n in range(15_000)]},
    "itself": self_containing_schema(),
    **{f"chain {keyword}": reference_chain(60, keyword) for keyword in ("anyOf", "allOf", "oneOf")},
    **{
        f"crowd {keyword}": mutual_references(40, keyword)
        for keyword in ("anyOf", "allOf", "oneOf", "properties")
    },
    "oneOf": {"oneOf": [{"oneOf": [{"oneOf": [INTEGER] * 10}] * 10}] * 10},
    "product": {
        "allOf": [{"anyOf": [{"minimum": n}, {"maximum": -n}, {"multipleOf": n + 1}]} for n in range(300)]
    },
    "allOf": {"allOf": [{"minLength": n % 50} for n in range(6_000)]},
    "arrays": nested_arrays(4, 1_000),
    "long strings": {
        "items": {"type": "string", "minLength": 4_000, "pattern": "^[a-z]*$"},
        "minItems": 1_000,
    },
    "unique": {"items": {"enum": list(range(15_000))}, "minItems": 1_000, "uniqueItems": True},
    "enum": {"enum": [f"v{n}" for n in range(19_000)], "pattern": "^x"},
    "enums": {
        "required": [f"a{n}" for n in range(300)],
        "additionalProperties": {"enum": [["a"] * 15] * 1_000},
    },
    "default": {
        "required": [f"a{n}" for n in range(300)],
        "additionalProperties": {"default": "a" * 900_000},
    },
    "regexes": {"enum": ["(" * n for n in range(1, 1_300)], "format": "regex"},
    "backtracking": {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$", "minLength": 3_000},
    "repeats": {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
    "states": {"type": "string", "pattern": "^(a?){1000}$", "minLength": 3_999},
    "groups": {"pattern": "(" * 3_000},
    "class": {"type": "string", "pattern": "[" + "".join(map(chr, range(0x4E00, 0x5500))) + "]+"},
    "patterns": {"properties": {f"a{n}": {"pattern": rf"^\w{{1,50}}x{n}$"} for n in range(900)}},
    "patternProperties": {"patternProperties": {f"a*{n}": STRING for n in range(500)}, "minProperties": 100},
    "propertyNames": {"minProperties": 200, "propertyNames": {"anyOf": [{"pattern": "^[ab]{1,3}$"}] * 50}},
    "dependentRequired": {
        "required": ["a0"],
        "dependentRequired": {f"a{n}": [f"a{n + 1}"] for n in range(5_000)},
    },
    "multiples": {"allOf": [{"multipleOf": n} for n in range(3, 4_000, 2)]},
    "tiny multiple": {"multipleOf": 5e-324, "minimum": 1e300},
    "text": {"description": "x" * 5_000_000},
    "name": {"properties": {"x" * 5_000_000: STRING}},
}


@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS.values(), ids=HOSTILE_SCHEMAS)
def test_hostile_schemas_cost_little(schema: Any) -> None:
    generate_value({})  # loads the validator
    calls = 0

    def count_call(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        with suppress(UnsatisfiableSchema):
            generate_value(schema)
    finally:
        sys.setprofile(None)
    assert calls < 1_000_000
