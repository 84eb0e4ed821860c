"""Schemas of a profile, open and closed, with their sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from mockserver import resources
from mockserver.contract.schema.registry import ProfileSchemas, load_schemas
from mockserver.errors import ConfigurationError, UnknownSchema
from mockserver.profiles import load_profile
from mockserver.wire import json
from tests.contract import samples

CORE = {name: json.loads(data) for name, data in resources.json_files("schemas", "core")}
CHAT = {name: json.loads(data) for name, data in resources.json_files("schemas", "chat")}

SOURCE = re.compile(
    r"Source: (guide|API reference|live recording|live probes|error catalogue|retrieve page|inferred"
    r"|sent by clients|openai-python 2\.15)"
)


def schema_members(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property a schema defines; conditions define none."""
    for name, member in schema.get("properties", {}).items():
        yield f"{path}/{name}", member
        yield from schema_members(member, f"{path}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from schema_members(schema[keyword], f"{path}/{keyword}")


@pytest.mark.parametrize("name", [*CORE, *CHAT])
def test_every_schema_is_valid_and_names_its_sources(name: str) -> None:
    schema = {**CORE, **CHAT}[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]
    for path, member in schema_members(schema):
        assert SOURCE.search(member.get("description", "")), path
        assert re.fullmatch(r"20\d\d-\d\d", member.get("x-since", "2026-01")), path


def test_schemas_avoid_what_the_validators_read_differently() -> None:
    files = [*resources.json_files("schemas", "core"), *resources.json_files("schemas", "chat")]
    text = b"".join(data for _, data in files).decode()
    assert "multipleOf" not in text
    assert r"\\d" not in text
    assert r"\\w" not in text


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("closed", [False, True])
def test_a_document_is_self_contained(name: str, closed: bool) -> None:
    document = load_schemas().document(name, closed)
    jsonschema.Draft202012Validator.check_schema(document)
    references = re.findall(r'"\$ref":"([^"]+)"', json.dumps(document).decode())
    assert {each.removeprefix("#/$defs/") for each in references} <= document.get("$defs", {}).keys()


def test_a_document_is_a_copy() -> None:
    load_schemas().document("usage")["properties"].clear()
    assert load_schemas().document("usage")["properties"]


def test_the_parameters_are_those_of_the_profile() -> None:
    parameters = load_schemas().document("create_request", closed=True)["properties"]
    named = {name for name, schema in parameters.items() if schema != {"type": "null"}}
    assert named == set(load_profile().parameters)


def test_overlays_are_applied() -> None:
    action = load_schemas().document("web_search_call")["properties"]["action"]
    assert action["required"] == ["type", "query"]
    assert "description" in action["properties"]["query"]


def test_an_overlay_for_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no_such"):
        ProfileSchemas("made-up", "2026-01", {"no_such": {}})


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(UnknownSchema, match="create_request"):
        load_schemas().document("nothing")


def test_members_of_a_later_profile() -> None:
    later = ProfileSchemas("later", "2026-09", {})
    response = {**samples.response(), "temperature": 1.0}
    assert load_schemas().is_valid("response", response)
    assert not load_schemas().is_closed_valid("response", response)
    assert later.is_closed_valid("response", response)
    assert not later.is_valid("response", {**response, "temperature": "hot"})
    # A print-out of an SDK has later members too: as null, which is absence.
    assert load_schemas().is_closed_valid("response", {**response, "temperature": None})


def test_types_of_a_later_profile() -> None:
    later = ProfileSchemas("later", "2026-09", {})
    assert "response.incomplete" in later.event_types
    assert "response.incomplete" not in load_schemas().event_types
    item = {"type": "mcp_call", "id": "msg_0"}
    assert load_schemas().is_valid("item", item)
    assert not later.is_valid("item", item)


def test_a_closed_schema_rejects_unknown_members_and_types() -> None:
    known = load_schemas()
    assert known.is_closed_valid("message", samples.response()["output"][0])
    for stranger in ({**samples.response()["output"][0], "phase": "final"}, {"type": "custom:note"}):
        assert known.is_valid("item", stranger)
        assert not known.is_closed_valid("item", stranger)


@pytest.mark.parametrize("value", [{"\ud800": 1}, {1: 2}, {"model": {1}}, float("nan"), 10**400, None])
def test_a_value_that_is_not_json_is_invalid(value: Any) -> None:
    assert not load_schemas().is_valid("create_request", value)


def test_violations_have_a_pointer_and_a_message() -> None:
    [problem], _ = load_schemas().violations("input_item", {"role": "tool", "content": "x"})
    assert (problem.pointer, problem.keyword) == ("/role", "enum")
    assert problem.message == "role must be one of user, assistant, system, developer"
    [problem], _ = load_schemas().violations("response.created", {**samples.text_stream()[0], "response": 3})
    assert (problem.pointer, problem.expected, problem.got) == ("/response", "object", 3)
