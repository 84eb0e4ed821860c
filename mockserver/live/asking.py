"""Asking within a budget: what is spent, how fast, and what to do when the service says "not now"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from mockserver.live.client import Ask, Client, Crossing, End

__all__ = ["Asker", "Budget", "OutOfBudget", "Throttled", "Unreachable", "is_throttled"]

#: Seconds to wait where the service says "later" and not when; it recovers in about a minute
#: (rate-limit page, June 2026).
WAITS = (5.0, 20.0, 60.0)

#: Longest wait that the service may ask for, in seconds.
_LONGEST = 120.0

#: Words of the service's texts for a limit that time lifts (error catalogue and OpenAPI document, 2026).
_LIMITED = ("rate limit", "too many", "request limit", "requests list", "increased too quickly", "throttl")
#: … and for one that it does not.
_QUOTA = ("quota", "billing", "arrearage", "overdue")


class OutOfBudget(Exception):
    """A request is not sent: it could cost more than is left; the message says what of."""


class Throttled(Exception):
    """The service keeps saying "not now"."""


class Unreachable(Exception):
    """The endpoint is not there."""


@dataclass(slots=True)
class Budget:
    """What a run may spend, and what it has spent."""

    requests: int
    tokens: int
    spent_requests: int = 0
    spent_tokens: int = 0

    def require(self, ask: Ask) -> None:
        """OutOfBudget where the request does not fit into what is left."""
        if self.spent_requests >= self.requests:
            raise OutOfBudget(f"all {self.requests} requests are spent (--max-requests)")
        if self.spent_tokens + ask.tokens > self.tokens:
            left = self.tokens - self.spent_tokens
            raise OutOfBudget(f"about {ask.tokens} tokens are needed, and {left} are left (--max-tokens)")

    def spend(self, crossing: Crossing) -> None:
        """Take note of what a request has cost."""
        self.spent_requests += 1
        self.spent_tokens += crossing.tokens


class Asker:
    """Sends requests one after another, within a budget and a rate; waits where the service asks for it."""

    def __init__(
        self,
        client: Client,
        budget: Budget,
        rate: float = 0.0,
        waits: tuple[float, ...] = WAITS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate`: requests a second at the most; 0: as fast as they are answered."""
        self._client = client
        self.budget = budget
        self._pause = 1 / rate if rate else 0.0
        self._waits = waits
        self._sleep = sleep
        self._next = 0.0
        self.reached = False
        """Whether the endpoint has ever answered."""

    def ask(self, ask: Ask, note: Callable[[Crossing], None]) -> Crossing:
        """Send a request; `note` gets every answer, those to wait after too.

        OutOfBudget, Throttled, Unreachable.
        """
        for wait in (*self._waits, None):
            self.budget.require(ask)
            self._keep_pace()
            crossing = self._client.send(ask)
            self.budget.spend(crossing)
            note(crossing)
            if crossing.end is End.UNREACHABLE:
                raise Unreachable(crossing.detail)
            self.reached = True
            if not is_throttled(crossing):
                return crossing
            if wait is None or _is_quota(crossing):
                break
            self._wait(crossing, wait)
        raise Throttled(_message(crossing) or f"HTTP status {crossing.status}")

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._pause

    def _wait(self, crossing: Crossing, wait: float) -> None:
        asked = _asked_wait(crossing)
        if asked is not None and asked > _LONGEST:
            raise Throttled(f"the service asks to come back in {asked:.0f} s")
        self._sleep(wait if asked is None else asked)


def is_throttled(crossing: Crossing) -> bool:
    """Whether the service says that there were too many requests: with 429, or as a failed response.

    The service also says so with HTTP status 200 (its OpenAPI document, August 2026).
    """
    if crossing.status == 429 or (crossing.status == 503 and "retry-after" in crossing.headers):
        return True
    response = crossing.response
    failed = crossing.status == 200 and response is not None and response.get("status") == "failed"
    return failed and any(word in _message(crossing).lower() for word in _LIMITED)


def _is_quota(crossing: Crossing) -> bool:
    return any(word in _message(crossing).lower() for word in _QUOTA)


def _message(crossing: Crossing) -> str:
    """The text of an error, whatever envelope it came in."""
    holders = [crossing.value, crossing.response]
    holders += [holder.get("error") for holder in holders if isinstance(holder, dict)]
    for holder in reversed(holders):
        if isinstance(holder, dict) and isinstance(holder.get("message"), str):
            return str(holder["message"])
    return ""


def _asked_wait(crossing: Crossing) -> float | None:
    """Seconds that the headers ask to wait, in any of their three forms."""
    milliseconds = crossing.headers.get("retry-after-ms", "")
    if milliseconds.replace(".", "", 1).isdecimal():
        return float(milliseconds) / 1000
    after = crossing.headers.get("retry-after", "")
    if after.replace(".", "", 1).isdecimal():
        return float(after)
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
