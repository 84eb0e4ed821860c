"""Two folders of recordings, compared request by request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from mockserver.errors import UnknownProfile
from mockserver.exchanges import Exchange
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.deck import asked_by, body_of
from mockserver.recordings.diff.answers import answer_changes
from mockserver.recordings.diff.changes import Change, change, merged
from mockserver.recordings.diff.pictures import Answer, Picture, picture

__all__ = [
    "answer_of",
    "by_chance",
    "compared",
    "pair_changes",
    "pairs",
    "pairs_in_order",
    "profile_of",
    "recording_changes",
]

Pair = tuple[Exchange | None, Exchange | None]


def recording_changes(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Change]:
    """What changed between two folders; requests that only one of them has are told, and not compared."""
    return pair_changes(pairs(before, after))


def pair_changes(paired: Iterable[Pair]) -> list[Change]:
    """What changed within pairs of recordings."""
    found: list[Change] = []
    seen: list[tuple[Picture, Picture]] = []
    for old, new in paired:
        if old is not None and new is not None:
            was, now = compared(old), compared(new)
            seen.append((was, now))
            found += [replace(each, shown_by=(old.name,)) for each in answer_changes(was, now)]
        elif old is not None:
            found.append(replace(change("recording-removed", _told(old)), shown_by=(old.name,)))
        elif new is not None:
            found.append(replace(change("recording-added", _told(new)), shown_by=(new.name,)))
    return merged(by_chance(found, seen))


def by_chance(found: Iterable[Change], seen: Sequence[tuple[Picture, Picture]]) -> Iterator[Change]:
    """The changes, without kinds that one answer lacks and another one of the same side has."""
    before = {kind for was, _ in seen for kind in (*was.items, *was.parts, *was.events)}
    after = {kind for _, now in seen for kind in (*now.items, *now.parts, *now.events)}
    for each in found:
        gone = each.kind in ("item-removed", "part-removed", "event-removed") and each.place in after
        come = each.kind in ("item-added", "part-added", "event-added") and each.place in before
        if not gone and not come:
            yield each


def pairs(before: Iterable[Exchange], after: Iterable[Exchange]) -> list[Pair]:
    """The n-th recording of a request with the n-th of the same on the other side."""
    left: dict[bytes, list[Exchange]] = {}
    for each in after:
        left.setdefault(asked_by(each).digest, []).append(each)
    found: list[Pair] = []
    for each in before:
        same = left.get(asked_by(each).digest)
        found.append((each, same.pop(0) if same else None))
    return found + [(None, each) for same in left.values() for each in same]


def pairs_in_order(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Pair]:
    """Recordings of the same requests, then what is left, in the order in which it came.

    A request that names what an answer before it named is another in each run.
    """
    found = pairs(before, after)
    old = [one for one, other in found if other is None]
    new = [other for one, other in found if one is None]
    return [each for each in found if None not in each] + [*zip_longest(old, new)]


def compared(exchange: Exchange) -> Picture:
    """The picture of a recording."""
    return picture(answer_of(exchange), profile_of(exchange))


def profile_of(exchange: Exchange) -> Profile:
    """The profile that a recording is judged by: its own, where there is such a one."""
    try:
        return load_profile(exchange.profile) if exchange.profile else load_profile()
    except UnknownProfile:
        return load_profile()


def answer_of(exchange: Exchange) -> Answer:
    """A recording's answer."""
    http, request = exchange.reply["http"], asked_by(exchange)
    headers = {name.lower(): value for name, value in http.get("headers", {}).items()}
    end = exchange.recorded.end if exchange.recorded else "complete"
    return Answer(
        request.method, request.path, request.value, http["status"], headers, body_of(exchange), end
    )


def _told(exchange: Exchange) -> str:
    request = asked_by(exchange)
    about = f" {request.prompt[:60]!r}" if request.prompt else ""
    return f"{request.method} {request.path}{about}"
