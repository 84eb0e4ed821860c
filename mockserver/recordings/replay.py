"""Replay: an application that answers with recordings, at any pace, and checks the requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from mockserver.errors import ConfigurationError
from mockserver.exchanges import Exchange, recorded_chunks
from mockserver.live.pass_through import PassThroughExchange, relative_path
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import Profile
from mockserver.recordings.playback_queue import PlaybackQueue
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.errors import ApiError, UnmatchedRequest
from mockserver.server.http.health import is_health_check, send_health
from mockserver.server.http.request_body import ClientDisconnected, read_body
from mockserver.server.large_bodies import run_beside_loop, run_in_worker
from mockserver.server.state.journal import Entry, Journal
from mockserver.settings import MAX_BODY_BYTES

__all__ = [
    "INSTANT",
    "REALTIME",
    "PlaybackTimer",
    "RecordingPlayer",
    "ReplayApp",
    "Speed",
    "client_base_paths",
    "parse_speed",
    "play_recording",
]

_SPEED_FACTOR = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)[x×]?")
#: Headers that belong to the recorded connection, not to the reply.
_CONNECTION_HEADERS = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}
)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast recordings are played."""

    factor: float
    """Multiple of the recorded pace; 0: at once."""

    def scale(self, seconds: float) -> float:
        """The time of something that was recorded after that many seconds."""
        return seconds / self.factor if self.factor else 0.0


INSTANT = Speed(0)
REALTIME = Speed(1)


def parse_speed(text: str) -> Speed:
    """Parse realtime, instant, or a factor like 2x. Raises ConfigurationError."""
    if text in ("realtime", "instant"):
        return REALTIME if text == "realtime" else INSTANT
    match = _SPEED_FACTOR.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ConfigurationError(f"--speed must be realtime, instant or a factor like 2x, not {text!a}")
    return Speed(float(match[1]))


@dataclass(frozen=True, slots=True)
class PlaybackTimer:
    """A clock, and waiting by it."""

    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    wait_for_disconnect: Callable[[Receive, float], Awaitable[bool]]
    """Wait until a time of that clock, and return whether the client disconnected meanwhile."""


