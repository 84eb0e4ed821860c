"""`mockserver schema`: one schema, all of them, and the OpenAPI document."""

from __future__ import annotations

import json

import jsonschema
import pytest

from mockserver.contract.chat.service import load_chat_schemas
from mockserver.contract.openapi.document import openapi_document
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import DEFAULT_PROFILE
from tests.cli.conftest import RunCli
from tests.contract import samples


def test_schemas_are_listed(run_cli: RunCli) -> None:
    code, out, _ = run_cli("schema")
    names = [line.split()[0] for line in out.splitlines()]
    assert code == 0
    assert names == [
        *load_schemas().all_schemas(),
        *load_chat_schemas().all_schemas(),
        "exchange",
        "exchange_file",
        "prices",
        "report",
        "verification",
    ]
    assert {"create_request", "response", "event", "response.output_text.delta"} <= set(names)
    assert "response.incomplete" not in names


def test_a_schema_references_the_others(run_cli: RunCli) -> None:
    code, out, _ = run_cli("schema", "response")
    assert code == 0
    value = json.loads(out)
    assert value["properties"]["usage"]["$ref"] == "usage.json"
    assert "temperature" not in value["properties"]


def test_chat_completions_schemas(run_cli: RunCli) -> None:
    _, out, _ = run_cli("schema", "chat_completion", "--bundle")
    validator = jsonschema.Draft202012Validator(json.loads(out))
    assert not validator.is_valid({"object": "chat.completion"})


def test_a_bundle_is_self_contained(run_cli: RunCli) -> None:
    _, out, _ = run_cli("schema", "response", "--bundle", "--profile", DEFAULT_PROFILE)
    alone = jsonschema.Draft202012Validator(json.loads(out))
    _, out, _ = run_cli("schema", "--bundle")
    whole = jsonschema.Draft202012Validator({**json.loads(out), "$ref": "#/$defs/response"})
    for validator in (alone, whole):
        assert validator.is_valid(samples.response())
        assert not validator.is_valid({**samples.response(), "status": 7})


@pytest.mark.parametrize("name", ["exchange", "exchange_file", "prices", "report"])
def test_project_schemas(name: str, run_cli: RunCli) -> None:
    _, out, _ = run_cli("schema", name)
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


@pytest.mark.parametrize("version", ["3.1", "3.2"])
def test_openapi(version: str, run_cli: RunCli) -> None:
    _, out, _ = run_cli("schema", "--openapi", version)
    assert json.loads(out) == openapi_document(DEFAULT_PROFILE, version)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "has no schema 'nothing'; choose from: "),
        (["--profile", "nothing"], "no profile 'nothing'; choose from: "),
        (["response", "--openapi", "3.1"], "--openapi prints the whole document"),
        (["--bundle", "--openapi", "3.1"], "--openapi prints the whole document"),
        (["--openapi", "2.0"], "Invalid value for '--openapi'"),
    ],
)
def test_unknown_names_and_bad_combinations(arguments: list[str], message: str, run_cli: RunCli) -> None:
    code, out, err = run_cli("schema", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "conversation" not in err  # a schema of later profiles
