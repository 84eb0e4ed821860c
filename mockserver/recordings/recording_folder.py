"""Folders of recordings: written whole or not at all, never over another, and read back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange, parse_exchanges
from mockserver.wire import json

__all__ = ["add_recording", "create_folder", "highest_number", "load_recordings", "replace_file"]

#: The longest time that is played, in milliseconds: a day.
_MAX_CHUNK_MS = 86_400_000

_PARTIAL_FILE_NUMBERS = count()


def add_recording(folder: Path, stem: str, number: int, exchange: Mapping[str, Any]) -> Path:
    """Write an exchange as `{stem}-{number}.json`, or under the next number that is free; OSError."""
    while True:
        name = f"{stem}-{number:03}"
        part = _write_partial_file(folder / name, {**exchange, "name": name})
        try:
            if _publish(part, folder / f"{name}.json"):
                return folder / f"{name}.json"
        finally:
            part.unlink(missing_ok=True)
        number += 1


def replace_file(file: Path, value: Any) -> None:
    """Write a file anew; whoever looks meanwhile sees the old one or the new one, whole. OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = _write_partial_file(file, value)
    try:
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_partial_file(file: Path, value: Any) -> Path:
    """A file beside `file` that no reader takes for a recording."""
    part = file.with_name(f".{file.name[:80]}.{os.getpid()}.{next(_PARTIAL_FILE_NUMBERS)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(json.pretty(value))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return part


def _publish(part: Path, file: Path) -> bool:
    """Give a whole file its name; False where another has it."""
    try:
        os.link(part, file)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if file.exists():
            return False
        part.replace(file)
    return True


def highest_number(folder: Path, stem: str) -> int:
    """The highest number among a folder's files of that stem; 0 where there is none."""
    numbers = (file.stem.removeprefix(f"{stem}-") for file in folder.glob(f"{stem}-*.json"))
    return max((int(each) for each in numbers if each.isdecimal()), default=0)


def load_recordings(path: Path) -> tuple[Exchange, ...]:
    """The recordings in a file, or in a folder and those below it, in the order in which they were taken.

    InvalidExchange names the first file that is none; ConfigurationError where there is nothing.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found: list[Exchange] = []
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} can not be read: {error.strerror or error}") from None
        found += _parse_recordings(data, str(file))
    if not found:
        raise ConfigurationError(f"there are no recordings in {path}")
    return tuple(sorted(found, key=lambda each: (each.recorded.at if each.recorded else "", each.name)))


def _parse_recordings(data: bytes, file: str) -> Iterator[Exchange]:
    for exchange in parse_exchanges(data, file):
        if "http" not in exchange.reply or (exchange.recorded is None and exchange.request is None):
            raise InvalidExchange(
                file, "/reply", f"{exchange.name} is no recording: `mockserver serve --exchanges` serves it"
            )
        times = [0.0, *(chunk.get("at_ms", 0) for chunk in exchange.reply["http"]["chunks"])]
        if exchange.recorded is not None:
            times += [exchange.recorded.head_ms, exchange.recorded.end_ms]
        if max(times) > _MAX_CHUNK_MS:
            raise InvalidExchange(file, "/reply/http/chunks", "a chunk that comes after more than a day")
        yield exchange


def create_folder(folder: Path) -> None:
    """Make a folder, unless it is there; ConfigurationError where it can not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _write_partial_file(folder / "probe", {}).unlink()
    except OSError as error:
        raise ConfigurationError(f"can not write to {folder}: {error.strerror or error}") from None
