"""Folders of recordings: atomic writes that never replace another recording, and loading."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from mockserver.documents.problems import Problem
from mockserver.errors import ConfigurationError, InvalidExchange
from mockserver.exchanges import Exchange, parse_exchanges
from mockserver.regular_files import read_named_file, read_regular_file, visible_json_files
from mockserver.wire import json
from mockserver.wire.text_files import to_utf8

__all__ = [
    "add_recording",
    "create_folder",
    "highest_number",
    "load_recordings",
    "parse_recordings",
    "recorded_statuses",
    "replace_file",
]

#: Latest time of a chunk, in milliseconds: a day.
_MAX_CHUNK_MS = 86_400_000

_PARTIAL_FILE_NUMBERS = count()


def add_recording(folder: Path, stem: str, number: int, exchange: Mapping[str, Any]) -> Path:
    """Write an exchange as `{stem}-{number}.json`, or with the next free number. Raises OSError."""
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
    """Replace a file atomically: readers see the complete old or new file. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = _write_partial_file(file, value)
    try:
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_partial_file(file: Path, value: Any) -> Path:
    """Write a hidden file beside `file`, which readers ignore."""
    part = file.with_name(f".{file.name[:80]}.{os.getpid()}.{next(_PARTIAL_FILE_NUMBERS)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(json.pretty(value))
    except BaseException:  # a signal, too
        part.unlink(missing_ok=True)
        raise
    return part


def _publish(part: Path, file: Path) -> bool:
    """Give a complete file its final name; False if the name is taken."""
    try:
        os.link(part, file)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if file.exists():
            return False
        part.replace(file)
    return True


def highest_number(folder: Path, stem: str) -> int:
    """The highest number of a folder's recordings with that stem; 0 if there are none."""
    numbers = (file.stem.removeprefix(f"{stem}-") for file in folder.glob(f"{stem}-*.json"))
    return max((int(each) for each in numbers if each.isdecimal()), default=0)


def recorded_statuses(folder: Path, stem: str) -> list[int]:
    """The HTTP statuses of a folder's recordings with that stem."""
    return [
        exchange.reply["http"]["status"]
        for file in folder.glob(f"{stem}-*.json")
        for exchange in _readable_exchanges(file)
        if "http" in exchange.reply
    ]


def _readable_exchanges(file: Path) -> Sequence[Exchange]:
    """The exchanges in a file; none if somebody else wrote it and it is invalid."""
    try:
        return parse_exchanges(read_regular_file(file), str(file))
    except (OSError, InvalidExchange):
        return ()


def load_recordings(
    path: Path, track: Callable[[Sequence[Path]], Iterable[Path]] = iter
) -> tuple[Exchange, ...]:
    """The recordings in a file, or in a folder and its subfolders that are not hidden, in the order of recording.

    `track` gets the files and yields them one by one, for example to show how many have been read.
    Raises InvalidExchange with the problems of all files, and ConfigurationError if there are no recordings.
    """
    is_folder = path.is_dir()
    recordings: list[Exchange] = []
    errors: list[InvalidExchange] = []
    for file in track(visible_json_files(path, with_subfolders=True) if is_folder else [path]):
        try:
            data = read_regular_file(file) if is_folder else read_named_file(file)
        except OSError as error:
            raise ConfigurationError(f"cannot read {file}: {error.strerror or error}") from None
        try:
            recordings += _parse_file(data, str(file))
        except InvalidExchange as error:
            errors.append(error)
    if errors:
        raise InvalidExchange.combine(errors)
    return _in_order(recordings, str(path))


def parse_recordings(data: bytes, file: str) -> tuple[Exchange, ...]:
    """The recordings in the content of a file. Raises as `load_recordings` does."""
    return _in_order(_parse_file(data, file), file)


def _in_order(recordings: Iterable[Exchange], source: str) -> tuple[Exchange, ...]:
    """Sort recordings by their times. Raises ConfigurationError if there are none."""
    in_order = sorted(recordings, key=lambda each: (each.recorded.at if each.recorded else "", each.name))
    if not in_order:
        raise ConfigurationError(f"there are no recordings in {source}")
    return tuple(in_order)


def _parse_file(data: bytes, file: str) -> tuple[Exchange, ...]:
    exchanges = parse_exchanges(to_utf8(data), file)
    errors = [
        InvalidExchange(file, each.pointer + pointer, reason)
        for each in exchanges
        for pointer, reason in _recording_problems(each)
    ]
    if errors:
        raise InvalidExchange.combine(errors)
    return exchanges


def _recording_problems(exchange: Exchange) -> Iterator[Problem]:
    if "http" not in exchange.reply or (exchange.recorded is None and exchange.request is None):
        reason = f"{exchange.name} is not a recording; serve it with `mockserver serve --exchanges`"
        yield Problem("/reply", reason)
        return
    times = [0.0, *(chunk.get("at_ms", 0) for chunk in exchange.reply["http"]["chunks"])]
    if exchange.recorded is not None:
        times += [exchange.recorded.head_ms, exchange.recorded.end_ms]
    if max(times) > _MAX_CHUNK_MS:
        yield Problem("/reply/http/chunks", "a chunk is later than a day")


def create_folder(folder: Path) -> None:
    """Create a folder if it does not exist. Raises ConfigurationError if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _write_partial_file(folder / "probe", {}).unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror or error}") from None
