"""Quotas: what rate limits allow a key within a time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Quota"]


class Quota(NamedTuple):
    """What a key may use of a model within a time; None: no limit."""

    fault: str
    """Name of the error for a request that exceeds it."""
    seconds: int
    requests: int | None = None
    tokens: int | None = None
    admits_any_first: bool = False
    """Whether the first request within the time may have any number of tokens."""

    def is_exceeded(self, requests: int, used_tokens: int, tokens: int) -> bool:
        """Whether a request with `tokens` tokens exceeds it after `requests` others with `used_tokens`."""
        if self.requests is not None and requests >= self.requests:
            return True
        if self.tokens is None or (self.admits_any_first and not requests):
            return False
        return used_tokens + tokens > self.tokens
