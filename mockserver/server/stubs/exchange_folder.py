"""Reloading: a folder of exchange files that is read again when something in it has changed."""

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
        """InvalidExchange where a file in it is none."""
        self._folder = folder
        self._file_stats = self._read_file_stats()
        self.exchanges = load_exchange_folder(folder)

    def reload_if_changed(self, apply: Callable[[tuple[Exchange, ...]], None]) -> str:
        """Give what is there to `use` where something changed; what to tell about it, or nothing.

        Where a file is no exchange, or `use` refuses it, all stays as it was, and that is told once.
        """
        state = self._read_file_stats()
        if state == self._file_stats:
            return ""
        self._file_stats = state
        try:
            exchanges = load_exchange_folder(self._folder)
            apply(exchanges)
        except (MockServerError, OSError) as error:
            return f"{self._folder}: nothing is reloaded: {error}"
        self.exchanges = exchanges
        return f"{self._folder}: {len(exchanges)} exchanges reloaded"

    def _read_file_stats(self) -> _FileStats:
        """Names, times and sizes of the files."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                about = path.stat()
            except OSError:  # gone in between
                continue
            found.append((path.name, about.st_mtime_ns, about.st_size))
        return tuple(found)
