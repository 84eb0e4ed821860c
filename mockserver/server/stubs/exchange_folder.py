"""A folder of exchange files that is reloaded when its files change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from mockserver.errors import MockServerError
from mockserver.exchanges import Exchange, load_exchange_folder

__all__ = ["ExchangeFolder"]

_FileStats: TypeAlias = tuple[tuple[str, int, int], ...]


class ExchangeFolder:
    """A folder of exchange files."""

    def __init__(self, folder: Path) -> None:
        """Load the folder. Raises InvalidExchange."""
        self._folder = folder
        self._file_stats = self._read_file_stats()
        self.exchanges = load_exchange_folder(folder)

    def reload_if_changed(self, apply: Callable[[tuple[Exchange, ...]], None]) -> str:
        """Reload the folder if a file has changed and pass the exchanges to `apply`; return a log message.

        If a file is invalid, or `apply` raises, nothing changes; the message, which comes once, says so.
        The message is empty if no file has changed.
        """
        file_stats = self._read_file_stats()
        if file_stats == self._file_stats:
            return ""
        self._file_stats = file_stats
        try:
            exchanges = load_exchange_folder(self._folder)
            apply(exchanges)
        except (MockServerError, OSError) as error:
            return f"{self._folder}: not reloaded: {error}"
        self.exchanges = exchanges
        return f"{self._folder}: reloaded {len(exchanges)} exchanges"

    def _read_file_stats(self) -> _FileStats:
        """Return name, modification time and size of each file."""
        stats = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                stat = path.stat()
            except OSError:  # deleted in the meantime
                continue
            stats.append((path.name, stat.st_mtime_ns, stat.st_size))
        return tuple(stats)
