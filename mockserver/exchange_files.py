"""Files and folders of exchanges: all files of a folder are loaded, or every problem is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path

from mockserver.errors import InvalidExchange
from mockserver.exchanges import Exchange, FindMore, find_nothing, parse_exchanges
from mockserver.regular_files import read_regular_file, visible_json_files
from mockserver.wire import json
from mockserver.wire.text_files import to_utf8

__all__ = ["MAX_FILE_BYTES", "load_exchange_file", "load_exchange_folder"]

#: Largest file of exchanges in a folder.
MAX_FILE_BYTES = 256 << 20


def load_exchange_file(
    path: Path, find_more: FindMore = find_nothing, max_values: int | None = None
) -> tuple[Exchange, ...]:
    """Load a file of a folder, as `parse_exchanges` does. Raises InvalidExchange.

    `max_values` is the largest number of JSON values in a file that is read while a server answers.
    """
    try:
        data = to_utf8(read_regular_file(path, MAX_FILE_BYTES))
    except OSError as error:
        raise InvalidExchange(path.name, "", f"cannot be read: {error.strerror or error}") from None
    if max_values is not None and json.measure(data).values > max_values:
        reason = f"has more than {max_values:,} JSON values; split it, or restart the server to load it"
        raise InvalidExchange(path.name, "", reason)
    return parse_exchanges(data, path.name, find_more)


def load_exchange_folder(
    folder: Path,
    find_more: FindMore = find_nothing,
    load_file: Callable[[Path, FindMore], tuple[Exchange, ...]] = load_exchange_file,
) -> tuple[Exchange, ...]:
    """Load every visible `*.json` file of a folder, in order of file name. Raises InvalidExchange.

    If a file has problems, `find_more` finds others in all of them. `load_file` loads one file.
    """
    loaders = (partial(load_file, path, find_more) for path in visible_json_files(folder))
    return _unique_exchanges(loaders, find_more)


def _unique_exchanges(
    loaders: Iterable[Callable[[], tuple[Exchange, ...]]], find_more: FindMore
) -> tuple[Exchange, ...]:
    """The exchanges of several files, one loader each; InvalidExchange with the problems of all of them."""
    parsed: list[Exchange] = []
    errors: list[InvalidExchange] = []
    for load in loaders:
        try:
            parsed += load()
        except InvalidExchange as error:
            errors.append(error)
    names: set[str] = set()
    for exchange in parsed:
        if exchange.name in names and not exchange.has_generated_name:
            reason = f"another exchange already has the name {exchange.name!r}"
            errors.append(InvalidExchange(exchange.file, f"{exchange.pointer}/name", reason))
        elif not exchange.has_generated_name:
            names.add(exchange.name)
    if errors:
        errors += [
            InvalidExchange(each.file, each.pointer + pointer, reason)
            for each in parsed
            for pointer, reason in find_more(each.document)
        ]
        raise InvalidExchange.combine(errors)
    return tuple(_with_free_name(each, names) if each.has_generated_name else each for each in parsed)


def _with_free_name(exchange: Exchange, names: set[str]) -> Exchange:
    """An exchange whose generated name is not one of `names`, to which it is added."""
    candidates = (f"{exchange.name[:90]}-{number}" for number in count(2))
    name = (
        exchange.name
        if exchange.name not in names
        else next(each for each in candidates if each not in names)
    )
    names.add(name)
    return exchange._replace(name=name)
