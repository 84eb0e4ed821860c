"""Pauses that last until the client has read what was sent, so that it reads each piece separately.

A pause alone is not enough on a busy machine: a client that does not run meanwhile finds two pieces at once. Client and
server share a machine, and Linux tells how many bytes wait to be read on a connection.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TypeAlias

from mockserver.server.delivery.steps import Await, Step, Wait

__all__ = ["can_count_unread_bytes", "count_unread_bytes", "pause_until_read"]

#: Host and port, as in the scope of a request.
Address: TypeAlias = tuple[str, int]

#: Most seconds for which a piece waits for the previous one to be read.
_MAX_READ_SECONDS = 2.0

#: Seconds between two looks at a connection, in which a client gets what it has read from its own buffers.
_READ_PAUSE_SECONDS = 0.02

# A request for one socket, sock_diag(7): header; family, protocol, extensions, states; ports and addresses, the
# interface and no cookie.
_DIAGNOSIS_REQUEST = struct.Struct("=LHHLL BBBxL 4s4s12x4s12xL8s")
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_NO_COOKIE, _ALL_STATES = b"\xff" * 8, 0xFFFFFFFF
#: The type of a message, and the bytes in the queue for reading.
_DIAGNOSIS_REPLY = struct.Struct("=4xH66xL")


def pause_until_read(steps: Iterable[Step], client: Address, server: Address) -> Iterator[Step]:
    """The steps, with pauses that also last until the client has read what was sent."""
    for step in steps:
        if isinstance(step, Wait) and step.from_now and can_count_unread_bytes():
            yield Await(partial(_left_before_read, step.seconds, client, server))
        else:
            yield step


async def _left_before_read(
    seconds: float, client: Address, server: Address, disconnect: asyncio.Future[bool]
) -> bool:
    """Wait for a pause, and longer if the client has not read everything; whether it disconnects meanwhile."""
    now = asyncio.get_running_loop().time
    latest = now() + _MAX_READ_SECONDS
    tells = count_unread_bytes(client, server) is not None
    pause = min(seconds, _READ_PAUSE_SECONDS) if tells else seconds
    await asyncio.wait((disconnect,), timeout=pause)
    while not disconnect.done() and count_unread_bytes(client, server) and now() < latest:
        await asyncio.wait((disconnect,), timeout=pause)
    if not disconnect.done():
        disconnect.set_result(False)
    return disconnect.result()


def count_unread_bytes(client: Address, server: Address) -> int | None:
    """The bytes that a client on this machine has not read yet; None if the system does not tell."""
    if sys.platform != "linux":
        return None
    request = _DIAGNOSIS_REQUEST.pack(
        *(_DIAGNOSIS_REQUEST.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0),
        *(socket.AF_INET, socket.IPPROTO_TCP, 0, _ALL_STATES),
        struct.pack("!HH", client[1], server[1]),
        *(socket.inet_aton(client[0]), socket.inet_aton(server[0]), 0, _NO_COOKIE),
    )
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diagnosis:
            diagnosis.sendto(request, (0, 0))
            reply = diagnosis.recv(4096, socket.MSG_DONTWAIT)  # the kernel has replied already
    except OSError:
        return None
    if len(reply) < _DIAGNOSIS_REPLY.size:
        return None
    kind, unread = _DIAGNOSIS_REPLY.unpack_from(reply)
    return int(unread) if kind == _SOCK_DIAG_BY_FAMILY else None


@functools.cache
def can_count_unread_bytes() -> bool:
    """Whether the system tells how many bytes wait to be read, as Linux does but some of its sandboxes do not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = listener.getsockname()
        with socket.create_connection(server) as client, listener.accept()[0] as accepted:
            accepted.sendall(b"a")
            client.recv(1, socket.MSG_PEEK)
            return count_unread_bytes(client.getsockname(), server) == 1
