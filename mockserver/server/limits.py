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
from mockserver.server.faults import find_fault

__all__ = ["Limiter", "Limits", "parse_limits"]

_MINUTE, _SECOND = 60.0, 1.0
_USABLE = 0.8
#: Pairs of key and model that are counted, the least recent forgotten first.
_COUNTED = 10_000


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
class _Use:
    """What one key asked of one model within the last minute."""

    asked: deque[tuple[float, int]] = field(default_factory=deque)
    """(when, tokens), oldest first."""
    tokens: int = 0

    def forget(self, before: float) -> None:
        while self.asked and self.asked[0][0] <= before:
            self.tokens -= self.asked.popleft()[1]

    def add(self, now: float, tokens: int) -> None:
        self.asked.append((now, tokens))
        self.tokens += tokens

    def within(self, since: float) -> tuple[int, int]:
        """(requests, tokens) since a moment."""
        requests = tokens = 0
        for at, count in reversed(self.asked):
            if at <= since:
                break
            requests, tokens = requests + 1, tokens + count
        return requests, tokens


class Limiter:
    """Counts what is asked, and refuses what is too much."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._uses: dict[tuple[bytes, str], _Use] = {}
        self._open: dict[bytes, int] = {}

    def admit(self, key: bytes, model: str, tokens: int, now: float) -> None:
        """Count a request with so many input tokens; ApiError 429 where it is one too many."""
        use = self._uses.pop((key, model), None) or _Use()
        self._uses[key, model] = use
        if len(self._uses) > _COUNTED:
            del self._uses[next(iter(self._uses))]
        use.forget(now - _MINUTE)
        limits = self.limits
        requests, spent = use.within(now - _SECOND)
        if limits.burst is not None and requests >= limits.burst:
            raise find_fault("burst-rate").refusal(asked_for=False)
        if limits.requests is not None and (
            len(use.asked) >= limits.requests or requests >= _a_second(limits.requests)
        ):
            raise find_fault("request-quota").refusal(asked_for=False)
        if limits.tokens is not None and (
            use.tokens + tokens > limits.tokens or (requests and spent + tokens > _a_second(limits.tokens))
        ):
            raise find_fault("allocation-quota").refusal(asked_for=False)
        use.add(now, tokens)

    def spend(self, key: bytes, model: str, tokens: int) -> None:
        """Count the tokens of an answer."""
        use = self._uses.get((key, model))
        if use is not None and use.asked:
            at, count = use.asked.pop()
            use.asked.append((at, count + tokens))
            use.tokens += tokens

    def enter(self, key: bytes) -> None:
        """A request is being answered; ApiError 429 where there are too many of its key."""
        count = self._open.get(key, 0)
        if self.limits.concurrency is not None and count >= self.limits.concurrency:
            raise find_fault("concurrency").refusal(asked_for=False)
        self._open[key] = count + 1

    def leave(self, key: bytes) -> None:
        """It has been answered."""
        left = self._open.get(key, 1) - 1
        if left:
            self._open[key] = left
        else:
            self._open.pop(key, None)

    def fitting(self, tokens: int) -> int:
        """The input tokens that the model gets to see; ApiError 400 where all must fit."""
        window = self.limits.context
        if window is None or tokens <= int(window * _USABLE):
            return tokens
        if self.limits.context_error:
            refusal = find_fault("input-length").refusal(asked_for=False)
            refusal.message = f"Range of input length should be [1, {int(window * _USABLE)}]"
            raise refusal
        return int(window * _USABLE)

    def reset(self) -> None:
        """Forget what was asked."""
        self._uses.clear()
        self._open.clear()


def _a_second(a_minute: int) -> int:
    """A sixtieth, rounded up: a limit of ten a minute lets one a second through."""
    return -(-a_minute // 60)
