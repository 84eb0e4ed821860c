"""A store in an SQLite file, for the servers of one machine.

Statements run in the event loop: one takes about 50 µs, less than a thread would cost. What is stored outlives
the process at once, and a power failure after the next checkpoint (WAL, `synchronous = NORMAL`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver.server.state.shared_stores.documents import (
    SCHEMA_VERSION,
    read_conversation,
    read_record,
    write_conversation,
    write_items,
    write_record,
)
from mockserver.server.state.store import Conversation, ResponseRecord, StoreUnavailable, follow_parents

if TYPE_CHECKING:
    from mockserver.server.state.quotas import Quota

__all__ = ["SqliteStore"]

#: Seconds that a statement waits for other servers, and that the event loop then waits for it.
_BUSY_SECONDS = 0.4

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
        self._puts = self._counts = 0

    async def put(self, record: ResponseRecord) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO responses (session, id, expires_at, document) VALUES (?, ?, ?, ?)",
                (record.session, record.id, record.expires_at, write_record(record)),
            )
            if self._puts % _PRUNE_EVERY == 0:
                self._prune(connection, record.created_at)
        self._puts += 1

    async def get(self, session: str, response_id: str) -> ResponseRecord | None:
        with self._connected() as connection:
            document = _select(connection, "responses", session, response_id)
        return None if document is None else read_record(document)

    async def get_chain(self, last: ResponseRecord) -> list[ResponseRecord]:
        return await follow_parents(self.get, last)

    async def was_evicted(self, session: str, object_id: str) -> bool:
        return False  # it does not remember what it dropped

    async def delete(self, session: str, response_id: str) -> bool:
        with self._transaction() as connection:
            return _delete(connection, "responses", session, response_id)

    async def put_conversation(self, conversation: Conversation) -> None:
        with self._transaction() as connection:
            _replace_conversation(connection, conversation)

    async def get_conversation(self, session: str, conversation_id: str) -> Conversation | None:
        with self._transaction("DEFERRED") as connection:  # the conversation and its items at one time
            return _read_conversation(connection, session, conversation_id)

    async def get_conversation_summary(self, session: str, conversation_id: str) -> Conversation | None:
        with self._connected() as connection:
            document = _select(connection, "conversations", session, conversation_id)
        return None if document is None else read_conversation(document)

    async def update_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        with self._transaction() as connection:
            before = _read_conversation(connection, session, conversation_id)
            if before is None:
                return None
            after = change(before)
            _replace_conversation(connection, after)
            return after

    async def append_to_conversation(
        self, session: str, conversation_id: str, change: Callable[[Conversation], Conversation]
    ) -> Conversation | None:
        with self._transaction() as connection:
            document = _select(connection, "conversations", session, conversation_id)
            if document is None:
                return None
            after = change(read_conversation(document))
            _write_conversation(connection, after)
            return after

    async def delete_conversation(self, session: str, conversation_id: str) -> bool:
        with self._transaction() as connection:
            _delete_items(connection, session, conversation_id)
            return _delete(connection, "conversations", session, conversation_id)

    async def count(self, session: str, name: bytes) -> int:
        with self._transaction() as connection:
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

    async def admit(
        self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int, now: float
    ) -> int | None:
        with self._transaction() as connection:
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

    async def take(self, session: str, counts: Sequence[tuple[bytes, int]]) -> int | None:
        with self._transaction() as connection:
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

    async def taken(self, session: str, names: Sequence[bytes]) -> list[int]:
        statement = "SELECT count FROM taken WHERE session = ? AND name = ?"
        with self._connected() as connection:
            rows = [connection.execute(statement, (session, name)).fetchone() for name in names]
        return [0 if row is None else int(row[0]) for row in rows]

    async def add_tokens(self, session: str, name: bytes, quotas: Sequence[Quota], tokens: int) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE admitted SET tokens = tokens + ? WHERE number = (SELECT number FROM admitted"
                " WHERE session = ? AND name = ? ORDER BY time DESC, number DESC LIMIT 1)",
                (tokens, session, name),
            )

    async def clear(self, session: str) -> None:
        with self._transaction() as connection:
            for table in ("responses", "conversations", "items", "counts", "taken", "admitted"):
                connection.execute(f"DELETE FROM {table} WHERE session = ?", (session,))  # noqa: S608 (ours)

    async def ready(self) -> None:
        with self._transaction() as connection:  # a full disk can be read
            connection.execute("INSERT OR REPLACE INTO checks VALUES (1, ?)", (time.time(),))

    async def close(self) -> None:
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

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """A transaction, by default one that writes; what the block raises rolls it back."""
        with self._connected() as connection:
            connection.execute(f"BEGIN {kind}")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some errors of SQLite have rolled it back
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection; StoreUnavailable if SQLite fails, and then the next use opens the file again."""
        try:
            if self._connection is not None and _identify(self._path) != self._opened_file:
                # It was removed or replaced. SQLite would write to a file that no other server finds.
                self._close()
            if self._connection is None:
                self._connection = self._open()
                self._opened_file = _identify(self._path)
            yield self._connection
        except sqlite3.Error as error:
            self._close()
            raise StoreUnavailable(_explain(error, Path(self._path))) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _require_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection


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


def _select(connection: sqlite3.Connection, table: str, session: str, object_id: str) -> bytes | None:
    row = connection.execute(
        f"SELECT document FROM {table} WHERE session = ? AND id = ?",  # noqa: S608 (one of ours)
        (session, object_id),
    ).fetchone()
    return None if row is None else bytes(row[0])


def _delete(connection: sqlite3.Connection, table: str, session: str, object_id: str) -> bool:
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
    connection: sqlite3.Connection, session: str, conversation_id: str
) -> Conversation | None:
    document = _select(connection, "conversations", session, conversation_id)
    if document is None:
        return None
    items = connection.execute(
        "SELECT document FROM items WHERE session = ? AND conversation = ? ORDER BY number",
        (session, conversation_id),
    )
    return read_conversation(document, (bytes(item) for (item,) in items))


def _replace_conversation(connection: sqlite3.Connection, conversation: Conversation) -> None:
    _delete_items(connection, conversation.session, conversation.id)
    _write_conversation(connection, conversation)


def _write_conversation(connection: sqlite3.Connection, conversation: Conversation) -> None:
    """Store a conversation, and its items after those that it has."""
    connection.execute(
        "INSERT OR REPLACE INTO conversations VALUES (?, ?, ?)",
        (conversation.session, conversation.id, write_conversation(conversation)),
    )
    connection.executemany(
        "INSERT INTO items (session, conversation, document) VALUES (?, ?, ?)",
        [(conversation.session, conversation.id, item) for item in write_items(conversation)],
    )


def _delete_items(connection: sqlite3.Connection, session: str, conversation_id: str) -> None:
    connection.execute("DELETE FROM items WHERE session = ? AND conversation = ?", (session, conversation_id))


def _usage_since(connection: sqlite3.Connection, session: str, name: bytes, moment: float) -> tuple[int, int]:
    """(requests, tokens) that were admitted since a time."""
    requests, tokens = connection.execute(
        "SELECT count(*), coalesce(sum(tokens), 0) FROM admitted WHERE session = ? AND name = ? AND time > ?",
        (session, name, moment),
    ).fetchone()
    return int(requests), int(tokens)
