"""The operations on conversations and their items.

Source: API reference, Conversations (April to October 2026). The errors for unknown ids are those for
responses, which is inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.ids import format_uuid
from mockserver.server.errors import BARE_ENVELOPE, ApiError
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.operations.pagination import paginate
from mockserver.server.operations.validated_bodies import derive_id_digits, read_validated_body
from mockserver.server.state.conversation_context import add_items, to_listed_item, to_stored_item
from mockserver.server.state.store import Conversation, StoredItem
from mockserver.wire import json

__all__ = [
    "create_conversation",
    "create_items",
    "delete_conversation",
    "delete_item",
    "list_items",
    "retrieve_conversation",
    "retrieve_item",
    "update_conversation",
]


async def create_conversation(request: HttpRequest) -> Any:
    """Handle `POST /conversations`, with up to 20 initial items."""
    body = await read_validated_body(request, "create_conversation")
    session = request.session
    digits = (await derive_id_digits(request, 1))[0]
    conversation = Conversation(
        id=f"conv_{format_uuid(digits)}",
        session=session.name,
        created_at=session.clock.now(),
        metadata=json.dumps(body.get("metadata") or {}),
    )
    conversation = add_items(conversation, await _stored_items(request, body.get("items") or []))
    await request.services.store.put_conversation(conversation)
    return _conversation_object(conversation)


async def retrieve_conversation(request: HttpRequest) -> Any:
    """Handle `GET /conversations/{conversation_id}`."""
    return _conversation_object(await _find_conversation(request, with_items=False))


async def update_conversation(request: HttpRequest) -> Any:
    """Handle `POST /conversations/{conversation_id}`, which replaces all metadata."""
    body = await read_validated_body(request, "update_conversation")
    metadata = json.dumps(body["metadata"])
    return _conversation_object(
        await _append_to_conversation(request, lambda before: before._replace(metadata=metadata))
    )


async def delete_conversation(request: HttpRequest) -> Any:
    """Handle `DELETE /conversations/{conversation_id}`; the conversation's responses stay."""
    conversation = await _find_conversation(request, with_items=False)
    if not await request.services.store.delete_conversation(request.session.name, conversation.id):
        raise _not_found_error("Conversation", conversation.id)
    return {"deleted": True, "id": conversation.id, "object": "conversation.deleted"}


async def create_items(request: HttpRequest) -> Any:
    """Handle `POST /conversations/{conversation_id}/items`, with up to 20 items."""
    body = await read_validated_body(request, "create_items")
    new = await _stored_items(request, body["items"])
    await _append_to_conversation(request, lambda before: add_items(before, new))
    items = [json.loads(item.body) for item in new]
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"data": items, "first_id": first, "has_more": False, "last_id": last}


async def list_items(request: HttpRequest) -> Any:
    """Handle `GET /conversations/{conversation_id}/items`, which returns a page."""
    conversation = await _find_conversation(request)
    # All items may have any size.
    return await run_in_worker(_list_page, conversation, request.scope["query_string"])


def _list_page(conversation: Conversation, query: bytes) -> dict[str, Any]:
    return {**paginate([json.loads(item.body) for item in conversation.items], query), "object": "list"}


async def retrieve_item(request: HttpRequest) -> Any:
    """Handle `GET /conversations/{conversation_id}/items/{item_id}`."""
    conversation = await _find_conversation(request)
    return json.loads(_find_item(conversation, request).body)


async def delete_item(request: HttpRequest) -> Any:
    """Handle `DELETE /conversations/{conversation_id}/items/{item_id}`, which shortens the context."""
    store, conversation = request.services.store, await _find_conversation(request)
    deleted = _find_item(conversation, request)
    changed = await store.update_conversation(
        request.session.name, conversation.id, lambda before: before.remove_item(deleted.id)
    )
    if changed is None:
        raise await _no_conversation_error(request, conversation.id)
    return {"deleted": True, "id": deleted.id, "object": "conversation.item.deleted"}


async def _stored_items(request: HttpRequest, items: list[dict[str, Any]]) -> tuple[StoredItem, ...]:
    now, prefix = request.session.clock.now(), request.session.profile.item_id_prefix
    own = [item for item in items if item.get("type") != "item_reference"]
    ids = [f"{prefix}{format_uuid(digits)}" for digits in await derive_id_digits(request, len(own) or 1)]

    def store(_: bytes) -> tuple[StoredItem, ...]:
        listed = (to_listed_item(item, item_id) for item, item_id in zip(own, ids, strict=False))
        return tuple(to_stored_item(item, now) for item in listed)

    return await run_beside_loop(store, request.body)


async def _find_conversation(request: HttpRequest, *, with_items: bool = True) -> Conversation:
    conversation_id, store = request.scope["path_params"]["conversation_id"], request.services.store
    get = store.get_conversation if with_items else store.get_conversation_summary
    conversation = await get(request.session.name, conversation_id)
    if conversation is None:
        raise await _no_conversation_error(request, conversation_id)
    return conversation


async def _append_to_conversation(
    request: HttpRequest, change: Callable[[Conversation], Conversation]
) -> Conversation:
    conversation_id, store = request.scope["path_params"]["conversation_id"], request.services.store
    changed = await store.append_to_conversation(request.session.name, conversation_id, change)
    if changed is None:
        raise await _no_conversation_error(request, conversation_id)
    return changed


def _find_item(conversation: Conversation, request: HttpRequest) -> StoredItem:
    item_id = request.scope["path_params"]["item_id"]
    for item in conversation.items:
        if item.id == item_id:
            return item
    raise _not_found_error("Item", item_id)


async def _no_conversation_error(request: HttpRequest, conversation_id: str) -> ApiError:
    error = _not_found_error("Conversation", conversation_id)
    if await request.services.store.was_evicted(request.session.name, conversation_id):
        error.detail = "evicted: the store was full"
    return error


def _not_found_error(kind: str, object_id: str) -> ApiError:
    message = f"{kind} with id '{object_id}' not found."
    return ApiError(404, "InvalidParameter", message, envelope=BARE_ENVELOPE)


def _conversation_object(conversation: Conversation) -> dict[str, Any]:
    return {
        "created_at": int(conversation.created_at * 1000),
        "id": conversation.id,
        "metadata": json.loads(conversation.metadata),
        "object": "conversation",
    }
