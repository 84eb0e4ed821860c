"""Checkpoints of an SQLite file, in a thread: they wait for the disk.

By default SQLite writes a checkpoint in the commit that makes the log long. This holds up the event loop. It also
never begins the log again if several servers write: while one waits for the disk, another one commits. The log then
stays long, and nearly every commit writes a checkpoint.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

__all__ = ["MAX_LOG_PAGES", "Checkpoints"]

#: Seconds from a commit to the checkpoint that makes it outlive a power failure.
_PERIOD_SECONDS = 0.5

#: A log of this size begins again: up to here, SQLite finds pages in it fastest.
_FULL_BYTES = 16 << 20

#: The log begins again if the last copy had fewer bytes than this, and took less time: a slow disk gets a longer log.
_REST_BYTES = 4 << 20
_QUICK_SECONDS = 0.1

#: A copy of fewer bytes takes about as long as the disk needs at least: another one before the log begins again would
#: leave no less.
_SMALL_BYTES = 1 << 20

#: Pages that make SQLite write a checkpoint itself: the thread cannot, or is slower than those who write.
MAX_LOG_PAGES = 16_384  # 64 MB

#: Seconds that those who write wait at most for one who reads, when the log begins again.
_RESTART_SECONDS = 0.02

#: Seconds that a server which stops waits for a checkpoint.
_CLOSE_SECONDS = 1.0


class Checkpoints:
    """Starts a checkpoint soon after a commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def follow_commit(self) -> None:
        """Start a checkpoint soon, one for all commits until then."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD_SECONDS, self._start)

    async def close(self) -> None:
        """Start no more, and wait for the last one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def _start(self) -> None:
        self._timer = None
        if self._thread is not None and self._thread.is_alive():  # the disk is slow
            self.follow_commit()
        else:
            self._thread = threading.Thread(target=_write_checkpoint, args=(self._path,), daemon=True)
            self._thread.start()


def _write_checkpoint(path: str) -> None:
    # The file may be gone; who uses it next finds out. This must not create another one.
    uri = f"{Path(path).absolute().as_uri()}?mode=rw"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(uri, uri=True, timeout=_RESTART_SECONDS, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA synchronous = NORMAL")
        if _copy_log(connection):
            connection.execute("PRAGMA wal_checkpoint(RESTART)")


def _copy_log(connection: sqlite3.Connection) -> bool:
    """Copy what is in the log to the file while others write; return whether the log is to begin again.

    Others cannot write while it begins again, which copies the rest. So the last copy must have been small and quick:
    otherwise they would wait too long and reply with errors. While each copy is much smaller than the one before, one
    more makes their wait shorter.
    """
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    copied, last_size = 0, float("inf")
    while True:
        started_at = time.monotonic()
        is_busy, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if is_busy or pages * page_size < _FULL_BYTES:
            return False
        size = (pages - copied) * page_size
        if size < _REST_BYTES and (size < _SMALL_BYTES or size > last_size / 2):
            return time.monotonic() - started_at < _QUICK_SECONDS
        copied, last_size = pages, size
