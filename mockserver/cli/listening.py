"""Where the commands that serve listen, and how they tell whoever waits for them."""

from __future__ import annotations

import socket
from pathlib import Path

from mockserver.cli.settings import give_up

__all__ = ["listen", "url_written"]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; the command ends where there is none to have."""
    from mockserver.server.runner import bind

    try:
        return bind(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; choose another with --port, or 0 for a free one" if port else ""
        give_up(f"can not listen on {host}, port {port}: {reason}{hint}", 1)


def url_written(url_file: Path, url: str) -> None:
    """Write a URL so that whoever waits for the file never reads half of it."""
    part = url_file.with_name(url_file.name + ".part")
    part.write_text(url, encoding="utf-8")
    part.replace(url_file)
