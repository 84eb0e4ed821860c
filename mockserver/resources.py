"""Locate the package's data files, however it is installed.

A wheel, which may be a zip, has `schemas/` and `fixtures/` in `mockserver/_data/`. A checkout, an editable
install and an sdist have them next to the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["data_folder", "json_files", "json_names", "read_json"]


@cache
def data_folder(name: str) -> Traversable:
    """Return the data folder "schemas" or "fixtures". Raises FileNotFoundError."""
    here = Path(__file__).parent
    for candidate in (here / "_data" / name, here.parent / name):
        if candidate.is_dir():
            return candidate
    # Needed only in a zip; importing it at the top would slow down every command.
    from importlib.resources import files

    packaged = files("mockserver") / "_data" / name
    if packaged.is_dir():
        return packaged
    raise FileNotFoundError(f"the data folder {name!r} is neither in the package nor next to it")


def json_names(*parts: str) -> tuple[str, ...]:
    """Return the stems of the `*.json` files in the data folder `parts`, sorted; none if it is missing."""
    here = _folder(parts)
    if not here.is_dir():
        return ()
    names = sorted(entry.name for entry in here.iterdir())
    return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))


def read_json(*parts: str) -> bytes:
    """Return the bytes of a `*.json` file, by its folders and its stem. Raises FileNotFoundError."""
    return (_folder(parts[:-1]) / f"{parts[-1]}.json").read_bytes()


def json_files(*parts: str) -> Iterator[tuple[str, bytes]]:
    """Yield (stem, bytes) of each `*.json` file in the data folder `parts`, by name; nothing if it is missing."""
    for name in json_names(*parts):
        yield name, read_json(*parts, name)


def _folder(parts: Sequence[str]) -> Traversable:
    here = data_folder(parts[0])
    for part in parts[1:]:
        here = here / part
    return here