async def _wait_for_disconnect(receive: Receive, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    except TimeoutError:
        return False


def loop_timer() -> PlaybackTimer:
    """A timer with the running loop's clock."""
    return PlaybackTimer(asyncio.get_running_loop().time, _wait_for_disconnect)


async def play_recording(
    exchange: Exchange,
    pass_through: PassThroughExchange,
    receive: Receive,
    speed: Speed,
    timer: PlaybackTimer | None = None,
) -> None:
    """Send a recorded reply, each chunk at its recorded time after the request.

    Times count from the request and not from chunk to chunk, so that delays do not add up. A reply that the
    endpoint cut is cut again, and so is one that the client did not read to the end.
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
    """Wait until a time, and return whether the client disconnected meanwhile."""
    if deadline <= timer.now():
        return False
    pass_through.client_disconnected = await timer.wait_for_disconnect(receive, deadline)
    return pass_through.client_disconnected


def _reply_headers(exchange: Exchange, body_size: int) -> list[tuple[bytes, bytes]]:
    """The headers of a recorded reply; the content length only if it is still true.

    A reply that was cut keeps the length that it announced.
    """
    recorded = {name.lower(): value for name, value in exchange.reply["http"].get("headers", {}).items()}
    headers = [
        (name.encode(), value.encode()) for name, value in recorded.items() if name not in _CONNECTION_HEADERS
    ]
    length = recorded.get("content-length", "")
    if length.isdecimal() and len(length) < 12:
        is_cut = exchange.recorded is not None and exchange.recorded.end != "complete"
        if int(length) == body_size or (is_cut and int(length) > body_size):
            headers.append((b"content-length", length.encode()))
    return headers


#: Clients must not retry the replay's own errors.
_NO_RETRY = ((b"x-should-retry", b"false"),)


def client_base_paths(exchanges: Iterable[Exchange], profile: Profile) -> tuple[str, ...]:
    """The base paths that clients may use: those of the recordings first, then the profile's."""
    recorded = (urlsplit(each.recorded.upstream).path for each in exchanges if each.recorded)
    paths = (path.rstrip("/") for path in (*recorded, *profile.base_paths))
    return tuple(dict.fromkeys(path for path in paths if path))


class RecordingPlayer:
    """Plays the recordings of a queue, and rejects requests without one."""

    def __init__(
        self, queue: PlaybackQueue, speed: Speed = INSTANT, timer: PlaybackTimer | None = None
    ) -> None:
        self.queue = queue
        """May be replaced between requests."""
        self._speed = speed
        self._timer = timer

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Answer a request whose path and body are set. Raises UnmatchedRequest if it was not recorded."""
        queue, method, path = self.queue, pass_through.scope["method"], pass_through.path
        request = await run_beside_loop(
            lambda body: queue.canonicalize(method, path, body), pass_through.request_body
        )
        exchange = self.queue.take(request)
        if exchange is None:
            message = self.queue.explain_miss(request)
            raise UnmatchedRequest(400, "UnrecordedRequest", message, headers=_NO_RETRY, detail=message)
        pass_through.mark_forwarded()
        await play_recording(exchange, pass_through, receive, self._speed, self._timer)
        return True


class ReplayApp:
    """An ASGI application that answers only from recordings; `journal` and `on_entry` get every entry."""

    def __init__(
        self,
        player: RecordingPlayer,
        profile: Profile,
        base_paths: Iterable[str],
        journal: Journal,
        *,
        keys: ApiKeys | None = None,
        hosts: AllowedHosts | None = None,
        on_entry: Callable[[Entry], None] = lambda entry: None,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._player = player
        self._profile = profile
        # The longest first: one may be the prefix of another.
        self._base_paths = tuple(sorted(base_paths, key=len, reverse=True))
        self._journal = journal
        self._keys = keys or ApiKeys()
        self._hosts = hosts or AllowedHosts()
        self._checker = PassThroughChecker(profile)
        self._check_lock = asyncio.Lock()
        self._on_entry = on_entry
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_health_check(scope, self._hosts):
            await send_health(send, self._profile.name)
            return
        pass_through = PassThroughExchange(scope, send)
        error: ApiError | None = None
        try:
            await self._handle(pass_through, receive)
        except ClientDisconnected:
            return
        except ApiError as refusal:
            error = refusal
            await pass_through.send_error(refusal)
        finally:
            entry = await self._check(pass_through)
            if error is not None:
                refusal_of = "unplanned" if isinstance(error, UnmatchedRequest) else "refused"
                entry.details = entry.details._replace(error_detail=error.message, refusal=refusal_of)
            self._journal.add(entry)
            self._on_entry(entry)

    async def wait_until_idle(self) -> None:
        """Wait until the exchanges whose replies were sent are checked and in the journal."""
        async with self._check_lock:  # it comes to those who wait in turn
            pass

    async def _check(self, pass_through: PassThroughExchange) -> Entry:
        """The journal entry of an exchange, which is checked beside the event loop.

        One after another, because the checker remembers the turns.
        """
        async with self._check_lock:
            return await run_in_worker(self._checker.journal_entry, pass_through, self._keys.secrets)

    async def _handle(self, pass_through: PassThroughExchange, receive: Receive) -> None:
        headers = dict(pass_through.scope["headers"])
        self._hosts.check(headers, pass_through.scope)
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        paths = (relative_path(pass_through.scope, each) for each in self._base_paths)
        path = next((each for each in paths if each is not None), None)
        if path is None:
            message = (
                f"There is nothing at {pass_through.scope['path']}. The base path is {self._base_paths[0]}."
            )
            raise ApiError(404, "NotFound", message, headers=_NO_RETRY)
        pass_through.path = path
        pass_through.request_body = await read_body(pass_through.scope, receive, headers, self._max_body)
        await self._player.play(pass_through, receive)
