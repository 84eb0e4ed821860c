"""Where the recordings of a test are: `recordings/<module>/<test>.json` beside it. Imports only pytest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from mockserver.testing.pytest_plugin.options import RECORDINGS_FOLDER

__all__ = ["recording_file", "stale_recordings"]

_UNSAFE_CHARACTERS = re.compile(r"[^a-z0-9._-]+")
#: Characters of a name that are kept: with a digest and a suffix it is one that every file system takes.
_MAX_NAME_LENGTH = 100


def recording_file(item: pytest.Item) -> Path:
    """The file of a test's recordings, whether it is there or not.

    A name with anything but small letters, digits, `.`, `_` and `-` in it gets a digest of its own: so no two
    tests share a file, not even where case does not count.
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
    """Recordings that are no test's: of the modules of these tests, which must be all that they have."""
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
        gone = (each for each in sorted(root.glob("*")) if each.is_dir() and each.name not in modules)
        yield from (file for folder in gone for file in sorted(folder.glob("*.json")) if _is_recording(file))


def _is_recording(file: Path) -> bool:
    """Whether a file looks like recordings: other folders may have that name too."""
    try:
        return b'"recorded"' in file.read_bytes()
    except OSError:
        return False
