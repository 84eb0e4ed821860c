"""The replay: an application that answers with recordings, and judges what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from mockserver.exchanges import Exchange
from mockserver.live.passages import PassThroughChecker, PassThroughExchange, relative_path
from mockserver.profiles import Profile
from mockserver.recordings.deck import PlaybackQueue
from mockserver.recordings.playing import INSTANT, PlaybackTimer, Speed, play_recording
from mockserver.server.access import AllowedHosts, ApiKeys
from mockserver.server.bodies import ClientDisconnected, read_body
from mockserver.server.envelopes import ApiError, UnmatchedRequest
from mockserver.server.journal import Entry, Journal

__all__ = ["RecordingPlayer", "ReplayApp", "client_base_paths"]

#: Refusals of the replay's own are not to be tried again.
_NO_RETRY = ((b"x-should-retry", b"false"),)


def client_base_paths(exchanges: Iterable[Exchange], profile: Profile) -> tuple[str, ...]:
    """Paths that a client may put before what it asks for: those of the recordings come first."""
    recorded = (urlsplit(each.recorded.upstream).path for each in exchanges if each.recorded)
    known = (path.rstrip("/") for path in (*recorded, profile.base_path, *profile.aliases))
    return tuple(dict.fromkeys(path for path in known if path))


class RecordingPlayer:
    """Plays a deck: what it has no recording for is refused, and told."""

    def __init__(
        self, queue: PlaybackQueue, speed: Speed = INSTANT, timer: PlaybackTimer | None = None
    ) -> None:
        self.queue = queue
        """May be changed for another between requests."""
        self._speed = speed
        self._timer = timer

    async def play(self, pass_through: PassThroughExchange, receive: Receive) -> bool:
        """Answer a request whose `path` and `body` are known; Unplanned where nothing is recorded for it."""
        request = self.queue.canonicalize(
            pass_through.scope["method"], pass_through.path, pass_through.request_body
        )
        exchange = self.queue.take(request)
        if exchange is None:
            message = self.queue.explain_miss(request)
            raise UnmatchedRequest(400, "UnrecordedRequest", message, headers=_NO_RETRY, detail=message)
        pass_through.mark_forwarded()
        await play_recording(exchange, pass_through, receive, self._speed, self._timer)
        return True


class ReplayApp:
    """An ASGI application that answers from recordings alone; `tell` gets each entry, `journal` has them."""

    def __init__(
        self,
        player: RecordingPlayer,
        profile: Profile,
        base_paths: Iterable[str],
        journal: Journal,
        *,
        keys: ApiKeys | None = None,
        on_entry: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self._player = player
        self._profile = profile
        # The longest first: one may be the beginning of another.
        self._base_paths = tuple(sorted(base_paths, key=len, reverse=True))
        self._journal = journal
        self._keys = keys or ApiKeys()
        self._hosts = AllowedHosts()
        self._checker = PassThroughChecker(profile)
        self._on_entry = on_entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage = PassThroughExchange(scope, send)
        error: ApiError | None = None
        try:
            await self._handle(passage, receive)
        except ClientDisconnected:
            return
        except ApiError as refusal:
            error = refusal
            await passage.send_error(refusal)
        finally:
            entry = self._checker.journal_entry(passage, self._keys.secrets)
            if error is not None:
                refusal_of = "unplanned" if isinstance(error, UnmatchedRequest) else "refused"
                entry.about = entry.about._replace(detail=error.message, refusal=refusal_of)
            self._journal.add(entry)
            self._on_entry(entry)

    async def _handle(self, pass_through: PassThroughExchange, receive: Receive) -> None:
        headers = dict(pass_through.scope["headers"])
        self._hosts.check(headers.get(b"host"), headers.get(b"origin"))
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        found = (relative_path(pass_through.scope, each) for each in self._base_paths)
        below = next((each for each in found if each is not None), None)
        if below is None:
            message = (
                f"There is nothing at {pass_through.scope['path']}. Requests go to {self._base_paths[0]}."
            )
            raise ApiError(404, "NotFound", message, headers=_NO_RETRY)
        pass_through.path = below
        pass_through.request_body = await read_body(receive, headers.get(b"content-length"))
        await self._player.play(pass_through, receive)
