"""Project settings and fatal errors, shared by all commands. Does not import click."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from mockserver.errors import InvalidExchange
from mockserver.settings import load_project_settings
from mockserver.wire.terminal import escape_unprintable

__all__ = ["EXIT_INCOMPLETE", "exit_with_error", "exit_with_problems", "problem_lines", "project_settings"]

#: Exit status of a run of which a part was cut off.
EXIT_INCOMPLETE = 3


def project_settings() -> dict[str, Any]:
    """`[tool.mockserver]` of pyproject.toml in the current folder: the defaults of options.

    Raises ConfigurationError if the file seems to have the table and is not valid TOML.
    """
    return load_project_settings(Path())


def exit_with_error(message: str, status: int) -> NoReturn:
    """Print one line to standard error and exit."""
    exit_with_problems([message], status)


def exit_with_problems(lines: Iterable[str], status: int) -> NoReturn:
    """Print several lines to standard error, if that can be written, and exit."""
    with suppress(OSError):
        print("mockserver:", "\n".join(map(escape_unprintable, lines)), file=sys.stderr)
    raise SystemExit(status)


def problem_lines(error: Exception) -> list[str]:
    """The message of an error, or those of all problems of a document."""
    return [str(each) for each in (error.problems if isinstance(error, InvalidExchange) else (error,))]
