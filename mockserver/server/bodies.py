"""Request bodies: read whole, within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from mockserver.server.envelopes import ApiError

__all__ = ["MAX_BODY_BYTES", "Disconnected", "read_body"]

#: Largest body that is processed.
MAX_BODY_BYTES = 10 << 20

#: Of a body that is too large, so much is read and dropped, so that ordinary clients see the answer …
_DRAIN_BYTES = 64 << 20
#: … for so many seconds.
_DRAIN_SECONDS = 5.0

#: Seconds a body may take to arrive.
_BODY_SECONDS = 30.0


class Disconnected(Exception):
    """The client went away before its request was whole."""


async def read_body(receive: Receive, content_length: bytes | None) -> bytes:
    """The whole body; ApiError 413 when it is too large, 408 when it does not end; Disconnected."""
    if content_length is not None and content_length.isdigit() and int(content_length) > MAX_BODY_BYTES:
        await _refuse_large(receive, 0)
    message = await receive() if content_length == b"0" else await _next(receive, _BODY_SECONDS)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    return await _read_rest(receive, body)


async def _read_rest(receive: Receive, first: bytes) -> bytes:
    pieces, size = [first], len(first)
    deadline = asyncio.get_running_loop().time() + _BODY_SECONDS
    while True:
        message = await _next(receive, deadline - asyncio.get_running_loop().time())
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            await _refuse_large(receive, size)
        if not message.get("more_body"):
            return b"".join(pieces)


async def _next(receive: Receive, seconds: float) -> dict[str, object]:
    try:
        async with asyncio.timeout(seconds):
            message = dict(await receive())
    except TimeoutError:
        # Text of the vendor's error-code page (2026) for a request that takes too long.
        raise ApiError(
            408, "RequestTimeOut", "Request timed out, please try again later.", headers=((b"connection", b"close"),)
        ) from None
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


async def _refuse_large(receive: Receive, size: int) -> None:
    """Read on and drop, within bounds, then refuse: a client that is still sending would not see an answer."""
    ended = False
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while size <= _DRAIN_BYTES and not ended:
                message = await receive()
                size += len(message.get("body", b""))
                ended = not message.get("more_body", False)
    except TimeoutError:
        pass
    # Code and text of the vendor's error-code page (2026).
    headers = () if ended else ((b"connection", b"close"),)
    raise ApiError(413, "BadRequest.TooLarge", "Payload Too Large.", headers=headers)
