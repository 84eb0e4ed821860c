"""Two folders of recordings, compared request by request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from mockserver.errors import UnknownProfile
from mockserver.exchanges import Exchange
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.recordings.diff.replies import reply_changes
from mockserver.recordings.diff.structural_summary import ComparedReply, StructuralSummary, summarize
from mockserver.recordings.playback_queue import reply_body, request_of

__all__ = [
    "changes_in_pairs",
    "pair_recordings",
    "pair_recordings_in_order",
    "recorded_reply",
    "recording_changes",
    "recording_profile",
    "summarize_recording",
    "without_chance_changes",
]

Pair = tuple[Exchange | None, Exchange | None]


def recording_changes(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Change]:
    """What changed between two folders; requests that only one of them has are told, and not compared."""
    return changes_in_pairs(pair_recordings(before, after))


def changes_in_pairs(pairs: Iterable[Pair]) -> list[Change]:
    """What changed within pairs of recordings."""
    found: list[Change] = []
    seen: list[tuple[StructuralSummary, StructuralSummary]] = []
    for old, new in pairs:
        if old is not None and new is not None:
            was, now = summarize_recording(old), summarize_recording(new)
            seen.append((was, now))
            found += [replace(each, shown_by=(old.name,)) for each in reply_changes(was, now)]
        elif old is not None:
            found.append(replace(new_change("recording-removed", _request_label(old)), shown_by=(old.name,)))
        elif new is not None:
            found.append(replace(new_change("recording-added", _request_label(new)), shown_by=(new.name,)))
    return merge_changes(without_chance_changes(found, seen))


def without_chance_changes(
    changes: Iterable[Change], summaries: Sequence[tuple[StructuralSummary, StructuralSummary]]
) -> Iterator[Change]:
    """The changes, without kinds that one answer lacks and another one of the same side has."""
    before = {kind for was, _ in summaries for kind in (*was.item_types, *was.part_types, *was.event_types)}
    after = {kind for _, now in summaries for kind in (*now.item_types, *now.part_types, *now.event_types)}
    for each in changes:
        gone = each.kind in ("item-removed", "part-removed", "event-removed") and each.location in after
        come = each.kind in ("item-added", "part-added", "event-added") and each.location in before
        if not gone and not come:
            yield each


def pair_recordings(before: Iterable[Exchange], after: Iterable[Exchange]) -> list[Pair]:
    """The n-th recording of a request with the n-th of the same on the other side."""
    left: dict[bytes, list[Exchange]] = {}
    for each in after:
        left.setdefault(request_of(each).digest, []).append(each)
    found: list[Pair] = []
    for each in before:
        same = left.get(request_of(each).digest)
        found.append((each, same.pop(0) if same else None))
    return found + [(None, each) for same in left.values() for each in same]


def pair_recordings_in_order(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Pair]:
    """Recordings of the same requests, then what is left, in the order in which it came.

    A request that names what an answer before it named is another in each run.
    """
    found = pair_recordings(before, after)
    old = [one for one, other in found if other is None]
    new = [other for one, other in found if one is None]
    return [each for each in found if None not in each] + [*zip_longest(old, new)]


def summarize_recording(exchange: Exchange) -> StructuralSummary:
    """The picture of a recording."""
    return summarize(recorded_reply(exchange), recording_profile(exchange))


def recording_profile(exchange: Exchange) -> Profile:
    """The profile that a recording is judged by: its own, where there is such a one."""
    try:
        return load_profile(exchange.profile) if exchange.profile else load_profile()
    except UnknownProfile:
        return load_profile()


def recorded_reply(exchange: Exchange) -> ComparedReply:
    """A recording's answer."""
    http, request = exchange.reply["http"], request_of(exchange)
    headers = {name.lower(): value for name, value in http.get("headers", {}).items()}
    end = exchange.recorded.end if exchange.recorded else "complete"
    return ComparedReply(
        request.method, request.path, request.value, http["status"], headers, reply_body(exchange), end
    )


def _request_label(exchange: Exchange) -> str:
    request = request_of(exchange)
    about = f" {request.prompt[:60]!r}" if request.prompt else ""
    return f"{request.method} {request.path}{about}"
