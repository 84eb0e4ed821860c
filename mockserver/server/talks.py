"""Conversations: made, read, changed and forgotten, and their items.

Source: API reference, Conversations (April to October 2026). What is not found is told as for responses,
which is inferred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.contract.check import check_body
from mockserver.contract.findings import Severity
from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest, uuid
from mockserver.server.bodies import read_body
from mockserver.server.context import listed, tokens_of
from mockserver.server.endpoint import Request, require_json
from mockserver.server.envelopes import BARE, ApiError, from_finding
from mockserver.server.listing import page
from mockserver.server.store import Conversation, Kept
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


async def create_conversation(request: Request) -> Any:
    """`POST /conversations`, with up to 20 items to begin with."""
    body = await _body(request, "create_conversation")
    session = request.session
    digits = _draw(request, 1)[0]
    conversation = Conversation(
        id=f"conv_{uuid(digits)}",
        session=session.name,
        created=session.clock.now(),
        metadata=json.dumps(body.get("metadata") or {}),
        items=_kept(request, body.get("items") or []),
    )
    await request.services.store.put_conversation(conversation)
    return _shown(conversation)


async def retrieve_conversation(request: Request) -> Any:
    """`GET /conversations/{conversation_id}`."""
    return _shown(await _conversation(request))


async def update_conversation(request: Request) -> Any:
    """`POST /conversations/{conversation_id}`: its notes are replaced, all of them."""
    body = await _body(request, "update_conversation")
    metadata = json.dumps(body["metadata"])
    return _shown(await _change(request, lambda before: before._replace(metadata=metadata)))


async def delete_conversation(request: Request) -> Any:
    """`DELETE /conversations/{conversation_id}`: responses that were given in it stay."""
    conversation = await _conversation(request)
    if not await request.services.store.delete_conversation(request.session.name, conversation.id):
        raise _not_found("Conversation", conversation.id)
    return {"deleted": True, "id": conversation.id, "object": "conversation.deleted"}


async def create_items(request: Request) -> Any:
    """`POST /conversations/{conversation_id}/items`, up to 20."""
    body = await _body(request, "create_items")
    new = _kept(request, body["items"])
    await _change(request, lambda before: before._replace(items=before.items + new))
    items = [json.loads(item.body) for item in new]
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"data": items, "first_id": first, "has_more": False, "last_id": last}


async def list_items(request: Request) -> Any:
    """`GET /conversations/{conversation_id}/items`, a page of them."""
    conversation = await _conversation(request)
    items = [json.loads(item.body) for item in conversation.items]
    return {**page(items, request.scope["query_string"]), "object": "list"}


async def retrieve_item(request: Request) -> Any:
    """`GET /conversations/{conversation_id}/items/{item_id}`."""
    conversation = await _conversation(request)
    return json.loads(_item(conversation, request).body)


async def delete_item(request: Request) -> Any:
    """`DELETE /conversations/{conversation_id}/items/{item_id}`: it is in the context no longer."""
    gone = _item(await _conversation(request), request)
    await _change(
        request,
        lambda before: before._replace(items=tuple(item for item in before.items if item.id != gone.id)),
    )
    return {"deleted": True, "id": gone.id, "object": "conversation.item.deleted"}


async def _body(request: Request, kind: str) -> dict[str, Any]:
    """The body, judged by its schema; ApiError 400 where the contract refuses it. None at all is `{}`."""
    require_json(request.headers.get(b"content-type"))
    request.body = await read_body(request.receive, request.headers.get(b"content-length"))
    try:
        body = json.loads(request.body or b"{}")
    except InvalidJSON as error:
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    findings = tuple(check_body(body, kind, request.session.profile))
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise from_finding(finding, findings)
    known: dict[str, Any] = body
    return known


def _draw(request: Request, count: int) -> list[str]:
    """32 hex digits for each of so many ids, from what is asked."""
    asked = f"{request.scope['method']} {request.scope['path']}\n".encode(errors="replace")
    digest = request_digest(asked + request.body)
    return request.session.ids.draw(digest, request.session.occurrence(digest), count)


def _kept(request: Request, items: list[dict[str, Any]]) -> tuple[Kept, ...]:
    now, prefix = request.session.clock.now(), request.session.profile.item_id_prefix
    given = [item for item in items if item.get("type") != "item_reference"]
    ids = _draw(request, len(given) or 1)
    shown = [listed(item, prefix + uuid(digits)) for item, digits in zip(given, ids, strict=False)]
    return tuple(Kept(item["id"], now, tokens_of(item), json.dumps(item)) for item in shown)


async def _conversation(request: Request) -> Conversation:
    conversation_id = request.scope["path_params"]["conversation_id"]
    conversation = await request.services.store.get_conversation(request.session.name, conversation_id)
    if conversation is None:
        raise _not_found("Conversation", conversation_id)
    return conversation


async def _change(request: Request, change: Callable[[Conversation], Conversation]) -> Conversation:
    conversation_id = request.scope["path_params"]["conversation_id"]
    changed = await request.services.store.update_conversation(request.session.name, conversation_id, change)
    if changed is None:
        raise _not_found("Conversation", conversation_id)
    return changed


def _item(conversation: Conversation, request: Request) -> Kept:
    item_id = request.scope["path_params"]["item_id"]
    for item in conversation.items:
        if item.id == item_id:
            return item
    raise _not_found("Item", item_id)


def _not_found(what: str, given_id: str) -> ApiError:
    message = f"{what} with id '{given_id}' not found."
    return ApiError(404, "InvalidParameter", message, envelope=BARE)


def _shown(conversation: Conversation) -> dict[str, Any]:
    return {
        "created_at": int(conversation.created * 1000),
        "id": conversation.id,
        "metadata": json.loads(conversation.metadata),
        "object": "conversation",
    }
