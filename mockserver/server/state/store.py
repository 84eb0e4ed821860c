"""Stored responses and conversations: what a later request continues, or asks for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["Conversation", "MemoryStore", "ResponseRecord", "Store", "StoredItem"]

#: Bytes of requests and responses that are kept at the most.
MAX_STORED_BYTES = 256 << 20


class ResponseRecord(NamedTuple):
    """A response that can be continued."""

    id: str
    session: str
    parent_id: str | None
    """Id of the response it continued."""
    turn: int
    """Its place in the conversation, from 1."""
    created_at: float
    expires_at: float
    """Seconds since the epoch."""
    stub_name: str | None
    """Name of the exchange that answered."""
    context_tokens: int
    """Tokens of all turns up to and including this one: chains need no walking."""
    response_body: bytes
    """The response in wire form, as JSON."""
    request_body: bytes = b""
    """The request's body, where the profile can be asked for its input."""
    cached_tokens: int = 0
    """Tokens of its context in the session's cache."""
    cached_until: float = 0.0
    """Seconds since the epoch."""


class StoredItem(NamedTuple):
    """An item of a conversation."""

    id: str
    created_at: float
    """Seconds since the epoch: an item drops out of the context when it is too old."""
    tokens: int
    body: bytes
    """The item as it is listed, as JSON."""


class Conversation(NamedTuple):
    """A conversation: it never expires, its items do."""

    id: str
    session: str
    created_at: float
    """Seconds since the epoch."""
    metadata: bytes
    """The client's notes, as JSON."""
    items: tuple[StoredItem, ...] = ()
    turn: int = 0
    """Responses so far."""
    stub_name: str | None = None
    """Name of the exchange that answered last."""
    cached_tokens: int = 0
    cached_until: float = 0.0


class Store(Protocol):
    """Where records live; asynchronous, so that a store may be a server of its own."""

    async def put(self, record: ResponseRecord) -> None:
        """Keep a record, dropping the oldest where there is no room."""

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        """The record, or None where there is none (any more)."""

    async def was_evicted(self, session: str, response_id: str) -> bool:
        """Whether a record of that id was dropped for want of room."""

    async def delete(self, session: str, response_id: str) -> bool:
        """Forget a record; whether there was one."""

    async def put_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation, dropping the oldest where there is no room."""

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        """The conversation, or None where there is none (any more)."""

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        """Put what `change`, which may be called again, makes of the conversation in its place, at once.

        The conversation as it is then; None where there is none.
        """

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        """Forget a conversation; whether there was one."""

    async def clear(self, session: str) -> None:
        """Forget all of a session's records and conversations."""


class MemoryStore:
    """In this process: at most `size` records of `max_bytes` in all, and as many conversations.

    The oldest go first.
    """

    def __init__(self, max_records: int = 10_000, max_bytes: int = MAX_STORED_BYTES) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._stored_bytes = 0
        self._conversations: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._records: OrderedDict[tuple[str, str], ResponseRecord] = OrderedDict()
        # What was evicted is remembered in two halves, of which the older is dropped when the newer is full.
        self._evicted: set[tuple[str, str]] = set()
        self._older_evicted: set[tuple[str, str]] = set()

    async def put(self, record: ResponseRecord) -> None:
        self._records[record.session, record.id] = record
        self._stored_bytes += len(record.response_body) + len(record.request_body)
        while len(self._records) > self._max_records or (
            self._stored_bytes > self._max_bytes and len(self._records) > 1
        ):
            key, oldest = self._records.popitem(last=False)
            self._stored_bytes -= len(oldest.response_body) + len(oldest.request_body)
            self._remember_evicted(key)

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        return self._records.get((session, response_id))

    async def was_evicted(self, session: str, response_id: str) -> bool:
        key = (session, response_id)
        return key in self._evicted or key in self._older_evicted

    async def delete(self, session: str, response_id: str) -> bool:
        record = self._records.pop((session, response_id), None)
        if record is not None:
            self._stored_bytes -= len(record.response_body) + len(record.request_body)
        return record is not None

    async def put_conversation(self, conversation: Conversation) -> None:
        self._conversations[conversation.session, conversation.id] = conversation
        if len(self._conversations) > self._max_records:
            self._conversations.popitem(last=False)

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        return self._conversations.get((session, conversation_id))

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        key = (session, conversation_id)
        before = self._conversations.get(key)
        if before is not None:
            self._conversations[key] = change(before)
        return self._conversations.get(key)

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        return self._conversations.pop((session, conversation_id), None) is not None

    async def clear(self, session: str) -> None:
        for key in [key for key in self._records if key[0] == session]:
            await self.delete(*key)
        for key in [key for key in self._conversations if key[0] == session]:
            del self._conversations[key]
        self._evicted = {key for key in self._evicted if key[0] != session}
        self._older_evicted = {key for key in self._older_evicted if key[0] != session}

    def _remember_evicted(self, key: tuple[str, str]) -> None:
        """Remember that there was a record, for as many ids as records: the log then says why it is gone."""
        self._evicted.add(key)
        if len(self._evicted) >= self._max_records:
            self._older_evicted, self._evicted = self._evicted, set()
