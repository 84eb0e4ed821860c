"""Project settings for the commands and the pytest plugin: `[tool.mockserver]` in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.regular_files import read_regular_file

__all__ = ["ENV_PREFIX", "MAX_BODY_BYTES", "SETTING_NAMES", "load_project_settings", "parse_body_size"]

#: The prefix of the environment variables that set options of the commands.
ENV_PREFIX = "MOCKSERVER_"

#: Largest body of a request that a server accepts by default, before and after its content coding is removed.
#:
#: The service documents no limit for a whole body, but for what is in it: 20 MB for a picture (API reference,
#: September 2026); and it accepts a data URI of 20 MiB (live probe of Chat Completions, September 2026). Six of
#: these fit.
MAX_BODY_BYTES = 128 << 20

_BODY_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KB|KiB|MB|MiB|GB|GiB)?", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1000, "kib": 1 << 10, "mb": 1000**2, "mib": 1 << 20, "gb": 1000**3, "gib": 1 << 30}

#: Every setting: the options of all commands. Each command uses its own.
SETTING_NAMES = frozenset(
    {
        "accept",
        "admin",
        "admin_token_env",
        "admin_token_file",
        "after",
        "allow_connect",
        "allow_header",
        "allow_host",
        "allow_http",
        "allow_origin",
        "allow_incomplete",
        "allow_mock_headers",
        "api_key",
        "api_key_env",
        "base_url",
        "baseline",
        "before",
        "bundle",
        "ca_file",
        "cases",
        "chunking",
        "command",
        "conduct",
        "console",
        "dry_run",
        "example",
        "examples",
        "exchanges",
        "expect",
        "fail_on",
        "fallback",
        "fault",
        "files",
        "folder",
        "function_arguments",
        "host",
        "ignore",
        "intercept",
        "jobs",
        "kind",
        "limit",
        "load",
        "log_format",
        "mask",
        "max_age",
        "max_body",
        "max_requests",
        "max_tokens",
        "mcp_server",
        "metrics",
        "model",
        "name",
        "once",
        "only",
        "openapi",
        "out",
        "output_tokens",
        "pace",
        "pauses",
        "port",
        "prices",
        "profile",
        "proxy",
        "quiet",
        "rate",
        "record_errors",
        "recordings",
        "rendering",
        "replay",
        "report",
        "reports",
        "rule",
        "seed",
        "skip",
        "shell",
        "speed",
        "stall",
        "stop_with_stdin",
        "store",
        "store_size",
        "stream_errors",
        "strict",
        "structured_output",
        "style",
        "timeout",
        "token_counts",
        "unsafe_any_origin",
        "upstream",
        "upstream_key_env",
        "url",
        "url_file",
        "vector_store",
        "verbose",
        "workers",
    }
)


def parse_body_size(size: int | str) -> int:
    """Parse the limit of `--max-body`: bytes, or a number with a unit. Raises ConfigurationError.

    >>> parse_body_size("64 MiB")
    67108864
    """
    match = _BODY_SIZE.fullmatch(str(size).strip())
    count = int(match[1]) * _UNITS[(match[2] or "B").lower()] if match else 0
    if not count:
        raise ConfigurationError(
            f"--max-body must be a number of bytes, such as 1000000 or 64MiB, not {size!a}"
        )
    return count


def load_project_settings(folder: Path) -> dict[str, Any]:
    """Read `[tool.mockserver]` from the folder's pyproject.toml, with underscores in the names.

    Raises ConfigurationError if the file seems to have the table and is not valid TOML.
    """
    try:
        text = read_regular_file(folder / "pyproject.toml").decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}
    if not _may_have_table(text):
        return {}
    import tomllib

    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"pyproject.toml cannot be read: {error}") from None
    table = tools.get("mockserver", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigurationError("pyproject.toml: [tool.mockserver] is a table of settings")
    return {name.replace("-", "_"): value for name, value in table.items()}


def _may_have_table(text: str) -> bool:
    """Whether to parse a pyproject.toml, which takes milliseconds of a start: names may be quoted and spaced."""
    if "mockserver" not in text:
        return False
    for character in " \t'\"":
        text = text.replace(character, "")
    return "tool.mockserver" in text or "[tool]" in text or "\ntool=" in f"\n{text}"
