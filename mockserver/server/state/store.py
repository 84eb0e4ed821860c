"""The store: responses and conversations that later requests continue or retrieve."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from mockserver.contract.bodies.call_outputs import NO_HISTORY, CallHistory, Turn
from mockserver.named_tuples import NamedTuple
from mockserver.server.errors import ApiError

if TYPE_CHECKING:
    from mockserver.server.state.quotas import Quota

__all__ = [
    "MAX_STORED_BYTES",
    "Conversation",
    "ConversationContext",
    "MemoryStore",
    "ResponseRecord",
    "SharedStore",
    "Store",
    "StoreUnavailable",
    "StoredItem",
    "follow_parents",
]

#: Bytes of requests, responses and conversations that a store keeps.
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
    calls: Turn | CallHistory | None = None
    """The function calls of the earlier turns and of its input, or of a conversation; None: there are none."""


class StoredItem(NamedTuple):
    """An item of a conversation."""

    id: str
    created_at: float
    """Seconds since the epoch; an expired item is no longer part of the context."""
    tokens: int
    body: bytes
    """The item as the API lists it, as JSON."""
    call_items: tuple[Mapping[str, Any], ...] = ()
    """The item without its texts, if it is a call, an output, or stands for others."""


class ConversationContext(NamedTuple):
    """What the items of a conversation add up to, so that a turn need not read them all."""

    tokens: int = 0
    calls: CallHistory = NO_HISTORY
    has_function_calls: bool = False
    oldest: float = inf
    """When the first item was created, in seconds since the epoch."""

    def add_items(self, new: Iterable[StoredItem]) -> ConversationContext:
        """The context with more items at its end."""
        items = tuple(new)
        call_items = [each for item in items for each in item.call_items]
        return ConversationContext(
            self.tokens + sum(item.tokens for item in items),
            self.calls.add_items(call_items) if call_items else self.calls,
            self.has_function_calls or any(each.get("type") == "function_call" for each in call_items),
            min((self.oldest, *(item.created_at for item in items))),
        )


_EMPTY_CONTEXT = ConversationContext()


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
    item_bytes: int = 0
    """Bytes of all items."""
    context: ConversationContext = _EMPTY_CONTEXT
    """Of all items, also those that have expired."""
    revision: str = ""
    """Differs after each change in a store of several servers that compares before it stores."""

    @property
    def size(self) -> int:
        """Bytes that the conversation needs."""
        return self.item_bytes + len(self.metadata)

    def add_items(self, new: tuple[StoredItem, ...]) -> Conversation:
        """The conversation with more items at its end."""
        size = self.item_bytes + sum(len(item.body) for item in new)
        return self._replace(items=self.items + new, item_bytes=size, context=self.context.add_items(new))

    def remove_item(self, item_id: str) -> Conversation:
        """The conversation without an item."""
        kept = tuple(item for item in self.items if item.id != item_id)
        return self._replace(
            items=kept,
            item_bytes=sum(len(item.body) for item in kept),
            context=_EMPTY_CONTEXT.add_items(kept),
        )

    def context_after(self, time: float) -> ConversationContext:
        """The context of the items that were created after a time."""
        if self.context.oldest > time:
            return self.context
        return _EMPTY_CONTEXT.add_items(item for item in self.items if item.created_at > time)


class StoreUnavailable(ApiError):
    """The store cannot be reached, or cannot store any more; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        message = "The store of this mock server is unavailable. Try again later."
        super().__init__(
            503, "ServiceUnavailable", message, headers=((b"retry-after", b"1"),), detail=f"store: {reason}"
        )
        self.reason = reason


class Store(Protocol):
    """Storage for records; asynchronous, so that it may be a server of its own.

    What a method has returned for is stored. Each raises StoreUnavailable, within a second, if the store fails.
    """

    is_shared: bool
    """Whether other servers use it too: then what this server does not need any more may not be cleared."""

    async def put(self, record: ResponseRecord) -> None:
        """Store a record; evict the oldest ones to make room."""

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        """Return a record, or None."""

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        """Return the records that lead to `last`, the oldest first, and `last` itself."""

    async def was_evicted(self, session: str, object_id: str) -> bool:
        """Return whether a record or a conversation of this id was evicted to make room."""

    async def delete(self, session: str, response_id: str) -> bool:
        """Delete a record; return whether it existed."""

    async def put_conversation(self, conversation: Conversation) -> None:
        """Store a conversation; evict the oldest ones to make room."""

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        """Return a conversation, or None."""

    async def get_conversation_summary(self, session: str, conversation_id: str) -> Conversation | None:
        """Like `get_conversation`, but `items` may be empty: the other members say what most turns need."""

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        """Replace a conversation, atomically, by what `change` returns for it.

        A store may call `change` more than once. Returns the new conversation, or None if there is none.
        """

    async def append_to_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        """Like `update_conversation`, for a change that removes no items.

        The conversation that `change` gets, and the one that is returned, may lack earlier items.
        """

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        """Delete a conversation; return whether it existed."""

    async def clear(self, session: str) -> None:
        """Delete all records and conversations of a session."""

    async def ready(self) -> None:
        """Return if records can be read and stored."""

    async def close(self) -> None:
        """Close connections; the next use opens them again."""


