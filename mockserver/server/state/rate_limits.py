"""Rate limits per key and model, by the session's clock, and the limit of the context window.

The service limits requests and tokens per minute, and per second at a sixtieth of that. A separate guard
limits bursts. A limit is lifted after about a minute. 80% of a context are usable, and the rest is dropped
silently (vendor's pages on rate limits and on long contexts, 2026). The errors are those of the error-code
page (September to November 2026); that the burst guard counts the requests of one second is inferred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from mockserver.errors import ConfigurationError
from mockserver.ids import request_digest
from mockserver.server.delivery.faults import find_service_fault
from mockserver.server.state.quotas import Quota
from mockserver.suggestions import choose_from

if TYPE_CHECKING:
    from mockserver.server.state.store import SharedStore

__all__ = ["Limits", "RateLimiter", "UsageCounter", "parse_limits"]

_MINUTE, _SECOND = 60, 1
_USABLE_SHARE = 0.8
#: Pairs of key and model that are counted; the least recently used is dropped first.
_MAX_COUNTERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a session; None: no limit."""

    requests: int | None = None
    """Requests per minute, key and model."""
    tokens: int | None = None
    """Input and output tokens per minute, key and model."""
    burst: int | None = None
    """Requests per second, key and model."""
    concurrency: int | None = None
    """Concurrent requests per key."""
    context: int | None = None
    """Context window of the model, in tokens."""
    context_error: bool = False
    """Whether a request that does not fit is rejected instead of truncated."""

    @property
    def texts(self) -> list[str]:
        """The limits as `parse_limits` reads them."""
        counted = [
            (each.name, getattr(self, each.name)) for each in fields(self) if each.name != "context_error"
        ]
        texts = [f"{name}={value}" for name, value in counted if value is not None]
        return [*texts, "context-error"] if self.context_error else texts


def parse_limits(texts: Iterable[str]) -> Limits | None:
    """Parse `NAME=N` texts; None if there are none. Raises ConfigurationError."""
    limits: dict[str, int | bool] = {}
    known = [each.name.replace("_", "-") for each in fields(Limits)]
    for text in texts:
        name, equals, value = text.partition("=")
        if name == "context-error" and not equals:
            limits["context_error"] = True
        elif name not in Limits.__slots__ or not value.isdecimal() or not 0 < int(value) < 1 << 50:
            raise ConfigurationError(
                f"a limit is NAME=N with N of at least 1, not {text!r}{choose_from(name, known)}"
            )
        else:
            limits[name] = int(value)
    if limits.get("context_error") and "context" not in limits:
        raise ConfigurationError("the limit context-error needs the size of the context: context=N")
    return Limits(**limits) if limits else None  # type: ignore[arg-type]


def _list_quotas(limits: Limits) -> tuple[Quota, ...]:
    """The quotas that the limits set, in the order of their errors."""
    quotas = []
    if limits.burst is not None:
        quotas.append(Quota("burst-rate", _SECOND, requests=limits.burst))
    if limits.requests is not None:
        quotas.append(Quota("request-quota", _MINUTE, requests=limits.requests))
        quotas.append(Quota("request-quota", _SECOND, requests=_per_second(limits.requests)))
    if limits.tokens is not None:
        per_second = _per_second(limits.tokens)
        quotas.append(Quota("allocation-quota", _MINUTE, tokens=limits.tokens))
        quotas.append(Quota("allocation-quota", _SECOND, tokens=per_second, admits_any_first=True))
    return tuple(quotas)


