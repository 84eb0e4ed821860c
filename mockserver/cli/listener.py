"""The listening socket and the URL file of the commands that serve."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mockserver.cli.errors import exit_with_error

__all__ = ["open_listener", "require_writable_url_file", "write_admin_token_file", "write_url_file"]


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; exit if the port is not available."""
    from mockserver.server.http.uvicorn_runner import bind_socket

    try:
        return bind_socket(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; use --port to choose another port, or 0 for any free port" if port else ""
        exit_with_error(f"cannot listen on {host}, port {port}: {reason}{hint}", 1)


def require_writable_url_file(url_file: Path | None) -> None:
    """Exit if the URL file is set but not writable, before the server starts."""
    if url_file is None:
        return
    with _exit_if_unwritable(url_file):
        _partial_file(url_file).touch()


def write_url_file(url_file: Path, url: str) -> None:
    """Write the URL atomically, because another process may wait for the file; exit if that fails."""
    with _exit_if_unwritable(url_file):
        _partial_file(url_file).write_text(url, encoding="utf-8")
        _partial_file(url_file).replace(url_file)


def write_admin_token_file(url_file: Path, token: str) -> None:
    """Write the admin API's token beside the URL file, atomically and readable by its owner only."""
    file = url_file.with_name(url_file.name + ".admin-token")
    with _exit_if_unwritable(file):
        partial = _partial_file(file)
        partial.unlink(missing_ok=True)
        # O_EXCL: never follow a link.
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(token)
        partial.replace(file)


@contextmanager
def _exit_if_unwritable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        exit_with_error(f"cannot write {file}: {error.strerror or error}", 2)


def _partial_file(url_file: Path) -> Path:
    return url_file.with_name(url_file.name + ".part")
