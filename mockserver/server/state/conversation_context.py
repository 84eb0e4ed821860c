"""The context of a request: the turn it continues, and the record it leaves for the next turn.

A request continues a response (`previous_response_id`) or a conversation; both are read as a
`ResponseRecord`. Totals are cumulative, so the length of a chain does not matter.
"""

from __future__ import annotations

from typing import Any

from mockserver.contract.bodies.call_outputs import Turn, select_call_items
from mockserver.ids import format_uuid, request_digest
from mockserver.named_tuples import NamedTuple, new_tuple
from mockserver.profiles import Profile
from mockserver.replies.token_counts import count_tokens
from mockserver.replies.usage import CacheTokens
from mockserver.server.errors import ApiError
from mockserver.server.large_bodies import run_beside_loop
from mockserver.server.request_facts import RequestFacts, item_texts
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import (
    MAX_STORED_BYTES,
    Conversation,
    ResponseRecord,
    Store,
    StoredItem,
)
from mockserver.wire import json

__all__ = [
    "SessionCache",
    "add_items",
    "append_turn",
    "build_record",
    "derive_item_id",
    "find_parent",
    "get_previous_response",
    "to_input_items",
    "to_listed_item",
    "to_stored_item",
]

#: Operations that need the request bodies of earlier turns.
_OPERATIONS_READING_REQUESTS = frozenset({"listInputItems", "compactResponse"})


async def find_parent(session: Session, store: Store, facts: RequestFacts) -> ResponseRecord | None:
    """Find what a request continues. Raises ApiError 400 if it does not exist or has expired."""
    if facts.conversation_id is not None:
        conversation = await _get_conversation(session, store, facts.conversation_id)
        if conversation is None:
            # Envelope and text are inferred, as for responses.
            message = f"Conversation with id '{facts.conversation_id}' not found."
            evicted = await store.was_evicted(session.name, facts.conversation_id)
            detail = "evicted: the store was full" if evicted else ""
            error = ApiError(400, "InvalidParameter", message, detail=detail, stream_requested=facts.stream)
            raise error.passed_on()
        return _record_from_conversation(conversation, session)
    previous = facts.previous_response_id
    return (
        None
        if previous is None
        else await get_previous_response(session, store, previous, stream=facts.stream)
    )


async def _get_conversation(session: Session, store: Store, conversation_id: str) -> Conversation | None:
    """Get a conversation, with its items only if some of them have expired."""
    conversation = await store.get_conversation_summary(session.name, conversation_id)
    expired_at = session.clock.now() - session.profile.lifetime_s
    if conversation is None or conversation.context.oldest > expired_at:
        return conversation
    return await store.get_conversation(session.name, conversation_id)


async def get_previous_response(
    session: Session, store: Store, previous_response_id: str, *, stream: bool
) -> ResponseRecord:
    """Get the response that `previous_response_id` names. Raises ApiError 400 if it is unknown or expired."""
    record = await store.get(session.name, previous_response_id)
    if record is not None and session.clock.now() < record.expires_at:
        return record
    if record is not None:
        detail = "expired"
    elif await store.was_evicted(session.name, previous_response_id):
        detail = "evicted: the store was full"
    else:
        detail = "unknown"
    # Text of a live probe, 27 September 2026; for profiles other than that of September inferred.
    message = f"Not found previous_response_id: {previous_response_id}"
    detail = f"previous_response_id {detail}"
    error = ApiError(400, "InvalidParameter", message, detail=detail, stream_requested=stream)
    raise error.with_parameter("previous_response_id", "previous_response_not_found").passed_on()


def _record_from_conversation(conversation: Conversation, session: Session) -> ResponseRecord:
    """Read a conversation as the response that its next turn continues, without its expired items."""
    now, profile = session.clock.now(), session.profile
    context = conversation.context_after(now - profile.lifetime_s)
    return ResponseRecord(
        id="",
        session=session.name,
        parent_id=None,
        turn=conversation.turn,
        created_at=conversation.created_at,
        expires_at=now,
        stub_name=conversation.stub_name,
        context_tokens=profile.hidden_prompt_tokens + context.tokens,
        response_body=b"",
        cached_tokens=conversation.cached_tokens,
        cached_until=conversation.cached_until,
        calls=context.calls if context.has_function_calls else None,
    )


