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

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.faults import find_service_fault
from mockserver.suggestions import choose_from

__all__ = ["Limits", "RateLimiter", "parse_limits"]

_MINUTE, _SECOND = 60.0, 1.0
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


@dataclass(slots=True)
class _UsageCounter:
    """Requests of one key to one model within the last minute."""

    requests: deque[tuple[float, int]] = field(default_factory=deque)
    """(time, tokens), oldest first."""
    tokens: int = 0

    def drop_until(self, moment: float) -> None:
        while self.requests and self.requests[0][0] <= moment:
            self.tokens -= self.requests.popleft()[1]

    def add(self, now: float, tokens: int) -> None:
        self.requests.append((now, tokens))
        self.tokens += tokens

    def count_since(self, moment: float) -> tuple[int, int]:
        """Return (requests, tokens) since a time."""
        requests = tokens = 0
        for time, count in reversed(self.requests):
            if time <= moment:
                break
            requests, tokens = requests + 1, tokens + count
        return requests, tokens


class RateLimiter:
    """Counts requests and tokens, and rejects requests beyond the limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._counters: dict[tuple[bytes, str], _UsageCounter] = {}
        self._in_flight: dict[bytes, int] = {}

    def for_new_session(self) -> RateLimiter:
        """A limiter of another session with the same limits."""
        return RateLimiter(self.limits)

    def admit(self, key: bytes, model: str, tokens: int, now: float) -> None:
        """Count a request with `tokens` input tokens. Raises ApiError 429 if it exceeds a limit."""
        counter = self._counters.pop((key, model), None) or _UsageCounter()
        self._counters[key, model] = counter
        if len(self._counters) > _MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        counter.drop_until(now - _MINUTE)
        limits = self.limits
        requests, recent_tokens = counter.count_since(now - _SECOND)
        if limits.burst is not None and requests >= limits.burst:
            raise find_service_fault("burst-rate").to_api_error(requested=False)
        if limits.requests is not None and (
            len(counter.requests) >= limits.requests or requests >= _per_second(limits.requests)
        ):
            raise find_service_fault("request-quota").to_api_error(requested=False)
        if limits.tokens is not None and (
            counter.tokens + tokens > limits.tokens
            or (requests and recent_tokens + tokens > _per_second(limits.tokens))
        ):
            raise find_service_fault("allocation-quota").to_api_error(requested=False)
        counter.add(now, tokens)

    def add_output_tokens(self, key: bytes, model: str, tokens: int) -> None:
        """Count the tokens of a reply."""
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


def _per_second(per_minute: int) -> int:
    """Return a sixtieth, rounded up: a limit of 10 a minute allows 1 a second."""
    return -(-per_minute // 60)
