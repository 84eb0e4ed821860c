"""The deck: recordings as they are given out, the n-th of a request to its n-th occurrence."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

from mockserver.exchanges import Exchange, bytes_of
from mockserver.recordings.requests import Asked, asked
from mockserver.wire import json

__all__ = ["Deck", "asked_by", "body_of"]

#: Differences of the nearest recording that are told.
_TOLD = 5
#: Differences that are counted.
_FARTHEST = 100


def asked_by(exchange: Exchange, masks: Iterable[str] = ()) -> Asked:
    """The request of a recording."""
    recorded = exchange.recorded
    if exchange.request is not None:
        body = json.dumps(dict(exchange.request))
    else:
        body = (recorded.body or b"") if recorded else b""
    method, path = (recorded.method, recorded.path) if recorded else ("POST", "/responses")
    return asked(method, path, body, masks)[0]


class Deck:
    """Recordings by their requests, and how many of each were given."""

    def __init__(self, exchanges: Iterable[Exchange], *, once: bool = False) -> None:
        """`once`: each is given once; else the last of a request is given to all that come after it."""
        self._once = once
        self._lock = threading.Lock()
        self.all: list[Exchange] = []
        self._masks: tuple[str, ...] = ()
        self._by_request: dict[bytes, list[Exchange]] = {}
        self._asked: list[tuple[str, Asked]] = []
        """The names of the recordings, with their requests; files of several tests may share names."""
        self._given: dict[bytes, int] = {}
        exchanges = tuple(exchanges)
        for exchange in exchanges:
            if exchange.recorded is not None:
                self._masks = tuple(dict.fromkeys((*self._masks, *exchange.recorded.masked)))
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: Exchange) -> None:
        """One more recording, the last of its request."""
        request = asked_by(exchange, self._masks)
        self.all.append(exchange)
        self._asked.append((exchange.name, request))
        self._by_request.setdefault(request.digest, []).append(exchange)

    def asked(self, method: str, path: str, body: bytes) -> Asked:
        """A request as the deck knows requests."""
        return asked(method, path, body, self._masks)[0]

    def take(self, request: Asked) -> Exchange | None:
        """The recording for a request; None where there is none, or none is left."""
        with self._lock:
            known = self._by_request.get(request.digest, [])
            given = self._given.get(request.digest, 0)
            if not known or (self._once and given >= len(known)):
                return None
            self._given[request.digest] = given + 1
            return known[min(given, len(known) - 1)]

    @property
    def unplayed(self) -> list[Exchange]:
        """The recordings that nobody asked for, in the order in which they were taken."""
        left = {
            id(each)
            for digest, known in self._by_request.items()
            for each in known[self._given.get(digest, 0) :]
        }
        return [each for each in self.all if id(each) in left]

    def reset(self) -> None:
        """Give everything out anew."""
        with self._lock:
            self._given.clear()

    def missed(self, request: Asked) -> str:
        """Why there is no recording for a request: the nearest, and what about it is otherwise."""
        known = self._by_request.get(request.digest)
        if known:
            times = "once" if len(known) == 1 else f"{len(known)} times"
            return f"This request was recorded {times}, and comes once more."
        nearest = min(
            self._asked,
            key=lambda each: _distance(each[1], request),
            default=None,
        )
        if nearest is None:
            return "There are no recordings."
        name, recorded = nearest
        told = "; ".join(islice(recorded.differences(request), _TOLD))
        return f"There is no recording of this request. The nearest is {name}: {told}."


def _distance(recorded: Asked, request: Asked) -> int:
    """How much is otherwise; what was asked elsewhere is farther than anything asked here."""
    if (recorded.method, recorded.path) != (request.method, request.path):
        return _FARTHEST
    return sum(1 for _ in islice(recorded.differences(request), _FARTHEST - 1))


def body_of(exchange: Exchange) -> bytes:
    """The body of a recording's answer."""
    return b"".join(bytes_of(chunk) for chunk in exchange.reply["http"]["chunks"])
