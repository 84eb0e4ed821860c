"""Ids that follow from a seed and the request, not from the order of arrival.

The ids for a request come from a BLAKE2b hash of the seed, the session, the request's digest and how often
the same request came before. A seeded server therefore gives the same ids to the same requests, whether they
arrive one after another or all at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b

__all__ = [
    "ID_DIGITS",
    "IdSource",
    "digest_pieces",
    "format_call_id",
    "format_id",
    "format_uuid",
    "request_digest",
]

#: Hex digits of an id, and of a BLAKE2b digest.
ID_DIGITS, _BLOCK_DIGITS = 32, 128

_VARIANT_DIGITS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def request_digest(request: bytes) -> bytes:
    """Return a digest of 16 bytes."""
    return blake2b(request, digest_size=16).digest()


def digest_pieces(pieces: Iterable[bytes]) -> bytes:
    """Return the digest of a request that comes in pieces."""
    digest = blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


class IdSource:
    """Draws the ids of one session; without a seed, from the system's randomness."""

    def __init__(self, seed: int | bytes | None = None, session: str = "") -> None:
        if not isinstance(seed, bytes):
            seed = os.urandom(16) if seed is None else str(seed).encode()
        self._seed = seed
        self._key_material = b"%d:%b|%b|" % (len(seed), seed, session.encode())

    def for_session(self, session: str) -> IdSource:
        """Return the source of another session with the same seed."""
        return IdSource(self._seed, session)

    def draw(self, digest: bytes, occurrence: int, count: int) -> list[str]:
        """Return `count` strings of 32 hex digits for the `occurrence`-th request with this digest."""
        size = ID_DIGITS * count
        digits = self.draw_digits(digest, occurrence, size)
        return [digits[at : at + ID_DIGITS] for at in range(0, size, ID_DIGITS)]

    def draw_digits(self, digest: bytes, occurrence: int, size: int = _BLOCK_DIGITS) -> str:
        """Like `draw`, all in one string of at least this size."""
        material = self._key_material + digest + occurrence.to_bytes(8, "big")
        digits = blake2b(material).hexdigest()
        if size > _BLOCK_DIGITS:
            for block in range(1, -(-size // _BLOCK_DIGITS)):
                digits += blake2b(material + block.to_bytes(4, "big")).hexdigest()
        return digits


def format_uuid(digits: str) -> str:
    """Format the first 32 hex digits like the service's ids.

    The third group starts with 9, as in 8 of 12 recorded samples (4 in the rest); the fourth starts
    with 8, 9, a or b.
    """
    return f"{digits[:8]}-{digits[8:12]}-9{digits[13:16]}-{_VARIANT_DIGITS[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def format_id(digits: str, length: int) -> str:
    """Format 32 hex digits like a profile's ids: as a UUID if `length` is 0, else the first `length` digits."""
    return digits[:length] if length else format_uuid(digits)


def format_call_id(digits: str) -> str:
    """Format hex digits as a `call_id` (`call_…` in the vendor's examples, 2026)."""
    return f"call_{digits[:24]}"
