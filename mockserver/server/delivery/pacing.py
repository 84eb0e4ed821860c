"""Pacing: when each piece of a body is sent.

none                      at once
fixed:MS                  MS milliseconds before each event, or before a body
model:TTFT,TPS[,JITTER]   TTFT milliseconds before the first text, then TPS tokens per second; JITTER, from 0
                          to 1, is the fraction by which each pause may vary
model:ttft=D,tps=D[,jitter=JITTER]   the same, with a distribution for TTFT and one for TPS, of which each reply
                          draws a number
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from random import Random
from typing import NamedTuple

from mockserver.errors import ConfigurationError
from mockserver.replies.usage import count_text_tokens
from mockserver.server.delivery.steps import Send, Step, Wait
from mockserver.server.distributions import Distribution, parse_distribution
from mockserver.suggestions import choose_from

__all__ = ["Pace", "apply_pace", "parse_pace", "recorded_steps"]

#: The longest pause before one piece, in milliseconds: 10 minutes.
_MAX_PAUSE_MS = 600_000
_NUMBER = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)"
_FIXED = rf"fixed:{_NUMBER}"
_MODEL = rf"model:{_NUMBER},{_NUMBER}(?:,{_NUMBER})?"
_MODEL_MEMBERS = ("ttft", "tps", "jitter")
#: A comma that separates members, not the arguments of a distribution.
_MEMBER_COMMA = r",(?![^(]*\))"


class Pace(NamedTuple):
    """The pauses in a body, in milliseconds."""

    per_event_ms: float = 0
    """Before each piece."""
    first_token_ms: float = 0
    """Before the first text."""
    per_token_ms: float = 0
    """For each token of text."""
    jitter: float = 0
    """The fraction by which a pause may vary, from 0 to 1."""
    distributions: tuple[Distribution, Distribution] | None = None
    """Of `first_token_ms`, and of the tokens per second, if they differ between replies."""

    def draw(self, random: Random) -> Pace:
        """The pace of one reply."""
        if self.distributions is None:
            return self
        first_token, rate = (each.draw(random) for each in self.distributions)
        return self._replace(first_token_ms=first_token, per_token_ms=1000 / rate, distributions=None)


@lru_cache(maxsize=256)
def parse_pace(text: str) -> Pace | None:
    """Parse a pace; None for `none`. Raises ConfigurationError."""
    if text == "none":
        return None
    if text.startswith("model:") and "=" in text:
        return _parse_model(text)
    if match := re.fullmatch(_FIXED, text):
        pace = Pace(per_event_ms=float(match[1]))
    elif match := re.fullmatch(_MODEL, text):
        rate, jitter = float(match[2]), float(match[3] or 0)
        if rate <= 0 or jitter > 1:
            raise ConfigurationError(f"pace {text!r}: TPS must be above 0, JITTER from 0 to 1")
        pace = Pace(first_token_ms=float(match[1]), per_token_ms=1000 / rate, jitter=jitter)
    else:
        raise ConfigurationError(
            "pace must be none, fixed:MS, model:TTFT,TPS[,JITTER] or model:ttft=…,tps=…, such as"
            f" model:ttft=lognormal(300,0.4),tps=normal(50,8); not {text!r}"
        )
    _require_bounded_pauses(text, pace.per_event_ms, pace.first_token_ms, pace.per_token_ms)
    return pace


def _parse_model(text: str) -> Pace:
    """Parse `model:ttft=…,tps=…[,jitter=…]`."""
    members: dict[str, Distribution] = {}
    for member in re.split(_MEMBER_COMMA, text.removeprefix("model:")):
        name, equals, value = member.partition("=")
        if not equals:
            raise ConfigurationError(f"pace {text!r}: expected NAME=VALUE, not {member!r}")
        if name not in _MODEL_MEMBERS:
            raise ConfigurationError(f"pace {text!r}: no member {name!r}{choose_from(name, _MODEL_MEMBERS)}")
        if name in members:
            raise ConfigurationError(f"pace {text!r}: {name} is repeated")
        members[name] = parse_distribution(value, f"pace: {name}")
    for name in ("ttft", "tps"):
        if name not in members:
            raise ConfigurationError(f"pace {text!r}: {name} is missing")
    ttft, rate, jitter = members["ttft"], members["tps"], members.get("jitter", Distribution("constant", 0))
    if rate.lowest <= 0:
        raise ConfigurationError(f"pace {text!r}: tps must be above 0")
    if jitter.kind != "constant" or jitter.first > 1:
        raise ConfigurationError(f"pace {text!r}: jitter must be a number from 0 to 1")
    _require_bounded_pauses(text, ttft.highest, 1000 / rate.lowest)
    return Pace(0, ttft.center, 1000 / rate.center, jitter.first, (ttft, rate))


def _require_bounded_pauses(text: str, *pauses_ms: float) -> None:
    if max(pauses_ms) > _MAX_PAUSE_MS:
        raise ConfigurationError(f"pace {text!r}: a pause may last at most {_MAX_PAUSE_MS} ms")


def apply_pace(
    steps: Iterable[Step], pace: Pace, seed: int, token_counts: Iterable[int] | None = None
) -> Iterator[Step]:
    """Insert pauses before the pieces; what is random follows from the seed.

    `token_counts` has the tokens of text of each piece, if they are known.
    """
    random = Random(seed) if pace.jitter or pace.distributions else None
    uniform = random.uniform if random is not None and pace.jitter else None
    if random is not None:
        pace = pace.draw(random)
    has_text = False
    counts = None if token_counts is None else iter(token_counts)
    for step in steps:
        if isinstance(step, Send):
            tokens = 0
            if pace.per_token_ms:
                tokens = count_text_tokens(step.data) if counts is None else next(counts)
            pause = pace.per_event_ms + pace.per_token_ms * tokens
            if pace.first_token_ms and tokens and not has_text:
                pause, has_text = pace.first_token_ms, True
            if pause:
                factor = 1 if uniform is None else uniform(1 - pace.jitter, 1 + pace.jitter)
                yield Wait(pause / 1000 * factor)
        yield step


def recorded_steps(chunks: Iterable[tuple[float, bytes]]) -> Iterator[Step]:
    """Turn recorded chunks, each with its time in seconds since the request, into steps."""
    elapsed = 0.0
    for time, data in chunks:
        if time > elapsed:
            yield Wait(time - elapsed)
            elapsed = time
        yield Send(data)
