"""The files of `--report`: whether they can be written, before anything is done, and writing them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mockserver.cli.errors import exit_with_error
from mockserver.regular_files import replace_file, require_writable

__all__ = ["replace_report", "require_writable_reports"]


def replace_report(target: Path, text: str, status: int = 2) -> None:
    """Write a report; a reader never sees an unfinished file. Exit with `status` if it cannot be written."""
    try:
        replace_file(target, text)
    except OSError as error:
        exit_with_error(f"cannot write {target}: {error.strerror or error}", status)


def require_writable_reports(targets: Iterable[tuple[str, Path]]) -> None:
    """Exit if a report, a pair of format and file, cannot be written."""
    for _, target in targets:
        try:
            require_writable(target)
        except OSError as error:
            exit_with_error(f"cannot write {target}: {error.strerror or error}", 2)
