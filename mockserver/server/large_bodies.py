"""Large bodies are read in a worker thread, so that the other requests need not wait.

The parser and the fast validator are single calls that hold Python's lock, so the number of values in a body is
limited (`server/http/request_body.py`). All else yields to the other requests every few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

from mockserver.ids import digest_pieces, request_digest
from mockserver.wire import json

__all__ = ["LARGE_BODY_BYTES", "digest_request", "is_large", "join_pieces", "run_beside_loop"]

#: Bodies larger than this leave the event loop: their checks may take 10 ms and more.
LARGE_BODY_BYTES = 64 << 10

#: Bytes of a body whose canonical form is written by one call, which takes up to 10 ms.
_MAX_BYTES_AT_ONCE = 4 << 20

_ResultT = TypeVar("_ResultT")


def is_large(body: bytes) -> bool:
    """Whether to read a body in a worker thread."""
    return len(body) > LARGE_BODY_BYTES


async def run_beside_loop(function: Callable[..., _ResultT], body: bytes, *arguments: object) -> _ResultT:
    """Call `function(body, …)`, which must not change any state; in a worker thread if the body is large."""
    if not is_large(body):
        return function(body, *arguments)
    from anyio import to_thread  # most servers never see a large body

    return await to_thread.run_sync(function, body, *arguments)


async def join_pieces(pieces: Sequence[bytes], size: int) -> bytes:
    """Join the pieces of a body of `size` bytes; in a worker thread, without Python's lock, if it is large."""
    if size <= LARGE_BODY_BYTES:
        return b"".join(pieces)
    from anyio import to_thread

    return await to_thread.run_sync(b"".join, pieces)


def digest_request(path: str, body: Any, size: int) -> bytes:
    """The digest of a path and a parsed body, which had `size` bytes."""
    if size <= _MAX_BYTES_AT_ONCE:
        return request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    return digest_pieces(chain((path.encode(), b" "), json.canonical_pieces(body)))
