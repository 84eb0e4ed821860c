"""Re-verification: send recorded requests to an endpoint again and compare the replies with the recorded ones.

A later request may name ids of an earlier reply (a response, a call). The endpoint no longer knows these ids,
so they are replaced by those of the new reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mockserver.exchanges import Exchange
from mockserver.live.budgeted_client import BudgetedClient, BudgetExceeded, RateLimited
from mockserver.live.client import Interaction, LiveRequest, ReplyEnd
from mockserver.profiles import Profile
from mockserver.recordings.canonical_requests import MASK, CanonicalRequest
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.recordings.diff.recordings import recorded_reply, without_chance_changes
from mockserver.recordings.diff.replies import reply_changes
from mockserver.recordings.diff.structural_summary import ComparedReply, StructuralSummary, summarize
from mockserver.recordings.playback_queue import request_of
from mockserver.wire import json
from mockserver.wire.redaction import REDACTED

__all__ = ["ReverificationResult", "expected_tokens", "reverification_changes", "reverify"]

#: Expected cost of a request whose recording has no usage, in tokens.
_DEFAULT_TOKENS = 500


@dataclass(frozen=True, slots=True)
class ReverificationResult:
    """The result of sending one recorded request again."""

    exchange: Exchange
    skip_reason: str = ""
    """Why it was not sent; empty if it was."""
    is_cut_off: bool = False
    """Whether the budget or the rate limit is the reason."""
    before: StructuralSummary | None = None
    after: StructuralSummary | None = None
    changes: tuple[Change, ...] = ()


def reverify(
    exchanges: Sequence[Exchange], client: BudgetedClient, profile: Profile
) -> Iterator[ReverificationResult]:
    """Send the requests in the order of recording and compare the replies.

    Requests beyond the budget are skipped with a reason. Raises EndpointUnreachable.
    """
    names: dict[str, str | None] = {}
    for exchange in exchanges:
        request = request_of(exchange)
        skip_reason = _skip_reason(request, names)
        if skip_reason:
            yield ReverificationResult(exchange, skip_reason)
            _forget_ids(recorded_reply(exchange), names)
            continue
        try:
            interaction = client.send(_build_request(exchange, request, names), lambda _: None)
        except (BudgetExceeded, RateLimited) as error:
            yield ReverificationResult(exchange, str(error), is_cut_off=True)
            _forget_ids(recorded_reply(exchange), names)
            continue
        yield _compare(exchange, interaction, profile)
        names |= _id_replacements(recorded_reply(exchange), _live_reply(interaction))


def reverification_changes(results: Sequence[ReverificationResult]) -> list[Change]:
    """All changes, merged."""
    summaries = [
        (each.before, each.after) for each in results if each.before is not None and each.after is not None
    ]
    changes = [replace(one, shown_by=(each.exchange.name,)) for each in results for one in each.changes]
    return merge_changes(without_chance_changes(changes, summaries))


def expected_tokens(exchange: Exchange) -> int:
    """Expected cost of a request in tokens: what it cost when it was recorded."""
    response = _final_object(recorded_reply(exchange))
    usage = response.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total >= 0 else _DEFAULT_TOKENS


def _skip_reason(request: CanonicalRequest, ids: Mapping[str, str | None]) -> str:
    """Why a request cannot be sent; empty if it can."""
    text = f"{request.path} {json.dumps(request.value).decode()}"
    if MASK in text or REDACTED in text:
        return "part of the recorded request is masked"
    if any(name in text and new is None for name, new in ids.items()):
        return "it continues a response or call that does not exist this time"
    return ""


def _forget_ids(reply: ComparedReply, ids: dict[str, str | None]) -> None:
    ids |= dict.fromkeys(_reply_ids(reply))


def _build_request(
    exchange: Exchange, request: CanonicalRequest, ids: Mapping[str, str | None]
) -> LiveRequest:
    known = {old: new for old, new in ids.items() if new is not None}
    value = _replace_ids(request.value, known)
    path = request.path
    for old, new in known.items():
        path = path.replace(old, new)
    body = value.encode() if isinstance(value, str) else value
    headers = {
        name: each
        for name, each in (exchange.recorded.headers if exchange.recorded else {}).items()
        if name.startswith("x-dashscope-") or name == "content-type"
    }
    return LiveRequest(body, request.method, path, headers=headers, expected_tokens=expected_tokens(exchange))


def _replace_ids(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, list):
        return [_replace_ids(each, ids) for each in value]
    if isinstance(value, dict):
        return {name: _replace_ids(each, ids) for name, each in value.items()}
    return value


def _compare(exchange: Exchange, interaction: Interaction, profile: Profile) -> ReverificationResult:
    before = summarize(recorded_reply(exchange), profile)
    if interaction.status is None:
        change = new_change("end-changed", "reply", before.end, interaction.detail or interaction.end.value)
        return ReverificationResult(exchange, changes=(change,))
    after = summarize(_live_reply(interaction), profile)
    return ReverificationResult(
        exchange, before=before, after=after, changes=tuple(reply_changes(before, after))
    )


def _live_reply(interaction: Interaction) -> ComparedReply:
    end = "complete" if interaction.end is ReplyEnd.COMPLETE else "cut"
    request = interaction.request
    return ComparedReply(
        request.method,
        request.path,
        request.body,
        interaction.status or 0,
        interaction.headers,
        interaction.body,
        end,
    )


def _id_replacements(before: ComparedReply, after: ComparedReply) -> dict[str, str | None]:
    """Ids of the old reply by the ids of the new reply in their place; None if there is none."""
    old, new = _final_object(before), _final_object(after)
    names: dict[str, str | None] = dict.fromkeys(_reply_ids(before))
    if isinstance(old.get("id"), str) and isinstance(new.get("id"), str):
        names[old["id"]] = new["id"]
    items = [*_output_items(new)]
    for item in _output_items(old):
        same = next((each for each in items if _item_key(each) == _item_key(item)), None)
        if same is None:
            continue
        items.remove(same)
        for member in ("id", "call_id"):
            if isinstance(item.get(member), str) and isinstance(same.get(member), str):
                names[item[member]] = same[member]
    return names


def _item_key(item: Mapping[str, Any]) -> tuple[Any, Any]:
    return item.get("type"), item.get("name") if item.get("type") == "function_call" else None


def _reply_ids(reply: ComparedReply) -> Iterator[str]:
    response = _final_object(reply)
    for holder in (response, *_output_items(response)):
        yield from (
            holder[name] for name in ("id", "call_id") if isinstance(holder.get(name), str) and holder[name]
        )


def _output_items(response: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    output = response.get("output", response.get("data"))
    yield from (each for each in output if isinstance(each, dict)) if isinstance(output, list) else ()


def _final_object(reply: ComparedReply) -> Mapping[str, Any]:
    """The final object of a reply, streamed or not."""
    if isinstance(reply.value, dict):
        return reply.value
    for event in reversed(reply.events):
        if isinstance(event.get("response"), dict):
            found: dict[str, Any] = event["response"]
            return found
    return {}
