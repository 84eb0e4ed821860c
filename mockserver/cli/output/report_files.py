"""The files of `--report`: their formats, whether they can be written, and writing them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from mockserver.cli.errors import exit_with_error
from mockserver.regular_files import replace_file, require_writable

__all__ = ["parse_report_targets", "replace_report", "require_writable_reports"]


def parse_report_targets(options: Iterable[str], formats: Collection[str]) -> list[tuple[str, Path]]:
    """The format and the file of each `--report` option; exit if one is invalid."""
    return [_parse_report_target(each, formats) for each in options]


def _parse_report_target(option: str, formats: Collection[str]) -> tuple[str, Path]:
    name, equals, file = option.partition("=")
    if not equals or not file or name not in formats:
        exit_with_error(
            f"--report {option}: must be FORMAT=FILE, where FORMAT is one of {', '.join(formats)}", 2
        )
    return name, Path(file)


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
