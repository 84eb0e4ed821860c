"""Every cell of `docs/profiles.md` is true: a profile serves what it has, valid, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from docs.profiles_page import PROFILES, Cell, cells
from mockserver.contract.check import check_body, check_request
from mockserver.contract.operations import OPERATIONS
from mockserver.contract.schema.registry import load_schemas
from mockserver.profiles import load_profile
from mockserver.server.delivery.faults import load_service_faults
from mockserver.testing.mock import MockServer
from mockserver.testing.strategies.rendered_replies import tool_declaration
from tests.api_client import ApiClient
from tests.contract import rendered_samples

CELLS = list(cells())


def cells_of_kind(kind: str) -> list[Any]:
    return [pytest.param(cell, id=f"{cell.profile} {cell.name}") for cell in CELLS if cell.kind == kind]


@pytest.fixture(scope="module")
def _servers() -> Iterator[dict[str, MockServer]]:
    servers = {name: MockServer(profile=name).start() for name in PROFILES}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def api(_servers: dict[str, MockServer], cell: Cell) -> Iterator[ApiClient]:
    """A client of a server with the cell's profile."""
    server = _servers[cell.profile]
    server.reset()
    with httpx.Client(trust_env=False) as client:
        yield ApiClient(server, client)


MESSAGE = {"role": "user", "content": "x"}
BODIES: dict[str, Any] = {
    "createConversation": {"items": [MESSAGE]},
    "updateConversation": {"metadata": {"a": "b"}},
    "createItems": {"items": [MESSAGE]},
}


@pytest.mark.parametrize("cell", cells_of_kind("endpoint"))
def test_endpoints(cell: Cell, api: ApiClient) -> None:
    operation = OPERATIONS[cell.name]
    path = operation.path.replace("{response_id}", api.create("hi")["id"])
    if cell.is_present and "{conversation_id}" in path:
        conversation_id = api.request_json("POST", "/conversations", {"items": [MESSAGE]})["id"]
        item_id = api.request_json("GET", f"/conversations/{conversation_id}/items")["first_id"]
        path = path.replace("{conversation_id}", conversation_id).replace("{item_id}", item_id)
    body = (
        {"model": api.server.model, "input": "x"} if cell.name == "createResponse" else BODIES.get(cell.name)
    )
    reply = api.request(operation.method, path, body)
    if cell.name == "listModels" and not cell.is_present:
        assert (reply.status_code, "x-mock-extension" in reply.headers) == (200, True)
        return
    assert reply.status_code == (200 if cell.is_present else 404)
    if cell.is_present:
        assert check_body(reply.content, operation.response_schema, cell.profile) == []
    else:
        assert reply.json()["code"] == "NotFound"


VALUES: dict[str, Any] = {
    "model": "qwen3-max-2026-01-23", "input": "x", "stream": False, "tools": [], "enable_thinking": True,
    "tool_choice": "auto", "temperature": 0.5, "top_p": 0.5, "instructions": "Be brief.", "store": True,
    "reasoning": {"effort": "low"}, "parallel_tool_calls": True, "frequency_penalty": 0.5,
    "presence_penalty": 0.5, "top_logprobs": 1, "metadata": {"a": "b"}, "max_output_tokens": 4096,
    "text": {"format": {"type": "text"}}, "ocr_options": {"task": "document_parsing"},
}  # fmt: skip


@pytest.mark.parametrize("cell", cells_of_kind("parameter"))
def test_parameters(cell: Cell, api: ApiClient) -> None:
    value = VALUES.get(cell.name)
    if cell.name == "previous_response_id":
        value = api.create("hi")["id"]
    elif cell.name == "conversation":
        value = api.request_json("POST", "/conversations")["id"] if cell.is_present else "conv_1"
    assert value is not None
    body = {"model": api.server.model, "input": "x", cell.name: value}
    reply = api.post(body)
    assert reply.status_code == 200, reply.text
    assert api.server.journal.last.ignored == (() if cell.is_present else (cell.name,))
    assert {each.rule for each in check_request(body, cell.profile)} == (
        set() if cell.is_present else {"REQ-002"}
    )


@pytest.mark.parametrize("cell", cells_of_kind("tool"))
def test_tools(cell: Cell, api: ApiClient) -> None:
    tool = load_profile(PROFILES[-1]).tools.get(cell.name)
    declared = (
        [{"type": "function", "name": "f"}] if cell.name == "function" else [tool_declaration(cell.name)]
    )
    if tool is not None and tool.needs_tool is not None:
        declared.append(tool_declaration(tool.needs_tool))
    wanted = "function_call" if tool is None else tool.item
    options = {"tools": declared, "enable_thinking": True}
    for response in (api.create("x", **options), api.create_stream("x", **options)[-1]["response"]):
        assert (wanted in [item["type"] for item in response["output"]]) == cell.is_present
    rules = {each.rule for each in api.server.journal.last.findings}
    assert rules == (set() if cell.is_present else {"SCH-004"})


@pytest.mark.parametrize("cell", cells_of_kind("item"))
def test_items(cell: Cell, api: ApiClient) -> None:
    assert (cell.name in sent_types(api, cell.profile)[0]) == cell.is_present


@pytest.mark.parametrize("cell", cells_of_kind("event"))
def test_events(cell: Cell, api: ApiClient) -> None:
    assert (cell.name in sent_types(api, cell.profile)[1]) == cell.is_present
    assert (cell.name in load_schemas(cell.profile).event_types) == cell.is_present


def sent_types(api: ApiClient, profile: str) -> tuple[set[str], set[str]]:
    """Types of the items and events that a server with this profile sends."""
    if profile not in _SENT_TYPES:
        items: set[str] = set()
        kinds: set[str] = set()
        for script in rendered_samples.profile_scripts(profile).values():
            if script.status != "completed":
                continue
            api.server.reply(script)
            events = api.create_stream("x")
            kinds.update(event["type"] for event in events)
            items.update(item["type"] for item in events[-1]["response"]["output"])
        api.server.reply("word " * 20)
        kinds.update(event["type"] for event in api.create_stream("x", max_output_tokens=16))
        kinds.update(_failed_stream_types(api))
        _SENT_TYPES[profile] = (items, kinds)
    return _SENT_TYPES[profile]


def _failed_stream_types(api: ApiClient) -> set[str]:
    """Types of the events of a stream that fails."""
    api.server.fail("rate-limit")
    return {event["type"] for event in api.create_stream("x")}


_SENT_TYPES: dict[str, tuple[set[str], set[str]]] = {}

ERRORS = [
    pytest.param(Cell("error", profile, name, True, ""), id=f"{profile} {name}")
    for profile in PROFILES
    for name in load_service_faults()
]


@pytest.mark.parametrize("cell", ERRORS)
def test_errors(cell: Cell, api: ApiClient) -> None:
    """Every profile serves every error; the tests of the catalogue check its form."""
    for stream in (False, True):
        body = {"model": api.server.model, "input": "x", "stream": stream}
        reply = api.post(body, x_mock_fault=cell.name)
        fault = load_service_faults()[cell.name]
        assert reply.status_code == (200 if fault.in_band_form(stream=stream) else fault.status)
        assert reply.headers["x-mock-fault"] == cell.name


def test_every_cell_names_its_source() -> None:
    assert {cell.kind for cell in CELLS} == {"endpoint", "parameter", "tool", "item", "event"}
    for cell in CELLS:
        assert len(cell.source) > 7, cell
