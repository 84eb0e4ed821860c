"""CONNECT: tunnels through the server, to itself with TLS or to a host that is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

__all__ = ["Address", "Gateway", "decrypt", "forward"]

#: The reply to CONNECT after which the tunnel begins.
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

#: Seconds for a TLS handshake, and for a connection to another host.
_OPEN_TIMEOUT_SECONDS = 30.0

#: Seconds that a client gets to answer the end of its TLS connection.
_CLOSE_TIMEOUT_SECONDS = 5.0


class Address(NamedTuple):
    """Where a tunnel leads."""

    host: str
    port: int


class Gateway(Protocol):
    """Decides where tunnels lead."""

    def route(self, target: bytes, client: tuple[Any, ...] | None) -> ssl.SSLContext | Address:
        """The TLS to answer with in place of the target, or the target's address; else ApiError."""

    def report_failure(self, target: bytes, client: tuple[Any, ...] | None, status: int, reason: str) -> None:
        """Record that a tunnel could not be opened."""


class _End(asyncio.Protocol):
    """One end of a tunnel, which the server can close as it closes its other connections."""

    def __init__(self, connections: set[Any]) -> None:
        self.transport: asyncio.Transport
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)

    def shutdown(self) -> None:
        """Close at once when the server stops: it cannot know if a tunnel still has a use."""
        self.transport.abort()


class _EarlyData(_End):
    """Keeps what a client sends in one go with the end of the handshake."""

    def __init__(self, connections: set[Any]) -> None:
        super().__init__(connections)
        self.received = b""
        self.is_lost = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.is_lost = True


async def decrypt(
    transport: asyncio.Transport,
    tls: ssl.SSLContext,
    new_connection: Callable[[], asyncio.Protocol],
    connections: set[Any],
) -> None:
    """Open a tunnel that ends here, with TLS, in a new connection; OSError if the handshake fails.

    `transport` must not be reading.
    """
    early = _EarlyData(connections)
    early.connection_made(transport)
    transport.write(_ESTABLISHED)
    try:
        inner = await asyncio.get_running_loop().start_tls(
            transport,
            early,
            tls,
            server_side=True,
            ssl_handshake_timeout=_OPEN_TIMEOUT_SECONDS,
            ssl_shutdown_timeout=_CLOSE_TIMEOUT_SECONDS,
        )
    finally:
        connections.discard(early)
    if inner is None or early.is_lost:
        return
    connection = new_connection()
    inner.set_protocol(connection)
    connection.connection_made(inner)
    if early.received:
        connection.data_received(early.received)


class _Pipe(_End):
    """Passes what one end of a tunnel receives to the other, no faster than that sends it."""

    def __init__(self, connections: set[Any]) -> None:
        super().__init__(connections)
        self.peer: _Pipe
        """The other end."""
        self.other: asyncio.Transport
        """The transport of the other end."""
        self.has_ended = False
        """Whether nothing more comes from here."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport.pause_reading()  # until the client knows that the tunnel is open

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def eof_received(self) -> bool:
        """Pass the end on. The other direction goes on until it ends too: then both ends close."""
        self.has_ended = True
        if self.peer.has_ended:
            self.other.close()
            return False
        with contextlib.suppress(OSError, RuntimeError):  # the other end is closed
            self.other.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.other.close()

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()


async def forward(transport: asyncio.Transport, address: Address, connections: set[Any]) -> None:
    """Open a tunnel to another host; OSError if that cannot be reached. `transport` must not be reading."""
    inner, outer = _Pipe(connections), _Pipe(connections)
    inner.peer, outer.peer, outer.other = outer, inner, transport
    async with asyncio.timeout(_OPEN_TIMEOUT_SECONDS):
        remote, _ = await asyncio.get_running_loop().create_connection(lambda: outer, *address)
    if transport.is_closing():
        remote.abort()
        return
    inner.other = remote
    inner.connection_made(transport)
    transport.set_protocol(inner)
    transport.write(_ESTABLISHED)
    transport.resume_reading()
    remote.resume_reading()
