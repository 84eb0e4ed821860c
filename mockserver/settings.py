"""Settings of a project: `[tool.mockserver]` of its pyproject.toml, for the commands and for the plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mockserver.errors import ConfigurationError

__all__ = ["SETTING_NAMES", "load_project_settings"]

#: Every setting there is: the options of the commands, of which each takes its own.
SETTING_NAMES = frozenset(
    "accept admin after allow_header allow_host allow_http allow_mock_headers api_key api_key_env"
    " base_url baseline before bundle cases chunking command dry_run example examples exchanges expect"
    " fail_on fault files function_arguments host ignore jobs kind limit mask max_age max_requests"
    " max_tokens mcp_server model name once only openapi out pace pauses port profile quiet rate"
    " recordings rendering replay report reports rule seed skip speed stall store_size stream_errors"
    " style timeout upstream upstream_key_env url_file vector_store".split()
)


def load_project_settings(folder: Path) -> dict[str, Any]:
    """`[tool.mockserver]` of the pyproject.toml in a folder, by names with underscores.

    ConfigurationError where the file names mockserver and is no TOML.
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
        raise ConfigurationError(f"pyproject.toml can not be read: {error}") from None
    return {name.replace("-", "_"): value for name, value in table.items()}
