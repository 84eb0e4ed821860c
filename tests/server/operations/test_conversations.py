"""The conversation operations, and responses created in a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.clock import SteppedClock
from tests.api_client import ApiClient

MESSAGE = {"role": "user", "content": "My name is John."}


def create_conversation(later: ApiClient, **body: Any) -> dict[str, Any]:
    return later.request_json("POST", "/conversations", body)


def list_items(later: ApiClient, conversation_id: str, query: str = "?order=asc") -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = later.request_json("GET", f"/conversations/{conversation_id}/items{query}")[
        "data"
    ]
    return data


def test_create_retrieve_update_and_delete_a_conversation(later: ApiClient) -> None:
    made = create_conversation(later, metadata={"a": "b"}, items=[MESSAGE])
    path = f"/conversations/{made['id']}"
    assert set(made) == {"id", "object", "created_at", "metadata"}
    assert made["id"].startswith("conv_")
    assert (made["object"], made["metadata"]) == ("conversation", {"a": "b"})
    assert made["created_at"] > 10**12
    assert later.request_json("GET", path) == made
    assert later.request_json("POST", path, {"metadata": {"c": "d"}}) == {**made, "metadata": {"c": "d"}}
    assert later.request_json("GET", path)["metadata"] == {"c": "d"}
    assert later.request_json("DELETE", path) == {
        "id": made["id"], "object": "conversation.deleted", "deleted": True,
    }  # fmt: skip
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/items"), ("GET", "/items/x")):
        reply = later.request(method, path + tail)
        assert reply.status_code == 404
        assert reply.json()["error"]["message"] == f"Conversation with id '{made['id']}' not found."
    assert later.request("POST", path, {"metadata": {}}).status_code == 404
    assert later.request("POST", f"{path}/items", {"items": [MESSAGE]}).status_code == 404


def test_a_conversation_is_created_without_a_body(later: ApiClient) -> None:
    reply = later.request("POST", "/conversations")
    assert reply.status_code == 200
    assert reply.json()["metadata"] == {}
    other = later.request("POST", "/conversations")
    assert other.json()["id"] != reply.json()["id"]


def test_create_list_retrieve_and_delete_items(later: ApiClient) -> None:
    conversation_id = create_conversation(later, items=[MESSAGE])["id"]
    path = f"/conversations/{conversation_id}/items"
    added = later.request_json(
        "POST", path, {"items": [{"role": "assistant", "content": "Hello John."}, MESSAGE]}
    )
    assert set(added) == {"data", "first_id", "last_id", "has_more"}
    listed = later.request_json("GET", path)
    assert listed["object"] == "list"
    assert [item["id"] for item in listed["data"]] == [
        item["id"] for item in reversed(list_items(later, conversation_id))
    ]
    assert added["data"][0]["content"] == [{"type": "output_text", "text": "Hello John."}]
    item_id = added["first_id"]
    assert later.request_json("GET", f"{path}/{item_id}") == added["data"][0]
    assert later.request_json("DELETE", f"{path}/{item_id}") == {
        "id": item_id, "object": "conversation.item.deleted", "deleted": True,
    }  # fmt: skip
    for method in ("GET", "DELETE"):
        gone = later.request(method, f"{path}/{item_id}")
        assert (gone.status_code, gone.json()["error"]["message"]) == (
            404, f"Item with id '{item_id}' not found.",
        )  # fmt: skip
    assert len(list_items(later, conversation_id)) == 2
    assert len(list_items(later, conversation_id, "?limit=1")) == 1


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("", {"items": [MESSAGE] * 21}, "items must have 20 elements or less"),
        ("/{id}/items", {"items": [MESSAGE] * 21}, "items must have 20 elements or less"),
        ("/{id}/items", {}, "items is missing"),
        ("/{id}/items", {"items": []}, "items must not be empty"),
        ("/{id}/items", {"items": [{"role": "wizard", "content": "x"}]}, "items[0].role"),
        ("/{id}", {}, "metadata is missing"),
        ("/{id}", {"metadata": None}, "metadata must be object"),
        ("", {"metadata": {f"{each}": "x" for each in range(17)}}, "metadata must have 16 members or less"),
        ("", {"metadata": {"x" * 65: "x"}}, "metadata"),
        ("", {"metadata": {"x": "x" * 513}}, "metadata.x must have 512 characters or less"),
        ("", {"metadata": {"x": 1}}, "metadata.x must be string"),
        ("", [], "object"),
    ],
)
def test_bodies_beyond_the_limits_are_rejected(later: ApiClient, path: str, body: Any, expected: str) -> None:
    path = path.replace("{id}", create_conversation(later)["id"])
    reply = later.request("POST", f"/conversations{path}", body)
    assert (reply.status_code, reply.json()["code"]) == (400, "InvalidParameter")
    assert expected in reply.json()["message"]


def test_bodies_at_the_limits_are_accepted(later: ApiClient) -> None:
    metadata = {f"{each}".zfill(64): "x" * 512 for each in range(16)}
    made = create_conversation(later, metadata=metadata, items=[MESSAGE] * 20)
    assert made["metadata"] == metadata
    assert len(list_items(later, made["id"])) == 20


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_added_to_its_conversation(later: ApiClient, stream: bool) -> None:
    conversation_id = create_conversation(later)["id"]

    def turn(prompt: str, answer: str) -> dict[str, Any]:
        later.server.reply(answer)
        members = {"conversation": conversation_id}
        response: dict[str, Any] = (
            later.create_stream(prompt, **members)[-1]["response"]
            if stream
            else later.create(prompt, **members)
        )
        return response

    first, second = turn("one", "First."), turn("two", "Second.")
    assert second["usage"]["input_tokens"] > first["usage"]["total_tokens"] - 1
    texts = [(item["role"], item["content"][0]["text"]) for item in list_items(later, conversation_id)]
    assert texts == [("user", "one"), ("assistant", "First."), ("user", "two"), ("assistant", "Second.")]
    assert list_items(later, conversation_id)[1]["id"] == first["output"][0]["id"]


def test_items_count_as_context_for_a_week(later: ApiClient) -> None:
    conversation_id = create_conversation(later, items=[{"role": "user", "content": "a b c d e f g h"}])["id"]

    def tokens() -> int:
        response = later.create("hi", conversation=conversation_id, store=False)
        input_tokens: int = response["usage"]["input_tokens"]
        return input_tokens

    fresh = tokens()
    clock = later.server.clock
    assert isinstance(clock, SteppedClock)
    clock.advance(7 * 24 * 3600)
    assert tokens() <= fresh - 8
    assert len(list_items(later, conversation_id)) > 4  # they stay, though nobody reads them


def test_conversation_excludes_previous_response_id(later: ApiClient) -> None:
    conversation_id, previous = create_conversation(later)["id"], later.create("hi")["id"]
    body = {
        "model": later.server.model, "input": "x", "conversation": conversation_id,
        "previous_response_id": previous,
    }  # fmt: skip
    expected = (
        "[400] INVALID_REQUEST: Mutually exclusive parameters: Ensure you are only providing one of: "
        "previous_response_id or conversation."
    )
    assert later.post_refused(body) == (400, "InvalidParameter", expected)


def test_an_unknown_conversation_is_rejected(later: ApiClient) -> None:
    body = {"model": later.server.model, "input": "x", "conversation": "conv_nobody"}
    expected = (400, "InvalidParameter", "Conversation with id 'conv_nobody' not found.")
    assert later.post_refused(body) == expected
    assert later.post_refused({**body, "stream": True}) == expected


def test_the_session_cache_applies_to_conversations(later: ApiClient) -> None:
    conversation_id = create_conversation(later, items=[{"role": "user", "content": "word " * 1100}])["id"]
    cached = []
    for _ in range(2):
        body = {"model": later.server.model, "input": "hi", "conversation": conversation_id}
        reply = later.post(body, x_dashscope_session_cache="enable").json()
        cached.append(reply["usage"]["input_tokens_details"]["cached_tokens"])
    assert cached[0] == 0
    assert cached[1] > 1100


def test_bodies_that_are_not_json_are_rejected(later: ApiClient) -> None:
    head = {"authorization": f"Bearer {later.server.api_key}", "content-type": "application/json"}
    for content in (b"{", b"\xff", b"nul", b'{"items": [}'):
        reply = later.client.post(f"{later.server.base_url}/conversations", content=content, headers=head)
        assert (reply.status_code, reply.json()["code"]) == (400, "InvalidParameter")
        assert "not JSON" in reply.json()["message"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": ""},
        {"type": "custom:note", "content": ["x", None, {"a": 1}], "role": 7, "status": {}, "id": []},
        {"type": "reasoning", "content": [1], "status": "odd"},
        {"type": "web_search_call", "action": 3, "output": [{"text": 1}]},
        {"role": "user", "content": [{"type": ""}, {"type": "custom", "text": 3}]},
        {"role": "user", "content": []},
    ],
)
def test_items_of_any_shape_are_stored_unchanged(later: ApiClient, item: dict[str, Any]) -> None:
    conversation_id = create_conversation(later, items=[item])["id"]
    (kept,) = list_items(later, conversation_id)
    assert kept["type"] == item.get("type", "message")
    response = later.create([{"role": "user", "content": "x"}, item], conversation=conversation_id)
    assert len(list_items(later, conversation_id)) == 3 + len(response["output"])
    assert len(later.request_json("GET", f"/responses/{response['id']}/input_items")["data"]) == 2


@pytest.mark.soak
def test_conversations_are_bounded_in_bytes(newest: ApiClient) -> None:
    """The oldest are evicted, and a single one takes no more than the store has."""
    large = {"role": "user", "content": "x" * (8 << 20)}
    first = create_conversation(newest, items=[large])["id"]
    grown = create_conversation(newest)["id"]
    statuses = [
        newest.request("POST", f"/conversations/{grown}/items", {"items": [large]}).status_code
        for _ in range(33)
    ]
    assert statuses == [200] * 31 + [413] * 2
    assert newest.request("GET", f"/conversations/{first}").status_code == 404
    assert newest.server.journal.last.detail == "evicted: the store was full"
    body = {"model": newest.server.model, "conversation": first, "input": "Hello!"}
    assert newest.post(body).status_code == 400
    assert newest.server.journal.last.detail == "evicted: the store was full"
    assert newest.post({**body, "conversation": grown}).status_code == 200
    assert newest.post({**body, "conversation": grown, "input": "x" * (8 << 20)}).status_code == 413
