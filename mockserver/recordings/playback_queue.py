"""The playback queue: which recording answers a request, the n-th recording for its n-th occurrence."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

from mockserver.exchanges import Exchange, decode_content
from mockserver.recordings.canonical_requests import CanonicalRequest, canonicalize_request
from mockserver.wire import json
from mockserver.wire.masks import NO_MASKS, Masks, parse_masks

__all__ = ["PlaybackQueue", "reply_body", "request_of"]

#: Number of differences to the nearest recording that a message lists.
_MAX_SHOWN_DIFFERENCES = 5
#: Number of differences at which counting stops.
_MAX_DISTANCE = 100


def request_of(exchange: Exchange, masks: Masks = NO_MASKS) -> CanonicalRequest:
    """The request of a recording."""
    recorded = exchange.recorded
    if exchange.request is not None:
        body = json.dumps(dict(exchange.request))
    else:
        body = (recorded.body or b"") if recorded else b""
    method, path = (recorded.method, recorded.path) if recorded else ("POST", "/responses")
    return canonicalize_request(method, path, body, masks)[0]


class PlaybackQueue:
    """Recordings by request, and how many of each were played."""

    def __init__(self, exchanges: Iterable[Exchange], *, once: bool = False, masks: Masks = NO_MASKS) -> None:
        """`once`: play each recording once; otherwise the last recording of a request repeats.

        `masks` apply to the requests in addition to those of the recordings.
        """
        self._once = once
        self._lock = threading.Lock()
        self.recordings: list[Exchange] = []
        self._by_request: dict[bytes, list[Exchange]] = {}
        self._named_requests: list[tuple[str, CanonicalRequest]] = []
        """(name, request) of each recording; recordings in different files may share a name."""
        self._play_counts: dict[bytes, int] = {}
        exchanges = tuple(exchanges)
        recorded = [each.recorded.masked for each in exchanges if each.recorded is not None]
        self._masks = parse_masks(dict.fromkeys(option for options in recorded for option in options)).union(
            masks
        )
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: Exchange) -> None:
        """Add a recording behind the others of its request."""
        request = request_of(exchange, self._masks)
        self.recordings.append(exchange)
        self._named_requests.append((exchange.name, request))
        self._by_request.setdefault(request.digest, []).append(exchange)

    def canonicalize(self, method: str, path: str, body: bytes) -> CanonicalRequest:
        """The canonical form of a request, with the masks of these recordings."""
        return canonicalize_request(method, path, body, self._masks)[0]

    def take(self, request: CanonicalRequest) -> Exchange | None:
        """The next recording for a request; None if there is none, or none is left."""
        with self._lock:
            recordings = self._by_request.get(request.digest, [])
            play_count = self._play_counts.get(request.digest, 0)
            if not recordings or (self._once and play_count >= len(recordings)):
                return None
            self._play_counts[request.digest] = play_count + 1
            return recordings[min(play_count, len(recordings) - 1)]

    @property
    def unplayed(self) -> list[Exchange]:
        """The recordings that were not played, in the order of recording."""
        unplayed = {
            id(each)
            for digest, recordings in self._by_request.items()
            for each in recordings[self._play_counts.get(digest, 0) :]
        }
        return [each for each in self.recordings if id(each) in unplayed]

    def reset(self) -> None:
        """Start again with the first recording of every request."""
        with self._lock:
            self._play_counts.clear()

    def explain_miss(self, request: CanonicalRequest) -> str:
        """Why there is no recording for a request: names the nearest recording and its differences."""
        recordings = self._by_request.get(request.digest)
        if recordings:
            times = "once" if len(recordings) == 1 else f"{len(recordings)} times"
            return f"This request was recorded {times} and was sent once more."
        nearest = min(
            self._named_requests,
            key=lambda each: _distance(each[1], request),
            default=None,
        )
        if nearest is None:
            return "There are no recordings."
        name, recorded = nearest
        differences = "; ".join(islice(recorded.differences(request), _MAX_SHOWN_DIFFERENCES))
        return f"There is no recording of this request. The nearest is {name}: {differences}."


def _distance(recorded: CanonicalRequest, request: CanonicalRequest) -> int:
    """Number of differences; a request with another method or path is the farthest."""
    if (recorded.method, recorded.path) != (request.method, request.path):
        return _MAX_DISTANCE
    return sum(1 for _ in islice(recorded.differences(request), _MAX_DISTANCE - 1))


def reply_body(exchange: Exchange) -> bytes:
    """The body of a recorded reply."""
    return b"".join(decode_content(chunk) for chunk in exchange.reply["http"]["chunks"])
