"""Where the commands that serve listen, and how they tell whoever waits for them."""

from __future__ import annotations

import socket
from pathlib import Path

from mockserver.cli.settings import give_up

__all__ = ["listen", "require_writable", "url_written"]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; the command ends where there is none to have."""
    from mockserver.server.http.uvicorn_runner import bind_socket

    try:
        return bind_socket(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; choose another with --port, or 0 for a free one" if port else ""
        give_up(f"can not listen on {host}, port {port}: {reason}{hint}", 1)


def require_writable(url_file: Path | None) -> None:
    """End where a file for the URL, if one is wanted, could not be written once the server runs."""
    if url_file is None:
        return
    try:
        _part(url_file).touch()
    except OSError as error:
        give_up(f"can not write {url_file}: {error.strerror or error}", 2)


def url_written(url_file: Path, url: str) -> None:
    """Write a URL so that whoever waits for the file never reads half of it."""
    _part(url_file).write_text(url, encoding="utf-8")
    _part(url_file).replace(url_file)


def _part(url_file: Path) -> Path:
    return url_file.with_name(url_file.name + ".part")
