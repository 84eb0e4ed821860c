"""Compare two sets of recordings request by request."""

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
    """What changed between two sets of recordings; requests of only one side are reported, not compared."""
    return changes_in_pairs(pair_recordings(before, after))


def changes_in_pairs(pairs: Iterable[Pair]) -> list[Change]:
    """What changed within pairs of recordings."""
    changes: list[Change] = []
    summaries: list[tuple[StructuralSummary, StructuralSummary]] = []
    for old, new in pairs:
        if old is not None and new is not None:
            before, after = summarize_recording(old), summarize_recording(new)
            summaries.append((before, after))
            changes += [replace(each, shown_by=(old.name,)) for each in reply_changes(before, after)]
        elif old is not None:
            changes.append(
                replace(new_change("recording-removed", _request_label(old)), shown_by=(old.name,))
            )
        elif new is not None:
            changes.append(replace(new_change("recording-added", _request_label(new)), shown_by=(new.name,)))
    return merge_changes(without_chance_changes(changes, summaries))


def without_chance_changes(
    changes: Iterable[Change], summaries: Sequence[tuple[StructuralSummary, StructuralSummary]]
) -> Iterator[Change]:
    """Drop changes of types that another reply of the other side has as well: the model's choice, not drift."""
    before = {kind for was, _ in summaries for kind in (*was.item_types, *was.part_types, *was.event_types)}
    after = {kind for _, now in summaries for kind in (*now.item_types, *now.part_types, *now.event_types)}
    for each in changes:
        removed = each.kind in ("item-removed", "part-removed", "event-removed") and each.location in after
        added = each.kind in ("item-added", "part-added", "event-added") and each.location in before
        if not removed and not added:
            yield each


def pair_recordings(before: Iterable[Exchange], after: Iterable[Exchange]) -> list[Pair]:
    """Pair the n-th recording of a request with the n-th recording of the same request on the other side."""
    unpaired: dict[bytes, list[Exchange]] = {}
    for each in after:
        unpaired.setdefault(request_of(each).digest, []).append(each)
    pairs: list[Pair] = []
    for each in before:
        same = unpaired.get(request_of(each).digest)
        pairs.append((each, same.pop(0) if same else None))
    return pairs + [(None, each) for same in unpaired.values() for each in same]


def pair_recordings_in_order(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Pair]:
    """Pair recordings of equal requests, then the others in the order of recording.

    A request that names an id of an earlier reply differs from run to run.
    """
    pairs = pair_recordings(before, after)
    old = [one for one, other in pairs if other is None]
    new = [other for one, other in pairs if one is None]
    return [each for each in pairs if None not in each] + [*zip_longest(old, new)]


def summarize_recording(exchange: Exchange) -> StructuralSummary:
    """The structural summary of a recorded reply."""
    return summarize(recorded_reply(exchange), recording_profile(exchange))


def recording_profile(exchange: Exchange) -> Profile:
    """The profile that a recording is checked against: its own if it is known, otherwise the default."""
    try:
        return load_profile(exchange.profile) if exchange.profile else load_profile()
    except UnknownProfile:
        return load_profile()


def recorded_reply(exchange: Exchange) -> ComparedReply:
    """The reply of a recording."""
    http, request = exchange.reply["http"], request_of(exchange)
    headers = {name.lower(): value for name, value in http.get("headers", {}).items()}
    end = exchange.recorded.end if exchange.recorded else "complete"
    return ComparedReply(
        request.method, request.path, request.value, http["status"], headers, reply_body(exchange), end
    )


def _request_label(exchange: Exchange) -> str:
    request = request_of(exchange)
    prompt = f" {request.prompt[:60]!r}" if request.prompt else ""
    return f"{request.method} {request.path}{prompt}"
