"""A folder of exchange files that is reloaded when its files change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from mockserver.errors import InvalidExchange, MockServerError
from mockserver.exchange_files import load_exchange_file, load_exchange_folder
from mockserver.exchanges import Exchange, FindMore, find_nothing
from mockserver.regular_files import visible_json_files

__all__ = ["MAX_RELOADED_VALUES", "ExchangeFolder", "ExchangeReloader"]

T = TypeVar("T")

#: JSON values of a file that is reloaded. No request is answered while its text is parsed, which takes up to 40 ms.
MAX_RELOADED_VALUES = 100_000

#: Problems that a log message lists.
_MAX_LOGGED_PROBLEMS = 20


class _FileState(NamedTuple):
    """What tells whether a file has changed."""

    modified_ns: int
    size: int
    inode: int


class ExchangeFolder:
    """A folder of exchange files; a reload reads only those that have changed."""

    def __init__(self, folder: Path, find_more: FindMore = find_nothing) -> None:
        """Load the folder. Raises InvalidExchange, with what `find_more` finds too."""
        self._folder = folder
        self._find_more = find_more
        self._file_states = self._read_file_states()
        self._loaded: dict[Path, tuple[_FileState, tuple[Exchange, ...]]] = {}
        self.exchanges = load_exchange_folder(folder, find_more, self._load_file)

    def reload_if_changed(self, apply: Callable[[tuple[Exchange, ...]], None]) -> str:
        """Reload the folder if a file has changed and pass the exchanges to `apply`; return a log message.

        If a file is invalid, or `apply` raises, nothing changes; the message, which comes once, says so.
        The message is empty if no file has changed.
        """
        file_states = self._read_file_states()
        if file_states == self._file_states:
            return ""
        self._file_states = file_states
        self._loaded = {path: each for path, each in self._loaded.items() if path in file_states}
        try:
            exchanges = load_exchange_folder(self._folder, self._find_more, self._reload_file)
            apply(exchanges)
        except (MockServerError, OSError) as error:
            return f"{self._folder}: not reloaded: {_shorten(error)}"
        self.exchanges = exchanges
        return f"{self._folder}: reloaded {len(exchanges)} exchanges"

    def _read_file_states(self) -> dict[Path, _FileState]:
        states = {}
        for path in visible_json_files(self._folder):
            try:
                stat = path.stat()
            except OSError:  # deleted in the meantime
                continue
            states[path] = _FileState(stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return states

    def _reload_file(self, path: Path, find_more: FindMore) -> tuple[Exchange, ...]:
        return self._load_file(path, find_more, MAX_RELOADED_VALUES)

    def _load_file(
        self, path: Path, find_more: FindMore, max_values: int | None = None
    ) -> tuple[Exchange, ...]:
        state = self._file_states.get(path)
        loaded = self._loaded.get(path)
        if loaded is not None and loaded[0] == state:
            return loaded[1]
        exchanges = load_exchange_file(path, find_more, max_values)
        if (
            state is not None
        ):  # of before it was read: if it changes meanwhile, the next reload reads it again
            self._loaded[path] = state, exchanges
        return exchanges


def _shorten(error: Exception) -> str:
    """The message of an error, or the first problems of many."""
    problems = error.problems if isinstance(error, InvalidExchange) else ()
    if len(problems) <= _MAX_LOGGED_PROBLEMS:
        return str(error)
    shown = "\n".join(map(str, problems[:_MAX_LOGGED_PROBLEMS]))
    return f"{shown}\nand {len(problems) - _MAX_LOGGED_PROBLEMS:,} more problems"


class ExchangeReloader(Generic[T]):
    """Reloads a folder in a thread, so that the server answers while thousands of files are read."""

    def __init__(
        self,
        folder: ExchangeFolder,
        prepare: Callable[[tuple[Exchange, ...]], T],
        use: Callable[[tuple[Exchange, ...], T], None],
        log: Callable[[str], None],
    ) -> None:
        """`prepare` runs in the thread; `use`, with its result, and `log` run in the event loop."""
        self._folder = folder
        self._prepare = prepare
        self._use = use
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look for changes, unless the last look goes on. Call it in the event loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        loop = asyncio.get_running_loop()

        def apply(exchanges: tuple[Exchange, ...]) -> None:
            loop.call_soon_threadsafe(self._use, exchanges, self._prepare(exchanges))

        if message := await asyncio.to_thread(self._folder.reload_if_changed, apply):
            self._log(message)
