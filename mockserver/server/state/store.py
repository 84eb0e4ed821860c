"""The store: responses and conversations that later requests continue or retrieve."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from mockserver.contract.bodies.call_outputs import Turn

__all__ = ["Conversation", "MemoryStore", "ResponseRecord", "Store", "StoredItem"]

#: Bytes of requests and responses that a store keeps.
MAX_STORED_BYTES = 256 << 20


class ResponseRecord(NamedTuple):
    """A response that later requests can continue."""

    id: str
    session: str
    parent_id: str | None
    """Id of the response that it continues."""
    turn: int
    """Turn of the conversation, from 1."""
    created_at: float
    expires_at: float
    """Seconds since the epoch."""
    stub_name: str | None
    """Name of the stub or exchange that answered."""
    context_tokens: int
    """Tokens of all turns up to and including this one."""
    response_body: bytes
    """The response in wire form, as JSON."""
    request_body: bytes = b""
    """The request's body, if the profile has an operation that reads it."""
    cached_tokens: int = 0
    """Tokens of its context in the session cache."""
    cached_until: float = 0.0
    """Seconds since the epoch."""
    calls: Turn | None = None
    """The function calls of the earlier turns and of its input, or of a conversation; None: there are none."""


class StoredItem(NamedTuple):
    """An item of a conversation."""

    id: str
    created_at: float
    """Seconds since the epoch; an expired item is no longer part of the context."""
    tokens: int
    body: bytes
    """The item as the API lists it, as JSON."""


class Conversation(NamedTuple):
    """A conversation. It never expires, but its items do."""

    id: str
    session: str
    created_at: float
    """Seconds since the epoch."""
    metadata: bytes
    """The client's metadata, as JSON."""
    items: tuple[StoredItem, ...] = ()
    turn: int = 0
    """Number of responses so far."""
    stub_name: str | None = None
    """Name of the stub or exchange that answered last."""
    cached_tokens: int = 0
    cached_until: float = 0.0


class Store(Protocol):
    """Storage for records; asynchronous, so that it may be a server of its own."""

    async def put(self, record: ResponseRecord) -> None:
        """Store a record; evict the oldest ones to make room."""

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        """Return a record, or None."""

    async def was_evicted(self, session: str, response_id: str) -> bool:
        """Return whether a record of this id was evicted to make room."""

    async def delete(self, session: str, response_id: str) -> bool:
        """Delete a record; return whether it existed."""

    async def put_conversation(self, conversation: Conversation) -> None:
        """Store a conversation; evict the oldest ones to make room."""

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        """Return a conversation, or None."""

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        """Replace a conversation, atomically, by what `change` returns for it.

        A store may call `change` more than once. Returns the new conversation, or None if there is none.
        """

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        """Delete a conversation; return whether it existed."""

    async def clear(self, session: str) -> None:
        """Delete all records and conversations of a session."""


class MemoryStore:
    """A store in memory: at most `max_records` records of `max_bytes` in total, and as many conversations."""

    def __init__(self, max_records: int = 10_000, max_bytes: int = MAX_STORED_BYTES) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._stored_bytes = 0
        self._conversations: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._records: OrderedDict[tuple[str, str], ResponseRecord] = OrderedDict()
        # Two generations of evicted ids: the older is dropped when the newer is full.
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
        """Remember an evicted id, for as many ids as there are records, so that the log can say why."""
        self._evicted.add(key)
        if len(self._evicted) >= self._max_records:
            self._older_evicted, self._evicted = self._evicted, set()
