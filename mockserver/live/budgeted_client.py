"""Asking within a budget: what is spent, how fast, and what to do when the service says "not now"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from mockserver.live.client import Client, Interaction, LiveRequest, ReplyEnd

__all__ = [
    "Budget",
    "BudgetExceeded",
    "BudgetedClient",
    "EndpointUnreachable",
    "RateLimited",
    "is_rate_limited",
]

#: Seconds to wait where the service says "later" and not when; it recovers in about a minute
#: (rate-limit page, June 2026).
RETRY_WAITS = (5.0, 20.0, 60.0)

#: Longest wait that the service may ask for, in seconds.
_MAX_RETRY_AFTER = 120.0

#: Words of the service's texts for a limit that time lifts (error catalogue and OpenAPI document, 2026).
_RATE_LIMIT_PHRASES = (
    "rate limit",
    "too many",
    "request limit",
    "requests list",
    "increased too quickly",
    "throttl",
)
#: … and for one that it does not.
_QUOTA_PHRASES = ("quota", "billing", "arrearage", "overdue")


class BudgetExceeded(Exception):
    """A request is not sent: it could cost more than is left; the message says what of."""


class RateLimited(Exception):
    """The service keeps saying "not now"."""


class EndpointUnreachable(Exception):
    """The endpoint is not there."""


@dataclass(slots=True)
class Budget:
    """What a run may spend, and what it has spent."""

    max_requests: int
    max_tokens: int
    spent_requests: int = 0
    spent_tokens: int = 0

    def require(self, request: LiveRequest) -> None:
        """OutOfBudget where the request does not fit into what is left."""
        if self.spent_requests >= self.max_requests:
            raise BudgetExceeded(f"all {self.max_requests} requests are spent (--max-requests)")
        if self.spent_tokens + request.expected_tokens > self.max_tokens:
            left = self.max_tokens - self.spent_tokens
            raise BudgetExceeded(
                f"about {request.expected_tokens} tokens are needed, and {left} are left (--max-tokens)"
            )

    def spend(self, interaction: Interaction) -> None:
        """Take note of what a request has cost."""
        self.spent_requests += 1
        self.spent_tokens += interaction.tokens


class BudgetedClient:
    """Sends requests one after another, within a budget and a rate; waits where the service asks for it."""

    def __init__(
        self,
        client: Client,
        budget: Budget,
        rate: float = 0.0,
        retry_waits: tuple[float, ...] = RETRY_WAITS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate`: requests a second at the most; 0: as fast as they are answered."""
        self._client = client
        self.budget = budget
        self._request_interval = 1 / rate if rate else 0.0
        self._retry_waits = retry_waits
        self._sleep = sleep
        self._next_request_at = 0.0
        self.has_reply = False
        """Whether the endpoint has ever answered."""

    def send(self, request: LiveRequest, on_interaction: Callable[[Interaction], None]) -> Interaction:
        """Send a request; `note` gets every answer, those to wait after too.

        OutOfBudget, Throttled, Unreachable.
        """
        for wait in (*self._retry_waits, None):
            self.budget.require(request)
            self._wait_for_rate()
            crossing = self._client.send(request)
            self.budget.spend(crossing)
            on_interaction(crossing)
            if crossing.end is ReplyEnd.UNREACHABLE:
                raise EndpointUnreachable(crossing.detail)
            self.has_reply = True
            if not is_rate_limited(crossing):
                return crossing
            if wait is None or _is_quota_exhausted(crossing):
                break
            self._wait_before_retry(crossing, wait)
        raise RateLimited(_error_message(crossing) or f"HTTP status {crossing.status}")

    def _wait_for_rate(self) -> None:
        now = time.monotonic()
        if now < self._next_request_at:
            self._sleep(self._next_request_at - now)
        self._next_request_at = max(now, self._next_request_at) + self._request_interval

    def _wait_before_retry(self, interaction: Interaction, wait: float) -> None:
        asked = _retry_after(interaction)
        if asked is not None and asked > _MAX_RETRY_AFTER:
            raise RateLimited(f"the service asks to come back in {asked:.0f} s")
        self._sleep(wait if asked is None else asked)


def is_rate_limited(interaction: Interaction) -> bool:
    """Whether the service says that there were too many requests: with 429, or as a failed response.

    The service also says so with HTTP status 200 (its OpenAPI document, August 2026).
    """
    if interaction.status == 429 or (interaction.status == 503 and "retry-after" in interaction.headers):
        return True
    response = interaction.response
    failed = interaction.status == 200 and response is not None and response.get("status") == "failed"
    return failed and any(word in _error_message(interaction).lower() for word in _RATE_LIMIT_PHRASES)


def _is_quota_exhausted(interaction: Interaction) -> bool:
    return any(word in _error_message(interaction).lower() for word in _QUOTA_PHRASES)


def _error_message(interaction: Interaction) -> str:
    """The text of an error, whatever envelope it came in."""
    holders = [interaction.value, interaction.response]
    holders += [holder.get("error") for holder in holders if isinstance(holder, dict)]
    for holder in reversed(holders):
        if isinstance(holder, dict) and isinstance(holder.get("message"), str):
            return str(holder["message"])
    return ""


def _retry_after(interaction: Interaction) -> float | None:
    """Seconds that the headers ask to wait, in any of their three forms."""
    milliseconds = interaction.headers.get("retry-after-ms", "")
    if milliseconds.replace(".", "", 1).isdecimal():
        return float(milliseconds) / 1000
    after = interaction.headers.get("retry-after", "")
    if after.replace(".", "", 1).isdecimal():
        return float(after)
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
