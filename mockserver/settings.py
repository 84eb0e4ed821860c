"""Project settings for the commands and the pytest plugin: `[tool.mockserver]` in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mockserver.errors import ConfigurationError

__all__ = ["SETTING_NAMES", "load_project_settings"]

#: Every setting: the options of all commands. Each command uses its own.
SETTING_NAMES = frozenset(
    "accept admin after allow_header allow_host allow_http allow_incomplete allow_mock_headers api_key api_key_env"
    " base_url baseline before bundle cases chunking command console dry_run example examples exchanges expect"
    " fail_on fault files function_arguments host ignore jobs kind limit mask max_age max_requests"
    " max_tokens mcp_server model name once only openapi out pace pauses port profile quiet rate"
    " record_errors recordings rendering replay report reports rule seed skip speed stall store_size stream_errors"
    " structured_output"
    " style timeout upstream upstream_key_env url_file vector_store".split()
)


def load_project_settings(folder: Path) -> dict[str, Any]:
    """Read `[tool.mockserver]` from the folder's pyproject.toml, with underscores in the names.

    Raises ConfigurationError if the file mentions mockserver and is not valid TOML.
    """
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "mockserver" not in text:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("mockserver", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"pyproject.toml cannot be read: {error}") from None
    return {name.replace("-", "_"): value for name, value in table.items()}
