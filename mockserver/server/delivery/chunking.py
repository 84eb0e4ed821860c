"""Chunking: how a body is cut into writes; pure functions from steps to steps.

event       one write an event
coalesced   everything in one write
bytes:N     N bytes a write, through lines and characters
random      as above, 1 to 200 bytes, drawn from the seed
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat
from random import Random

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.steps import Send, Step, Wait

__all__ = ["apply_chunking", "parse_chunking"]

_FIXED_SIZE = re.compile(r"bytes:([0-9]{1,8})")
_MAX_RANDOM_BYTES = 200


@lru_cache(maxsize=256)
def parse_chunking(text: str) -> str | None:
    """The chunking that a text names, None for `event`; ConfigurationError where it names none."""
    match = _FIXED_SIZE.fullmatch(text)
    if text not in ("event", "coalesced", "random") and not (match and int(match[1]) > 0):
        raise ConfigurationError(f"a chunking is event, coalesced, bytes:N or random, not {text!r}")
    return None if text == "event" else text


def apply_chunking(steps: Iterable[Step], chunking: str, seed: int) -> Iterator[Step]:
    """The steps with their bytes in other writes.

    Pauses stay where they are, but for `coalesced`, where all come first; what is held back is sent before
    anything beyond HTTP happens.
    """
    sizes = _chunk_sizes(chunking, seed)
    held, size = bytearray(), next(sizes)
    for step in steps:
        if isinstance(step, Send):
            held += step.data
            while len(held) >= size:
                yield Send(bytes(held[:size]))
                del held[:size]
                size = next(sizes)
            continue
        if held and not isinstance(step, Wait):
            yield Send(bytes(held))
            held.clear()
        yield step
    if held:
        yield Send(bytes(held))


def _chunk_sizes(chunking: str, seed: int) -> Iterator[int]:
    if chunking == "coalesced":
        return repeat(sys.maxsize)
    match = _FIXED_SIZE.fullmatch(chunking)
    if match:
        return repeat(int(match[1]))
    draw = Random(seed)
    return iter(lambda: draw.randint(1, _MAX_RANDOM_BYTES), None)
