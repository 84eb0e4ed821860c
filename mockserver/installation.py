"""How this package is installed: who else installs files in its module, and whether its own are intact.

Another distribution, such as `mockserver-client`, may have a module of the same name. pip installs both into one
folder without a word, and the files of the later one replace those of the earlier.
"""

from __future__ import annotations

import csv
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path

__all__ = ["DISTRIBUTION", "changed_files", "other_owners", "owners_note"]

DISTRIBUTION = "responses-mockserver"

_MODULE = "mockserver"


def other_owners(part_of_name: str = "") -> tuple[str, ...]:
    """Other distributions that install files in this module, with their versions: `mockserver-client 9.2.0`.

    `part_of_name`: read only the records of distributions with this in their names, which is faster.
    """
    found = {}
    for folder in dict.fromkeys(sys.path):
        for record in _records(Path(folder), part_of_name):
            name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
            name = name.replace("_", "-").lower()
            if name != DISTRIBUTION and _lists_module(record):
                found[name] = version
    return tuple(f"{name} {version}" for name, version in sorted(found.items()))


def owners_note(owners: tuple[str, ...]) -> str:
    """What to do about other owners."""
    return (
        f"{' and '.join(owners)} also installs files in the module {_MODULE!r}, so that one of the two is broken: "
        f"install it and {DISTRIBUTION} in separate environments"
    )


def changed_files() -> Iterator[str]:
    """The files of the module that differ from those that were installed, or are missing.

    A checkout, an editable install and a zip have no list of such files.
    """
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return
    # From Python 3.12 on, `distribution.files` leaves out files that are missing.
    for name, checksum, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        kind, _, digest = checksum.partition("=")
        if not name.startswith(f"{_MODULE}/") or kind != "sha256":
            continue
        path = Path(str(distribution.locate_file(name)))
        if not path.is_file() or digest != _digest(path.read_bytes()):
            yield name


def _records(folder: Path, part_of_name: str) -> Iterator[Path]:
    name = f"*{part_of_name}*" if part_of_name else "*"
    return folder.glob(f"{name}.dist-info/RECORD") if folder.is_dir() else iter(())


def _lists_module(record: Path) -> bool:
    try:
        lines = record.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return f"\n{_MODULE}/" in f"\n{lines}"


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
