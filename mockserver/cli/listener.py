"""Where the commands that serve listen, and how they tell whoever waits for them."""

from __future__ import annotations

import socket
from pathlib import Path

from mockserver.cli.errors import exit_with_error

__all__ = ["open_listener", "require_writable_url_file", "write_url_file"]


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that listens; the command ends where there is none to have."""
    from mockserver.server.http.uvicorn_runner import bind_socket

    try:
        return bind_socket(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; choose another with --port, or 0 for a free one" if port else ""
        exit_with_error(f"can not listen on {host}, port {port}: {reason}{hint}", 1)


def require_writable_url_file(url_file: Path | None) -> None:
    """End where a file for the URL, if one is wanted, could not be written once the server runs."""
    if url_file is None:
        return
    try:
        _partial_file(url_file).touch()
    except OSError as error:
        exit_with_error(f"can not write {url_file}: {error.strerror or error}", 2)


def write_url_file(url_file: Path, url: str) -> None:
    """Write a URL so that whoever waits for the file never reads half of it."""
    _partial_file(url_file).write_text(url, encoding="utf-8")
    _partial_file(url_file).replace(url_file)


def _partial_file(url_file: Path) -> Path:
    return url_file.with_name(url_file.name + ".part")
