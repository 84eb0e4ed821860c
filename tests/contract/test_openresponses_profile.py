"""The profile of Open Responses: its schemas, extensions and failing streams."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from mockserver import resources
from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.detection import detect_profile
from mockserver.contract.findings import errors
from mockserver.contract.schema.registry import load_schemas
from mockserver.testing.strategies.framing import encode_events
from mockserver.wire import json
from tests.contract import rendered_samples
from tests.contract.schema.test_registry import schema_members

NAME = "openresponses-2026-04"
SCHEMAS = {name: json.loads(data) for name, data in resources.json_files("schemas", "openresponses")}

SOURCE = re.compile(
    r"Source: (Open Responses (OpenAPI document, 2026-04-24|specification, April 2026)|sent by clients)"
)


def wire_stream(name: str) -> list[dict[str, Any]]:
    return dict(rendered_samples.streams(NAME))[f"{name}, wire"]


def response() -> dict[str, Any]:
    return dict(rendered_samples.responses(NAME))["text, wire"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_valid_and_names_its_sources(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["title"]
    assert SCHEMAS[name]["description"]
    for path, member in schema_members(SCHEMAS[name]):
        assert SOURCE.search(member.get("description", "")), path


def test_it_has_the_events_and_items_of_the_document() -> None:
    known = load_schemas(NAME)
    assert len(known.event_types) == 24
    kinds = known.document("item", closed=True)["properties"]["type"]["enum"]
    assert sorted(kinds) == ["compaction", "function_call", "function_call_output", "message", "reasoning"]


def test_every_member_of_a_response_is_required() -> None:
    whole = response()
    assert len(whole) == 31
    for name in whole:
        broken = {each: value for each, value in whole.items() if each != name}
        found = errors(check_response(broken, NAME))
        assert [(each.rule, each.pointer) for each in found][:1] == [("SCH-002", f"/{name}")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_at", 1769084048.5),
        ("truncation", None),
        ("temperature", None),
        ("reasoning", {"effort": "low"}),
        ("tools", [{"type": "function", "name": "f"}]),
        ("text", {}),
        ("tool_choice", {"type": "allowed_tools", "tools": []}),
        ("usage", {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}),
    ],
)
def test_a_member_of_the_wrong_type_is_an_error(name: str, value: Any) -> None:
    assert errors(check_response({**response(), name: value}, NAME))


def test_null_logprobs_are_an_error() -> None:
    broken = response()
    broken["output"][0]["content"][0]["logprobs"] = None
    [found] = check_response(broken, NAME)
    assert (found.rule, found.pointer) == ("SCH-001", "/output/0/content/0/logprobs")


def test_prefixed_extensions_are_valid() -> None:
    item = {"type": "acme:search_call", "id": "sc_1", "status": "completed", "hits": [1]}
    assert check_response({**response(), "output": [item]}, NAME) == []
    events = wire_stream("text")
    events.insert(2, {"type": "acme:trace_event", "sequence_number": 0, "note": "x"})
    for number, event in enumerate(events):
        event["sequence_number"] = number
    assert check_stream(events, NAME) == []
    asked = {"model": "any", "input": [item], "tools": [{"type": "acme:search", "depth": 3}]}
    assert check_request(asked, NAME) == []


def test_unprefixed_extensions_are_reported() -> None:
    item = {"type": "search_call", "id": "sc_1", "status": "completed"}
    assert [each.rule for each in check_response({**response(), "output": [item]}, NAME)] == ["SCH-005"]
    asked = {"model": "any", "input": "x", "tools": [{"type": "web_search"}]}
    assert [each.rule for each in check_request(asked, NAME)] == ["REQ-006"]


@pytest.mark.parametrize("missing", ["id", "status"])
def test_an_extension_item_needs_id_and_status(missing: str) -> None:
    item = {"type": "acme:search_call", "id": "sc_1", "status": "completed"}
    del item[missing]
    found = check_response({**response(), "output": [item]}, NAME)
    assert [(each.rule, each.pointer) for each in found] == [("SCH-002", f"/output/0/{missing}")]


def test_an_error_event_is_followed_by_response_failed() -> None:
    events = wire_stream("failed")
    assert [event["type"] for event in events][-2:] == ["error", "response.failed"]
    assert check_stream(events, NAME) == []
    assert [each.rule for each in check_stream(events[:-1], NAME)] == ["SEQ-006"]
    told = {**events[-2], "sequence_number": 2}
    rest = wire_stream("text")[2:]
    mixed = [
        *wire_stream("text")[:2],
        told,
        *({**each, "sequence_number": 3 + at} for at, each in enumerate(rest)),
    ]
    assert "SEQ-007" in {each.rule for each in errors(check_stream(mixed, NAME))}


def test_error_bodies() -> None:
    error = {"message": "x", "type": "invalid_request", "param": "model", "code": None}
    assert check_error({"error": error}, NAME, status=400) == []
    for wrong in (
        {"code": "x", "message": "y", "request_id": "z"},
        {"error": {"message": "x"}},
        {"error": "x"},
    ):
        assert errors(check_error(wrong, NAME, status=400))


@pytest.mark.parametrize("rendering", ["wire", "documented"])
def test_the_profile_is_detected(rendering: str) -> None:
    events = dict(rendered_samples.streams(NAME))[f"thinking, {rendering}"]
    assert detect_profile(json.dumps(events), events).profile == NAME
    assert detect_profile(b"".join(encode_events(events, NAME))).profile == NAME
    assert (
        detect_profile(b"", dict(rendered_samples.responses(NAME))[f"functions, {rendering}"]).profile == NAME
    )


def test_extensions_of_other_servers_are_detected() -> None:
    for kind in ("acme:trace_event", "response.reasoning.delta"):
        event = {"type": kind, "sequence_number": 3}
        assert detect_profile(json.dumps(event), event).profile == NAME
    item = {"id": "sc_1", "type": "acme:search_call", "status": "completed"}
    assert detect_profile(b"", {**response(), "id": "r", "output": [item]}).profile == NAME
