"""Reading request bodies, with limits on size and time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NoReturn

from starlette.types import Receive

from mockserver.server.errors import NotAnApiRequest

__all__ = ["BODY_TIMEOUT_SECONDS", "MAX_BODY_BYTES", "ClientDisconnected", "read_body"]

#: Largest body that the server accepts.
MAX_BODY_BYTES = 10 << 20

#: Seconds a body may take to arrive. After that, the runner delivers an empty piece to its reader.
BODY_TIMEOUT_SECONDS = 30.0

#: Bytes of a body that is too large that are read and dropped: most clients read the reply only then.
_MAX_DRAINED_BYTES = 64 << 20
#: Seconds for reading and dropping them.
_DRAIN_TIMEOUT_SECONDS = 5.0

_CONNECTION_CLOSE = ((b"connection", b"close"),)


class ClientDisconnected(Exception):
    """The client disconnected before it had sent the whole request."""


async def read_body(receive: Receive, content_length: bytes | None) -> bytes:
    """The whole body; ApiError 413 if it is too large, 408 if it does not end in time.

    ClientDisconnected if the client leaves. A body that arrives with its head, as most do, needs no timer.
    """
    if content_length is not None and len(content_length) > 7 and int(content_length) > MAX_BODY_BYTES:
        await _reject_too_large(receive, 0)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    return await _read_rest(receive, dict(message))


async def _read_rest(receive: Receive, message: dict[str, Any]) -> bytes:
    pieces, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            await _reject_too_large(receive, size)
        if not message.get("more_body"):
            return b"".join(pieces)
        if not pieces[-1]:  # the runner's sign that the time is up
            # Text of the vendor's error-code page (2026) for a request that takes too long.
            text = "Request timed out, please try again later."
            raise NotAnApiRequest(408, "RequestTimeOut", text, headers=_CONNECTION_CLOSE)
        message = dict(await receive())


async def _reject_too_large(receive: Receive, size: int) -> NoReturn:
    """Read and drop the rest, within limits, then reject: a client that is still sending reads no reply."""
    ended = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_SECONDS):
            while size <= _MAX_DRAINED_BYTES and not ended:
                message = await receive()
                size += len(message.get("body", b""))
                ended = not message.get("more_body", False)
    # Code and text of the vendor's error-code page (2026).
    raise NotAnApiRequest(
        413, "BadRequest.TooLarge", "Payload Too Large.", headers=() if ended else _CONNECTION_CLOSE
    )
