"""Generated values are valid under their schemas, or the error names the keyword at fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.errors import UnsatisfiableSchema
from mockserver.replies.json_schema import generator
from mockserver.replies.json_schema.constraints import child_nodes
from mockserver.replies.json_schema.generator import (
    generate_arguments,
    generate_arguments_for_text,
    generate_value,
)
from tests.replies.json_schema.generation import (
    INTEGER,
    STRING,
    Schema,
    generation_error,
    is_valid,
    schema_error,
)

# Parameters of tools as clients sent them (captured in 2026), with shortened texts, and their arguments.
CAPTURED_TOOLS: dict[str, tuple[Schema, Any]] = {
    "codex-cli 0.169.0, exec_command": (
        {
            "type": "object",
            "properties": {
                "cmd": {"type": "string", "description": "Shell command to execute."},
                "justification": STRING,
                "login": {"type": "boolean"},
                "max_output_tokens": {"type": "number"},
                "prefix_rule": {"type": "array", "items": STRING},
                "sandbox_permissions": {"type": "string", "enum": ["use_default", "require_escalated"]},
                "shell": STRING,
                "tty": {"type": "boolean"},
                "workdir": STRING,
                "yield_time_ms": {"type": "number"},
            },
            "required": ["cmd"],
            "additionalProperties": False,
        },
        {"cmd": "true"},
    ),
    "codex-cli 0.169.0, request_user_input": (
        {
            "type": "object",
            "properties": {
                "questions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "header": STRING,
                            "id": STRING,
                            "options": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {"description": STRING, "label": STRING},
                                    "required": ["label", "description"],
                                    "additionalProperties": False,
                                },
                            },
                            "question": STRING,
                        },
                        "required": ["id", "header", "question", "options"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["questions"],
            "additionalProperties": False,
        },
        {
            "questions": [
                {
                    "id": "sample-1",
                    "header": "Sample",
                    "question": "What is the weather in Hangzhou?",
                    "options": [{"label": "Sample", "description": "A short text"}],
                }
            ]
        },
    ),
    "codex-cli 0.169.0, spawn_agent": (
        {
            "type": "object",
            "properties": {
                "fork_context": {"type": "boolean"},
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"audio_url": STRING, "name": STRING, "path": STRING, "type": STRING},
                        "additionalProperties": False,
                    },
                },
                "message": STRING,
                "model": STRING,
            },
            "additionalProperties": False,
        },
        {
            "fork_context": False,
            "items": [
                {
                    "audio_url": "https://example.invalid/",
                    "name": "Sample",
                    "path": "/dev/null",
                    "type": "text",
                }
            ],
            "message": "A short text",
            "model": "qwen-plus",
        },
    ),
    "codex-cli 0.169.0, get_goal": (
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        {},
    ),
    "ai 7.0.173, get_weather": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"city": STRING},
            "required": ["city"],
            "additionalProperties": False,
        },
        {"city": "Hangzhou"},
    ),
    "pydantic-ai-slim 2.66.0, final_result": (
        {
            "properties": {"city": STRING, "population": INTEGER},
            "required": ["city", "population"],
            "type": "object",
            "additionalProperties": False,
        },
        {"city": "Hangzhou", "population": 1},
    ),
}


@pytest.mark.parametrize(("schema", "arguments"), CAPTURED_TOOLS.values(), ids=CAPTURED_TOOLS)
def test_tools_of_real_clients(schema: Schema, arguments: Any) -> None:
    assert json.loads(generate_arguments(schema)) == arguments


@pytest.mark.parametrize("schema", [None, {}, True, {"type": "object"}])
def test_function_without_parameters_gets_empty_arguments(schema: Any) -> None:
    assert generate_arguments(schema) == "{}"


def test_arguments_are_compact_and_keep_their_characters() -> None:
    assert generate_arguments({"properties": {"城市": STRING, "n": INTEGER}}) == '{"城市":"杭州","n":1}'


def test_all_properties_are_generated_if_none_is_required() -> None:
    properties = {"city": STRING, "unit": {"enum": ["celsius", "fahrenheit"]}}
    assert generate_value({"properties": properties}) == {"city": "Hangzhou", "unit": "celsius"}
    assert generate_value({"properties": properties, "required": ["unit"]}) == {"unit": "celsius"}


TREE_SCHEMA: Schema = {
    "type": "object",
    "properties": {"name": STRING, "kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name", "kids"],
}
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "boolean schema": (True, "text"),
    "type list": ({"type": ["null", "integer"]}, 1),
    "null": ({"type": "null"}, None),
    "enum": ({"enum": [None, 5]}, 5),
    "const": ({"const": {"a": [1]}}, {"a": [1]}),
    "default": ({"type": "string", "default": "metric"}, "metric"),
    "invalid default": ({"type": "string", "default": 5}, "text"),
    "enum with default": ({"enum": ["c", "f"], "default": "f"}, "f"),
    "examples": ({"type": "string", "pattern": r"\bq\b.\bq\b", "examples": ["q q"]}, "q q"),
    "minimum": ({"type": "integer", "minimum": 7}, 7),
    "maximum": ({"type": "integer", "maximum": -7}, -7),
    "exclusive bounds": ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    "exclusive integers": ({"type": "integer", "exclusiveMinimum": 5}, 6),
    "multipleOf": ({"type": "integer", "minimum": 5, "multipleOf": 7}, 7),
    "several multiples": ({"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "minimum": 1}, 12),
    "beyond 64 bits": ({"type": "integer", "minimum": 1e25}, 1e25),
    "minLength": ({"type": "string", "minLength": 6}, "text t"),
    "maxLength": ({"type": "string", "maxLength": 2}, "1t"),
    "pattern": ({"type": "string", "pattern": r"^[A-Z]{3}-\d{4}$"}, "AAA-0000"),
    "format": ({"type": "string", "format": "date"}, "2026-01-01"),
    "required": ({"required": ["a"]}, {"a": "text"}),
    "additionalProperties": ({"required": ["a"], "additionalProperties": INTEGER}, {"a": 1}),
    "patternProperties": ({"required": ["x-a"], "patternProperties": {"^x-": INTEGER}}, {"x-a": 1}),
    "minProperties": ({"type": "object", "minProperties": 2}, {"member1": "text", "member2": "text"}),
    "names by pattern": (
        {"patternProperties": {"^x-": INTEGER}, "additionalProperties": False, "minProperties": 2},
        {"x-": 1, "x-0": 1},
    ),
    "propertyNames": ({"minProperties": 1, "propertyNames": {"pattern": "^[k]{2}$"}}, {"kk": "text"}),
    "maxProperties": ({"properties": {"a": INTEGER, "b": INTEGER}, "maxProperties": 1}, {"a": 1}),
    "dependentRequired": ({"required": ["a"], "dependentRequired": {"a": ["b"]}}, {"a": "text", "b": "text"}),
    "items": ({"items": INTEGER}, [1]),
    "no items needed": ({"type": "array"}, []),
    "prefixItems": ({"prefixItems": [STRING, INTEGER], "items": False}, ["text", 1]),
    "minItems": ({"items": INTEGER, "minItems": 3}, [1, 1, 1]),
    "uniqueItems": ({"items": STRING, "minItems": 2, "uniqueItems": True}, ["text", "text 2"]),
    "unique enum": ({"items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
    "contains": ({"type": "array", "contains": {"const": 7}, "minContains": 2}, [7, 7]),
    "contains after prefix": ({"prefixItems": [STRING], "contains": {"const": 7}}, ["text", 7]),
    "anyOf": ({"anyOf": [{"type": "null"}, INTEGER]}, 1),
    "anyOf, a branch that fails": ({"anyOf": [{"minLength": 9, "maxLength": 1}, INTEGER]}, 1),
    "oneOf": ({"oneOf": [INTEGER, {"type": "integer", "minimum": 0}]}, -1),
    "allOf": ({"allOf": [{"minimum": 3}, {"maximum": 3}]}, 3),
    "$ref": ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": INTEGER}}, 1),
    "$ref to definitions": ({"$ref": "#/definitions/%24x", "definitions": {"$x": INTEGER}}, 1),
    "$anchor": ({"$ref": "#here", "$defs": {"x": {"$anchor": "here", **INTEGER}}}, 1),
    "recursion": (TREE_SCHEMA, {"name": "Sample", "kids": []}),
    "recursion with a way out": (
        {
            "type": "object",
            "required": ["next"],
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        },
        {"next": None},
    ),
    "if": (
        {
            "required": ["kind"],
            "properties": {"kind": {"enum": ["a", "b"]}},
            "if": {"properties": {"kind": {"const": "b"}}},
            "then": {"required": ["size"], "properties": {"size": INTEGER}},
        },
        {"kind": "b", "size": 1},
    ),
    "not": ({"type": "string", "not": {"const": "text"}}, "text 2"),
    "dependentSchemas": (
        {"required": ["a"], "dependentSchemas": {"a": {"required": ["b"]}}},
        {"a": "text", "b": "text"},
    ),
    "unevaluatedProperties": (
        {"allOf": [{"required": ["a"]}], "unevaluatedProperties": INTEGER},
        {"a": 1},
    ),
    "keywords as names": ({"properties": {"$ref": STRING, "enum": INTEGER}}, {"$ref": "text", "enum": 1}),
}


@pytest.mark.parametrize(("schema", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_keywords(schema: Any, expected: Any) -> None:
    value = generate_value(schema)
    assert (value, type(value)) == (expected, type(expected))
    assert is_valid(schema, value)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "date",
            "date-time",
            "time",
            "duration",
            "email",
            "idn-email",
            "uri",
            "uri-reference",
            "iri",
            "uuid",
        ),
        *("ipv4", "ipv6", "hostname", "idn-hostname", "json-pointer", "relative-json-pointer", "regex"),
        *("iri-reference", "uri-template", "of-our-own"),
    ],
)
def test_formats(name: str) -> None:
    schema = {"items": {"type": "string", "format": name}, "minItems": 2, "uniqueItems": True}
    assert is_valid(schema, generate_value(schema))


@pytest.mark.parametrize(
    "properties",
    [
        {"unit": {"enum": ["celsius", "fahrenheit", "kelvin"]}, "city": {"type": "string"}},
        {"left": {"enum": list("abcde")}, "right": {"enum": [1, 2, 3, None]}},
        {"value": {"anyOf": [{"enum": list("abcdefg")}, {"type": "integer"}, {"enum": ["x", "y"]}]}},
        {"name": {"oneOf": [{"type": "string", "minLength": 3000}, {"const": 1}]}},
    ],
)
def test_arguments_for_text_are_those_for_the_schema(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties, "required": [*properties]}
    text = json.dumps(schema).encode()
    seeds = [number * 7919 for number in range(150)]
    expected = [generate_arguments(schema, seed) for seed in seeds]
    assert [generate_arguments_for_text(text, seed) for seed in seeds] == expected
    assert len(set(expected)) > 1


def test_seed_varies_choices_and_is_repeatable() -> None:
    schema = {"properties": {"unit": {"enum": ["a", "b", "c"]}, "size": {"anyOf": [INTEGER, STRING]}}}
    arguments = [generate_arguments(schema, seed) for seed in range(6)]
    assert len(set(arguments)) > 2
    assert arguments == [generate_arguments(schema, seed) for seed in range(6)]
    assert generate_arguments(schema, 10**30)


UNSATISFIABLE_SCHEMAS: dict[str, tuple[Any, str]] = {
    "false": (False, ""),
    "false member": ({"type": "object", "required": ["a"], "properties": {"a": False}}, "/properties/a"),
    "not an object": ([], ""),
    "a string": ("{}", ""),
    "wrong type of a keyword": ({"properties": {"a": {"minLength": "x"}}}, "/properties/a/minLength"),
    "unknown type": ({"items": {"type": "text"}}, "/items/type"),
    "broken pattern": ({"properties": {"code": {"pattern": "("}}}, "/properties/code/pattern"),
    "lookahead": ({"properties": {"code": {"pattern": "(?=a)b"}}}, "/properties/code/pattern"),
    "backreference": (
        {"required": ["a/b"], "properties": {"a/b": {"pattern": r"(a)\1"}}},
        "/properties/a~1b/pattern",
    ),
    "pattern against length": ({"type": "string", "pattern": "^abc$", "minLength": 5}, "/pattern"),
    "minLength": ({"type": "string", "minLength": 10**9}, "/minLength"),
    "lengths": ({"type": "string", "minLength": 5, "maxLength": 3}, "/maxLength"),
    "bounds": ({"type": "integer", "minimum": 5, "maximum": 3}, "/maximum"),
    "minItems": ({"type": "array", "minItems": 10**9}, "/minItems"),
    "uniqueItems": (
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True},
        "/uniqueItems",
    ),
    "minContains": ({"type": "array", "contains": {}, "minContains": 10**9}, "/minContains"),
    "minProperties": ({"type": "object", "minProperties": 10**9}, "/minProperties"),
    "closed": ({"type": "object", "additionalProperties": False, "minProperties": 1}, "/minProperties"),
    "closed and required": (
        {"type": "object", "required": ["a"], "additionalProperties": False},
        "/additionalProperties",
    ),
    "types": ({"allOf": [STRING, INTEGER]}, "/allOf/1/type"),
    "not": ({"not": {}}, "/not"),
    "remote": ({"properties": {"a": {"$ref": "https://example.invalid/x"}}}, "/properties/a/$ref"),
    "dangling": ({"properties": {"a": {"$ref": "#/$defs/x"}}}, "/properties/a/$ref"),
    "endless": (
        {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}},
        "/properties/next/$ref",
    ),
    "NaN": ({"const": float("nan")}, "/const"),
    "surrogate": ({"enum": ["\ud800"]}, "/enum/0"),
    "big integer": ({"minimum": 10**400}, "/minimum"),
    "no JSON": ({"enum": {1, 2}}, "/enum"),
    "no name": ({1: 2}, ""),
}


@pytest.mark.parametrize(("schema", "where"), UNSATISFIABLE_SCHEMAS.values(), ids=UNSATISFIABLE_SCHEMAS)
def test_error_points_at_the_failing_keyword(schema: Any, where: str) -> None:
    assert schema_error(schema).pointer == where
    assert schema_error(schema).reason


def test_arguments_are_an_object() -> None:
    for schema in (STRING, {"const": 5}, {"type": ["array", "null"]}, {"enum": [[], "x"]}):
        with pytest.raises(UnsatisfiableSchema):
            generate_arguments(schema)
    assert generate_arguments({"anyOf": [STRING, {"required": ["a"]}]}) == '{"a":"text"}'


NAMES = st.sampled_from(["city", "command", "path", "url", "count", "tags", "a", "b", "force"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 20), st.sampled_from(["a", "x y", ""]), st.just(1.5)
)
PATTERNS = st.sampled_from(["^[a-z]+$", "^[0-9]{2,4}$", "^(a|b)c*$", "[A-Z]{2}", "^/tmp/", "^https?://"])
SIZES = st.integers(0, 3)


def schemas_of_type(kind: str, **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=keywords)


LEAVES = st.one_of(
    schemas_of_type("string", minLength=st.integers(0, 6), maxLength=st.integers(4, 60), pattern=PATTERNS),
    schemas_of_type("string", format=st.sampled_from(["date", "uuid", "email", "ipv4"])),
    schemas_of_type(
        "integer", minimum=st.integers(-20, 20), maximum=st.integers(10, 90), multipleOf=st.integers(1, 5)
    ),
    schemas_of_type(
        "number", exclusiveMinimum=st.integers(-20, 20), maximum=st.integers(10, 90), multipleOf=st.just(0.5)
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {}, True]),
    st.fixed_dictionaries({"enum": st.lists(SCALARS, min_size=1, max_size=4)}, optional={"default": SCALARS}),
    st.fixed_dictionaries({"const": SCALARS}),
    st.sampled_from([{"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/tree"}]),
)


def composite_schemas(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(parts, min_size=1, max_size=3)
    names = st.lists(NAMES, max_size=2, unique=True)
    members = schemas_of_type(
        "object",
        properties=st.dictionaries(NAMES, parts, max_size=4),
        required=names,
        additionalProperties=parts | st.booleans(),
        minProperties=SIZES,
        maxProperties=st.integers(2, 5),
        propertyNames=st.just({"maxLength": 7}),
        patternProperties=st.dictionaries(st.sampled_from(["^c", "a$", "^x-"]), parts, max_size=1),
        dependentRequired=st.dictionaries(NAMES, names, max_size=2),
    )
    items = schemas_of_type(
        "array",
        items=parts,
        prefixItems=some,
        minItems=SIZES,
        maxItems=st.integers(2, 5),
        uniqueItems=st.booleans(),
        contains=parts,
    )
    branches = (st.fixed_dictionaries({keyword: some}) for keyword in ("anyOf", "oneOf", "allOf"))
    conditions = st.fixed_dictionaries({"if": parts, "then": parts}, optional={"else": parts})
    return st.one_of(
        members,
        members,
        items,
        *branches,
        conditions,
        st.fixed_dictionaries({"not": parts, "type": st.just("string")}),
    )


SCHEMAS = st.recursive(LEAVES, composite_schemas, max_leaves=8).map(
    lambda schema: {
        "allOf": [schema],
        "$defs": {
            "leaf": {"type": "integer", "minimum": 3},
            "tree": TREE_SCHEMA | {"properties": {"kids": {"items": {"$ref": "#/$defs/tree"}}}},
        },
    }
)
# An explicit size, so that every Hypothesis profile runs the same examples.
MANY_EXAMPLES = settings(max_examples=300, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.slow
@MANY_EXAMPLES
@given(schema=SCHEMAS, pick=st.integers(0, 5))
def test_generated_value_is_valid_under_jsonschema(schema: Any, pick: int) -> None:
    try:
        value = generate_value(schema, seed=pick)
    except UnsatisfiableSchema:
        return
    assert is_valid(schema, value)
    assert generate_value(schema, seed=pick) == value


@pytest.mark.slow
@MANY_EXAMPLES
@given(schema=SCHEMAS, value=SCALARS | st.lists(SCALARS) | st.dictionaries(NAMES, SCALARS))
def test_satisfiable_branch_is_found(schema: Any, value: Any) -> None:
    whole = {"anyOf": [schema, {"const": value}], "$defs": schema["$defs"]}
    assert is_valid(whole, generate_value(whole))


KEYWORDS = st.sampled_from(
    "type enum const default properties required additionalProperties minProperties patternProperties"
    " propertyNames dependentRequired dependentSchemas items prefixItems minItems uniqueItems contains"
    " minContains anyOf oneOf allOf not if then else $ref $dynamicRef $defs $id $anchor $schema minimum"
    " exclusiveMaximum multipleOf minLength pattern format unevaluatedProperties unevaluatedItems examples"
    " a command".split()
)
KEYWORD_VALUES = st.sampled_from(
    ["", *"object array string integer # #/ #/a #/$defs/a a ^a ( [ \\ date http://[ ~ %".split()]
)
ARBITRARY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), KEYWORD_VALUES, st.text(max_size=4)),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYWORDS | KEYWORD_VALUES, part, max_size=5),
    max_leaves=15,
)


@pytest.mark.slow
@settings(MANY_EXAMPLES, max_examples=600)
@given(schema=st.dictionaries(KEYWORDS, ARBITRARY_JSON) | ARBITRARY_JSON)
def test_arbitrary_schema_raises_only_unsatisfiable(schema: Any) -> None:
    for generate in (generate_value, generate_arguments):
        error = generation_error(generate, schema)
        assert error is None or error.pointer[:1] in {"", "/"}


def many_parts(count: int) -> Schema:
    """A schema of many parts about one member each, and of some about any member."""
    parts: list[Schema] = [
        {"properties": {f"p{at}": {"type": "integer", "minimum": at}}, "required": [f"p{at}"]}
        for at in range(count)
    ]
    parts[3:3] = [{"patternProperties": {"1$": {"multipleOf": 3}}}, {"properties": {"p5": {"maximum": 90}}}]
    return {"type": "object", "allOf": [*parts, {"additionalProperties": {"multipleOf": 2}}]}


def test_members_of_many_parts_cost_no_more_than_their_own_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    schema, looked_at = many_parts(100), 0

    def count(*arguments: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return child_nodes(*arguments)

    monkeypatch.setattr("mockserver.replies.json_schema.generator.child_nodes", count)
    value = generate_value(schema, "", 7)
    assert is_valid(schema, value)
    assert looked_at < 2_000  # 10,000 if each part was looked at for each member
    monkeypatch.setattr(generator, "_MAX_UNINDEXED_NODES", 1_000)
    assert generate_value(schema, "", 7) == value
    assert looked_at > 10_000
