"""What the commands share: settings of a project, and the end of one that can not go on. No click here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from mockserver.settings import load_project_settings

__all__ = ["exit_with_error", "project_settings"]


def project_settings() -> dict[str, Any]:
    """`[tool.mockserver]` of the pyproject.toml in the current folder, as defaults of options.

    ConfigurationError where the file names mockserver and is no TOML.
    """
    return load_project_settings(Path())


def exit_with_error(message: str, status: int) -> NoReturn:
    """End with one line on standard error."""
    print(f"mockserver: {message}", file=sys.stderr)
    raise SystemExit(status)
