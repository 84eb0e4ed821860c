"""Project settings and fatal errors, shared by all commands. Does not import click."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from mockserver.settings import load_project_settings
from mockserver.wire.terminal import escape_unprintable

__all__ = ["EXIT_INCOMPLETE", "exit_with_error", "project_settings"]

#: Exit status of a run of which a part was cut off.
EXIT_INCOMPLETE = 3


def project_settings() -> dict[str, Any]:
    """`[tool.mockserver]` of pyproject.toml in the current folder: the defaults of options.

    Raises ConfigurationError if the file mentions mockserver and is not valid TOML.
    """
    return load_project_settings(Path())


def exit_with_error(message: str, status: int) -> NoReturn:
    """Print one line to standard error and exit."""
    print(f"mockserver: {escape_unprintable(message)}", file=sys.stderr)
    raise SystemExit(status)
