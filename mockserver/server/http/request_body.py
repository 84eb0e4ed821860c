"""Reading request bodies: limits on size and time, and content codings."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from mockserver.contract.rules import make_finding
from mockserver.errors import (
    BodyTooLarge,
    InvalidEncoding,
    MissingPackage,
    UnsupportedEncoding,
)
from mockserver.named_tuples import NamedTuple
from mockserver.server.errors import ApiError, NotAnApiRequest
from mockserver.server.large_bodies import join_pieces, run_beside_loop
from mockserver.wire import json
from mockserver.wire.content_encoding import CODINGS, decode_pieces, parse_content_encoding

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

__all__ = [
    "BODY_TIMEOUT_SECONDS",
    "MAX_BODY_VALUES",
    "MAX_STRING_BYTES",
    "NO_BODY",
    "BodyStart",
    "ClientDisconnected",
    "finish_body",
    "read_body",
    "read_body_start",
    "read_rest",
    "simple_body",
    "stream_body",
]

#: Seconds a body may take to arrive. After that, the runner delivers an empty piece to its reader.
BODY_TIMEOUT_SECONDS = 30.0

#: JSON values that a body may have: parsing or validating them is one call, during which no other request is
#: served. 100,000 take less than 50 ms, and are some 30,000 messages.
MAX_BODY_VALUES = 100_000

#: Bytes of a string in a body, for the same reason: more than the 20 MB of a picture as base64.
MAX_STRING_BYTES = 32 << 20

#: Bytes of a body that cannot have more values: a value has a byte, and another byte before the next one.
_MAX_UNCOUNTED_BYTES = 2 * MAX_BODY_VALUES

#: Bytes beyond the limit that are read and dropped: most clients read the reply only then.
_MAX_DRAINED_BYTES = 64 << 20
#: Seconds for reading and dropping them.
_DRAIN_TIMEOUT_SECONDS = 5.0

#: Pieces of a decoded body after which other requests get their turn; each has about 64 KiB.
_PIECES_PER_TURN = 16

#: The start of a JSON array or object.
_JSON_START = re.compile(rb"[ \t\r\n]*[\[{]")

_CONNECTION_CLOSE = ((b"connection", b"close"),)


class ClientDisconnected(Exception):
    """The client disconnected before it had sent the whole request."""


async def read_body(scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """The whole body without its content coding.

    Raises ApiError: 413 if it is too large or takes too long to parse, 408 if it does not end in time, 415 if its
    coding is unknown, 400 if it does not have the coding that it claims. ClientDisconnected if the client leaves.
    A body that arrives with its head, as most do, needs no timer.
    """
    message = await receive()
    body = simple_body(message, headers, max_bytes)
    return await read_rest(scope, receive, headers, max_bytes, message) if body is None else body


def simple_body(message: Message, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes | None:
    """The body of a request that arrived whole in its first message, is small and not encoded; else None."""
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if (
            len(body) <= _MAX_UNCOUNTED_BYTES
            and len(body) <= max_bytes
            and b"content-encoding" not in headers
        ):
            return body
    return None


async def read_rest(
    scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int, first: Message
) -> bytes:
    """Like `read_body`, for a body whose first message was received."""
    start = await _read_start(receive, headers, max_bytes, dict(first))
    return await finish_body(scope, receive, start, max_bytes)


class BodyStart(NamedTuple):
    """What was read of a body: all of it, unless it is too large."""

    data: bytes
    has_ended: bool
    is_too_large: bool


NO_BODY = BodyStart(b"", has_ended=True, is_too_large=False)
"""The body of a request that has none."""


async def read_body_start(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> BodyStart:
    """Read the body until it ends or is too large. Raises ClientDisconnected, and ApiError 408."""
    return await _read_start(receive, headers, max_bytes, dict(await receive()))


async def finish_body(scope: Scope, receive: Receive, start: BodyStart, max_bytes: int) -> bytes:
    """The whole body without its content coding, of which `start` is read. Raises ApiError."""
    if start.is_too_large:
        await _reject_too_large(receive, start, max_bytes)
    body = await _decode_body(scope, start.data, max_bytes)
    if len(body) > _MAX_UNCOUNTED_BYTES:
        await run_beside_loop(_require_parsable, body)
    return body


def _require_parsable(body: bytes) -> None:
    """Raise ApiError 413 if the body is JSON that takes too long to parse."""
    if not _JSON_START.match(body):
        return
    size = json.measure(body)
    if size.values > MAX_BODY_VALUES:
        raise _too_complex_error(f"body has more than {MAX_BODY_VALUES} JSON values")
    if size.longest_string > MAX_STRING_BYTES:
        raise _too_complex_error(f"body has a string of more than {MAX_STRING_BYTES} bytes")


async def _read_start(
    receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int, message: dict[str, Any]
) -> BodyStart:
    announced = int(headers.get(b"content-length", b"0"))
    pieces, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        has_ended = not message.get("more_body")
        if has_ended or max(size, announced) > max_bytes:
            data = await join_pieces(pieces, size)
            return BodyStart(data, has_ended, is_too_large=max(size, announced) > max_bytes)
        if not pieces[-1]:  # the runner's sign that the time is up
            raise _timeout_error()
        message = dict(await receive())


def _timeout_error() -> ApiError:
    # Text of the vendor's error-code page (2026) for a request that takes too long.
    text = "Request timed out, please try again later."
    return NotAnApiRequest(408, "RequestTimeOut", text, headers=_CONNECTION_CLOSE)


async def stream_body(start: BodyStart, receive: Receive) -> AsyncIterator[bytes]:
    """The whole body in pieces, of which `start` is read; it may take any time while pieces arrive."""
    yield start.data
    has_ended, now = start.has_ended, asyncio.get_running_loop().time
    last_piece_at = now()
    while not has_ended:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        has_ended = not message.get("more_body")
        if piece := message.get("body", b""):
            last_piece_at = now()
            yield piece
        elif not has_ended and now() - last_piece_at > BODY_TIMEOUT_SECONDS:
            raise _timeout_error()


async def _decode_body(scope: Scope, data: bytes, max_bytes: int) -> bytes:
    """The body without its content coding; other requests get their turn meanwhile. Raises ApiError."""
    values = [value for name, value in scope["headers"] if name == b"content-encoding"]
    if not values or not data:
        return data
    pieces, count = [], 0
    try:
        for piece in decode_pieces(data, parse_content_encoding(values), max_bytes):
            count += 1
            if piece:
                pieces.append(piece)
            if not count % _PIECES_PER_TURN:
                await asyncio.sleep(0)
    except UnsupportedEncoding as error:
        raise _unsupported_error(f"its Content-Encoding {error}") from None
    except MissingPackage as error:
        raise _unsupported_error(f"its Content-Encoding cannot be decoded: {error}") from None
    except BodyTooLarge:
        raise _too_large_error(max_bytes, "decoded ") from None
    except InvalidEncoding as error:
        raise _wrong_label_error(error, data) from None
    return await join_pieces(pieces, sum(map(len, pieces)))


def _unsupported_error(reason: str) -> ApiError:
    # The header tells which codings are accepted (RFC 9110, section 12.5.3).
    accepted = ((b"accept-encoding", ", ".join(CODINGS).encode()),)
    message = f"The request's body cannot be read: {reason}."
    detail = f"the request's body cannot be read: {reason}"
    return NotAnApiRequest(415, "UnsupportedMediaType", message, headers=accepted, detail=detail)


def _wrong_label_error(error: InvalidEncoding, data: bytes) -> ApiError:
    reason = f"{error}, as its Content-Encoding says"
    # Text of the vendor's error-code page (2026); the reason is ours.
    message = f"Required body invalid, please check the request body format. T{reason[1:]}."
    finding = make_finding(
        "SCH-006", "", reason, expected=error.coding, got=data[:40].decode(errors="replace")
    )
    return ApiError(
        400, "InvalidParameter", message, detail=f"the request's {reason[4:]}", findings=(finding,)
    )


def _too_large_error(
    max_bytes: int, adjective: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> ApiError:
    reason = f"{adjective}body has more than {max_bytes} bytes"
    # Code and first sentence of the vendor's error-code page (2026).
    message = f"Payload Too Large. The {reason}: a limit of this mock server, which --max-body changes."
    detail = f"the request's {reason} (--max-body)"
    return NotAnApiRequest(413, "BadRequest.TooLarge", message, headers=headers, detail=detail)


def _too_complex_error(reason: str) -> ApiError:
    # Code and first sentence of the vendor's error-code page (2026).
    message = f"Payload Too Large. The {reason}: a limit of this mock server."
    return NotAnApiRequest(413, "BadRequest.TooLarge", message, detail=f"the request's {reason}")


async def _reject_too_large(receive: Receive, start: BodyStart, max_bytes: int) -> NoReturn:
    """Read and drop the rest, within limits, then reject: a client that is still sending reads no reply."""
    size, has_ended = 0, start.has_ended
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_SECONDS):
            while size <= _MAX_DRAINED_BYTES and not has_ended:
                message = await receive()
                size += len(message.get("body", b""))
                has_ended = not message.get("more_body", False)
    raise _too_large_error(max_bytes, headers=() if has_ended else _CONNECTION_CLOSE)
