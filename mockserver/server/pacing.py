"""Pacing: when each piece of a body is sent; pure functions to steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mockserver.server.steps import Send, Step, Wait

__all__ = ["recorded"]


def recorded(chunks: Iterable[tuple[float, bytes]]) -> Iterator[Step]:
    """Chunks with the times at which they were recorded, in seconds since the request."""
    clock = 0.0
    for at, data in chunks:
        if at > clock:
            yield Wait(at - clock)
            clock = at
        yield Send(data)
