"""Steps: what happens on a connection, as values.

Chunking, pacing and faults are pure functions from steps to steps, and a recording becomes steps. Only
`http.transmission` executes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncio

__all__ = ["Await", "Close", "Raw", "Reset", "Send", "Step", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause, in seconds.

    It begins when the previous one was due to end, so that what sending costs does not add up; the first one
    begins when the request arrived.
    """

    seconds: float
    from_now: bool = False
    """Whether it begins now, because what was sent needs the time to arrive."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes written to the socket as they are, outside HTTP's framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST)."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection, even if the body is incomplete."""


@dataclass(frozen=True, slots=True)
class Await:
    """A pause that ends when a test says so."""

    wait: Callable[[asyncio.Future[bool]], Awaitable[bool]]
    """Takes a future that gets True when the client disconnects; returns whether it did during the pause."""


Step: TypeAlias = Send | Wait | Await | Raw | Reset | Close
