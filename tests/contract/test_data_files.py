"""Every file of `tests/data`: valid files bring no error, invalid files their rule, and the validators agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.findings import Finding, errors
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.wire import json

DATA = Path(__file__).parent.parent / "data"

CHECKS: dict[str, Callable[..., list[Finding]]] = {
    "request": check_request,
    "response": check_response,
    "stream": check_stream,
    "error": check_error,
}


def data_files(kind: str) -> list[Any]:
    return [
        pytest.param(path, id="/".join(path.relative_to(DATA).parts[1:]))
        for path in sorted((DATA / kind).rglob("*.json"))
    ]


def check_data(file: Path, value: Any) -> list[Finding]:
    about = json.loads(file.read_bytes())
    trimmed = {"trimmed": True} if about.get("trimmed") else {}
    return CHECKS[file.parent.name](value, **trimmed)


def schema_values(path: Path) -> Iterator[tuple[str, Any]]:
    """(schema, value) of each value in a file that a schema is for."""
    value = json.loads(path.read_bytes())["value"]
    if path.parent.name == "stream":
        for event in value:
            yield "event", event
            if event.get("type") in load_schemas().event_types:
                yield event["type"], event
    elif path.parent.name == "error":
        yield "error", value
        yield "error_wrapped", value
    else:
        yield {"request": "create_request"}.get(path.parent.name, path.parent.name), value


@pytest.mark.parametrize("path", data_files("valid"))
def test_a_valid_file_breaks_no_rule(path: Path) -> None:
    about = json.loads(path.read_bytes())
    assert errors(check_data(path, about["value"])) == []
    if path.parent.name != "stream":
        assert errors(check_data(path, json.dumps(about["value"]))) == []


@pytest.mark.parametrize("path", data_files("valid"))
def test_every_valid_file_names_its_source(path: Path) -> None:
    about = json.loads(path.read_bytes())
    assert about["source"]
    assert bool(about.get("trimmed")) == bool(about.get("reason"))


@pytest.mark.parametrize("path", data_files("invalid"))
def test_an_invalid_file_breaks_the_rule_in_its_name(path: Path) -> None:
    about = json.loads(path.read_bytes())
    assert path.stem.startswith(about["rule"])
    assert about["rule"] in {finding.rule for finding in errors(check_data(path, about["value"]))}


@pytest.mark.parametrize("path", data_files("valid") + data_files("invalid"))
def test_both_validators_agree(path: Path) -> None:
    known = load_schemas(DEFAULT_PROFILE)
    registry: Any = referencing.Registry
    for name, value in schema_values(path):
        for closed in (False, True):
            document = known.document(name, closed)
            reference: Any = jsonschema.Draft202012Validator(document, registry=registry())
            fast = known.is_closed_valid if closed else known.is_valid
            assert fast(name, value) == reference.is_valid(value), (name, closed)


@pytest.mark.parametrize("path", data_files("valid/response") + data_files("valid/stream"))
def test_valid_responses_and_streams_have_no_unknown_members(path: Path) -> None:
    """Neither rendering has a member that the profile does not know."""
    about = json.loads(path.read_bytes())
    assert not {finding.rule for finding in check_data(path, about["value"])} & {
        "SCH-003",
        "SCH-004",
        "SCH-005",
    }
