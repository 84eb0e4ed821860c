"""Context: what came before a request, and what is kept of it for the next.

A turn goes on from a response, by `previous_response_id`, or in a conversation; either gives a `Record` that
says how far it is. Totals are cumulative, so a chain costs the same however long it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.ids import format_uuid, request_digest
from mockserver.profiles import Profile
from mockserver.replies.templates import TemplateValues
from mockserver.replies.usage import CacheTokens, count_tokens
from mockserver.server.errors import ApiError
from mockserver.server.request_facts import RequestFacts, item_texts
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import Conversation, ResponseRecord, Store, StoredItem
from mockserver.wire import json

__all__ = [
    "SessionCache",
    "append_turn",
    "build_record",
    "derive_item_id",
    "find_parent",
    "get_previous_response",
    "to_input_items",
    "to_listed_item",
]

#: Operations that read again what was asked.
_OPERATIONS_READING_REQUESTS = frozenset({"listInputItems", "compactResponse"})


async def find_parent(session: Session, store: Store, facts: RequestFacts) -> ResponseRecord | None:
    """What a request goes on from; ApiError 400 where it is not known (any more)."""
    if facts.conversation_id is not None:
        conversation = await store.get_conversation(session.name, facts.conversation_id)
        if conversation is None:
            # Envelope and text inferred, as for responses.
            message = f"Conversation with id '{facts.conversation_id}' not found."
            raise ApiError(400, "InvalidParameter", message, stream_requested=facts.stream)
        return _record_from_conversation(conversation, session)
    previous = facts.previous_response_id
    return (
        None
        if previous is None
        else await get_previous_response(session, store, previous, stream=facts.stream)
    )


async def get_previous_response(
    session: Session, store: Store, previous_response_id: str, *, stream: bool
) -> ResponseRecord:
    """The response that `previous_response_id` names; ApiError 400 where it is not known (any more)."""
    record = await store.get(session.name, previous_response_id)
    if record is not None and session.clock.now() < record.expires_at:
        return record
    if record is not None:
        detail = "expired"
    elif await store.was_evicted(session.name, previous_response_id):
        detail = "evicted: the store was full"
    else:
        detail = "unknown"
    # Envelope and text inferred: the vendor documents them for retrieve and input_items alone (2026).
    message = f"Response with id '{previous_response_id}' not found."
    detail = f"previous_response_id {detail}"
    error = ApiError(400, "InvalidParameter", message, detail=detail, stream_requested=stream)
    raise error.with_parameter("previous_response_id", "previous_response_not_found")


def _record_from_conversation(conversation: Conversation, session: Session) -> ResponseRecord:
    """A conversation as the response that its next turn goes on from; old items are out of its context."""
    now, profile = session.clock.now(), session.profile
    fresh = sum(item.tokens for item in conversation.items if now < item.created_at + profile.lifetime_s)
    return ResponseRecord(
        id="",
        session=session.name,
        parent_id=None,
        turn=conversation.turn,
        created_at=conversation.created_at,
        expires_at=now,
        stub_name=conversation.stub_name,
        context_tokens=profile.hidden_prompt_tokens + fresh,
        response_body=b"",
        cached_tokens=conversation.cached_tokens,
        cached_until=conversation.cached_until,
    )


class SessionCache(NamedTuple):
    """What the session's cache does for one request (OpenAPI document, August 2026).

    A context of 1,024 tokens and more is kept for 5 minutes; what the next turn finds of it is read from
    there, and the time begins anew.
    """

    cached_tokens: int
    created_tokens: int
    stored_tokens: int
    """Tokens that are in the cache afterwards."""

    @classmethod
    def for_context(
        cls, parent: ResponseRecord | None, input_tokens: int, now: float, profile: Profile
    ) -> SessionCache:
        """What it does for a context of so many tokens that goes on from `parent`."""
        alive = parent is not None and now < parent.cached_until
        cached = min(parent.cached_tokens, input_tokens) if alive and parent is not None else 0
        if input_tokens < profile.cache_min_tokens:
            return cls(cached, 0, cached)
        return cls(cached, input_tokens - cached, input_tokens)

    @property
    def usage(self) -> CacheTokens:
        return CacheTokens(self.cached_tokens, self.created_tokens)


def build_record(
    session: Session,
    facts: RequestFacts,
    parent: ResponseRecord | None,
    values: TemplateValues,
    stub_name: str | None,
    cache: SessionCache | None,
    request_body: bytes,
    response_body: bytes,
) -> ResponseRecord:
    """A response, in wire form, as it is kept for the turns after it."""
    now, profile = session.clock.now(), session.profile
    kept = 0 if cache is None else cache.stored_tokens
    return ResponseRecord(
        values.response_id,
        session.name,
        (parent.id or None) if parent else None,
        parent.turn + 1 if parent else 1,
        now,
        now + profile.lifetime_s,
        stub_name,
        values.total_tokens - facts.instruction_tokens,
        response_body,
        request_body if _OPERATIONS_READING_REQUESTS.intersection(profile.operations) else b"",
        kept,
        now + profile.cache_seconds if kept else 0.0,
    )


async def append_turn(
    store: Store, conversation_id: str, record: ResponseRecord, request_body: bytes
) -> None:
    """Put a turn, as it would be kept, into its conversation."""
    new = _turn_items(request_body, record.response_body, record.id, record.created_at)

    def grown(before: Conversation) -> Conversation:
        return before._replace(
            items=before.items + new,
            turn=before.turn + 1,
            stub_name=record.stub_name,
            cached_tokens=record.cached_tokens,
            cached_until=record.cached_until,
        )

    await store.update_conversation(record.session, conversation_id, grown)


def _turn_items(
    request_body: bytes, response_body: bytes, response_id: str, now: float
) -> tuple[StoredItem, ...]:
    """The items that a turn adds to its conversation: what was asked, and what came of it."""
    asked = to_input_items(json.loads(request_body)["input"], response_id)
    items = [*asked, *json.loads(response_body)["output"]]
    return tuple(StoredItem(item["id"], now, count_item_tokens(item), json.dumps(item)) for item in items)


def count_item_tokens(item: dict[str, Any]) -> int:
    """The estimate for an item's texts."""
    return count_tokens("\n".join(item_texts(item)))


def to_input_items(input_value: Any, response_id: str) -> list[dict[str, Any]]:
    """The `input` of a request as listed items; their ids derive from `owner`, the id of their response."""
    items = [{"role": "user", "content": input_value}] if isinstance(input_value, str) else input_value
    kept = [item for item in items if item.get("type") != "item_reference"]
    return [to_listed_item(item, derive_item_id(response_id, at)) for at, item in enumerate(kept)]


def derive_item_id(response_id: str, index: int) -> str:
    """The id of an item that came without one that is sure to be its own."""
    return "msg_" + format_uuid(request_digest(f"{response_id} {index}".encode()).hex())


def to_listed_item(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    """An input item as it is listed: with an id, a type and a status, a text as its part."""
    kind = "message" if item.get("type") is None else item["type"]
    shown = {name: value for name, value in item.items() if value is not None}
    shown |= {"id": item_id, "type": kind}
    if kind == "message":
        spoken = "output_text" if item["role"] == "assistant" else "input_text"
        content = item["content"]
        parts = [{"type": spoken, "text": content}] if isinstance(content, str) else content
        shown["content"] = [{**part, "type": spoken} if part["type"] == "text" else part for part in parts]
    if kind != "reasoning":
        told = item.get("status")
        shown["status"] = told if isinstance(told, str) and told else "completed"
    return shown
