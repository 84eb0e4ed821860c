"""The listening socket and the URL file of the commands that serve."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockserver.cli.errors import exit_with_error
from mockserver.cli.garbage_collection import paused_collection
from mockserver.errors import ConfigurationError
from mockserver.network import is_loopback
from mockserver.regular_files import replace_file, replaced_file, require_writable
from mockserver.settings import ENV_PREFIX

if TYPE_CHECKING:
    from mockserver.server.access import AllowedHosts

__all__ = [
    "allowed_hosts",
    "open_listeners",
    "other_url_notes",
    "require_key",
    "require_standard_input",
    "require_writable_url_file",
    "stop_when_input_ends",
    "warn_if_reachable",
    "write_admin_token_file",
    "write_url_file",
]


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return the listening sockets; exit if the port is not available. Warn if other machines can use it."""
    with paused_collection():
        from mockserver.server.http.listeners import bind_sockets

    warn_if_reachable(host)
    _note_shared_variables()
    try:
        return bind_sockets(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; use --port to choose another port, or 0 for any free port" if port else ""
        exit_with_error(f"cannot listen on {host}, port {port}: {reason}{hint}", 1)


def _note_shared_variables() -> None:
    """Say it if an address comes from a variable that the client of another product reads too."""
    import click

    context = click.get_current_context(silent=True)
    options = ("host", "port") if context is not None else ()
    used = [
        f"{ENV_PREFIX}{name.upper()}"
        for name in options
        if context is not None
        and context.get_parameter_source(name) is click.core.ParameterSource.ENVIRONMENT
    ]
    if used:
        names = " and ".join(used)
        message = f"the address to listen on is that of {names}, which mockserver-client reads too"
        print(f"mockserver: note: {message}", file=sys.stderr, flush=True)


def warn_if_reachable(host: str) -> None:
    """Warn if other machines can send requests."""
    if not is_loopback(host):
        message = "other machines can send requests, and no request is encrypted"
        print(f"mockserver: warning: listening on {host}: {message}", file=sys.stderr, flush=True)


def require_key(host: str, *, has_key: bool, remedy: str) -> None:
    """Raise ConfigurationError if other machines could send requests without a key."""
    if not has_key and not is_loopback(host):
        raise ConfigurationError(f"listening on {host} requires an API key: {remedy}")


def allowed_hosts(options: Mapping[str, Any], *, is_controllable: bool = False) -> AllowedHosts:
    """The hosts and origins of `network_options`; ConfigurationError.

    `is_controllable`: the server has the admin API or the console, which strangers' pages must not reach.
    """
    from mockserver.server.access import ANY_ORIGIN, listener_hosts

    hosts = listener_hosts(
        options["host"],
        options["allow_host"],
        options["allow_origin"],
        any_origin=options["unsafe_any_origin"],
    )
    if is_controllable and ANY_ORIGIN in hosts.origins:
        raise ConfigurationError("the origin * cannot be allowed together with the admin API or the console")
    return hosts


def other_url_notes(listeners: Sequence[socket.socket]) -> list[str]:
    """A line for the banner with the URLs beside its own, if there are any."""
    from mockserver.server.http.listeners import other_urls

    urls = other_urls(listeners)
    return [f"also at    {', '.join(urls)}"] if urls else []


def require_standard_input(workers: int) -> None:
    """Raise ConfigurationError if the end of standard input cannot stop the server."""
    if workers > 1:
        raise ConfigurationError("--stop-with-stdin needs a server of one process, without --workers")
    if sys.stdin is None:
        raise ConfigurationError("--stop-with-stdin: standard input is closed")


def stop_when_input_ends() -> None:
    """Stop the server, as a signal does, once standard input ends."""

    def wait() -> None:
        with suppress(OSError):  # it cannot be read: nobody holds its other end
            while os.read(sys.stdin.fileno(), 1 << 12):
                pass
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=wait, name="standard-input", daemon=True).start()


def require_writable_url_file(url_file: Path | None) -> None:
    """Exit if the URL file is set but not writable, before the server starts."""
    if url_file is None:
        return
    with _exit_if_unwritable(url_file):
        require_writable(url_file)


def write_url_file(url_file: Path, url: str) -> None:
    """Write the URL atomically, because another process may wait for the file; exit if that fails.

    Printed lines come first: a program that finds the file may read them. Raises OSError if they cannot be written.
    """
    from mockserver.server.http.background_stream import require_written

    require_written(sys.stdout)
    with _exit_if_unwritable(url_file):
        replace_file(url_file, url)


def write_admin_token_file(url_file: Path, token: str) -> None:
    """Write the admin API's token beside the URL file, atomically and readable by its owner only."""
    file = url_file.with_name(url_file.name + ".admin-token")
    with _exit_if_unwritable(file), replaced_file(file) as partial:
        partial.unlink(missing_ok=True)
        # O_EXCL: never follow a link.
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(token)


@contextmanager
def _exit_if_unwritable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        exit_with_error(f"cannot write {file}: {error.strerror or error}", 2)
