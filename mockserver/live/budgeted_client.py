"""A client that keeps a budget and a request rate, and waits when the service limits the rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from mockserver.live.client import Client, Interaction, LiveRequest, ReplyEnd
from mockserver.live.spending import Spending

__all__ = [
    "Budget",
    "BudgetExceeded",
    "BudgetedClient",
    "EndpointUnreachable",
    "RateLimited",
    "error_message",
    "is_rate_limited",
]

#: Seconds to wait if the service limits the rate and does not say how long; it recovers in about a minute
#: (rate-limit page, June 2026).
RETRY_WAITS = (5.0, 20.0, 60.0)

#: Bytes of all replies that a run keeps and checks; a run of all probes gets less than 1 MiB.
_MAX_RUN_BYTES = 64 << 20

#: Longest wait accepted from the service, in seconds.
_MAX_RETRY_AFTER = 120.0

#: Words in the service's messages about a temporary limit (error catalogue and OpenAPI document, 2026).
_RATE_LIMIT_PHRASES = (
    "rate limit",
    "too many",
    "request limit",
    "requests list",
    "increased too quickly",
    "throttl",
)
#: Words in its messages about a limit that waiting does not lift.
_QUOTA_PHRASES = ("quota", "billing", "arrearage", "overdue")


class BudgetExceeded(Exception):
    """A request was not sent because it could exceed the budget; the message says which limit."""


class RateLimited(Exception):
    """The service still limits the rate after every retry."""


class EndpointUnreachable(Exception):
    """The endpoint cannot be reached."""


@dataclass(slots=True)
class Budget:
    """The requests and tokens that a run may spend, and has spent."""

    max_requests: int
    max_tokens: int
    spent_requests: int = 0
    spent_tokens: int = 0
    reply_bytes: int = 0
    """Bytes of the replies."""
    spending: Spending = field(default_factory=Spending)
    """What the requests of a run cost, as on a bill."""

    def require(self, request: LiveRequest) -> None:
        """Raise BudgetExceeded if the request does not fit into what is left."""
        if self.spent_requests >= self.max_requests:
            raise BudgetExceeded(f"the budget of {self.max_requests} requests is spent (--max-requests)")
        if self.spent_tokens + request.expected_tokens > self.max_tokens:
            left = self.max_tokens - self.spent_tokens
            raise BudgetExceeded(f"about {request.expected_tokens} tokens needed, {left} left (--max-tokens)")
        if self.reply_bytes > _MAX_RUN_BYTES:
            raise BudgetExceeded(f"the replies have more than {_MAX_RUN_BYTES >> 20} MiB")

    def spend(self, interaction: Interaction) -> None:
        """Count what a request cost."""
        self.spent_requests += 1
        self.spent_tokens += interaction.tokens
        self.reply_bytes += len(interaction.body)
        self.spending += interaction.spending


class BudgetedClient:
    """Sends requests one at a time within a budget and a rate; waits and retries if the rate is limited."""

    def __init__(
        self,
        client: Client,
        budget: Budget,
        rate: float = 0.0,
        retry_waits: tuple[float, ...] = RETRY_WAITS,
    ) -> None:
        """`rate` is the maximum number of requests per second; 0: no limit."""
        self._client = client
        self.budget = budget
        self._request_interval = 1 / rate if rate else 0.0
        self._retry_waits = retry_waits
        self._next_request_at = 0.0
        self._prefetched: Interaction | None = None
        self.has_reply = False
        """Whether the endpoint has replied at least once."""

    def prefetch(self, request: LiveRequest) -> Interaction:
        """Send a request, and keep its reply for the next `send` of an equal request. Raises as `send`."""
        self._prefetched = interaction = self.send(request, lambda _: None)
        return interaction

    def send(self, request: LiveRequest, on_interaction: Callable[[Interaction], None]) -> Interaction:
        """Send a request. `on_interaction` gets every reply, including those that are retried.

        Raises BudgetExceeded, RateLimited or EndpointUnreachable.
        """
        prefetched = self._prefetched
        if prefetched is not None and prefetched.request == request:
            self._prefetched = None
            on_interaction(prefetched)
            return prefetched
        for wait in (*self._retry_waits, None):
            self.budget.require(request)
            self._wait_for_rate()
            interaction = self._client.send(request)
            self.budget.spend(interaction)
            on_interaction(interaction)
            if interaction.end is ReplyEnd.UNREACHABLE:
                raise EndpointUnreachable(interaction.detail)
            self.has_reply = True
            if not is_rate_limited(interaction):
                return interaction
            if wait is None or _is_quota_exhausted(interaction):
                break
            self._wait_before_retry(interaction, wait)
        raise RateLimited(error_message(interaction) or f"HTTP status {interaction.status}")

    def _wait_for_rate(self) -> None:
        now = time.monotonic()
        if now < self._next_request_at:
            time.sleep(self._next_request_at - now)
        self._next_request_at = max(now, self._next_request_at) + self._request_interval

    def _wait_before_retry(self, interaction: Interaction, wait: float) -> None:
        retry_after = _retry_after(interaction)
        if retry_after is not None and retry_after > _MAX_RETRY_AFTER:
            raise RateLimited(f"the service asks to retry after {retry_after:.0f} s")
        time.sleep(wait if retry_after is None else retry_after)


def is_rate_limited(interaction: Interaction) -> bool:
    """Whether the reply is a rate limit: status 429, or a failed response.

    The service also limits with HTTP status 200 (its OpenAPI document, August 2026).
    """
    if interaction.status == 429 or (interaction.status == 503 and "retry-after" in interaction.headers):
        return True
    response = interaction.response
    failed = interaction.status == 200 and response is not None and response.get("status") == "failed"
    return failed and any(word in error_message(interaction).lower() for word in _RATE_LIMIT_PHRASES)


def _is_quota_exhausted(interaction: Interaction) -> bool:
    return any(word in error_message(interaction).lower() for word in _QUOTA_PHRASES)


def error_message(interaction: Interaction) -> str:
    """The message of an error in any envelope; empty if there is none."""
    holders = [interaction.value, interaction.response]
    holders += [holder.get("error") for holder in holders if isinstance(holder, dict)]
    for holder in reversed(holders):
        if isinstance(holder, dict) and isinstance(holder.get("message"), str):
            return str(holder["message"])
    return ""


def _retry_after(interaction: Interaction) -> float | None:
    """Seconds to wait according to the headers, in any of their three forms."""
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
