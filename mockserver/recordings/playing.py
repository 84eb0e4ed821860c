"""Playing: the answer of a recording onto a connection, at the pace it came or at another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, recorded_chunks
from mockserver.live.passages import Passage

__all__ = ["INSTANT", "REALTIME", "Speed", "Timer", "parse_speed", "play"]

_TIMES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)[x×]?")
#: Headers that belong to the connection a recording came over.
_OF_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"})


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast recordings are played."""

    factor: float
    """Times the pace at which they came; 0: at once."""

    def at(self, seconds: float) -> float:
        """When something comes that was recorded after so many seconds."""
        return seconds / self.factor if self.factor else 0.0


INSTANT = Speed(0)
REALTIME = Speed(1)


def parse_speed(text: str) -> Speed:
    """The speed that a text names: realtime, instant, or a factor like 2x; ConfigurationError."""
    if text in ("realtime", "instant"):
        return REALTIME if text == "realtime" else INSTANT
    match = _TIMES.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ConfigurationError(f"--speed is realtime, instant or a factor like 2x, not {text!a}")
    return Speed(float(match[1]))


@dataclass(frozen=True, slots=True)
class Timer:
    """Tells the time and lets it pass."""

    now: Callable[[], float]
    """Seconds of any clock that only goes on."""
    gone_until: Callable[[Receive, float], Awaitable[bool]]
    """Wait until a time of that clock; whether the client went away meanwhile."""


async def _gone_until(receive: Receive, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    except TimeoutError:
        return False


def loop_timer() -> Timer:
    """The running loop's own time."""
    return Timer(asyncio.get_running_loop().time, _gone_until)


async def play(
    exchange: Exchange, passage: Passage, receive: Receive, speed: Speed, timer: Timer | None = None
) -> None:
    """Send the answer of a recording, each piece as long after the request as it came then.

    Times are counted from the request and not from piece to piece, so that no delay adds up. An answer that
    the endpoint broke off is broken off, and so is one whose end no client waited for.
    """
    timer = timer or loop_timer()
    start, recorded = timer.now(), exchange.recorded
    chunks = [*recorded_chunks(exchange.reply["http"])]
    head = speed.at(recorded.head_ms / 1000 if recorded else 0.0)
    passage.exchange = exchange.name
    if await _waited(timer, receive, start + head, passage):
        return
    await passage.begin(
        exchange.reply["http"]["status"], _headers(exchange, sum(len(data) for _, data in chunks))
    )
    if chunks and speed.at(chunks[0][0]) > head:
        await passage.flush()
    for at, data in chunks:
        if await _waited(timer, receive, start + speed.at(at), passage):
            return
        await passage.piece(data)
    last = recorded.end_ms / 1000 if recorded else 0.0
    if await _waited(timer, receive, start + speed.at(last), passage):
        return
    passage.complete = recorded is None or recorded.end == "complete"
    await passage.end()


async def _waited(timer: Timer, receive: Receive, deadline: float, passage: Passage) -> bool:
    """Wait until a time; whether the client went away meanwhile."""
    if deadline <= timer.now():
        return False
    passage.left = await timer.gone_until(receive, deadline)
    return passage.left


def _headers(exchange: Exchange, size: int) -> list[tuple[bytes, bytes]]:
    """The headers of a recording, with the length where the answer had one and still has it.

    One that was broken off keeps the length that it promised.
    """
    told = {name.lower(): value for name, value in exchange.reply["http"].get("headers", {}).items()}
    kept = [(name.encode(), value.encode()) for name, value in told.items() if name not in _OF_CONNECTION]
    length = told.get("content-length", "")
    if length.isdecimal() and len(length) < 12:
        broken = exchange.recorded is not None and exchange.recorded.end != "complete"
        if int(length) == size or (broken and int(length) > size):
            kept.append((b"content-length", length.encode()))
    return kept
