"""The replay: an application that answers with recordings, and judges what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from mockserver.exchanges import Exchange
from mockserver.live.passages import Passage, Witness, path_below
from mockserver.profiles import Profile
from mockserver.recordings.deck import Deck
from mockserver.recordings.playing import INSTANT, Speed, Timer, play
from mockserver.server.access import Hosts, Keys
from mockserver.server.bodies import Disconnected, read_body
from mockserver.server.envelopes import ApiError, Unplanned
from mockserver.server.journal import Entry, Journal

__all__ = ["Playback", "Replay", "base_paths"]

#: Refusals of the replay's own are not to be tried again.
_FINAL = ((b"x-should-retry", b"false"),)


def base_paths(exchanges: Iterable[Exchange], profile: Profile) -> tuple[str, ...]:
    """Paths that a client may put before what it asks for: those of the recordings come first."""
    recorded = (urlsplit(each.recorded.upstream).path for each in exchanges if each.recorded)
    known = (path.rstrip("/") for path in (*recorded, profile.base_path, *profile.aliases))
    return tuple(dict.fromkeys(path for path in known if path))


class Playback:
    """Plays a deck: what it has no recording for is refused, and told."""

    def __init__(self, deck: Deck, speed: Speed = INSTANT, timer: Timer | None = None) -> None:
        self.deck = deck
        """May be changed for another between requests."""
        self._speed = speed
        self._timer = timer

    async def play(self, passage: Passage, receive: Receive) -> bool:
        """Answer a request whose `path` and `body` are known; Unplanned where nothing is recorded for it."""
        request = self.deck.asked(passage.scope["method"], passage.path, passage.body)
        exchange = self.deck.take(request)
        if exchange is None:
            message = self.deck.missed(request)
            raise Unplanned(400, "UnrecordedRequest", message, headers=_FINAL, detail=message)
        passage.ask()
        await play(exchange, passage, receive, self._speed, self._timer)
        return True


class Replay:
    """An ASGI application that answers from recordings alone; `tell` gets each entry, `journal` has them."""

    def __init__(
        self,
        playback: Playback,
        profile: Profile,
        bases: Iterable[str],
        journal: Journal,
        *,
        keys: Keys | None = None,
        tell: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self._playback = playback
        self._profile = profile
        # The longest first: one may be the beginning of another.
        self._bases = tuple(sorted(bases, key=len, reverse=True))
        self._journal = journal
        self._keys = keys or Keys()
        self._hosts = Hosts()
        self._witness = Witness(profile)
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage = Passage(scope, send)
        error: ApiError | None = None
        try:
            await self._play(passage, receive)
        except Disconnected:
            return
        except ApiError as refusal:
            error = refusal
            await passage.refuse(refusal)
        finally:
            entry = self._witness.entry(passage, self._keys.secrets)
            if error is not None:
                refusal_of = "unplanned" if isinstance(error, Unplanned) else "refused"
                entry.about = entry.about._replace(detail=error.message, refusal=refusal_of)
            self._journal.add(entry)
            self._tell(entry)

    async def _play(self, passage: Passage, receive: Receive) -> None:
        headers = dict(passage.scope["headers"])
        self._hosts.check(headers.get(b"host"), headers.get(b"origin"))
        self._keys.check(headers.get(b"authorization"), self._profile.wrong_key)
        found = (path_below(passage.scope, each) for each in self._bases)
        below = next((each for each in found if each is not None), None)
        if below is None:
            message = f"There is nothing at {passage.scope['path']}. Requests go to {self._bases[0]}."
            raise ApiError(404, "NotFound", message, headers=_FINAL)
        passage.path = below
        passage.body = await read_body(receive, headers.get(b"content-length"))
        await self._playback.play(passage, receive)
