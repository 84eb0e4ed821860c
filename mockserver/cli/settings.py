"""What the commands share: settings of a project, and the end of one that can not go on. No click here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from mockserver.errors import ConfigurationError

__all__ = ["give_up", "settings"]


def settings() -> dict[str, Any]:
    """`[tool.mockserver]` of the pyproject.toml in the current folder, as defaults of options.

    ConfigurationError where the file names mockserver and is no TOML.
    """
    try:
        text = Path("pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "mockserver" not in text:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("mockserver", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"pyproject.toml can not be read: {error}") from None
    return {name.replace("-", "_"): value for name, value in table.items()}


def give_up(message: str, code: int) -> NoReturn:
    """End with one line on standard error."""
    print(f"mockserver: {message}", file=sys.stderr)
    raise SystemExit(code)