class SessionCache(NamedTuple):
    """The effect of the session cache on one request (OpenAPI document, August 2026).

    The service caches a context of 1,024 tokens or more for 5 minutes. A turn that reads from the cache
    restarts the 5 minutes.
    """

    cached_tokens: int
    created_tokens: int
    stored_tokens: int
    """Tokens in the cache after the request."""

    @classmethod
    def for_context(
        cls, parent: ResponseRecord | None, input_tokens: int, now: float, profile: Profile
    ) -> SessionCache:
        """Compute the effect for a context of `input_tokens` tokens that continues `parent`."""
        alive = parent is not None and now < parent.cached_until
        cached = min(parent.cached_tokens, input_tokens) if alive and parent is not None else 0
        if input_tokens < profile.cache_min_tokens:
            return cls(cached, 0, cached)
        return cls(cached, input_tokens - cached, input_tokens)

    def apply_to(self, record: ResponseRecord, profile: Profile) -> ResponseRecord:
        """The record of a response, with what the cache holds after it."""
        if not self.stored_tokens:
            return record
        until = record.created_at + profile.cache_seconds
        return record._replace(cached_tokens=self.stored_tokens, cached_until=until)

    @property
    def usage(self) -> CacheTokens:
        return CacheTokens(self.cached_tokens, self.created_tokens)


def build_record(
    session: Session,
    response_id: str,
    parent: ResponseRecord | None,
    now: float,
    stub_name: str | None,
    context_tokens: int,
    bodies: tuple[bytes, bytes],
    calls: Turn | None,
) -> ResponseRecord:
    """Build the record that later turns continue; `bodies` are the request and the response in wire form."""
    profile, (request_body, response_body) = session.profile, bodies
    parent_id, turn = (parent.id or None, parent.turn + 1) if parent else (None, 1)
    members = (
        response_id,
        session.name,
        parent_id,
        turn,
        now,
        now + profile.lifetime_s,
        stub_name,
        context_tokens,
        response_body,
        b"" if _OPERATIONS_READING_REQUESTS.isdisjoint(profile.operations) else request_body,
        0,
        0.0,
        calls,
    )
    return new_tuple(ResponseRecord, members)


async def append_turn(
    store: Store, conversation_id: str, record: ResponseRecord, request_body: bytes
) -> None:
    """Append a turn to its conversation."""
    new = await run_beside_loop(_turn_items, request_body, record.response_body, record.id, record.created_at)

    def with_turn(before: Conversation) -> Conversation:
        return add_items(before, new)._replace(
            turn=before.turn + 1,
            stub_name=record.stub_name,
            cached_tokens=record.cached_tokens,
            cached_until=record.cached_until,
        )

    await store.append_to_conversation(record.session, conversation_id, with_turn)


def add_items(conversation: Conversation, new: tuple[StoredItem, ...]) -> Conversation:
    """The conversation with more items. Raises ApiError 413 if it becomes too large for the store."""
    after = conversation.add_items(new)
    if after.size > MAX_STORED_BYTES:
        message = (
            f"Payload Too Large. The conversation has more than {MAX_STORED_BYTES} bytes: a limit of this mock "
            "server."
        )
        raise ApiError(413, "BadRequest.TooLarge", message)
    return after


def _turn_items(
    request_body: bytes, response_body: bytes, response_id: str, now: float
) -> tuple[StoredItem, ...]:
    """Return the items that a turn adds to its conversation: its input and its output."""
    input_items = to_input_items(json.loads(request_body)["input"], response_id)
    items = [*input_items, *json.loads(response_body)["output"]]
    return tuple(to_stored_item(item, now) for item in items)


def to_stored_item(item: dict[str, Any], now: float) -> StoredItem:
    """Return a listed item as its conversation keeps it."""
    tokens = count_tokens("\n".join(item_texts(item)))
    return StoredItem(item["id"], now, tokens, json.dumps(item), select_call_items([item]))


def to_input_items(input_value: Any, response_id: str) -> list[dict[str, Any]]:
    """Return the `input` of a request as listed items; their ids derive from the id of the response."""
    items = [{"role": "user", "content": input_value}] if isinstance(input_value, str) else input_value
    own = [item for item in items if item.get("type") != "item_reference"]
    return [to_listed_item(item, derive_item_id(response_id, index)) for index, item in enumerate(own)]


def derive_item_id(response_id: str, index: int) -> str:
    """Derive the id of an input item: the client's own id, if there is one, may not be unique."""
    return "msg_" + format_uuid(request_digest(f"{response_id} {index}".encode()).hex())


def to_listed_item(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    """Return an input item as the API lists it: with id, type and status, and its text as a part."""
    item_type = "message" if item.get("type") is None else item["type"]
    listed = {name: value for name, value in item.items() if value is not None}
    listed |= {"id": item_id, "type": item_type}
    if item_type == "message":
        text_type = "output_text" if item["role"] == "assistant" else "input_text"
        content = item["content"]
        parts = [{"type": text_type, "text": content}] if isinstance(content, str) else content
        listed["content"] = [
            {**part, "type": text_type} if part["type"] == "text" else part for part in parts
        ]
    if item_type != "reasoning":
        status = item.get("status")
        listed["status"] = status if isinstance(status, str) and status else "completed"
    return listed
