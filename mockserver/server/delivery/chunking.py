"""Chunking: how a body is cut into writes.

event       one write per event
coalesced   one write for everything
bytes:N     N bytes per write, even inside lines and characters
random      1 to 200 bytes per write, drawn from the seed
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat
from random import Random

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.steps import Await, Send, Step, Wait

__all__ = ["apply_chunking", "parse_chunking"]

_FIXED_SIZE = r"bytes:([0-9]{1,8})"
_MAX_RANDOM_BYTES = 200


@lru_cache(maxsize=256)
def parse_chunking(text: str) -> str | None:
    """Validate a chunking; None for `event`. Raises ConfigurationError."""
    if text == "event":
        return None
    if text in ("coalesced", "random"):
        return text
    match = re.fullmatch(_FIXED_SIZE, text)
    if not (match and int(match[1]) > 0):
        raise ConfigurationError(f"chunking must be event, coalesced, bytes:N or random, not {text!r}")
    return text


def apply_chunking(steps: Iterable[Step], chunking: str, seed: int) -> Iterator[Step]:
    """Cut the bytes of the steps into other writes.

    Pauses keep their place, except for `coalesced`, where all of them come first. Buffered bytes are sent
    before any step beyond HTTP.
    """
    sizes = _chunk_sizes(chunking, seed)
    buffer, size = bytearray(), next(sizes)
    for step in steps:
        if isinstance(step, Send):
            buffer += step.data
            while len(buffer) >= size:
                yield Send(bytes(buffer[:size]))
                del buffer[:size]
                size = next(sizes)
            continue
        if buffer and not isinstance(step, Wait | Await):
            yield Send(bytes(buffer))
            buffer.clear()
        yield step
    if buffer:
        yield Send(bytes(buffer))


def _chunk_sizes(chunking: str, seed: int) -> Iterator[int]:
    if chunking == "coalesced":
        return repeat(sys.maxsize)
    match = re.fullmatch(_FIXED_SIZE, chunking)
    if match:
        return repeat(int(match[1]))
    random = Random(seed)
    return iter(lambda: random.randint(1, _MAX_RANDOM_BYTES), None)
