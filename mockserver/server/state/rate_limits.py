"""Limits: how much a key may ask of a model, by the session's clock, and how much fits into a context.

Requests and tokens are counted for a minute, and for a second at a sixtieth of that; requests that grow too
quickly meet a guard of their own; about a minute later all is well again. Of a context 80% are usable, and
what is beyond is dropped without a word (vendor's pages on rate limits and on long contexts, 2026). The
replies are those of the error-code page (September to November 2026); that the guard counts the requests of
one second is inferred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from mockserver.errors import ConfigurationError
from mockserver.server.delivery.faults import find_service_fault

__all__ = ["Limits", "RateLimiter", "parse_limits"]

_MINUTE, _SECOND = 60.0, 1.0
_USABLE_SHARE = 0.8
#: Pairs of key and model that are counted, the least recent forgotten first.
_MAX_COUNTERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers that may not be exceeded; None: no limit."""

    requests: int | None = None
    """A minute, for each key and model."""
    tokens: int | None = None
    """A minute, for each key and model, input and output together."""
    burst: int | None = None
    """Requests within one second, for each key and model."""
    concurrency: int | None = None
    """Requests of a key that are answered at once."""
    context: int | None = None
    """Tokens of the model's window."""
    context_error: bool = False
    """Whether a request that does not fit is refused, and not cut."""


def parse_limits(texts: Iterable[str]) -> Limits | None:
    """The limits that `NAME=N` texts set, None where there are none; ConfigurationError."""
    given: dict[str, int | bool] = {}
    known = ", ".join(each.name.replace("_", "-") for each in fields(Limits))
    for text in texts:
        name, equals, value = text.partition("=")
        if name == "context-error" and not equals:
            given["context_error"] = True
        elif name not in Limits.__slots__ or not value.isdecimal() or not 0 < int(value) < 1 << 50:
            raise ConfigurationError(f"a limit is NAME=N with N from 1 on, not {text!r}; names: {known}")
        else:
            given[name] = int(value)
    if given.get("context_error") and "context" not in given:
        raise ConfigurationError("the limit context-error needs the size of the context: context=N")
    return Limits(**given) if given else None  # type: ignore[arg-type]


@dataclass(slots=True)
class _UsageCounter:
    """What one key asked of one model within the last minute."""

    requests: deque[tuple[float, int]] = field(default_factory=deque)
    """(when, tokens), oldest first."""
    tokens: int = 0

    def drop_until(self, moment: float) -> None:
        while self.requests and self.requests[0][0] <= moment:
            self.tokens -= self.requests.popleft()[1]

    def add(self, now: float, tokens: int) -> None:
        self.requests.append((now, tokens))
        self.tokens += tokens

    def count_since(self, moment: float) -> tuple[int, int]:
        """(requests, tokens) since a moment."""
        requests = tokens = 0
        for at, count in reversed(self.requests):
            if at <= moment:
                break
            requests, tokens = requests + 1, tokens + count
        return requests, tokens


class RateLimiter:
    """Counts what is asked, and refuses what is too much."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._counters: dict[tuple[bytes, str], _UsageCounter] = {}
        self._in_flight: dict[bytes, int] = {}

    def admit(self, key: bytes, model: str, tokens: int, now: float) -> None:
        """Count a request with so many input tokens; ApiError 429 where it is one too many."""
        use = self._counters.pop((key, model), None) or _UsageCounter()
        self._counters[key, model] = use
        if len(self._counters) > _MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        use.drop_until(now - _MINUTE)
        limits = self.limits
        requests, spent = use.count_since(now - _SECOND)
        if limits.burst is not None and requests >= limits.burst:
            raise find_service_fault("burst-rate").to_api_error(requested=False)
        if limits.requests is not None and (
            len(use.requests) >= limits.requests or requests >= _per_second(limits.requests)
        ):
            raise find_service_fault("request-quota").to_api_error(requested=False)
        if limits.tokens is not None and (
            use.tokens + tokens > limits.tokens or (requests and spent + tokens > _per_second(limits.tokens))
        ):
            raise find_service_fault("allocation-quota").to_api_error(requested=False)
        use.add(now, tokens)

    def add_output_tokens(self, key: bytes, model: str, tokens: int) -> None:
        """Count the tokens of an answer."""
        use = self._counters.get((key, model))
        if use is not None and use.requests:
            at, count = use.requests.pop()
            use.requests.append((at, count + tokens))
            use.tokens += tokens

    def begin_request(self, key: bytes) -> None:
        """A request is being answered; ApiError 429 where there are too many of its key."""
        count = self._in_flight.get(key, 0)
        if self.limits.concurrency is not None and count >= self.limits.concurrency:
            raise find_service_fault("concurrency").to_api_error(requested=False)
        self._in_flight[key] = count + 1

    def end_request(self, key: bytes) -> None:
        """It has been answered."""
        left = self._in_flight.get(key, 1) - 1
        if left:
            self._in_flight[key] = left
        else:
            self._in_flight.pop(key, None)

    def limit_context(self, tokens: int) -> int:
        """The input tokens that the model gets to see; ApiError 400 where all must fit."""
        window = self.limits.context
        if window is None or tokens <= int(window * _USABLE_SHARE):
            return tokens
        if self.limits.context_error:
            refusal = find_service_fault("input-length").to_api_error(requested=False)
            refusal.message = f"Range of input length should be [1, {int(window * _USABLE_SHARE)}]"
            raise refusal
        return int(window * _USABLE_SHARE)

    def reset(self) -> None:
        """Forget what was asked."""
        self._counters.clear()
        self._in_flight.clear()


def _per_second(per_minute: int) -> int:
    """A sixtieth, rounded up: a limit of ten a minute lets one a second through."""
    return -(-per_minute // 60)
