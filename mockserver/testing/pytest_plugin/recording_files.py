"""Paths of recordings: `recordings/<module>/<test>.json` beside the test. Imports only pytest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from mockserver.regular_files import read_regular_file
from mockserver.testing.pytest_plugin.options import RECORDINGS_FOLDER

__all__ = ["recording_file", "stale_recordings"]

_UNSAFE_CHARACTERS = re.compile(r"[^a-z0-9._-]+")
#: Characters of a name that are kept; with digest and suffix, every file system accepts the name.
_MAX_NAME_LENGTH = 100


def recording_file(item: pytest.Item) -> Path:
    """The file of a test's recordings, whether it exists or not.

    A name with characters other than lower-case letters, digits, `.`, `_` and `-` gets a digest, so no two
    tests share a file, not even on a file system that ignores case.
    """
    name = ".".join(each for each in item.nodeid.partition("::")[2].split("::") if each != "()")
    return item.path.parent / RECORDINGS_FOLDER / _safe_name(item.path.stem) / f"{_safe_name(name)}.json"


def _safe_name(name: str) -> str:
    plain = _UNSAFE_CHARACTERS.sub("-", name.lower()).strip("-.")[:_MAX_NAME_LENGTH]
    if plain == name:
        return name
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    return f"{plain or 'test'}-{digest}"


def stale_recordings(items: Iterable[pytest.Item]) -> Iterator[Path]:
    """Recordings that belong to none of these tests; `items` must hold all tests of their modules."""
    expected: dict[Path, set[Path]] = {}
    for item in items:
        file = recording_file(item)
        expected.setdefault(file.parent, set()).add(file)
    for folder, files in sorted(expected.items()):
        yield from (
            file for file in sorted(folder.glob("*.json")) if file not in files and _is_recording(file)
        )
    for root in sorted({folder.parent for folder in expected}):
        modules = {_safe_name(module.stem) for module in root.parent.glob("*.py")}
        stale = (each for each in sorted(root.glob("*")) if each.is_dir() and each.name not in modules)
        yield from (file for folder in stale for file in sorted(folder.glob("*.json")) if _is_recording(file))


def _is_recording(file: Path) -> bool:
    """Whether a file looks like a recording: other tools may use the same folder name."""
    try:
        return b'"recorded"' in read_regular_file(file)
    except OSError:
        return False