class SharedStore(Store, Protocol):
    """A store of several servers, which also counts what they must count together."""

    async def count(self, session: str, name: bytes) -> int:
        """Count something; return how often it was counted before."""

    async def admit(
        self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int, now: float
    ) -> int | None:
        """Count a request unless it exceeds a quota; return the index of the first that it exceeds."""

    async def take(self, session: str, counts: Sequence[tuple[bytes, int]]) -> int | None:
        """Count the first of several things that has been counted less often than its number says.

        Returns its index, or None if there is none left of any.
        """

    async def taken(self, session: str, names: Sequence[bytes]) -> list[int]:
        """Return how often `take` has counted each."""

    async def add_tokens(self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int) -> None:
        """Add tokens to the latest request that was admitted under this name."""


async def follow_parents(
    get: Callable[[str, str], Awaitable[ResponseRecord | None]], last: ResponseRecord
) -> list[ResponseRecord]:
    """Get the records that lead to `last` one by one; return them, the oldest first, and `last` itself."""
    chain = [last]
    while (parent_id := chain[-1].parent_id) is not None:
        parent = await get(last.session, parent_id)
        if parent is None:
            break
        chain.append(parent)
    return chain[::-1]


class MemoryStore:
    """A store in memory: at most `max_records` records, as many conversations, and `max_bytes` for all of them.

    To make room, the oldest entry of the kind that has more bytes is evicted. The age of a conversation counts
    from its last change. The newest of each kind stays, however large it is.
    """

    is_shared = False

    def __init__(self, max_records: int = 10_000, max_bytes: int = MAX_STORED_BYTES) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._record_bytes = 0
        self._conversation_bytes = 0
        self._conversations: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._records: OrderedDict[tuple[str, str], ResponseRecord] = OrderedDict()
        # Two generations of evicted ids: the older is dropped when the newer is full.
        self._evicted: set[tuple[str, str]] = set()
        self._older_evicted: set[tuple[str, str]] = set()

    async def put(self, record: ResponseRecord) -> None:
        self.add(record)

    def add(self, record: ResponseRecord) -> None:
        """Like `put`, at once."""
        self._records[record.session, record.id] = record
        self._record_bytes += len(record.response_body) + len(record.request_body)
        if len(self._records) > self._max_records:
            self._evict_record()
        if self._record_bytes + self._conversation_bytes > self._max_bytes:
            self._make_room()

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        return self.find(session, response_id)

    def find(self, session: str, response_id: str | None) -> ResponseRecord | None:
        """Like `get`, at once."""
        return None if response_id is None else self._records.get((session, response_id))

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        return await follow_parents(self.get, last)

    async def was_evicted(self, session: str, object_id: str) -> bool:
        key = (session, object_id)
        return key in self._evicted or key in self._older_evicted

    async def delete(self, session: str, response_id: str) -> bool:
        record = self._records.pop((session, response_id), None)
        if record is not None:
            self._record_bytes -= len(record.response_body) + len(record.request_body)
        return record is not None

    async def put_conversation(self, conversation: Conversation) -> None:
        key = (conversation.session, conversation.id)
        before = self._conversations.pop(key, None)
        self._conversations[key] = conversation
        self._conversation_bytes += conversation.size - (before.size if before else 0)
        if len(self._conversations) > self._max_records:
            self._evict_conversation()
        if self._record_bytes + self._conversation_bytes > self._max_bytes:
            self._make_room()

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        return self._conversations.get((session, conversation_id))

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        before = self._conversations.get((session, conversation_id))
        if before is None:
            return None
        after = change(before)
        await self.put_conversation(after)
        return after

    async def get_conversation_summary(self, session: str, conversation_id: str) -> Conversation | None:
        return await self.get_conversation(session, conversation_id)

    async def append_to_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        return await self.update_conversation(session, conversation_id, change)

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        conversation = self._conversations.pop((session, conversation_id), None)
        if conversation is not None:
            self._conversation_bytes -= conversation.size
        return conversation is not None

    async def clear(self, session: str) -> None:
        for key in [key for key in self._records if key[0] == session]:
            await self.delete(*key)
        for key in [key for key in self._conversations if key[0] == session]:
            await self.delete_conversation(*key)
        self._evicted = {key for key in self._evicted if key[0] != session}
        self._older_evicted = {key for key in self._older_evicted if key[0] != session}

    async def ready(self) -> None:
        """Return at once."""

    async def close(self) -> None:
        """Do nothing: what is stored stays."""

    def _make_room(self) -> None:
        """Evict the oldest entries of the kind that has more bytes, but never the newest of a kind."""
        while self._record_bytes + self._conversation_bytes > self._max_bytes:
            has_old_record, has_old_conversation = len(self._records) > 1, len(self._conversations) > 1
            has_more_bytes = self._record_bytes >= self._conversation_bytes
            if has_old_record and (has_more_bytes or not has_old_conversation):
                self._evict_record()
            elif has_old_conversation:
                self._evict_conversation()
            else:
                return

    def _evict_record(self) -> None:
        key, oldest = self._records.popitem(last=False)
        self._record_bytes -= len(oldest.response_body) + len(oldest.request_body)
        self._remember_evicted(key)

    def _evict_conversation(self) -> None:
        key, oldest = self._conversations.popitem(last=False)
        self._conversation_bytes -= oldest.size
        self._remember_evicted(key)

    def _remember_evicted(self, key: tuple[str, str]) -> None:
        """Remember an evicted id, for as many ids as there are records, so that the log can say why."""
        self._evicted.add(key)
        if len(self._evicted) >= self._max_records:
            self._older_evicted, self._evicted = self._evicted, set()
