"""Re-verification: send recorded requests to an endpoint again and compare the new replies with the old.

Later requests are sent with the ids of the new replies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mockserver.exchanges import Exchange
from mockserver.live.budgeted_client import BudgetedClient, BudgetExceeded, RateLimited
from mockserver.live.client import Interaction, LiveRequest, ReplyEnd
from mockserver.live.endpoint import stays_below_base_path
from mockserver.profiles import Profile
from mockserver.recordings.canonical_requests import CanonicalRequest
from mockserver.recordings.diff.changes import Change, merge_changes, new_change
from mockserver.recordings.diff.recordings import recorded_reply, without_chance_changes
from mockserver.recordings.diff.replies import reply_changes
from mockserver.recordings.diff.structural_summary import ComparedReply, StructuralSummary, summarize
from mockserver.recordings.id_translation import IdTranslation, final_object
from mockserver.recordings.playback_queue import request_of
from mockserver.wire import json
from mockserver.wire.redaction import MASK, REDACTED

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
    ids = IdTranslation()
    for exchange in exchanges:
        request = request_of(exchange)
        skip_reason = _skip_reason(request, ids)
        if skip_reason:
            yield ReverificationResult(exchange, skip_reason)
            ids.forget(recorded_reply(exchange))
            continue
        try:
            interaction = client.send(_build_request(exchange, request, ids), lambda _: None)
        except (BudgetExceeded, RateLimited) as error:
            yield ReverificationResult(exchange, str(error), is_cut_off=True)
            ids.forget(recorded_reply(exchange))
            continue
        yield _compare(exchange, interaction, profile)
        ids.learn(recorded_reply(exchange), _live_reply(interaction))


def reverification_changes(results: Sequence[ReverificationResult]) -> list[Change]:
    """All changes, merged."""
    summaries = [
        (each.before, each.after) for each in results if each.before is not None and each.after is not None
    ]
    changes = [replace(one, shown_by=(each.exchange.name,)) for each in results for one in each.changes]
    return merge_changes(without_chance_changes(changes, summaries))


def expected_tokens(exchange: Exchange) -> int:
    """Expected cost of a request in tokens: what it cost when it was recorded."""
    usage = final_object(recorded_reply(exchange)).get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total >= 0 else _DEFAULT_TOKENS


def _skip_reason(request: CanonicalRequest, ids: IdTranslation) -> str:
    """Why a request cannot be sent; empty if it can."""
    if not stays_below_base_path(request.path):
        return "its path could leave the base path"
    text = f"{request.path} {json.dumps(request.value).decode()}"
    if MASK in text or REDACTED in text:
        return "part of the recorded request is masked"
    if ids.has_gap(text):
        return "it continues a response or call that does not exist this time"
    return ""


def _build_request(exchange: Exchange, request: CanonicalRequest, ids: IdTranslation) -> LiveRequest:
    value = ids.translate(request.value)
    body = value.encode() if isinstance(value, str) else value
    headers = {
        name: each
        for name, each in (exchange.recorded.headers if exchange.recorded else {}).items()
        if name.startswith("x-dashscope-") or name == "content-type"
    }
    return LiveRequest(
        body,
        request.method,
        ids.translate_path(request.path),
        headers=headers,
        expected_tokens=expected_tokens(exchange),
    )


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
