"""Checkpoints of an SQLite file, in a thread: they wait for the disk.

By default SQLite writes a checkpoint in the commit that makes the log long. This holds up the event loop. It also
never begins the log again if several servers write: while one waits for the disk, another one commits. The log then
stays long, and nearly every commit writes a checkpoint.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

__all__ = ["MAX_LOG_PAGES", "Checkpoints"]

#: Seconds from a commit to the checkpoint that makes it outlive a power failure.
_PERIOD_SECONDS = 1.0

#: A log of this size gets a checkpoint earlier and begins again: up to here, SQLite finds pages in it fastest.
_FULL_BYTES = 16 << 20

#: What may be left to copy when the log begins again.
_REST_BYTES = 4 << 20

#: Pages that make SQLite write a checkpoint itself: the thread cannot, or is slower than those who write.
MAX_LOG_PAGES = 16_384

#: Commits between two looks at the size of the log.
_LOOK_EVERY = 4

#: Seconds that those who write wait at most for one who reads, when the log begins again.
_RESTART_SECONDS = 0.02

#: Seconds that a server which stops waits for a checkpoint.
_CLOSE_SECONDS = 1.0


class Checkpoints:
    """Starts a checkpoint a second after a commit, or when the log is long."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._commits = 0
        self._last_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def count_commit(self) -> None:
        """Start a checkpoint at once if the log is long, otherwise soon."""
        self._commits += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD_SECONDS, self._end_period)
        if self._commits % _LOOK_EVERY == 0:
            size = _size_of_log(os.path.realpath(self._path))
            if size < self._last_size:
                self._last_size = 0
            if size - self._last_size >= _FULL_BYTES:
                self._last_size = size
                self._start()

    async def close(self) -> None:
        """Start no more, and wait for the last one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def _end_period(self) -> None:
        self._timer = None
        self._start()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            file = os.path.realpath(self._path)
            self._thread = threading.Thread(target=_write_checkpoint, args=(file,), daemon=True)
            self._thread.start()


def _size_of_log(file: str) -> int:
    try:
        return os.stat(f"{file}-wal").st_size  # noqa: PTH116 (a Path takes twice as long)
    except OSError:
        return 0


def _write_checkpoint(file: str) -> None:
    # The file may be gone; who uses it next finds out. This must not create another one.
    uri = f"{Path(file).as_uri()}?mode=rw"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(uri, uri=True, timeout=_RESTART_SECONDS, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA synchronous = NORMAL")
        if _copy_log(connection):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy_log(connection: sqlite3.Connection) -> bool:
    """Copy what is in the log to the file while others write; return whether the log is to begin again.

    Others cannot write while it begins again. So what is left to copy must be little by then.
    """
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    copied = 0
    while True:
        is_busy, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if is_busy or pages * page_size < _FULL_BYTES:
            return False
        if (pages - copied) * page_size < _REST_BYTES:
            return True
        copied = pages
