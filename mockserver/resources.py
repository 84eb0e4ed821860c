"""Where the package's data files are: one small locator for every way it can be installed.

A wheel carries `schemas/` and `fixtures/` as `mockserver/_data/…` (also inside a zip); a checkout,
an editable install and an sdist have them beside the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["data_folder", "json_files"]


@cache
def data_folder(name: str) -> Traversable:
    """The data folder `name` ("schemas" or "fixtures"); FileNotFoundError where it is missing."""
    here = Path(__file__).parent
    for candidate in (here / "_data" / name, here.parent / name):
        if candidate.is_dir():
            return candidate
    # In a zip. Imported only here: it is slow to load, and every command needs a schema.
    from importlib.resources import files

    packaged = files("mockserver") / "_data" / name
    if packaged.is_dir():
        return packaged
    raise FileNotFoundError(f"the data folder {name!r} is neither in the package nor beside it")


def json_files(*parts: str) -> Iterator[tuple[str, bytes]]:
    """(stem, bytes) of each `*.json` file directly in the data folder `parts`, if there is one, by name."""
    here = data_folder(parts[0])
    for part in parts[1:]:
        here = here / part
    if not here.is_dir():
        return
    for entry in sorted(here.iterdir(), key=lambda each: each.name):
        if entry.name.endswith(".json"):
            yield entry.name.removesuffix(".json"), entry.read_bytes()
