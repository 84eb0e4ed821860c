"""The stores that several servers share do what the memory store does."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mockserver.contract.bodies.call_outputs import NO_HISTORY, Turn
from mockserver.errors import ConfigurationError
from mockserver.server.errors import ApiError
from mockserver.server.state.quotas import Quota
from mockserver.server.state.rate_limits import UsageCounter
from mockserver.server.state.shared_stores import describe_store, open_shared_store
from mockserver.server.state.store import (
    Conversation,
    MemoryStore,
    ResponseRecord,
    SharedStore,
    Store,
    StoredItem,
    StoreUnavailable,
)
from tests.redis_server import RedisServer


@pytest.fixture(params=["memory", "sqlite", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the store; in memory, the same one each time."""
    if request.param == "memory":
        memory = MemoryStore()
        yield lambda: memory
    elif request.param == "sqlite":
        yield lambda: open_shared_store(f"sqlite:{tmp_path / 'store'}")
    else:
        server: RedisServer = request.getfixturevalue("redis")
        yield lambda: open_shared_store(server.url)


@pytest.fixture(params=["sqlite", "redis"])
def open_shared(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SharedStore]:
    """Opens a store that several servers share."""
    if request.param == "sqlite":
        return lambda: open_shared_store(f"sqlite:{tmp_path / 'store'}")
    server: RedisServer = request.getfixturevalue("redis")
    return lambda: open_shared_store(server.url)


def run(store: Store, scenario: Callable[[], Awaitable[Any]]) -> Any:
    """Run a scenario and close the store."""

    async def main() -> Any:
        try:
            return await scenario()
        finally:
            await store.close()

    return asyncio.run(main())


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}


def record(name: str, parent: str | None = None, **members: Any) -> ResponseRecord:
    turn = ResponseRecord(
        name, "s", parent, 1, 5.0, 6e9, 'a "stub" with ,"response": in it', 40, b'{"a": [1]}'
    )
    return turn._replace(**members)


def test_a_record_comes_back_as_it_was_stored(open_store: Callable[[], Store]) -> None:
    store = open_store()
    earlier = Turn((CALL,), NO_HISTORY)
    records = [
        record("a"),
        record("b", "a", request_body=b'{"input":  "\xc3\xa9"}', cached_tokens=3, cached_until=9.5),
        record("c", "b", calls=earlier),
        record("d", "c", calls=Turn(({**CALL, "call_id": "call_2"},), earlier)),
        record("e", "d", calls=Turn((), earlier).call_history()),
    ]

    async def scenario() -> None:
        for each in records:
            await store.put(each)
        for each in records:
            found = await store.get("s", each.id)
            assert found is not None
            assert found._replace(calls=None) == each._replace(calls=None)
            # Turns before the last one come back as one history.
            calls = (found.calls and found.calls.call_history(), each.calls and each.calls.call_history())
            assert calls[0] == calls[1]
        assert await store.get("s", "unknown") is None
        assert await store.get("other", "a") is None

    run(store, scenario)


def test_a_chain_of_many_turns_comes_back_in_order(open_store: Callable[[], Store]) -> None:
    store = open_store()

    async def scenario() -> None:
        records = [record(f"r{index}", f"r{index - 1}" if index else None) for index in range(150)]
        for each in records:
            await store.put(each)
        assert await store.get_chain(records[-1]) == records
        assert await store.get_chain(records[0]) == records[:1]
        await store.delete("s", "r100")
        assert await store.get_chain(records[-1]) == records[101:]

    run(store, scenario)


def test_another_server_finds_what_is_stored_until_it_is_cleared(open_store: Callable[[], Store]) -> None:
    one, two = open_store(), open_store()

    async def scenario() -> None:
        await one.put(record("a"))
        await one.put_conversation(Conversation("c", "s", 0.0, b"{}"))
        assert await two.get("s", "a") == record("a")
        await two.clear("s")
        assert await one.get("s", "a") is None
        assert await one.get_conversation("s", "c") is None
        await one.put(record("b"))
        assert await two.get("s", "b") == record("b")
        assert await two.delete("s", "b")
        assert not await one.delete("s", "b")
        await one.ready()
        await two.close()

    run(one, scenario)


