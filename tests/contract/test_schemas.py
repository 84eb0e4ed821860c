"""Schemas: one profile's age of them, open and closed, with their sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from mockserver import resources
from mockserver.contract.schemas import ProfileSchemas, schemas
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


def members(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property a schema defines; conditions define none."""
    for name, member in schema.get("properties", {}).items():
        yield f"{path}/{name}", member
        yield from members(member, f"{path}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from members(schema[keyword], f"{path}/{keyword}")


@pytest.mark.parametrize("name", [*CORE, *CHAT])
def test_every_schema_is_one_and_tells_its_sources(name: str) -> None:
    schema = {**CORE, **CHAT}[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]
    for path, member in members(schema):
        assert SOURCE.search(member.get("description", "")), path
        assert re.fullmatch(r"20\d\d-\d\d", member.get("x-since", "2026-01")), path


def test_nothing_the_two_validators_read_differently() -> None:
    files = [*resources.json_files("schemas", "core"), *resources.json_files("schemas", "chat")]
    text = b"".join(data for _, data in files).decode()
    assert "multipleOf" not in text
    assert r"\\d" not in text
    assert r"\\w" not in text


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("closed", [False, True])
def test_a_document_stands_alone(name: str, closed: bool) -> None:
    document = schemas().document(name, closed)
    jsonschema.Draft202012Validator.check_schema(document)
    references = re.findall(r'"\$ref":"([^"]+)"', json.dumps(document).decode())
    assert {each.removeprefix("#/$defs/") for each in references} <= document.get("$defs", {}).keys()


def test_a_document_is_the_callers_own() -> None:
    schemas().document("usage")["properties"].clear()
    assert schemas().document("usage")["properties"]


def test_the_parameters_are_those_of_the_profile() -> None:
    parameters = schemas().document("create_request", closed=True)["properties"]
    named = {name for name, schema in parameters.items() if schema != {"type": "null"}}
    assert named == set(load_profile().parameters)


def test_overlays_are_applied() -> None:
    action = schemas().document("web_search_call")["properties"]["action"]
    assert action["required"] == ["type", "query"]
    assert "description" in action["properties"]["query"]


def test_an_overlay_of_no_schema_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no_such"):
        ProfileSchemas("made-up", "2026-01", {"no_such": {}})


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(UnknownSchema, match="create_request"):
        schemas().document("nothing")


def test_members_of_a_later_age() -> None:
    later = ProfileSchemas("later", "2026-09", {})
    response = {**samples.response(), "temperature": 1.0}
    assert schemas().valid("response", response)
    assert not schemas().closed_valid("response", response)
    assert later.closed_valid("response", response)
    assert not later.valid("response", {**response, "temperature": "hot"})
    # A print-out of an SDK has later members too: as null, which is absence.
    assert schemas().closed_valid("response", {**response, "temperature": None})


def test_types_of_a_later_age() -> None:
    later = ProfileSchemas("later", "2026-09", {})
    assert "response.incomplete" in later.event_types
    assert "response.incomplete" not in schemas().event_types
    item = {"type": "mcp_call", "id": "msg_0"}
    assert schemas().valid("item", item)
    assert not later.valid("item", item)


def test_closed_refuses_unknown_members_and_types() -> None:
    known = schemas()
    assert known.closed_valid("message", samples.response()["output"][0])
    for stranger in ({**samples.response()["output"][0], "phase": "final"}, {"type": "custom:note"}):
        assert known.valid("item", stranger)
        assert not known.closed_valid("item", stranger)


@pytest.mark.parametrize("value", [{"\ud800": 1}, {1: 2}, {"model": {1}}, float("nan"), 10**400, None])
def test_what_is_no_json_is_not_valid(value: Any) -> None:
    assert not schemas().valid("create_request", value)


def test_problems_are_named_by_pointer_and_in_words() -> None:
    [problem] = schemas().problems("input_item", {"role": "tool", "content": "x"})
    assert (problem.pointer, problem.keyword) == ("/role", "enum")
    assert problem.message == "role must be one of user, assistant, system, developer"
    [problem] = schemas().problems("response.created", {**samples.text_stream()[0], "response": 3})
    assert (problem.pointer, problem.expected, problem.got) == ("/response", "object", 3)
