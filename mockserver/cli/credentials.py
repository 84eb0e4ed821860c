"""The API keys of clients and the token of the admin API, from the options of the commands that serve."""

from __future__ import annotations

import os
from collections.abc import Mapping
from secrets import token_hex, token_urlsafe
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.regular_files import read_named_file

__all__ = ["admin_token_source", "choose_admin_token", "new_api_key", "read_api_keys"]

_MIN_TOKEN_CHARACTERS = 8


def new_api_key() -> str:
    """A key for clients of a server that must not accept every key."""
    return f"sk-mock-{token_hex(12)}"


def read_api_keys(literal_keys: tuple[str, ...], variables: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of `--api-key` and `--api-key-env`; ConfigurationError if one is unusable."""
    for name in variables:
        if not os.environ.get(name):
            raise ConfigurationError(f"--api-key-env {name}: the variable is not set")
    keys = (*literal_keys, *[os.environ[name] for name in variables])
    if not all(key and _is_printable_word(key) for key in keys):
        raise ConfigurationError("an API key must be printable ASCII without spaces")
    return keys


def choose_admin_token(settings: Mapping[str, Any]) -> str:
    """Return the token of the admin API; "": there is none. ConfigurationError if it is unusable."""
    variable, file = settings.get("admin_token_env"), settings.get("admin_token_file")
    if variable and file:
        raise ConfigurationError("use --admin-token-env or --admin-token-file, not both")
    if variable:
        if not os.environ.get(variable):
            raise ConfigurationError(f"--admin-token-env {variable}: the variable is not set")
        return _require_token(os.environ[variable], f"--admin-token-env {variable}")
    if file:
        try:
            return _require_token(read_named_file(file).decode().strip(), f"--admin-token-file {file}")
        except UnicodeDecodeError:
            raise ConfigurationError(f"--admin-token-file {file}: not a text") from None
    return token_urlsafe(24) if settings.get("admin") else ""


def admin_token_source(settings: Mapping[str, Any]) -> str | None:
    """The variable or file that has the admin API's token; None if the token is a new one."""
    source = settings["admin_token_env"] or settings["admin_token_file"]
    return None if source is None else str(source)


def _require_token(token: str, source: str) -> str:
    if len(token) < _MIN_TOKEN_CHARACTERS or not _is_printable_word(token):
        raise ConfigurationError(
            f"{source}: the token needs at least {_MIN_TOKEN_CHARACTERS} characters of printable ASCII"
            " without spaces"
        )
    return token


def _is_printable_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
