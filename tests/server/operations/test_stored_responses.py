"""Stored responses: retrieve, delete, list input items; and list models."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mockserver.clock import SteppedClock
from mockserver.contract.check import check_response
from mockserver.testing.mock import MockServer
from tests.api_client import ApiClient

WEEK = 7 * 24 * 3600


def assert_not_found(reply: httpx.Response, response_id: str) -> None:
    """Return the envelope of retrieve and delete (their pages, May 2026)."""
    assert reply.status_code == 404
    message = f"Response with id '{response_id}' not found."
    assert reply.json() == {"error": {"message": message, "type": "InvalidParameter"}}
    assert reply.headers["x-request-id"]


def test_a_retrieved_response_equals_the_original(later: ApiClient) -> None:
    response = later.create("hi", metadata={"type": "message"}, instructions="Be brief.")
    assert later.request_json("GET", f"/responses/{response['id']}") == response
    streamed = later.create_stream("hi")[-1]["response"]
    assert later.request_json("GET", f"/responses/{streamed['id']}")["output"] == streamed["output"]


def test_a_response_is_retrieved_in_the_documented_rendering() -> None:
    function = {"type": "function", "name": "f"}
    with (
        MockServer(profile="qwen-2026-05", rendering="documented") as server,
        httpx.Client(trust_env=False) as client,
    ):
        asker = ApiClient(server, client)
        members = {"metadata": {"type": "message"}, "tools": [function], "tool_choice": function}
        response = asker.create("hi", **members)
        assert isinstance(response["created_at"], float)
        retrieved = asker.request("GET", f"/responses/{response['id']}")
        assert retrieved.json() == response
        assert list(retrieved.json()) == list(response)
        assert check_response(retrieved.content, server.profile) == []


def test_a_deleted_response_is_not_found(later: ApiClient) -> None:
    first = later.create("hi")["id"]
    second = later.create("and", previous_response_id=first)["id"]
    assert later.request_json("DELETE", f"/responses/{first}") == {"deleted": True, "id": first}
    for method in ("GET", "DELETE"):
        assert_not_found(later.request(method, f"/responses/{first}"), first)
    body = {"model": later.server.model, "input": "x", "previous_response_id": first}
    expected = (400, "InvalidParameter", f"Not found previous_response_id: {first}")
    assert later.post_refused(body) == expected
    assert later.create("on", previous_response_id=second)["status"] == "completed"


def test_a_response_with_store_false_is_not_found(later: ApiClient) -> None:
    gone = later.create("hi", store=False)["id"]
    assert_not_found(later.request("GET", f"/responses/{gone}"), gone)
    assert_not_found(later.request("DELETE", f"/responses/{gone}"), gone)
    assert later.request("GET", f"/responses/{gone}/input_items").status_code == 404
    assert (
        later.post_refused({"model": later.server.model, "input": "x", "previous_response_id": gone})[0]
        == 400
    )


def test_an_expired_response_is_not_found(later: ApiClient) -> None:
    response_id = later.create("hi")["id"]
    clock = later.server.clock
    assert isinstance(clock, SteppedClock)
    clock.advance(WEEK)
    assert_not_found(later.request("GET", f"/responses/{response_id}"), response_id)
    assert later.request("GET", f"/responses/{response_id}/input_items").status_code == 404


@pytest.mark.parametrize("response_id", ["resp_nobody", "x", "..", "%2e%2e", "a%00b", "é", "x" * 5000])
def test_an_unknown_id_of_any_form_is_not_found(later: ApiClient, response_id: str) -> None:
    for path in (f"/responses/{response_id}", f"/responses/{response_id}/input_items"):
        for method in ("GET", "DELETE"):
            assert later.request(method, path).status_code in (404, 405)


def test_unknown_input_items_use_the_flat_envelope_without_dashes(later: ApiClient) -> None:
    reply = later.request("GET", "/responses/resp_xxx/input_items")
    assert reply.status_code == 404
    error = reply.json()
    assert set(error) == {"code", "message", "request_id"}
    assert (error["code"], error["message"]) == (
        "InvalidParameter", "Response with id 'resp_xxx' not found.",
    )  # fmt: skip
    assert len(error["request_id"]) == 32
    assert error["request_id"] == reply.headers["x-request-id"]


def input_items(later: ApiClient, response_id: str, query: str = "") -> dict[str, Any]:
    return later.request_json("GET", f"/responses/{response_id}/input_items{query}")


def test_input_items_of_a_response(later: ApiClient) -> None:
    response = later.create("hi")
    page = input_items(later, response["id"])
    (item,) = page["data"]
    assert set(page) == {"data", "first_id", "last_id", "has_more", "id", "model", "created_at"}
    assert item == {
        "id": page["first_id"], "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
    }  # fmt: skip
    assert item["id"].startswith("msg_")
    assert (page["last_id"], page["has_more"]) == (item["id"], False)
    assert (page["id"], page["model"]) == (response["id"], response["model"])
    assert page["created_at"] == response["created_at"] * 1000
    assert input_items(later, response["id"]) == page


def test_input_items_include_earlier_turns(later: ApiClient) -> None:
    for text in ("One.", "Two.", "Three."):
        later.server.reply(text)
    first = later.create("a")
    second = later.create("b", previous_response_id=first["id"])
    third = later.create("c", previous_response_id=second["id"])
    page = input_items(later, third["id"], "?order=asc")
    texts = [(item["role"], item["content"][0]["text"]) for item in page["data"]]
    assert texts == [
        ("user", "a"),
        ("assistant", "One."),
        ("user", "b"),
        ("assistant", "Two."),
        ("user", "c"),
    ]
    assert page["previous_response_id"] == second["id"]
    assert [item["id"] for item in input_items(later, third["id"])["data"]] == [
        item["id"] for item in reversed(page["data"])
    ]
    assert page["data"][1]["id"] == first["output"][0]["id"]


def test_input_items_are_paginated(later: ApiClient) -> None:
    items = [{"role": "user", "content": f"{number}"} for number in range(45)]
    response_id = later.create(items)["id"]
    first = input_items(later, response_id)
    assert (len(first["data"]), first["has_more"]) == (20, True)
    assert first["data"][0]["content"][0]["text"] == "44"
    texts: list[str] = []
    after = ""
    while True:
        page = input_items(later, response_id, f"?order=asc&limit=10{after}")
        texts += [item["content"][0]["text"] for item in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert texts == [f"{number}" for number in range(45)]
    assert len(input_items(later, response_id, "?limit=100")["data"]) == 45
    last = input_items(later, response_id, "?order=asc&limit=100")["last_id"]
    end = input_items(later, response_id, f"?order=asc&after={last}")
    assert (end["data"], end["first_id"], end["last_id"], end["has_more"]) == ([], None, None, False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "Range of limit should be [1, 100]"),
        ("limit=101", "Range of limit should be [1, 100]"),
        ("limit=ten", "Range of limit should be [1, 100]"),
        ("limit=", "Range of limit should be [1, 100]"),
        ("limit=%D9%A1", "Range of limit should be [1, 100]"),
        ("order=up", "order must be one of asc, desc"),
        ("after=msg_nobody", "Item with id 'msg_nobody' not found."),
    ],
)
def test_an_invalid_page_is_rejected(later: ApiClient, query: str, expected: str) -> None:
    response_id = later.create("hi")["id"]
    reply = later.request("GET", f"/responses/{response_id}/input_items?{query}")
    assert reply.status_code == 400
    assert expected in reply.json()["message"]


def test_other_item_types_are_listed_unchanged(later: ApiClient) -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    image = {"type": "input_image", "image_url": "https://example.invalid/a.png", "detail": None}
    items = [{"role": "user", "content": [image, {"type": "text", "text": "x"}]}, call, output]
    page = input_items(later, later.create(items)["id"], "?order=asc")
    assert [item["type"] for item in page["data"]] == ["message", "function_call", "function_call_output"]
    assert page["data"][0]["content"][1] == {"type": "input_text", "text": "x"}
    assert page["data"][2]["output"] == "done"
    assert len({item["id"] for item in page["data"]}) == 3


def test_list_models(later: ApiClient) -> None:
    models = later.request_json("GET", "/models")
    assert models["object"] == "list"
    assert models["data"][0]["id"] == later.server.model
    assert set(models["data"][0]) == {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("path", ["/responses/x", "/responses/x/input_items", "/models", "/conversations/x"])
def test_every_operation_requires_a_key(later: ApiClient, path: str) -> None:
    wrong = later.request("GET", path, authorization="Bearer sk-wrong")
    assert wrong.status_code == 401
    assert wrong.json()["error"] == {
        "message": "Incorrect API key provided. ", "type": "invalid_request_error", "param": None,
        "code": "invalid_api_key",
    }  # fmt: skip
    assert wrong.json()["request_id"] == wrong.headers["x-request-id"]
    missing = later.request("GET", path, authorization="")
    assert (missing.status_code, missing.json()["code"]) == (401, "InvalidApiKey")


def test_a_path_of_another_profile_is_named(api: ApiClient, later: ApiClient) -> None:
    base = api.server.base_url.removesuffix(api.server.base_url.partition("/api")[2]).removesuffix("/api")
    for path in (
        "/compatible-mode/v1/responses/x",
        "/compatible-mode/v1/conversations",
        "/compatible-mode/v1/models",
    ):
        reply = api.client.get(base + path)
        assert reply.status_code == 404
        assert "belongs to the profile qwen-2026-0" in reply.json()["message"]
    for server in (api, later):
        doubled = server.client.post(f"{server.server.base_url}/responses/responses", json={})
        assert doubled.status_code in (404, 405)
        hint = f"Leave /responses out of the base URL: it is {server.server.base_url}."
        assert hint in doubled.text
    for path in ("/responses/x/cancel", "/responses/input_tokens", "/responses/compact", "/chat"):
        assert later.request("POST", path, {}).status_code in (404, 405)


def test_the_store_is_bounded_in_bytes() -> None:
    import asyncio

    from mockserver.server.state.store import MemoryStore, ResponseRecord

    async def main() -> None:
        store = MemoryStore(max_bytes=100)
        for name in ("a", "b", "c"):
            await store.put(ResponseRecord(name, "s", None, 1, 0, 1, None, 1, b"x" * 20, b"y" * 20))
        assert await store.get("s", "a") is None
        assert await store.was_evicted("s", "a")
        assert await store.get("s", "c") is not None
        await store.put(ResponseRecord("large", "s", None, 1, 0, 1, None, 1, b"x" * 200))
        assert await store.get("s", "large") is not None
        assert await store.get("s", "c") is None

    asyncio.run(main())
