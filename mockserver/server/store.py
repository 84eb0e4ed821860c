"""Stored responses: what `previous_response_id` continues."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Protocol

__all__ = ["MemoryStore", "Record", "Store"]


class Record(NamedTuple):
    """A response that can be continued."""

    id: str
    session: str
    parent: str | None
    """Id of the response it continued."""
    turn: int
    """Its place in the conversation, from 1."""
    created: float
    expires: float
    """Seconds since the epoch."""
    exchange: str | None
    """Name of the exchange that answered."""
    context_tokens: int
    """Tokens of all turns up to and including this one: chains need no walking."""
    response: bytes
    """The response in wire form, as JSON."""


class Store(Protocol):
    """Where records live; asynchronous, so that a store may be a server of its own."""

    async def put(self, record: Record) -> None:
        """Keep a record, dropping the oldest where there is no room."""

    async def get(self, session: str, response_id: str) -> Record | None:
        """The record, or None where there is none (any more)."""

    async def was_evicted(self, session: str, response_id: str) -> bool:
        """Whether a record of that id was dropped for want of room."""

    async def delete(self, session: str, response_id: str) -> bool:
        """Forget a record; whether there was one."""

    async def clear(self, session: str) -> None:
        """Forget all of a session's records."""


class MemoryStore:
    """Records in this process, at most `size`, oldest out first."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        # What was evicted is remembered in two halves, of which the older is dropped when the newer is full.
        self._evicted: set[tuple[str, str]] = set()
        self._evicted_before: set[tuple[str, str]] = set()

    async def put(self, record: Record) -> None:
        self._records[record.session, record.id] = record
        if len(self._records) > self._size:
            self._forget(self._records.popitem(last=False)[0])

    async def get(self, session: str, response_id: str) -> Record | None:
        return self._records.get((session, response_id))

    async def was_evicted(self, session: str, response_id: str) -> bool:
        key = (session, response_id)
        return key in self._evicted or key in self._evicted_before

    async def delete(self, session: str, response_id: str) -> bool:
        return self._records.pop((session, response_id), None) is not None

    async def clear(self, session: str) -> None:
        for key in [key for key in self._records if key[0] == session]:
            del self._records[key]
        self._evicted = {key for key in self._evicted if key[0] != session}
        self._evicted_before = {key for key in self._evicted_before if key[0] != session}

    def _forget(self, key: tuple[str, str]) -> None:
        """Remember that there was a record, for as many ids as records: the log then says why it is gone."""
        self._evicted.add(key)
        if len(self._evicted) >= self._size:
            self._evicted_before, self._evicted = self._evicted, set()