def with_item(name: str) -> Callable[[Conversation], Conversation]:
    def change(before: Conversation) -> Conversation:
        item = StoredItem(name, 7.0, 2, json.dumps({"id": name, "deep": [[]]}).encode(), (CALL,))
        return before.add_items((item,))._replace(turn=before.turn + 1, stub_name="s")

    return change


def test_concurrent_turns_of_a_conversation_are_all_kept(open_store: Callable[[], Store]) -> None:
    one, two = open_store(), open_store()

    async def scenario() -> None:
        await one.put_conversation(Conversation("c", "s", 0.0, b'{"topic": "tea"}'))
        names = [f"i{index}" for index in range(20)]
        turns = [
            store.update_conversation("s", "c", with_item(name))
            for store, name in zip([one, two] * 10, names, strict=True)
        ]
        assert all(await asyncio.gather(*turns))
        found = await two.get_conversation("s", "c")
        assert found is not None
        assert sorted(item.id for item in found.items) == sorted(names)
        assert (found.turn, found.metadata, found.context.tokens) == (20, b'{"topic": "tea"}', 40)
        assert found.context.has_function_calls
        assert found.items[0].body == with_item(found.items[0].id)(found._replace(items=())).items[0].body
        assert await one.update_conversation("s", "unknown", with_item("x")) is None
        await two.close()

    run(one, scenario)


def test_appended_turns_are_all_kept_and_a_summary_has_their_totals(
    open_store: Callable[[], Store],
) -> None:
    one, two = open_store(), open_store()

    async def scenario() -> None:
        await one.put_conversation(with_item("first")(Conversation("c", "s", 0.0, b"{}")))
        names = [f"i{index}" for index in range(20)]
        turns = [
            store.append_to_conversation("s", "c", with_item(name))
            for store, name in zip([one, two] * 10, names, strict=True)
        ]
        assert all(await asyncio.gather(*turns))
        found = await two.get_conversation("s", "c")
        summary = await one.get_conversation_summary("s", "c")
        assert found is not None
        assert summary is not None
        assert [found.items[0].id, *sorted(item.id for item in found.items[1:])] == ["first", *sorted(names)]
        assert summary._replace(items=found.items) == found
        assert (found.turn, found.context.tokens) == (21, 42)
        assert found.item_bytes == sum(len(item.body) for item in found.items)
        shorter = await two.update_conversation("s", "c", lambda before: before.remove_item("i7"))
        assert shorter is not None
        assert await one.get_conversation("s", "c") == shorter
        assert "i7" not in [item.id for item in shorter.items]
        assert await one.append_to_conversation("s", "unknown", with_item("x")) is None
        assert await one.get_conversation_summary("s", "unknown") is None
        assert await one.delete_conversation("s", "c")
        await two.put_conversation(Conversation("c", "s", 0.0, b"{}"))
        assert await one.get_conversation("s", "c") == await two.get_conversation_summary("s", "c")
        await two.close()

    run(one, scenario)


def test_servers_count_together_until_the_session_is_cleared(open_shared: Callable[[], SharedStore]) -> None:
    one, two = open_shared(), open_shared()

    async def scenario() -> None:
        counts = [await store.count("s", b"\xff a request") for store in (one, two, one)]
        counts += await asyncio.gather(*[store.count("s", b"\xff a request") for store in (one, two)])
        assert sorted(counts) == [0, 1, 2, 3, 4]
        assert await two.count("s", b"another") == await two.count("t", b"\xff a request") == 0
        await two.clear("s")
        assert await one.count("s", b"\xff a request") == 0
        await two.close()

    run(one, scenario)


def test_an_sqlite_store_forgets_the_counts_of_requests_that_came_least_recently(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}", 200)

    async def scenario() -> None:
        for turn in range(3):
            assert await store.count("s", b"often") == turn
            for number in range(300):
                await store.count("s", b"%d %d" % (turn, number))
        assert await store.count("s", b"0 0") == 0

    run(store, scenario)


