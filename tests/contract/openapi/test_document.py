"""The OpenAPI document is valid, complete, and agrees with the schemas it is made from."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, OpenAPIV32SpecValidator

from mockserver import resources
from mockserver.contract.check import check_request
from mockserver.contract.findings import errors
from mockserver.contract.openapi.document import OPENAPI_VERSIONS, openapi_document
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import ConfigurationError
from mockserver.exchanges import packaged_exchanges
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names
from mockserver.wire import json
from tests.contract import samples
from tests.marks import slow_except
from tests.programs import run_program

VALIDATORS: dict[str, Any] = {"3.1": OpenAPIV31SpecValidator, "3.2": OpenAPIV32SpecValidator}


def document(version: str = "3.2") -> dict[str, Any]:
    return openapi_document(DEFAULT_PROFILE, version)


def create_operation(version: str = "3.2") -> dict[str, Any]:
    operation: dict[str, Any] = document(version)["paths"]["/responses"]["post"]
    return operation


@pytest.mark.parametrize("version", OPENAPI_VERSIONS)
@pytest.mark.parametrize("profile", slow_except([DEFAULT_PROFILE], profile_names()))
def test_the_document_is_valid(version: str, profile: str) -> None:
    about = openapi_document(profile, version)
    assert about["openapi"].startswith(version)
    VALIDATORS[version](about).validate()


def test_every_reference_resolves_and_every_component_is_used() -> None:
    text = json.dumps(document()).decode()
    told = set(re.findall(r"#/components/schemas/([^\"]+)", text))
    assert told == set(document()["components"]["schemas"])


@pytest.mark.parametrize(("version", "keyword"), [("3.1", "schema"), ("3.2", "itemSchema")])
def test_a_stream_is_described_by_its_events(version: str, keyword: str) -> None:
    stream = create_operation(version)["responses"]["200"]["content"]["text/event-stream"]
    assert list(stream) == [keyword]
    data = stream[keyword]["properties"]["data"]
    assert data["contentSchema"] == {"$ref": "#/components/schemas/event"}


def test_security_and_error_responses() -> None:
    assert document()["security"] == [{"bearer": []}]
    assert {status for status in create_operation()["responses"] if status >= "400"} >= {
        "400",
        "401",
        "403",
        "413",
    }


def test_the_response_id_links_to_the_next_turn() -> None:
    [link] = create_operation()["responses"]["200"]["links"].values()
    assert link["operationId"] == create_operation()["operationId"]
    assert link["requestBody"] == {"previous_response_id": "$response.body#/id"}


def test_the_examples_are_the_packaged_exchanges() -> None:
    examples = create_operation()["requestBody"]["content"]["application/json"]["examples"]
    exchanges = packaged_exchanges(DEFAULT_PROFILE)
    assert examples == {each.name: {"value": each.request} for each in exchanges if each.request}
    for part in (examples, create_operation()["responses"]["200"]["content"]["application/json"]["examples"]):
        assert part


def test_the_model_enum_lists_the_accepted_models() -> None:
    def named(**how: Any) -> Any:
        about = openapi_document(DEFAULT_PROFILE, **how)
        return about["components"]["schemas"]["create_request"]["properties"]["model"].get("enum")

    assert named() == list(load_profile().models)
    assert named(models=["b", "a"]) == ["a", "b"]
    assert named(models=()) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response", samples.response(samples.tools_stream())),
        ("create_request", {**samples.REQUEST, "input": [{"role": "user", "content": "x"}]}),
        ("create_request", {**samples.REQUEST, "input": [{"type": "custom:note"}]}),
        *[("event", event) for event in samples.tools_stream() + samples.function_stream()],
        ("event", {"type": "custom:note"}),
        ("item", {"type": "message"}),
        ("input_item", {"type": "function_call"}),
        ("create_request", {**samples.REQUEST, "input": []}),
        ("content_part", {"type": "refusal", "refusal": ""}),
    ],
)
def test_components_and_schemas_agree(name: str, value: Any) -> None:
    components = {"components": {"schemas": document()["components"]["schemas"]}}
    reference: Any = jsonschema.Draft202012Validator
    component = reference({**components, "$ref": f"#/components/schemas/{name}"})
    assert component.is_valid(value) == load_schemas().is_valid(name, value)


@pytest.mark.parametrize(
    "parameter",
    [
        {"metadata": 5},
        {"parallel_tool_calls": "yes"},
        {"text": {"format": {"type": "markdown"}}},
        {"text": {"format": {"type": "json_schema"}}},
        {"text": {"format": {}}},
        {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
    ],
    ids=lambda parameter: next(iter(parameter)),
)
def test_the_document_allows_what_the_service_accepts(parameter: dict[str, Any]) -> None:
    """A request that brings an info at most is valid: its rule describes the reference, not a refusal."""
    profile = "qwen-2026-09"
    request = {"model": load_profile(profile).models[0], "input": "x", **parameter}
    components = {"components": {"schemas": openapi_document(profile)["components"]["schemas"]}}
    reference: Any = jsonschema.Draft202012Validator
    assert reference({**components, "$ref": "#/components/schemas/create_request"}).is_valid(request)
    assert not errors(check_request(request, profile))


def test_an_unknown_openapi_version_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"there are: 3\.2, 3\.1"):
        openapi_document(DEFAULT_PROFILE, "3.0")


@pytest.mark.slow
def test_every_schema_file_is_a_schema(tmp_path: Path) -> None:
    here = resources.data_folder("schemas")
    files = [str(here / name) for name in ("admin.json", "exchange.json", "report.json", "verification.json")]
    for folder in ("core", "openai", "chat"):
        files += [str(here / folder / f"{name}.json") for name, _ in resources.json_files("schemas", folder)]
    for profile in profile_names():
        for name in load_schemas(profile).all_schemas():
            file = tmp_path / f"{profile}-{name}.json"
            file.write_bytes(json.dumps(load_schemas(profile).document(name, closed=True)))
            files.append(str(file))
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", *files]
    ran = run_program(command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
