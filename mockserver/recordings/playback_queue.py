"""The deck: recordings as they are given out, the n-th of a request to its n-th occurrence."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

from mockserver.exchanges import Exchange, decode_content
from mockserver.recordings.canonical_requests import CanonicalRequest, canonicalize_request
from mockserver.wire import json

__all__ = ["PlaybackQueue", "reply_body", "request_of"]

#: Differences of the nearest recording that are told.
_MAX_SHOWN_DIFFERENCES = 5
#: Differences that are counted.
_MAX_DISTANCE = 100


def request_of(exchange: Exchange, masks: Iterable[str] = ()) -> CanonicalRequest:
    """The request of a recording."""
    recorded = exchange.recorded
    if exchange.request is not None:
        body = json.dumps(dict(exchange.request))
    else:
        body = (recorded.body or b"") if recorded else b""
    method, path = (recorded.method, recorded.path) if recorded else ("POST", "/responses")
    return canonicalize_request(method, path, body, masks)[0]


class PlaybackQueue:
    """Recordings by their requests, and how many of each were given."""

    def __init__(self, exchanges: Iterable[Exchange], *, once: bool = False) -> None:
        """`once`: each is given once; else the last of a request is given to all that come after it."""
        self._once = once
        self._lock = threading.Lock()
        self.recordings: list[Exchange] = []
        self._masks: tuple[str, ...] = ()
        self._by_request: dict[bytes, list[Exchange]] = {}
        self._named_requests: list[tuple[str, CanonicalRequest]] = []
        """The names of the recordings, with their requests; files of several tests may share names."""
        self._play_counts: dict[bytes, int] = {}
        exchanges = tuple(exchanges)
        for exchange in exchanges:
            if exchange.recorded is not None:
                self._masks = tuple(dict.fromkeys((*self._masks, *exchange.recorded.masked)))
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: Exchange) -> None:
        """One more recording, the last of its request."""
        request = request_of(exchange, self._masks)
        self.recordings.append(exchange)
        self._named_requests.append((exchange.name, request))
        self._by_request.setdefault(request.digest, []).append(exchange)

    def canonicalize(self, method: str, path: str, body: bytes) -> CanonicalRequest:
        """A request as the deck knows requests."""
        return canonicalize_request(method, path, body, self._masks)[0]

    def take(self, request: CanonicalRequest) -> Exchange | None:
        """The recording for a request; None where there is none, or none is left."""
        with self._lock:
            known = self._by_request.get(request.digest, [])
            given = self._play_counts.get(request.digest, 0)
            if not known or (self._once and given >= len(known)):
                return None
            self._play_counts[request.digest] = given + 1
            return known[min(given, len(known) - 1)]

    @property
    def unplayed(self) -> list[Exchange]:
        """The recordings that nobody asked for, in the order in which they were taken."""
        left = {
            id(each)
            for digest, known in self._by_request.items()
            for each in known[self._play_counts.get(digest, 0) :]
        }
        return [each for each in self.recordings if id(each) in left]

    def reset(self) -> None:
        """Give everything out anew."""
        with self._lock:
            self._play_counts.clear()

    def explain_miss(self, request: CanonicalRequest) -> str:
        """Why there is no recording for a request: the nearest, and what about it is otherwise."""
        known = self._by_request.get(request.digest)
        if known:
            times = "once" if len(known) == 1 else f"{len(known)} times"
            return f"This request was recorded {times}, and comes once more."
        nearest = min(
            self._named_requests,
            key=lambda each: _distance(each[1], request),
            default=None,
        )
        if nearest is None:
            return "There are no recordings."
        name, recorded = nearest
        told = "; ".join(islice(recorded.differences(request), _MAX_SHOWN_DIFFERENCES))
        return f"There is no recording of this request. The nearest is {name}: {told}."


def _distance(recorded: CanonicalRequest, request: CanonicalRequest) -> int:
    """How much is otherwise; what was asked elsewhere is farther than anything asked here."""
    if (recorded.method, recorded.path) != (request.method, request.path):
        return _MAX_DISTANCE
    return sum(1 for _ in islice(recorded.differences(request), _MAX_DISTANCE - 1))


def reply_body(exchange: Exchange) -> bytes:
    """The body of a recording's answer."""
    return b"".join(decode_content(chunk) for chunk in exchange.reply["http"]["chunks"])