def test_servers_take_together_what_is_limited(open_shared: Callable[[], SharedStore]) -> None:
    one, two = open_shared(), open_shared()
    counts = [(b"\xff first", 3), (b"second", 2)]

    async def scenario() -> None:
        taken = [await store.take("s", counts) for store in (one, two)]
        taken += await asyncio.gather(*[store.take("s", counts) for store in (one, two, one, two, one)])
        assert sorted(map(str, taken)) == ["0", "0", "0", "1", "1", "None", "None"]
        assert await two.take("s", counts) is None
        assert await two.take("t", counts) == 0
        assert await one.take("s", [*counts, (b"third", 1)]) == 2
        assert await two.taken("s", [b"second", b"fourth", b"third"]) == [2, 0, 1]
        assert await two.taken("s", []) == []
        assert await two.take("s", [(b"\xff first", 4)]) == 0
        await two.clear("s")
        assert await one.take("s", counts) == 0
        await two.close()

    run(one, scenario)


def test_servers_admit_requests_together(open_shared: Callable[[], SharedStore]) -> None:
    """Two servers admit and refuse the same requests as one that counts in memory."""
    one, two, counter = open_shared(), open_shared(), UsageCounter()
    quotas = (
        Quota("a", 60, requests=6),
        Quota("b", 1, requests=2),
        Quota("c", 60, tokens=100),
        Quota("d", 1, tokens=20, admits_any_first=True),
    )
    requests = [
        *((5.0, 10), (5.25, 10), (5.5, 1), (6.0, 21), (6.5, 1), (8.0, 50), (9.5, 5), (9.75, 0)),
        *((11.0, 0), (12.0, 0), (64.9, 0), (65.0, 0), (65.125, 90), (70.5, 30), (200.0, 101), (200.0, 100)),
    ]

    async def scenario() -> None:
        indexes = []
        for number, (now, tokens) in enumerate(requests):
            store = (one, two)[number % 2]
            exceeded = counter.admit(quotas, tokens, now)
            indexes.append(await store.admit("s", b"\xff key", quotas, tokens, now))
            assert indexes[-1] == (None if exceeded is None else quotas.index(exceeded)), (now, tokens)
        assert set(indexes) == {None, 0, 1, 2, 3}
        assert await one.admit("s", b"other key", quotas, 100, 200.0) is None
        assert await two.admit("t", b"\xff key", quotas, 100, 200.0) is None
        await two.close()

    run(one, scenario)


def test_tokens_of_a_reply_count_for_the_next_request(open_shared: Callable[[], SharedStore]) -> None:
    store, quotas = open_shared(), (Quota("a", 60, tokens=100), Quota("b", 1, tokens=50))

    async def scenario() -> None:
        await store.add_tokens("s", b"key", quotas, 1000)  # of a request that is forgotten
        assert await store.admit("s", b"key", quotas, 10, 5.0) is None
        await store.add_tokens("s", b"key", quotas, 40)
        assert await store.admit("s", b"key", quotas, 1, 5.5) == 1
        assert await store.admit("s", b"key", quotas, 50, 7.0) is None
        assert await store.admit("s", b"key", quotas, 1, 9.0) == 0

    run(store, scenario)


def test_a_change_that_is_refused_changes_nothing(open_store: Callable[[], Store]) -> None:
    store = open_store()

    def refuse(_: Conversation) -> Conversation:
        raise ApiError(413, "TooLarge", "too large")

    async def scenario() -> None:
        await store.put_conversation(Conversation("c", "s", 0.0, b"{}"))
        with pytest.raises(ApiError, match="413"):
            await store.update_conversation("s", "c", refuse)
        assert await store.get_conversation("s", "c") == Conversation("c", "s", 0.0, b"{}")
        assert await store.delete_conversation("s", "c")
        assert not await store.delete_conversation("s", "c")

    run(store, scenario)


def test_an_sqlite_store_drops_the_oldest_and_the_expired(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}", 300)

    async def scenario() -> None:
        for index in range(1025):
            await store.put(record(f"r{index}", expires_at=6e9))
        assert await store.get("s", "r724") is None
        assert await store.get("s", "r725") is not None
        for index in range(256):
            await store.put(record(f"x{index}", expires_at=6e9))

    run(store, scenario)


