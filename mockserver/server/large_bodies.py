"""Large bodies are read in a worker thread, so that the other requests need not wait.

The parser and the fast validator are single calls that hold Python's lock, so the number of values in a body is
limited (`server/http/request_body.py`). All else yields to the other requests every few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["LARGE_BODY_BYTES", "is_large", "join_pieces", "run_beside_loop"]

#: Bodies larger than this leave the event loop: their checks may take 10 ms and more.
LARGE_BODY_BYTES = 64 << 10

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
