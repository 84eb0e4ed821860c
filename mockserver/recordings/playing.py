"""Playing: the answer of a recording onto a connection, at the pace it came or at another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, recorded_chunks
from mockserver.live.passages import PassThroughExchange

__all__ = ["INSTANT", "REALTIME", "Speed", "PlaybackTimer", "parse_speed", "play_recording"]

_SPEED_FACTOR = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)[x×]?")
#: Headers that belong to the connection a recording came over.
_CONNECTION_HEADERS = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}
)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast recordings are played."""

    factor: float
    """Times the pace at which they came; 0: at once."""

    def scale(self, seconds: float) -> float:
        """When something comes that was recorded after so many seconds."""
        return seconds / self.factor if self.factor else 0.0


INSTANT = Speed(0)
REALTIME = Speed(1)


def parse_speed(text: str) -> Speed:
    """The speed that a text names: realtime, instant, or a factor like 2x; ConfigurationError."""
    if text in ("realtime", "instant"):
        return REALTIME if text == "realtime" else INSTANT
    match = _SPEED_FACTOR.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ConfigurationError(f"--speed is realtime, instant or a factor like 2x, not {text!a}")
    return Speed(float(match[1]))


@dataclass(frozen=True, slots=True)
class PlaybackTimer:
    """Tells the time and lets it pass."""

    now: Callable[[], float]
    """Seconds of any clock that only goes on."""
    wait_for_disconnect: Callable[[Receive, float], Awaitable[bool]]
    """Wait until a time of that clock; whether the client went away meanwhile."""


async def _wait_for_disconnect(receive: Receive, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    except TimeoutError:
        return False


def loop_timer() -> PlaybackTimer:
    """The running loop's own time."""
    return PlaybackTimer(asyncio.get_running_loop().time, _wait_for_disconnect)


async def play_recording(
    exchange: Exchange,
    pass_through: PassThroughExchange,
    receive: Receive,
    speed: Speed,
    timer: PlaybackTimer | None = None,
) -> None:
    """Send the answer of a recording, each piece as long after the request as it came then.

    Times are counted from the request and not from piece to piece, so that no delay adds up. An answer that
    the endpoint broke off is broken off, and so is one whose end no client waited for.
    """
    timer = timer or loop_timer()
    start, recorded = timer.now(), exchange.recorded
    chunks = [*recorded_chunks(exchange.reply["http"])]
    head = speed.scale(recorded.head_ms / 1000 if recorded else 0.0)
    pass_through.exchange_name = exchange.name
    if await _client_left_before(timer, receive, start + head, pass_through):
        return
    await pass_through.send_head(
        exchange.reply["http"]["status"], _reply_headers(exchange, sum(len(data) for _, data in chunks))
    )
    if chunks and speed.scale(chunks[0][0]) > head:
        await pass_through.flush_head()
    for at, data in chunks:
        if await _client_left_before(timer, receive, start + speed.scale(at), pass_through):
            return
        await pass_through.send_chunk(data)
    last = recorded.end_ms / 1000 if recorded else 0.0
    if await _client_left_before(timer, receive, start + speed.scale(last), pass_through):
        return
    pass_through.complete = recorded is None or recorded.end == "complete"
    await pass_through.finish()


async def _client_left_before(
    timer: PlaybackTimer, receive: Receive, deadline: float, pass_through: PassThroughExchange
) -> bool:
    """Wait until a time; whether the client went away meanwhile."""
    if deadline <= timer.now():
        return False
    pass_through.client_disconnected = await timer.wait_for_disconnect(receive, deadline)
    return pass_through.client_disconnected


def _reply_headers(exchange: Exchange, body_size: int) -> list[tuple[bytes, bytes]]:
    """The headers of a recording, with the length where the answer had one and still has it.

    One that was broken off keeps the length that it promised.
    """
    told = {name.lower(): value for name, value in exchange.reply["http"].get("headers", {}).items()}
    kept = [
        (name.encode(), value.encode()) for name, value in told.items() if name not in _CONNECTION_HEADERS
    ]
    length = told.get("content-length", "")
    if length.isdecimal() and len(length) < 12:
        broken = exchange.recorded is not None and exchange.recorded.end != "complete"
        if int(length) == body_size or (broken and int(length) > body_size):
            kept.append((b"content-length", length.encode()))
    return kept