def open_database(path: Path) -> closing[sqlite3.Connection]:
    """A connection of another program to the file of a store."""
    return closing(sqlite3.connect(path, isolation_level=None))


def test_an_sqlite_store_waits_beside_the_event_loop_while_another_server_writes(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")

    async def scenario() -> None:
        await store.put(record("a"))
        with open_database(tmp_path / "store") as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.create_task(store.put(record(name))) for name in "bcd"]
            await asyncio.sleep(0.01)
            assert not any(each.done() for each in waiting)
            assert await store.get("s", "a") == record("a")
            other.execute("COMMIT")
            await asyncio.gather(*waiting)
        for name in "bcd":
            assert await store.get("s", name) == record(name)

    run(store, scenario)


_WRITE_AND_HANG = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM responses")
print("writes", flush=True)
time.sleep(600)
"""


def test_an_sqlite_store_goes_on_when_a_server_that_writes_is_killed(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")

    async def scenario() -> None:
        await store.put(record("a"))
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITE_AND_HANG, tmp_path / "store", stdout=asyncio.subprocess.PIPE
        )
        assert other.stdout is not None
        assert await other.stdout.readline() == b"writes\n"
        waiting = asyncio.create_task(store.put(record("b")))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        other.kill()
        await waiting
        await other.communicate()
        assert await store.get("s", "a") == record("a")
        assert await store.get("s", "b") == record("b")

    run(store, scenario)


def test_a_write_of_an_sqlite_store_that_fails_leaves_those_beside_it(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")

    def refuse(_: Conversation) -> Conversation:
        raise ApiError(413, "TooLarge", "too large")

    async def scenario() -> None:
        await store.put_conversation(Conversation("c", "s", 0.0, b"{}"))
        with open_database(tmp_path / "store") as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.gather(
                store.put(record("a")),
                store.update_conversation("s", "c", refuse),
                store.append_to_conversation("s", "c", with_item("i")),
                return_exceptions=True,
            )
            await asyncio.sleep(0.01)
            other.execute("COMMIT")
            assert [type(each) for each in await waiting] == [type(None), ApiError, Conversation]
        assert await store.get("s", "a") == record("a")
        found = await store.get_conversation("s", "c")
        assert found is not None
        assert [item.id for item in found.items] == ["i"]

    run(store, scenario)


_PUT_RECORDS = """
import asyncio, sys
from tests.server.state.test_shared_stores import open_shared_store, put_records

