"""The memory store."""

from __future__ import annotations

import asyncio

from mockserver.server.state.store import Conversation, MemoryStore, ResponseRecord, StoredItem


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


def conversation(name: str, size: int = 0) -> Conversation:
    empty = Conversation(name, "s", 0.0, b"{}")
    return empty.add_items((StoredItem("i", 0.0, 1, b"x" * (size - empty.size)),)) if size else empty


async def stored_names(store: MemoryStore, names: str) -> str:
    """The names of the records (lower case) and conversations (upper case) that are left."""
    kept = ""
    for name in names:
        found = store.get_conversation("s", name) if name.isupper() else store.get("s", name)
        kept += name if await found is not None else ""
    return kept


def test_conversations_count_in_the_limit() -> None:
    async def main() -> None:
        store = MemoryStore(max_bytes=1000)
        for name in "ABCD":
            await store.put_conversation(conversation(name, 300))
        assert await stored_names(store, "ABCD") == "BCD"
        assert await store.was_evicted("s", "A")
        await store.update_conversation("s", "B", lambda before: before._replace(metadata=b'{"a":1}'))
        await store.put(large_record("a", 300))
        assert await stored_names(store, "ABCDa") == "BDa"  # B was changed last
        await store.put(large_record("b", 300))
        assert await stored_names(store, "BDab") == "Bab"
        await store.delete_conversation("s", "B")
        await store.put(large_record("c", 300))
        assert await stored_names(store, "abc") == "abc"

    asyncio.run(main())


def test_the_newest_of_each_kind_stays_however_large_it_is() -> None:
    async def main() -> None:
        store = MemoryStore(max_bytes=1000)
        await store.put_conversation(conversation("A", 5000))
        await store.put(large_record("a", 5000))
        assert await stored_names(store, "Aa") == "Aa"
        await store.put(large_record("b", 10))
        await store.put_conversation(conversation("B", 10))
        assert await stored_names(store, "AaBb") == "Bb"

    asyncio.run(main())


def test_bytes_are_counted_through_every_change() -> None:
    async def main() -> None:
        store = MemoryStore(max_bytes=10_000)
        await store.put_conversation(conversation("A", 3000))
        for _ in range(20):
            added = (StoredItem("j", 0.0, 1, b"x" * 5000),)
            await store.update_conversation("s", "A", lambda before, new=added: before.add_items(new))  # type: ignore[misc]
            await store.update_conversation("s", "A", lambda before: before.remove_item("j"))
            await store.put_conversation(conversation("B", 3000))
            await store.delete_conversation("s", "B")
        await store.clear("s")
        await store.put_conversation(conversation("A", 5000))
        await store.put(large_record("a", 5000))
        assert await stored_names(store, "Aa") == "Aa"

    asyncio.run(main())


def large_record(name: str, size: int) -> ResponseRecord:
    return record(name)._replace(response_body=b"x" * size)
