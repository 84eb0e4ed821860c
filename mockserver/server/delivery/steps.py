"""Steps: what goes down a connection, as values.

Chunking turns frames into steps; pacing and faults are pure functions from steps to steps; a recording
is stored steps; `transmit` alone carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Close", "Raw", "Reset", "Send", "Step", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes put on the socket as they are, outside of HTTP's framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (TCP RST)."""


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed, whatever was promised."""


Step: TypeAlias = Send | Wait | Raw | Reset | Close
