"""Pacing: when each piece of a body is sent; pure functions to steps.

none                      at once
fixed:MS                  MS milliseconds before each event, or before a body
model:TTFT,TPS[,JITTER]   TTFT milliseconds before the first text, then TPS tokens a second; each pause
                          is drawn up to JITTER, from 0 to 1, shorter or longer
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.replies.usage import count_tokens
from mockserver.server.delivery.steps import Send, Step, Wait
from mockserver.wire import json, sse

__all__ = ["Pace", "apply_pace", "parse_pace", "recorded_steps"]

#: The longest pause of one piece, in milliseconds: ten minutes.
_MAX_PAUSE_MS = 600_000
_NUMBER = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)"
_FIXED = re.compile(rf"fixed:{_NUMBER}")
_MODEL = re.compile(rf"model:{_NUMBER},{_NUMBER}(?:,{_NUMBER})?")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body comes; times in milliseconds."""

    per_event_ms: float = 0
    """Before each piece."""
    first_token_ms: float = 0
    """Before the first text."""
    per_token_ms: float = 0
    """For each token of text."""
    jitter: float = 0
    """By how much of itself a pause may be shorter or longer, from 0 to 1."""


@lru_cache(maxsize=256)
def parse_pace(text: str) -> Pace | None:
    """The pace that a text names; None where there are no pauses. ConfigurationError."""
    if text == "none":
        return None
    if match := _FIXED.fullmatch(text):
        pace = Pace(per_event_ms=float(match[1]))
    elif match := _MODEL.fullmatch(text):
        rate, jitter = float(match[2]), float(match[3] or 0)
        if rate <= 0 or jitter > 1:
            raise ConfigurationError(f"pace {text!r}: TPS is above 0, JITTER from 0 to 1")
        pace = Pace(first_token_ms=float(match[1]), per_token_ms=1000 / rate, jitter=jitter)
    else:
        raise ConfigurationError(f"a pace is none, fixed:MS or model:TTFT,TPS[,JITTER], not {text!r}")
    if max(pace.per_event_ms, pace.first_token_ms, pace.per_token_ms) > _MAX_PAUSE_MS:
        raise ConfigurationError(f"pace {text!r}: no pause is longer than {_MAX_PAUSE_MS} ms")
    return pace


def apply_pace(steps: Iterable[Step], pace: Pace, seed: int) -> Iterator[Step]:
    """The steps with pauses before what is sent; the pauses follow from the seed."""
    vary = Random(seed).uniform
    begun = False
    for step in steps:
        if isinstance(step, Send):
            tokens = _count_text_tokens(step.data) if pace.per_token_ms else 0
            pause = pace.per_event_ms + pace.per_token_ms * tokens
            if pace.first_token_ms and tokens and not begun:
                pause, begun = pace.first_token_ms, True
            if pause:
                yield Wait(pause / 1000 * _jitter_factor(vary, pace.jitter))
        yield step


def _jitter_factor(uniform: Callable[[float, float], float], jitter: float) -> float:
    return uniform(1 - jitter, 1 + jitter) if jitter else 1


def _count_text_tokens(data: bytes) -> int:
    """Tokens of new text in a piece: of an event's delta, or of a whole body."""
    if data.startswith(b"{"):
        return _output_tokens(data)
    tokens = 0
    if b'.delta"' in data:
        for frame in sse.Decoder(1 << 26).feed(data):
            tokens += _count_delta_tokens(frame.data or "")
    return tokens


def _count_delta_tokens(data: str) -> int:
    value = _json_object(data.encode())
    delta = value.get("delta")
    return max(1, count_tokens(delta)) if isinstance(delta, str) else 0


def _output_tokens(body: bytes) -> int:
    usage = _json_object(body).get("usage")
    tokens = usage.get("output_tokens") if isinstance(usage, dict) else 0
    return tokens if type(tokens) is int and tokens > 0 else 0


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except InvalidJSON:
        return {}
    return value if isinstance(value, dict) else {}


def recorded_steps(chunks: Iterable[tuple[float, bytes]]) -> Iterator[Step]:
    """Chunks with the times at which they were recorded, in seconds since the request."""
    clock = 0.0
    for at, data in chunks:
        if at > clock:
            yield Wait(at - clock)
            clock = at
        yield Send(data)