@dataclass(slots=True)
class UsageCounter:
    """Requests of one key to one model within the last minute."""

    requests: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, tokens), oldest first."""
    tokens: int = 0

    def admit(self, quotas: Iterable[Quota], tokens: int, now: float) -> Quota | None:
        """Count a request unless it exceeds a quota; return the first that it exceeds."""
        while self.requests and self.requests[0][0] <= now - _MINUTE:
            self.tokens -= self.requests.popleft()[1]
        for quota in quotas:
            if quota.is_exceeded(*self._count_since(now - quota.seconds), tokens):
                return quota
        self.requests.append((now, tokens))
        self.tokens += tokens
        return None

    def _count_since(self, moment: float) -> tuple[int, int]:
        """Return (requests, tokens) since a time."""
        if self.requests and self.requests[0][0] > moment:
            return len(self.requests), self.tokens
        requests = tokens = 0
        for time, count in reversed(self.requests):
            if time <= moment:
                break
            requests, tokens = requests + 1, tokens + count
        return requests, tokens


class RateLimiter:
    """Counts requests and tokens, and rejects requests beyond the limits.

    If several servers share the session, it counts in their store; only requests in flight are each server's own.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._quotas = _list_quotas(limits)
        self._counters: dict[tuple[bytes, str], UsageCounter] = {}
        self._in_flight: dict[bytes, int] = {}

    def for_new_session(self) -> RateLimiter:
        """A limiter of another session with the same limits."""
        return RateLimiter(self.limits)

    async def admit(
        self, key: bytes, model: str, tokens: int, now: float, session: str, store: SharedStore | None
    ) -> None:
        """Count a request with `tokens` input tokens. Raises ApiError 429 if it exceeds a limit.

        `store` is that of a session which several servers have.
        """
        exceeded = None
        if store is None:
            exceeded = self._counter(key, model).admit(self._quotas, tokens, now)
        elif self._quotas:
            name = _usage_name(key, model)
            index = await store.admit(session, name, self._quotas, tokens, now)
            exceeded = None if index is None else self._quotas[index]
        if exceeded is not None:
            raise find_service_fault(exceeded.fault).to_api_error(requested=False)

    def _counter(self, key: bytes, model: str) -> UsageCounter:
        counter = self._counters.pop((key, model), None) or UsageCounter()
        self._counters[key, model] = counter
        if len(self._counters) > _MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        return counter

    async def add_output_tokens(
        self, key: bytes, model: str, tokens: int, session: str, store: SharedStore | None
    ) -> None:
        """Count the tokens of a reply."""
        if store is not None:
            if self.limits.tokens is not None:
                await store.add_tokens(session, _usage_name(key, model), self._quotas, tokens)
            return
        counter = self._counters.get((key, model))
        if counter is not None and counter.requests:
            time, count = counter.requests.pop()
            counter.requests.append((time, count + tokens))
            counter.tokens += tokens

    def begin_request(self, key: bytes) -> None:
        """Count a request as in flight. Raises ApiError 429 if its key has too many."""
        count = self._in_flight.get(key, 0)
        if self.limits.concurrency is not None and count >= self.limits.concurrency:
            raise find_service_fault("concurrency").to_api_error(requested=False)
        self._in_flight[key] = count + 1

    def end_request(self, key: bytes) -> None:
        """Count a request as answered."""
        left = self._in_flight.get(key, 1) - 1
        if left:
            self._in_flight[key] = left
        else:
            self._in_flight.pop(key, None)

    def limit_context(self, tokens: int) -> int:
        """Return the input tokens that the model sees. Raises ApiError 400 if `context-error` is set."""
        window = self.limits.context
        if window is None or tokens <= int(window * _USABLE_SHARE):
            return tokens
        if self.limits.context_error:
            error = find_service_fault("input-length").to_api_error(requested=False)
            error.message = f"Range of input length should be [1, {int(window * _USABLE_SHARE)}]"
            raise error
        return int(window * _USABLE_SHARE)

    def reset(self) -> None:
        """Reset all counters."""
        self._counters.clear()
        self._in_flight.clear()


def _usage_name(key: bytes, model: str) -> bytes:
    """What a store counts the requests of a key to a model under: it must not show the key."""
    return request_digest(b"%b %b" % (key, model.encode()))


def _per_second(per_minute: int) -> int:
    """Return a sixtieth, rounded up: a limit of 10 a minute allows 1 a second."""
    return -(-per_minute // 60)
