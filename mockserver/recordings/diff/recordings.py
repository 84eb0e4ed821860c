"""Compare two sets of recordings request by request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest
from typing import Any

from mockserver.errors import UnknownProfile
from mockserver.exchanges import Exchange
from mockserver.profiles import Profile, load_profile
from mockserver.recordings.canonical_requests import CanonicalRequest, canonicalize_request
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.recordings.diff.replies import reply_changes
from mockserver.recordings.diff.structural_summary import ComparedReply, StructuralSummary, summarize
from mockserver.recordings.id_translation import IdTranslation, reply_ids
from mockserver.recordings.playback_queue import reply_body, request_of
from mockserver.wire import json

__all__ = [
    "changes_in_pairs",
    "pair_recordings",
    "pair_recordings_in_order",
    "recorded_reply",
    "recording_profile",
    "summarize_recording",
    "without_chance_changes",
]

Pair = tuple[Exchange | None, Exchange | None]

#: Members of a request that name what it continues.
_PARENT_MEMBERS = frozenset({"previous_response_id", "conversation"})
#: Stands for the id of a response or conversation that was not recorded.
_UNKNOWN_ID = "[unknown id]"
#: Stands for input items that the model wrote or caused.
_OUTPUT = "[output]"


def changes_in_pairs(pairs: Iterable[Pair]) -> list[Change]:
    """What changed within pairs of recordings; one that only one side has is reported, not compared."""
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
    """Drop changes of types that some other reply of the other side has: the model's choice, not drift."""
    before = {kind for was, _ in summaries for kind in (*was.item_types, *was.part_types, *was.event_types)}
    after = {kind for _, now in summaries for kind in (*now.item_types, *now.part_types, *now.event_types)}
    for each in changes:
        removed = each.kind in ("item-removed", "part-removed", "event-removed") and each.location in after
        added = each.kind in ("item-added", "part-added", "event-added") and each.location in before
        if not removed and not added:
            yield each


def pair_recordings(before: Iterable[Exchange], after: Iterable[Exchange]) -> list[Pair]:
    """Pair the n-th recording of a request with the n-th recording of the same request in the other run.

    The ids in a request are those of its own run: they are translated, reply by reply. Requests are also the
    same if they differ only in what the model wrote or caused before (earlier output in the input, outputs of
    tools): then they have the same position in their conversation. Both runs are in the order of recording.
    """
    before, after = tuple(before), tuple(after)
    ids, issued, issued_after = IdTranslation(), _issued_ids(before), _issued_ids(after)
    unpaired: dict[bytes, list[Exchange]] = {}
    for each in after:
        position = _position(request_of(each), IdTranslation(), issued_after)
        unpaired.setdefault(position, []).append(each)
    pairs: list[Pair] = []
    for old in before:
        request = request_of(old)
        candidates = unpaired.get(_position(request, ids, issued), [])
        new = _closest(ids.translate(request.value), candidates)
        if new is None:
            ids.forget(recorded_reply(old))
        else:
            candidates.remove(new)
            ids.learn(recorded_reply(old), recorded_reply(new))
        pairs.append((old, new))
    return pairs + [(None, each) for rest in unpaired.values() for each in rest]


def _issued_ids(exchanges: Iterable[Exchange]) -> frozenset[str]:
    return frozenset(each for exchange in exchanges for each in reply_ids(recorded_reply(exchange)))


def _closest(value: Any, candidates: Sequence[Exchange]) -> Exchange | None:
    equal = (each for each in candidates if request_of(each).value == value)
    return next(equal, candidates[0] if candidates else None)


def _position(request: CanonicalRequest, ids: IdTranslation, issued: frozenset[str]) -> bytes:
    """A digest that is equal for the same turn of the same conversation in two runs."""
    value = request.value
    if isinstance(value, dict):
        value = {
            name: _UNKNOWN_ID if name in _PARENT_MEMBERS and not _is_issued(each, issued) else each
            for name, each in value.items()
        }
        if isinstance(value.get("input"), list):
            value["input"] = [
                each
                for is_input, items in groupby(value["input"], key=_is_input)
                for each in (items if is_input else [_OUTPUT])
            ]
    value = ids.translate(value)
    body = value.encode() if isinstance(value, str) else b"" if value is None else json.dumps(value)
    return canonicalize_request(request.method, ids.translate_path(request.path), body)[0].digest


def _is_issued(parent: Any, issued: frozenset[str]) -> bool:
    """Whether a recorded reply of the same run issued this parent; null and other values count as issued."""
    parent_id = parent.get("id") if isinstance(parent, dict) else parent
    return not isinstance(parent_id, str) or parent_id in issued


def _is_input(item: Any) -> bool:
    """Whether the user wrote an input item; otherwise the model did, or one of its calls led to it."""
    if not isinstance(item, dict):
        return True
    item_type = str(item.get("type", "message"))
    is_output = item_type == "reasoning" or item_type.endswith(("_call", "_call_output"))
    return not is_output and item.get("role") != "assistant"


def pair_recordings_in_order(before: Sequence[Exchange], after: Sequence[Exchange]) -> list[Pair]:
    """Pair recordings of the same requests, then the others in the order of recording."""
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
