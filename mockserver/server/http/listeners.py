"""Sockets that listen, and their URLs."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence

from mockserver.network import machine_addresses

__all__ = ["LISTEN_BACKLOG", "bind_socket", "bind_sockets", "listener_url", "other_urls"]

#: Connections that may wait to be accepted.
LISTEN_BACKLOG = 2048

#: Errors of a machine without IPv6.
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket; OSError if the address is not available. Port 0 picks a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` is every address, of IPv4 too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host.strip("[]") != "::")
        listener.bind((host.strip("[]"), port))
        listener.listen(LISTEN_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """The listening sockets of a host: for `localhost` those of IPv4 and IPv6, on the same port. OSError."""
    if host != "localhost":
        return [bind_socket(host, port)]
    first = bind_socket("127.0.0.1", port)
    while True:
        try:
            return [first, bind_socket("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _NO_IPV6:
                return [first]
            first.close()
            if port:
                raise
        first = bind_socket("127.0.0.1", port)


def other_urls(listeners: Sequence[socket.socket]) -> list[str]:
    """The URLs of the sockets beside that of the first, also for other machines."""
    urls = []
    for listener in listeners:
        host, port = listener.getsockname()[:2]
        hosts = machine_addresses() if host in ("0.0.0.0", "::") else [host]
        urls += [f"http://[{each}]:{port}" if ":" in each else f"http://{each}:{port}" for each in hosts]
    return [each for each in urls if each != listener_url(listeners[0])]


def listener_url(listener: socket.socket) -> str:
    """`http://host:port` of a bound socket, for a client on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
