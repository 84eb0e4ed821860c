"""Plans of chat requests: what their bytes decide, together with the settings of the session."""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.ids import format_call_id
from mockserver.replies.markers import ReplyTemplate, SlotValues, StreamTemplate
from mockserver.server.delivery.options import Delivery
from mockserver.server.engine.template_values import ReplySeed
from mockserver.server.state.journal import EntryDetails
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.server.stubs.stubs import Stub

__all__ = ["ChatReplyPlan", "ChatRequestPlan"]


class ChatReplyPlan(NamedTuple):
    """A reply without its ids and times."""

    template: ReplyTemplate | StreamTemplate
    token_slots: SlotValues
    calls: tuple[int, ...]
    """Indices of the items that are calls without an id of their own."""
    output_tokens: int
    """The tokens that count against the rate limits."""
    details: EntryDetails
    delivery: Delivery
    fault_name: str
    """The fault in the content, if it is invalid on purpose."""

    def draw_call_ids(self, reply_seed: ReplySeed) -> list[str]:
        """The ids of the calls."""
        digits = reply_seed.item_digits(self.calls[-1] + 1)
        return [format_call_id(digits[at]) for at in self.calls]


class ChatRequestPlan:
    """A valid request, read and checked, and its reply if nothing else decides it."""

    __slots__ = ("body", "details", "digest", "incoming", "reply", "responses_digest", "stub")

    def __init__(
        self,
        body: dict[str, Any],
        incoming: IncomingRequest,
        digest: bytes,
        responses_digest: bytes,
        details: EntryDetails,
    ) -> None:
        self.body = body
        self.incoming = incoming
        """Its Responses form, without headers and without the reply to the turn before."""
        self.digest = digest
        """Digest of the request, with its path."""
        self.responses_digest = responses_digest
        """Digest of its Responses form, at the service's own path."""
        self.details = details
        """What the journal says about the request."""
        self.reply: ChatReplyPlan | None = None
        """None: each reply is planned anew."""
        self.stub: Stub | None = None
        """The stub that gives this reply, to be counted; None: no stub does."""