asyncio.run(put_records(open_shared_store(sys.argv[1]), sys.argv[2]))
"""


async def put_records(store: SharedStore, name: str) -> None:
    """Store 1,000 records, ten at a time."""
    for batch in range(100):
        await asyncio.gather(*(store.put(record(f"{name}{batch * 10 + number}")) for number in range(10)))
    await store.close()


@pytest.mark.slow
def test_processes_that_write_to_one_sqlite_store_all_make_progress(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'store'}"
    processes = [subprocess.Popen([sys.executable, "-c", _PUT_RECORDS, url, name]) for name in "abc"]
    assert [each.wait(120) for each in processes] == [0, 0, 0]
    store = open_shared_store(url)

    async def scenario() -> None:
        for name in "abc":
            for number in range(1000):
                assert await store.get("s", f"{name}{number}") == record(f"{name}{number}")

    run(store, scenario)


def test_writes_to_an_sqlite_store_at_the_same_time_share_a_transaction(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")
    records = [record(f"r{number}") for number in range(50)]

    async def scenario() -> None:
        await store.ready()
        before = (tmp_path / "store-wal").stat().st_size
        await asyncio.gather(*map(store.put, records))
        # Each transaction adds one page or more of 4096 bytes to the log.
        assert (tmp_path / "store-wal").stat().st_size - before < 25 * 4096
        assert [await store.get("s", each.id) for each in records] == records

    run(store, scenario)


def test_an_sqlite_store_does_not_write_what_nobody_waits_for_any_more(tmp_path: Path) -> None:
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")

    async def scenario() -> None:
        await store.ready()
        with open_database(tmp_path / "store") as other:
            other.execute("BEGIN IMMEDIATE")
            one, two = (asyncio.create_task(store.put(record(name))) for name in "ab")
            await asyncio.sleep(0.01)
            one.cancel()
            other.execute("COMMIT")
            await two
        assert await store.get("s", "a") is None
        assert await store.get("s", "b") == record("b")

    run(store, scenario)


def test_what_an_sqlite_store_keeps_is_soon_in_the_file_itself(tmp_path: Path) -> None:
    """A power failure can cost what is only in the log."""
    store = open_shared_store(f"sqlite:{tmp_path / 'store'}")

    def ids_without_log() -> list[tuple[str]]:
        shutil.copy(tmp_path / "store", tmp_path / "copy")
        with suppress(sqlite3.DatabaseError), open_database(tmp_path / "copy") as copy:
            return copy.execute("SELECT id FROM responses").fetchall()
        return []

    async def scenario() -> None:
        await store.put(record("a"))
        assert ids_without_log() == []
        for _ in range(600):
            await asyncio.sleep(0.1)
            if ids_without_log():
                break
        assert ids_without_log() == [("a",)]

    run(store, scenario)


def test_the_log_of_an_sqlite_store_that_is_always_read_begins_again(tmp_path: Path) -> None:
    """Somebody reads at each moment, as with several busy servers; SQLite alone would let the log grow forever."""
    file, link = tmp_path / "100% #1", tmp_path / "link"
    link.symlink_to(file)
    store = open_shared_store(f"sqlite:{link}")

    async def read_all_the_time(one: sqlite3.Connection, two: sqlite3.Connection) -> None:
        while True:
            two.execute("BEGIN")
            two.execute("SELECT count(*) FROM checks").fetchone()
            if one.in_transaction:
                one.execute("COMMIT")
            one, two = two, one
            await asyncio.sleep(0)

    async def scenario() -> None:
        await store.ready()
        with open_database(file) as one, open_database(file) as two:
            readers = asyncio.create_task(read_all_the_time(one, two))
            sizes = [0]
            while len(sizes) < 20 or sizes[-1] > sizes[-20]:
                assert sizes[-1] < 200_000_000
                await store.put(record("a", response_body=bytes(50_000)))
                sizes.append((tmp_path / "100% #1-wal").stat().st_size)
                await asyncio.sleep(0.002)
            readers.cancel()

    run(store, scenario)


@pytest.mark.parametrize("kind", ["application", "version", "text"])
def test_a_file_of_another_program_or_version_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store"
    if kind == "text":
        path.write_text("hello " * 1000)
    else:
        if kind == "version":
            own = open_shared_store(f"sqlite:{path}")
            run(own, own.ready)
        with closing(sqlite3.connect(path)) as connection:
            statements = {"version": "PRAGMA user_version = 99", "application": "CREATE TABLE t (x)"}
            connection.execute(statements[kind])
    store = open_shared_store(f"sqlite:{path}")
    words = {"version": "schema 99, not 3", "application": "another program", "text": "not a database"}
    with pytest.raises(StoreUnavailable) as raised:
        run(store, store.ready)
    assert words[kind] in raised.value.reason


def test_redis_shows_documents_that_expire(redis: RedisServer) -> None:
    store = open_shared_store(redis.url)
    run(store, lambda: store.put(record("a", created_at=0.0, expires_at=7 * 86400.0)))
    document = json.loads(redis.run("GET", "mockserver:s:0:response:a"))
    assert document["record"]["id"] == "a"
    assert document["response"] == {"a": [1]}
    assert 600_000 < int(redis.run("TTL", "mockserver:s:0:response:a")) <= 604_800


def test_a_redis_database_of_another_version_is_refused(redis: RedisServer) -> None:
    redis.run("SET", "mockserver:schema", "99")
    store = open_shared_store(redis.url)
    with pytest.raises(StoreUnavailable) as raised:
        run(store, store.ready)
    assert "schema 99, not 3" in raised.value.reason
    redis.run("DEL", "mockserver:schema")
    run(store, store.ready)


def test_a_redis_that_is_full_refuses_records_and_returns_others(redis: RedisServer) -> None:
    store = open_shared_store(redis.url)

    async def scenario() -> None:
        await store.put(record("a"))
        redis.run("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable) as raised:
            await store.put(record("b"))
        assert "maxmemory" in raised.value.reason
        assert await store.get("s", "a") == record("a")
        redis.run("CONFIG", "SET", "maxmemory", "0")
        await store.put(record("b"))

    run(store, scenario)


def test_a_redis_that_became_a_replica_is_left_for_a_new_connection(redis: RedisServer) -> None:
    store = open_shared_store(redis.url)

    def store_connections() -> set[str]:
        clients = redis.run("CLIENT", "LIST").splitlines()
        return {line.split()[0] for line in clients if "cmd=client" not in line}

    async def scenario() -> None:
        await store.put(record("a"))
        before = store_connections()
        redis.run("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable) as raised:
            await store.put(record("b"))
        assert "read only" in raised.value.reason
        redis.run("REPLICAOF", "NO", "ONE")
        await store.put(record("b"))
        assert before
        assert not before & store_connections()

    run(store, scenario)


def test_a_long_reply_of_redis_holds_up_no_other_request(redis: RedisServer, tmp_path: Path) -> None:
    """Between the store and Redis there is a proxy, which holds the replies on the first connection."""
    target, proxy = urlsplit(redis.url).path, tmp_path / "proxy.sock"
    store = open_shared_store(f"unix://{proxy}?db=1")
    released = asyncio.Event()
    connections: list[asyncio.Task[Any] | None] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_held: bool) -> None:
        while data := await reader.read(1 << 16):
            if is_held:
                await released.wait()
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_first = not connections
        connections.append(asyncio.current_task())
        from_redis, to_redis = await asyncio.open_unix_connection(target)
        await asyncio.gather(
            forward(reader, to_redis, is_held=False), forward(from_redis, writer, is_held=is_first)
        )

    async def scenario() -> None:
        async with await asyncio.start_unix_server(connect, proxy):
            released.set()
            await store.put(record("a"))
            released.clear()
            first = asyncio.create_task(store.get("s", "a"))
            for _ in range(3):  # until it is on its way
                await asyncio.sleep(0)
            assert await store.get("s", "a") == record("a")
            assert not first.done()
            released.set()
            assert await first == record("a")
            await store.close()
            await asyncio.gather(*filter(None, connections))

    run(store, scenario)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals")
def test_a_late_reply_of_redis_is_not_read_as_that_to_another_command(redis: RedisServer) -> None:
    store = open_shared_store(redis.url)

    async def fail() -> None:
        redis.process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreUnavailable):
            await store.get("s", "b")
        redis.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.3)  # for a moment after a failure there is no new attempt

    async def scenario() -> None:
        await fail()  # while the store connects
        await store.put(record("a"))
        await fail()
        assert await store.get("s", "a") == record("a")
        assert await store.get("s", "b") is None

    run(store, scenario)


@pytest.mark.parametrize(
    "url", ["", "disk", "sqlite:", "http://localhost", "redis://host:port/0", "redis://host/0?color=blue"]
)
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--store"):
        open_shared_store(url)


def test_a_store_is_described_without_its_password() -> None:
    assert describe_store("rediss://me:secret@cache:6380/2?password=secret") == "rediss://cache:6380/2"
    assert describe_store("sqlite:/tmp/a@b") == "sqlite:/tmp/a@b"


def test_requests_at_the_same_time_read_from_redis_with_one_command(redis: RedisServer) -> None:
    store = open_shared_store(redis.url)
    records = [record(f"r{number}") for number in range(50)]

    async def scenario() -> None:
        await asyncio.gather(*map(store.put, records))
        redis.run("CONFIG", "RESETSTAT")
        found = await asyncio.gather(*(store.get("s", each.id) for each in records))
        assert [*found] == records
        one, two = await asyncio.gather(store.get("s", "unknown"), store.get("s", "r7"))
        assert (one, two) == (None, records[7])

    run(store, scenario)
    statistics = redis.run("INFO", "commandstats")
    assert "'cmdstat_mget': {'calls': 2," in statistics
    assert "cmdstat_get" not in statistics
