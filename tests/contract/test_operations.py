"""Operations: found by path, and described in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.contract.check import check_body
from mockserver.contract.openapi.chat import CHAT_OPERATION_ID
from mockserver.contract.openapi.document import openapi_document
from mockserver.contract.operations import OPERATIONS, body_schemas, find_operation, profile_operations
from mockserver.contract.schema.registry import load_schemas
from mockserver.errors import UnknownSchema
from mockserver.profiles import load_profile

LATER_PROFILES = ["qwen-2026-05", "qwen-2026-09"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/compatible-mode/v1/responses", "createResponse"),
        ("GET", "/v1/responses/resp_1", "retrieveResponse"),
        ("DELETE", "/v1/responses/resp_1", "deleteResponse"),
        ("GET", "/v1/responses/resp_1/input_items", "listInputItems"),
        ("POST", "/v1/conversations/conv_1", "updateConversation"),
        ("GET", "/v1/conversations/conv_1/items/msg_1", "retrieveItem"),
        ("GET", "/v1/models", "listModels"),
        ("GET", "/v1/responses/", None),
        ("GET", "/v1/responses", None),
        ("POST", "/v1/responses/resp_1/cancel", None),
        ("GET", "/responses/resp_1", None),
    ],
)
def test_an_operation_is_found_by_method_and_path(method: str, path: str, name: str | None) -> None:
    found = find_operation(load_profile("qwen-2026-05"), method, path)
    assert (found and found.name) == name


def test_the_january_profile_has_one_operation() -> None:
    assert [each.name for each in profile_operations(load_profile("qwen-2026-01"))] == ["createResponse"]
    assert find_operation(load_profile(), "GET", "/v1/responses/x") is None


@pytest.mark.parametrize("profile", LATER_PROFILES)
def test_every_operation_is_in_the_openapi_document(profile: str) -> None:
    paths = openapi_document(profile)["paths"]
    told = {about["operationId"] for path in paths.values() for about in path.values()}
    assert told == {*OPERATIONS, CHAT_OPERATION_ID} - {"compactResponse"}  # another service's
    assert len(told) == 14
    page = paths["/responses/{response_id}/input_items"]["get"]["parameters"]
    assert [each["name"] for each in page] == ["response_id", "after", "limit", "order"]
    assert page[2]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}


@pytest.mark.parametrize("profile", LATER_PROFILES)
def test_every_body_has_a_schema_of_the_profile(profile: str) -> None:
    assert set(body_schemas(load_profile(profile))) <= set(load_schemas(profile).all_schemas())
    assert "conversation" not in load_schemas("qwen-2026-01").all_schemas()


def test_a_body_that_the_profile_lacks_is_an_error() -> None:
    with pytest.raises(UnknownSchema, match="qwen-2026-01 has no body 'models'; choose from: create_request"):
        check_body({}, "models", "qwen-2026-01")


PAGE: dict[str, Any] = {
    "object": "list",
    "data": [{"id": "msg_1", "type": "function_call"}, {"id": "msg_2", "type": "function_call"}],
    "first_id": "msg_1",
    "last_id": "msg_2",
    "has_more": False,
}


@pytest.mark.parametrize(
    ("members", "rule", "pointer"),
    [
        ({}, None, ""),
        ({"first_id": "msg_2"}, "SCH-001", "/first_id"),
        ({"last_id": None}, "SCH-001", "/last_id"),
        ({"data": [], "first_id": None, "last_id": None}, None, ""),
        ({"data": [PAGE["data"][0]] * 2, "last_id": "msg_1"}, "ITM-006", "/data/1/id"),
        ({"has_more": "no"}, "SCH-001", "/has_more"),
        ({"object": "page"}, "SCH-001", "/object"),
        ({"x_note": 1}, "SCH-003", "/x_note"),
        ({"data": [{"id": "msg_1", "type": "message"}], "last_id": "msg_1"}, "SCH-002", "/data/0/role"),
    ],
)
def test_a_page_is_checked(members: dict[str, Any], rule: str | None, pointer: str) -> None:
    found = check_body({**PAGE, **members}, "conversation_items", "qwen-2026-05")
    assert bool(found) == (rule is not None)
    assert rule is None or (rule, pointer) in [(each.rule, each.pointer) for each in found]


@pytest.mark.parametrize(
    ("kind", "body", "rule"),
    [
        ("deleted_response", {"id": "resp_1", "deleted": False}, "SCH-001"),
        ("deleted_response", {"id": "resp_1", "deleted": True, "object": "response"}, "SCH-003"),
        ("conversation", {"id": "x", "object": "conversation", "created_at": 1, "metadata": {}}, "SCH-001"),
        ("conversation", {"id": "conv_1", "object": "conversation", "created_at": 1}, "SCH-002"),
        ("create_conversation", {"metadata": {"x" * 65: ""}}, "REQ-001"),
        ("create_items", {"items": [{"role": "user", "content": "x"}] * 21}, "REQ-001"),
        ("update_conversation", {"metadata": {"a": 1}}, "REQ-001"),
        ("models", {"object": "list", "data": [{"id": "a"}]}, "SCH-002"),
        ("input_items", b"{", "SCH-006"),
        ("create_request", {"model": "qwen3-max"}, "REQ-001"),
        ("response", {}, "SCH-002"),
    ],
)
def test_bodies_are_checked(kind: str, body: Any, rule: str) -> None:
    assert check_body(body, kind, "qwen-2026-05")[0].rule == rule
