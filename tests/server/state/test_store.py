"""The memory store."""

from __future__ import annotations

import asyncio

from mockserver.server.state.store import MemoryStore, ResponseRecord


def record(name: str, session: str = "s") -> ResponseRecord:
    return ResponseRecord(name, session, None, 1, 0.0, 10.0, None, 40, b"{}")


def test_the_oldest_record_is_evicted_and_remembered() -> None:
    async def main() -> None:
        store = MemoryStore(max_records=2)
        for name in ("a", "b", "c"):
            await store.put(record(name))
        assert await store.get("s", "a") is None
        assert await store.was_evicted("s", "a")
        assert await store.get("s", "c") == record("c")
        assert not await store.was_evicted("s", "never")
        for name in ("d", "e", "f", "g"):
            await store.put(record(name))
        assert not await store.was_evicted("s", "a")  # it remembers as many ids as it stores

    asyncio.run(main())


def test_records_of_sessions_are_separate() -> None:
    async def main() -> None:
        store = MemoryStore()
        await store.put(record("a", "one"))
        await store.put(record("a", "two"))
        await store.clear("one")
        assert await store.get("one", "a") is None
        assert await store.get("two", "a") is not None
        assert await store.delete("two", "a")
        assert not await store.delete("two", "a")

    asyncio.run(main())
