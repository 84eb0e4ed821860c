"""What takes long runs in a worker thread, so that the other requests need not wait: large bodies, and slow imports.

The parser and the fast validator are single calls that hold Python's lock, so the number of values in a body is
limited (`server/http/request_body.py`). All else yields to the other requests every few milliseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import chain
from typing import Any, TypeVar

from mockserver.ids import digest_pieces, request_digest
from mockserver.slow_imports import ImportPending, defer_imports, require_import
from mockserver.wire import json

__all__ = [
    "LARGE_BODY_BYTES",
    "defer_imports_of_loop",
    "digest_request",
    "is_large",
    "join_pieces",
    "load_module",
    "run_beside_loop",
    "run_in_worker",
    "run_with_imports",
]

#: Bodies larger than this leave the event loop: their checks may take 10 ms and more.
LARGE_BODY_BYTES = 64 << 10

#: Bytes of a body whose canonical form is written by one call, which takes up to 10 ms.
_MAX_BYTES_AT_ONCE = 4 << 20

_ResultT = TypeVar("_ResultT")

#: In a loop's thread: whether a function runs that is called again if an import is pending.
_thread = threading.local()


def is_large(body: bytes) -> bool:
    """Whether to read a body in a worker thread."""
    return len(body) > LARGE_BODY_BYTES


async def run_beside_loop(function: Callable[..., _ResultT], body: bytes, *arguments: object) -> _ResultT:
    """Call `function(body, …)`, which must not change any state; in a worker thread if the body is large."""
    if not is_large(body):
        try:
            return _call_repeatable(function, body, *arguments)
        except ImportPending:
            pass
    return await run_in_worker(function, body, *arguments)


async def run_with_imports(function: Callable[..., _ResultT], *arguments: object) -> _ResultT:
    """Call a function, which must not change any state; in a worker thread if it needs an import that takes long."""
    try:
        return _call_repeatable(function, *arguments)
    except ImportPending:
        pass
    return await run_in_worker(function, *arguments)


async def load_module(name: str) -> None:
    """Import a module that takes long: in a worker thread, if a server runs in this one."""
    await run_with_imports(_load_module, name)


def _load_module(name: str) -> None:
    require_import(name)
    import_module(name)


def _call_repeatable(function: Callable[..., _ResultT], *arguments: object) -> _ResultT:
    """Call a function, and let its slow imports raise ImportPending."""
    _thread.is_repeatable = True
    try:
        return function(*arguments)
    finally:
        _thread.is_repeatable = False


async def run_in_worker(function: Callable[..., _ResultT], *arguments: object) -> _ResultT:
    """Call a function in a worker thread."""
    # Not anyio's threads: their first one imports for 20 ms, on the event loop.
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def defer_imports_of_loop() -> None:
    """Let slow imports on the running loop raise ImportPending where the caller handles it.

    That is `run_with_imports`, and whatever is called by the loop itself, outside of a task: direct replies, which
    leave such requests to the application.
    """
    loop = asyncio.get_running_loop()

    def is_deferring() -> bool:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # the loop has ended
            return False
        is_repeatable: bool = getattr(_thread, "is_repeatable", False)
        return running is loop and (is_repeatable or asyncio.current_task() is None)

    defer_imports(is_deferring)


async def join_pieces(pieces: Sequence[bytes], size: int) -> bytes:
    """Join the pieces of a body of `size` bytes; in a worker thread, without Python's lock, if it is large."""
    return b"".join(pieces) if size <= LARGE_BODY_BYTES else await run_in_worker(b"".join, pieces)


def digest_request(path: str, body: Any, size: int) -> bytes:
    """The digest of a path and a parsed body, which had `size` bytes."""
    if size <= _MAX_BYTES_AT_ONCE:
        return request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    return digest_pieces(chain((path.encode(), b" "), json.canonical_pieces(body)))
