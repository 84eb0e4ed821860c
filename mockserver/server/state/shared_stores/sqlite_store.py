"""A store in an SQLite file, for the servers of one machine.

Statements run in the event loop: one takes about 20 µs, less than a thread would cost. Changes that come in one turn
of the loop share a transaction. While another server writes, the loop goes on, and checkpoints run in a thread. What is
stored outlives the process at once, and a power failure after the next checkpoint (WAL, `synchronous = NORMAL`),
about half a second later.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from mockserver.server.state.shared_stores.documents import (
    SCHEMA_VERSION,
    read_conversation,
    read_record,
    write_conversation,
    write_items,
    write_record,
)
from mockserver.server.state.shared_stores.sqlite_checkpoints import MAX_LOG_PAGES, Checkpoints
from mockserver.server.state.store import Conversation, ResponseRecord, StoreUnavailable, follow_parents

if TYPE_CHECKING:
    from mockserver.server.state.quotas import Quota

__all__ = ["SqliteStore"]

_Result = TypeVar("_Result")

#: A function that changes the database, and where its result goes.
_Change: TypeAlias = tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]

#: Seconds that an operation waits for other servers.
_BUSY_SECONDS = 0.4

#: How often it tries in successive turns of the event loop: most transactions take less time.
_EAGER_ATTEMPTS = 20

#: Seconds between later attempts.
_PAUSE_SECONDS = 0.001

#: Records that a server stores between two looks for records to drop.
_PRUNE_EVERY = 256

#: Things that `take` has counted, such as exchanges with `times`; the oldest of more are forgotten.
_MAX_TAKEN = 1_000_000

#: Marks the file as ours ("mock").
_APPLICATION_ID = 0x6D6F636B

_TABLES = f"""
CREATE TABLE responses (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, id TEXT NOT NULL, expires_at REAL NOT NULL,
    document BLOB NOT NULL, UNIQUE (session, id)
);
CREATE TABLE conversations (
    session TEXT NOT NULL, id TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (session, id)
);
CREATE TABLE items (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, conversation TEXT NOT NULL, document BLOB NOT NULL
);
CREATE INDEX items_of_conversation ON items (session, conversation);
CREATE TABLE counts (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, name BLOB NOT NULL, count INTEGER NOT NULL,
    UNIQUE (session, name)
);
CREATE TABLE taken (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, name BLOB NOT NULL, count INTEGER NOT NULL,
    UNIQUE (session, name)
);
CREATE TABLE admitted (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, name BLOB NOT NULL, time REAL NOT NULL,
    tokens INTEGER NOT NULL
);
CREATE INDEX admitted_by_time ON admitted (session, name, time);
CREATE TABLE checks (id INTEGER PRIMARY KEY, time REAL NOT NULL);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class SqliteStore:
    """A store in a file. It drops expired records, and the oldest of more than `max_records`.

    It counts twice as many requests as it has records, those that came last, so that an id can repeat only after its
    response was dropped.
    """

    is_shared = True

    def __init__(self, path: str, max_records: int) -> None:
        self._path = path
        self._max_records = max_records
        self._connection: sqlite3.Connection | None = None
        self._opened_file: tuple[int, int] | None = None
        self._checkpoints = Checkpoints(path)
        self._puts = self._counts = 0
        self._changes: list[_Change] = []
        """Those that wait for the next transaction."""
        self._writing: asyncio.Task[None] | None = None

    async def put(self, record: ResponseRecord) -> None:
        # Written before other servers have to wait.
        row = (record.session, record.id, record.expires_at, write_record(record))

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO responses (session, id, expires_at, document) VALUES (?, ?, ?, ?)",
                row,
            )
            if self._puts % _PRUNE_EVERY == 0:
                self._prune(connection, record.created_at)
            self._puts += 1

        await self._write(insert)

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        document = await self._run(partial(_select, "responses", session, response_id))
        return None if document is None else read_record(document)

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        return await follow_parents(self.get, last)

    async def was_evicted(self, session: str, object_id: str) -> bool:
        return False  # it does not remember what it dropped

    async def delete(self, session: str, response_id: str) -> bool:
        return await self._write(partial(_delete, "responses", session, response_id))

    async def put_conversation(self, conversation: Conversation) -> None:
        await self._write(partial(_replace_conversation, conversation))

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        read = partial(_read_conversation, session, conversation_id)
        # The conversation and its items at one time.
        return await self._run(lambda connection: _in_transaction(connection, read, "DEFERRED"))

    async def get_conversation_summary(self, session: str, conversation_id: str) -> Conversation | None:
        document = await self._run(partial(_select, "conversations", session, conversation_id))
        return None if document is None else read_conversation(document)

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        def update(connection: sqlite3.Connection) -> Conversation | None:
            before = _read_conversation(session, conversation_id, connection)
            if before is None:
                return None
            after = change(before)
            _replace_conversation(after, connection)
            return after

        return await self._write(update)

    async def append_to_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        def append(connection: sqlite3.Connection) -> Conversation | None:
            document = _select("conversations", session, conversation_id, connection)
            if document is None:
                return None
            after = change(read_conversation(document))
            _write_conversation(after, connection)
            return after

        return await self._write(append)

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        def delete(connection: sqlite3.Connection) -> bool:
            _delete_items(session, conversation_id, connection)
            return _delete("conversations", session, conversation_id, connection)

        return await self._write(delete)

    async def count(self, session: str, name: bytes) -> int:
        def count(connection: sqlite3.Connection) -> int:
            (count,) = connection.execute(
                "INSERT INTO counts (session, name, count) VALUES (?, ?, 0)"
                " ON CONFLICT (session, name) DO UPDATE SET count = count + 1,"
                " number = (SELECT max(number) + 1 FROM counts) RETURNING count",
                (session, name),
            ).fetchone()
            if self._counts % _PRUNE_EVERY == 0:
                _keep_newest(connection, "counts", 2 * self._max_records)
            self._counts += 1
            return int(count)

        return await self._write(count)

    async def admit(
        self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int, now: float
    ) -> int | None:
        def admit(connection: sqlite3.Connection) -> int | None:
            longest = max(quota.seconds for quota in quotas)
            connection.execute(
                "DELETE FROM admitted WHERE session = ? AND name = ? AND time <= ?",
                (session, name, now - longest),
            )
            for index, quota in enumerate(quotas):
                if quota.is_exceeded(*_usage_since(connection, session, name, now - quota.seconds), tokens):
                    return index
            connection.execute(
                "INSERT INTO admitted (session, name, time, tokens) VALUES (?, ?, ?, ?)",
                (session, name, now, tokens),
            )
            return None

        return await self._write(admit)

    async def take(self, session: str, counts: Sequence[tuple[bytes, int]]) -> int | None:
        def take(connection: sqlite3.Connection) -> int | None:
            for index, (name, limit) in enumerate(counts):
                taken = connection.execute(
                    "INSERT INTO taken (session, name, count) VALUES (?, ?, 1)"
                    " ON CONFLICT (session, name) DO UPDATE SET count = count + 1 WHERE count < ?",
                    (session, name, limit),
                )
                if taken.rowcount:
                    _keep_newest(connection, "taken", _MAX_TAKEN)
                    return index
            return None

        return await self._write(take)

    async def taken(self, session: str, names: Sequence[bytes]) -> list[int]:
        statement = "SELECT count FROM taken WHERE session = ? AND name = ?"

        def select(connection: sqlite3.Connection) -> list[int]:
            rows = [connection.execute(statement, (session, name)).fetchone() for name in names]
            return [0 if row is None else int(row[0]) for row in rows]

        return await self._run(select)

    async def add_tokens(self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int) -> None:
        def update(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE admitted SET tokens = tokens + ? WHERE number = (SELECT number FROM admitted"
                " WHERE session = ? AND name = ? ORDER BY time DESC, number DESC LIMIT 1)",
                (tokens, session, name),
            )

        await self._write(update)

    async def clear(self, session: str) -> None:
        def clear(connection: sqlite3.Connection) -> None:
            for table in ("responses", "conversations", "items", "counts", "taken", "admitted"):
                connection.execute(f"DELETE FROM {table} WHERE session = ?", (session,))  # noqa: S608 (ours)

        await self._write(clear)

    async def ready(self) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO checks VALUES (1, ?)", (time.time(),))

        await self._write(write)  # a full disk can be read

    async def close(self) -> None:
        await self._checkpoints.close()
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        """Drop the oldest records, and those that have expired by `now`; they were stored first.

        `now` is by the clock of the sessions, which stands still with a seed.
        """
        _keep_newest(connection, "responses", self._max_records)
        connection.execute(
            "DELETE FROM responses WHERE number <"
            " (SELECT number FROM responses WHERE expires_at > ? ORDER BY number LIMIT 1)",
            (now,),
        )

    async def _write(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """What `change` returns, in a transaction that it may share with others; what it raises rolls only it back."""
        outcome: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._changes.append((change, outcome))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_changes())
        return await outcome

    async def _write_changes(self) -> None:
        """Make all changes that wait, with those that come while another server writes."""
        while self._changes:
            deadline = time.monotonic() + _BUSY_SECONDS
            try:
                results = await self._run_in_transaction(self._make_changes, deadline)
            except Exception as error:  # noqa: BLE001 (whoever waits for a change handles it)
                changes = self._take_changes()
                if len(changes) == 1:
                    _set_exception(changes[0][1], error)
                else:
                    await self._make_one_by_one(changes, deadline)
            else:
                for (_, outcome), result in zip(self._take_changes(), results, strict=True):
                    _set_result(outcome, result)
            self._checkpoints.follow_commit()

    async def _make_one_by_one(self, changes: list[_Change], deadline: float) -> None:
        """Make changes that have failed together, so that only those fail that cannot be made."""
        for change, outcome in changes:
            try:
                _set_result(outcome, await self._run_in_transaction(change, deadline))
            except Exception as error:  # noqa: BLE001 (whoever waits for the change handles it)
                _set_exception(outcome, error)

    def _make_changes(self, connection: sqlite3.Connection) -> list[Any]:
        self._changes = [each for each in self._changes if not each[1].done()]  # nobody waits for the others
        return [change(connection) for change, _ in self._changes]

    def _take_changes(self) -> list[_Change]:
        changes, self._changes = self._changes, []
        return changes

    async def _run_in_transaction(
        self, change: Callable[[sqlite3.Connection], _Result], deadline: float
    ) -> _Result:
        return await self._run(lambda connection: _in_transaction(connection, change, "IMMEDIATE"), deadline)

    async def _run(
        self, operation: Callable[[sqlite3.Connection], _Result], deadline: float | None = None
    ) -> _Result:
        """What an operation returns; StoreUnavailable if SQLite fails, and then the next use opens the file again.

        While another server writes, the operation begins anew from time to time. SQLite's own waiting would hold up
        the event loop, and would notice too late that the other one has finished.
        """
        attempts = 0
        while True:
            try:
                return operation(self._connect())
            except sqlite3.Error as error:
                now = time.monotonic()
                deadline = deadline or now + _BUSY_SECONDS
                if not _is_busy(error) or now >= deadline:
                    self._close()
                    raise StoreUnavailable(_explain(error, Path(self._path))) from None
            attempts += 1
            await asyncio.sleep(0 if attempts < _EAGER_ATTEMPTS else _PAUSE_SECONDS)

    def _connect(self) -> sqlite3.Connection:
        """The connection to the file that is there now."""
        if self._connection is not None and _identify(self._path) != self._opened_file:
            # It was removed or replaced. SQLite would write to a file that no other server finds.
            self._close()
        if self._connection is None:
            self._connection = self._open()
            self._opened_file = _identify(self._path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {MAX_LOG_PAGES}")
            _require_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _in_transaction(
    connection: sqlite3.Connection, operation: Callable[[sqlite3.Connection], _Result], kind: str
) -> _Result:
    """What an operation returns, in a transaction of a kind; what it raises rolls it back."""
    connection.execute(f"BEGIN {kind}")
    try:
        result = operation(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors of SQLite have rolled it back
            connection.execute("ROLLBACK")
        raise
    return result


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether another server uses the file, so that a later attempt can succeed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _set_result(outcome: asyncio.Future[Any], result: Any) -> None:
    if not outcome.done():  # its request was cancelled
        outcome.set_result(result)


def _set_exception(outcome: asyncio.Future[Any], error: Exception) -> None:
    if not outcome.done():
        outcome.set_exception(error)


def _identify(path: str) -> tuple[int, int] | None:
    """What tells a file from another one at the same path; None: there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (each request needs it, and a Path takes twice as long)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _explain(error: sqlite3.Error, path: Path) -> str:
    """Why SQLite failed, also if it only says that it cannot open or write the file."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        folder = path.absolute().parent
        if not folder.is_dir():
            return f"{error}: there is no such folder"
        for each in (folder, path):
            if not os.access(each, os.W_OK) and each.exists():
                return f"{error}: {'the folder' if each is folder else 'it'} is not writable"
    return str(error)


def _require_tables(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file; StoreUnavailable if the file is of another program or version."""
    if _versions(connection) == (0, 0):
        connection.execute("BEGIN IMMEDIATE")
        if _versions(connection) == (0, 0) and _is_empty(connection):  # no other server was faster
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
        connection.execute("COMMIT")
    application_id, version = _versions(connection)
    if application_id != _APPLICATION_ID:
        raise StoreUnavailable("it is the database of another program")
    if version != SCHEMA_VERSION:
        raise StoreUnavailable(
            f"a mockserver of another version wrote it (schema {version}, not {SCHEMA_VERSION})"
        )


def _versions(connection: sqlite3.Connection) -> tuple[int, int]:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application_id, version


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(tables == 0)


def _select(table: str, session: str, object_id: str, connection: sqlite3.Connection) -> bytes | None:
    row = connection.execute(
        f"SELECT document FROM {table} WHERE session = ? AND id = ?",  # noqa: S608 (one of ours)
        (session, object_id),
    ).fetchone()
    return None if row is None else bytes(row[0])


def _delete(table: str, session: str, object_id: str, connection: sqlite3.Connection) -> bool:
    deleted = connection.execute(
        f"DELETE FROM {table} WHERE session = ? AND id = ?",  # noqa: S608 (one of ours)
        (session, object_id),
    )
    return deleted.rowcount > 0


def _keep_newest(connection: sqlite3.Connection, table: str, size: int) -> None:
    connection.execute(
        f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?",  # noqa: S608 (one of ours)
        (size,),
    )


def _read_conversation(
    session: str, conversation_id: str, connection: sqlite3.Connection
) -> Conversation | None:
    document = _select("conversations", session, conversation_id, connection)
    if document is None:
        return None
    items = connection.execute(
        "SELECT document FROM items WHERE session = ? AND conversation = ? ORDER BY number",
        (session, conversation_id),
    )
    return read_conversation(document, (bytes(item) for (item,) in items))


def _replace_conversation(conversation: Conversation, connection: sqlite3.Connection) -> None:
    _delete_items(conversation.session, conversation.id, connection)
    _write_conversation(conversation, connection)


def _write_conversation(conversation: Conversation, connection: sqlite3.Connection) -> None:
    """Store a conversation, and its items after those that it has."""
    connection.execute(
        "INSERT OR REPLACE INTO conversations VALUES (?, ?, ?)",
        (conversation.session, conversation.id, write_conversation(conversation)),
    )
    connection.executemany(
        "INSERT INTO items (session, conversation, document) VALUES (?, ?, ?)",
        [(conversation.session, conversation.id, item) for item in write_items(conversation)],
    )


def _delete_items(session: str, conversation_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM items WHERE session = ? AND conversation = ?", (session, conversation_id))


def _usage_since(connection: sqlite3.Connection, session: str, name: bytes, moment: float) -> tuple[int, int]:
    """(requests, tokens) that were admitted since a time."""
    requests, tokens = connection.execute(
        "SELECT count(*), coalesce(sum(tokens), 0) FROM admitted WHERE session = ? AND name = ? AND time > ?",
        (session, name, moment),
    ).fetchone()
    return int(requests), int(tokens)
