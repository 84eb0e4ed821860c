"""Context: what came before a request, and what is kept of it for the next.

A turn goes on from a response, by `previous_response_id`, or in a conversation; either gives a `Record` that
says how far it is. Totals are cumulative, so a chain costs the same however long it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.ids import request_digest, uuid
from mockserver.profiles import Profile
from mockserver.replies.template import Values
from mockserver.replies.usage import Cache, count_tokens
from mockserver.server.asks import Ask, texts_of
from mockserver.server.envelopes import ApiError
from mockserver.server.sessions import Session
from mockserver.server.store import Conversation, Kept, Record, Store
from mockserver.wire import json

__all__ = [
    "SessionCache",
    "converse",
    "find_parent",
    "input_list",
    "item_id",
    "known_record",
    "listed",
    "record_of",
]

#: Operations that read again what was asked.
_REREAD = frozenset({"listInputItems", "compactResponse"})


async def find_parent(session: Session, store: Store, ask: Ask) -> Record | None:
    """What a request goes on from; ApiError 400 where it is not known (any more)."""
    if ask.conversation is not None:
        conversation = await store.get_conversation(session.name, ask.conversation)
        if conversation is None:
            # Envelope and text inferred, as for responses.
            message = f"Conversation with id '{ask.conversation}' not found."
            raise ApiError(400, "InvalidParameter", message, streamed=ask.stream)
        return _record_of(conversation, session)
    previous = ask.previous
    return None if previous is None else await known_record(session, store, previous, stream=ask.stream)


async def known_record(session: Session, store: Store, previous: str, *, stream: bool) -> Record:
    """The response that `previous_response_id` names; ApiError 400 where it is not known (any more)."""
    record = await store.get(session.name, previous)
    if record is not None and session.clock.now() < record.expires:
        return record
    if record is not None:
        detail = "expired"
    elif await store.was_evicted(session.name, previous):
        detail = "evicted: the store was full"
    else:
        detail = "unknown"
    # Envelope and text inferred: the vendor documents them for retrieve and input_items alone (2026).
    message = f"Response with id '{previous}' not found."
    detail = f"previous_response_id {detail}"
    error = ApiError(400, "InvalidParameter", message, detail=detail, streamed=stream)
    raise error.about("previous_response_id", "previous_response_not_found")


def _record_of(conversation: Conversation, session: Session) -> Record:
    """A conversation as the response that its next turn goes on from; old items are out of its context."""
    now, profile = session.clock.now(), session.profile
    fresh = sum(item.tokens for item in conversation.items if now < item.created + profile.lifetime_s)
    return Record(
        id="",
        session=session.name,
        parent=None,
        turn=conversation.turn,
        created=conversation.created,
        expires=now,
        exchange=conversation.exchange,
        context_tokens=profile.hidden_prompt_tokens + fresh,
        response=b"",
        cached_tokens=conversation.cached_tokens,
        cached_until=conversation.cached_until,
    )


class SessionCache(NamedTuple):
    """What the session's cache does for one request (OpenAPI document, August 2026).

    A context of 1,024 tokens and more is kept for 5 minutes; what the next turn finds of it is read from
    there, and the time begins anew.
    """

    cached: int
    created: int
    kept: int
    """Tokens that are in the cache afterwards."""

    @classmethod
    def of(cls, parent: Record | None, input_tokens: int, now: float, profile: Profile) -> SessionCache:
        """What it does for a context of so many tokens that goes on from `parent`."""
        alive = parent is not None and now < parent.cached_until
        cached = min(parent.cached_tokens, input_tokens) if alive and parent is not None else 0
        if input_tokens < profile.cache_min_tokens:
            return cls(cached, 0, cached)
        return cls(cached, input_tokens - cached, input_tokens)

    @property
    def usage(self) -> Cache:
        return Cache(self.cached, self.created)


def record_of(
    session: Session,
    ask: Ask,
    parent: Record | None,
    values: Values,
    exchange: str | None,
    cache: SessionCache | None,
    request: bytes,
    response: bytes,
) -> Record:
    """A response, in wire form, as it is kept for the turns after it."""
    now, profile = session.clock.now(), session.profile
    kept = 0 if cache is None else cache.kept
    return Record(
        values.response_id,
        session.name,
        (parent.id or None) if parent else None,
        parent.turn + 1 if parent else 1,
        now,
        now + profile.lifetime_s,
        exchange,
        values.total_tokens - ask.instruction_tokens,
        response,
        request if _REREAD.intersection(profile.operations) else b"",
        kept,
        now + profile.cache_seconds if kept else 0.0,
    )


async def converse(store: Store, conversation: str, record: Record, request: bytes) -> None:
    """Put a turn, as it would be kept, into its conversation."""
    new = _turn(request, record.response, record.id, record.created)

    def grown(before: Conversation) -> Conversation:
        return before._replace(
            items=before.items + new,
            turn=before.turn + 1,
            exchange=record.exchange,
            cached_tokens=record.cached_tokens,
            cached_until=record.cached_until,
        )

    await store.update_conversation(record.session, conversation, grown)


def _turn(request: bytes, response: bytes, response_id: str, now: float) -> tuple[Kept, ...]:
    """The items that a turn adds to its conversation: what was asked, and what came of it."""
    asked = input_list(json.loads(request)["input"], response_id)
    items = [*asked, *json.loads(response)["output"]]
    return tuple(Kept(item["id"], now, tokens_of(item), json.dumps(item)) for item in items)


def tokens_of(item: dict[str, Any]) -> int:
    """The estimate for an item's texts."""
    return count_tokens("\n".join(texts_of(item)))


def input_list(given: Any, owner: str) -> list[dict[str, Any]]:
    """The `input` of a request as listed items; their ids derive from `owner`, the id of their response."""
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    kept = [item for item in items if item.get("type") != "item_reference"]
    return [listed(item, item_id(owner, at)) for at, item in enumerate(kept)]


def item_id(owner: str, place: int) -> str:
    """The id of an item that came without one that is sure to be its own."""
    return "msg_" + uuid(request_digest(f"{owner} {place}".encode()).hex())


def listed(item: dict[str, Any], given_id: str) -> dict[str, Any]:
    """An input item as it is listed: with an id, a type and a status, a text as its part."""
    kind = "message" if item.get("type") is None else item["type"]
    shown = {name: value for name, value in item.items() if value is not None}
    shown |= {"id": given_id, "type": kind}
    if kind == "message":
        spoken = "output_text" if item["role"] == "assistant" else "input_text"
        content = item["content"]
        parts = [{"type": spoken, "text": content}] if isinstance(content, str) else content
        shown["content"] = [{**part, "type": spoken} if part["type"] == "text" else part for part in parts]
    if kind != "reasoning":
        told = item.get("status")
        shown["status"] = told if isinstance(told, str) and told else "completed"
    return shown
