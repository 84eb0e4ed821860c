"""Plans: what the bytes of a request decide, together with the settings of its session.

`pipeline` adds what each reply has of its own: ids, times and counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mockserver.contract.bodies.call_outputs import Turn
from mockserver.contract.findings import Finding
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import load_profile
from mockserver.replies.markers import ReplyTemplate, SharedStreamTemplate, SlotValues, StreamTemplate
from mockserver.replies.renderings import Rendering
from mockserver.replies.script import Script
from mockserver.replies.templates import (
    TemplateShape,
    can_share_stream,
    can_share_template,
    compile_chunked,
    compile_generated_reply,
    compile_reply,
    compile_stream,
    text_slots,
)
from mockserver.replies.usage import stated_or_estimated_tokens
from mockserver.server.delivery.options import Delivery
from mockserver.server.engine.template_values import ItemIds, build_item_ids
from mockserver.server.request_facts import RequestFacts
from mockserver.server.state.conversation_context import SessionCache
from mockserver.server.state.journal import EntryDetails
from mockserver.server.stubs.exchange_replies import ScriptCache
from mockserver.server.stubs.stubs import Stub
from mockserver.wire import json

__all__ = [
    "MAX_KEPT_SCRIPT_BYTES",
    "CompiledScript",
    "ReplyPlan",
    "RequestPlan",
    "compile_kept_script",
    "compile_script",
]


class CompiledScript(NamedTuple):
    """What the replies with a script have in common; the members are those of `ReplyPlan`."""

    template: StreamTemplate | SharedStreamTemplate | ReplyTemplate
    stored_template: ReplyTemplate | None
    text_slots: SlotValues
    item_ids: ItemIds
    output_tokens: int


#: Bytes of a script whose compiled form is kept for other replies.
MAX_KEPT_SCRIPT_BYTES = 16 << 10


#: Models and settings of a session for which a script keeps what is compiled of it.
_MAX_KEPT_FORMS = 8


@lru_cache(maxsize=1024)
def compile_script(
    script: Script,
    profile: str,
    rendering: str,
    model: str,
    shape: TemplateShape,
    stream: bool,
    shares_template: bool,
) -> CompiledScript:
    """The compiled script; the 1,024 most recently used stay in a cache.

    `shares_template`: its texts are not part of the template, which other scripts can share then.
    """
    compile_body = compile_generated_reply if shares_template else compile_reply
    stored = (
        None if rendering == "wire" and not stream else compile_body(script, profile, "wire", model, shape)
    )
    compile_template = compile_stream if stream else compile_body
    return CompiledScript(
        compile_template(script, profile, rendering, model, shape),
        stored,
        text_slots(script) if shares_template else (),
        build_item_ids(script, load_profile(profile)),
        stated_or_estimated_tokens(script)[0],
    )


def compile_kept_script(
    kept: ScriptCache,
    script: Script,
    form: tuple[str, str, str, TemplateShape],
    *,
    stream: bool,
) -> CompiledScript | None:
    """Like `compile_script`, with the script's own cache; None: it is too large, or shares no template.

    `form`: profile, rendering, model and shape.
    """
    key = _one_of_equal((form, stream))
    if kept.form is key:
        latest: CompiledScript = kept.compiled
        return latest
    compiled: CompiledScript | None = kept.by_form.get(key)
    if compiled is None and _can_be_kept(script, stream=stream):
        compiled = (
            _compile_chunked(script, form)
            if stream
            else compile_script.__wrapped__(script, *form, False, True)
        )
        if len(kept.by_form) >= _MAX_KEPT_FORMS:
            kept.by_form.clear()
        kept.by_form[key] = compiled = compiled._replace(item_ids=_one_of_equal(compiled.item_ids))
    if compiled is not None:
        kept.form, kept.compiled = key, compiled
    return compiled


def _can_be_kept(script: Script, *, stream: bool) -> bool:
    return script.json_size <= MAX_KEPT_SCRIPT_BYTES and (
        can_share_stream(script) if stream else can_share_template(script)
    )


def _compile_chunked(script: Script, form: tuple[str, str, str, TemplateShape]) -> CompiledScript:
    template, stored, texts = compile_chunked(script, *form)
    ids = build_item_ids(script, load_profile(form[0]))
    return CompiledScript(template, stored, texts, ids, stated_or_estimated_tokens(script)[0])


@lru_cache(maxsize=1024)
def _one_of_equal(value: Any) -> Any:
    """A value that thousands of scripts share: a request takes longer the more objects of its own each has."""
    return value


class ReplyPlan(NamedTuple):
    """A reply without its ids and times."""

    template: StreamTemplate | SharedStreamTemplate | ReplyTemplate
    rendering: Rendering
    """The rendering of the template."""
    stored_template: ReplyTemplate | None
    """Renders the response in wire form, for the store; None: the reply has that form."""
    fixed_slots: SlotValues
    """The values of the template that do not change from reply to reply."""
    text_slots: SlotValues
    """The texts of a generated reply, for templates that its kind shares; empty: the templates have the texts."""
    item_ids: ItemIds
    input_tokens: int
    total_tokens: int
    details: EntryDetails
    delivery: Delivery
    cache: SessionCache | None
    fault_name: str
    """The fault in the content, if it is invalid on purpose."""


class RequestPlan:
    """A valid request, read and checked, and its reply if nothing else decides it."""

    __slots__ = (
        "_body",
        "calls",
        "continues",
        "details",
        "digest",
        "facts",
        "findings",
        "known_replies",
        "reply",
        "stub",
    )

    def __init__(
        self,
        body: dict[str, Any] | bytes,
        findings: tuple[Finding, ...],
        facts: RequestFacts,
        digest: bytes,
        details: EntryDetails,
        calls: Turn | None,
        known_replies: dict[Script, tuple[CompiledScript, SlotValues]] | None = None,
    ) -> None:
        """`body`: parsed, or its bytes, if few replies need more of it."""
        self._body = body
        self.findings = findings
        self.facts = facts
        self.digest = digest
        """Digest of the request, with its path."""
        self.details = details
        """What the journal says about the request."""
        self.calls = calls
        """The function calls of its input; None: there are none."""
        self.continues = facts.previous_response_id is not None or facts.conversation_id is not None
        """Whether it continues a response or a conversation."""
        self.known_replies = known_replies
        """Of its form: generated scripts, compiled, with what their replies show of a request."""
        self.reply: ReplyPlan | None = None
        """None: each reply is planned anew, because counters, earlier turns, headers or the seed decide it."""
        self.stub: Stub | None = None
        """The stub that gives this reply, to be counted; None: no stub does."""

    @property
    def body(self) -> dict[str, Any]:
        """Shared by all requests with the same bytes: code of a test gets a copy."""
        body = self._body
        if isinstance(body, bytes):
            body = self._body = json.loads(body)
        return body
