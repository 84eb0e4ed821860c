"""The engine: from the bytes of a create request to the bytes of its reply, without a socket.

    parse → check → read facts → select a reply → fill in its template → store

Everything in a reply follows from the session's seed, the request and its history, never from the time or
the order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from mockserver.contract.bodies.call_outputs import Turn
from mockserver.contract.bodies.requests import ignored_parameters
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.errors import InvalidJSON
from mockserver.named_tuples import NamedTuple, new_tuple
from mockserver.profiles import Profile
from mockserver.replies.generated_scripts import prepare_texts
from mockserver.replies.markers import SlotValues
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import Script
from mockserver.replies.templates import reply_slots
from mockserver.replies.truncation import truncate_to_tokens
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, INVALID_CONTENT
from mockserver.server.engine.plan import (
    MAX_KEPT_SCRIPT_BYTES,
    CompiledScript,
    ReplyPlan,
    RequestPlan,
    compile_kept_script,
    compile_script,
)
from mockserver.server.engine.rendered_replies import (
    RenderedReply,
    mark_invalid,
    render_exchange_reply,
    render_fault,
)
from mockserver.server.engine.request_forms import read_by_form
from mockserver.server.engine.selection import (
    SelectedReply,
    find_reply,
    is_repeatable,
    select_reply,
)
from mockserver.server.engine.template_values import (
    ReplySeed,
    build_echo_slots,
    build_shape,
    count_input_tokens,
)
from mockserver.server.errors import ApiError, error_from_finding, error_from_invalid_json
from mockserver.server.large_bodies import digest_request, is_large, run_beside_loop
from mockserver.server.request_facts import RequestFacts, parse_request
from mockserver.server.state.conversation_context import SessionCache, append_turn, build_record, find_parent
from mockserver.server.state.earlier_calls import (
    calls_after_response,
    calls_before_reply,
    check_outputs_of_calls,
)
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import MemoryStore, ResponseRecord, Store
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.wire import json
from mockserver.wire.redaction import may_have_credentials

__all__ = ["can_respond_at_once", "check_in_context", "plan_at_once", "respond", "respond_at_once"]

_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})

#: The end of the type of an item that is the output of a call.
_OUTPUT_TYPE = b'_output"'

#: Compiled replies that the requests of one form share: as many as there are texts to choose from.
_MAX_KNOWN_REPLIES = 256

#: Rules about the outputs of calls, which may be calls of earlier turns.
_CALL_RULES = frozenset({"REQ-007", "REQ-013", "REQ-014"})


async def respond(
    session: Session,
    store: Store,
    path: str,
    raw_body: bytes,
    *,
    session_cache: bool = False,
    headers: Mapping[bytes, bytes] = _NO_HEADERS,
    scenario: str | None = None,
    plan: RequestPlan | None = None,
) -> RenderedReply:
    """The reply to a create request; ApiError if the API rejects it.

    `session_cache`: the request asks for the session cache. `headers` are for matchers and limits.
    `scenario` names the stub, exchange or scenario that answers. `plan` is what `plan_at_once` returned just now.
    """
    request = plan or session.plans.get(session.version + session.stubs.version, path, raw_body)
    if request is None:
        request = await _plan_request(raw_body, session, path)
    facts, calls, parent = request.facts, request.calls, None
    if request.continues:
        parent = await find_parent(session, store, facts)
        calls = await run_beside_loop(_check_calls, raw_body, request, parent, session.profile)
    if session.limiter is not None:
        await _count_request(session, facts, parent, headers)
    occurrence = (
        await session.next_shared_occurrence(request.digest)
        if session.shares_seed
        else session.next_occurrence(request.digest)
    )
    reply_seed = ReplySeed(session.ids, request.digest, occurrence)
    reply = request.reply
    if reply is None or scenario is not None or session_cache:
        turn = _TurnContext(parent, headers, scenario, session_cache)
        planned = await _select_and_plan_reply(session, request, reply_seed, turn)
        if isinstance(planned, RenderedReply):
            return planned
        reply = planned
    elif request.stub is not None:
        session.stubs.count_call(request.stub)
    if session.limiter is not None:
        await _count_output(session, facts, reply, headers)
    rendered, record = _fill_in(session, request, reply, reply_seed, parent, calls, raw_body)
    if reply.cache is not None:
        record = reply.cache.apply_to(record, session.profile)
    await _store_turn(store, facts, record, raw_body)
    return rendered


async def _select_and_plan_reply(
    session: Session, request: RequestPlan, reply_seed: ReplySeed, turn: _TurnContext
) -> ReplyPlan | RenderedReply:
    incoming = turn.describe(request)
    selected = select_reply(session, incoming, reply_seed, turn.scenario)
    if not isinstance(selected, SelectedReply):
        selected = await selected.wait(incoming, session)
    return _plan_reply(session, request, reply_seed, turn, selected)


async def _store_turn(store: Store, facts: RequestFacts, record: ResponseRecord, raw_body: bytes) -> None:
    """Keep a response for later turns, and in its conversation."""
    if facts.store:
        await store.put(record)
    # Last: a client that repeats a request whose record could not be stored must not find its turn twice.
    if facts.conversation_id is not None:
        await append_turn(store, facts.conversation_id, record, raw_body)


def can_respond_at_once(session: Session) -> bool:
    """Whether the request and the earlier turn decide every reply in a session, however many came before."""
    return (
        session.limiter is None
        and session.stubs.are_plain
        and session.exchange_index.is_stateless
        and not session.has_fallback
    )


def respond_at_once(
    session: Session, store: MemoryStore, path: str, headers: Mapping[bytes, bytes], raw_body: bytes
) -> RenderedReply | None:
    """What `respond` returns, if it need not wait: `can_respond_at_once`, and the request is small.

    None or ApiError if the reply is an error, has a delivery of its own or belongs to a conversation: then nothing
    has changed, and `respond` answers.
    """
    request = plan_at_once(session, path, raw_body)
    facts, calls, parent = request.facts, request.calls, None
    if request.continues:
        parent = store.find(session.name, facts.previous_response_id)
        if parent is None or facts.conversation_id is not None or session.clock.now() >= parent.expires_at:
            return None
        calls = _check_calls(raw_body, request, parent, session.profile)
    reply_seed = ReplySeed(session.ids, request.digest, session.occurrence_of(request.digest))
    reply, stub = request.reply, request.stub
    if reply is None:
        turn = _TurnContext(parent, headers, None, False)
        selected, stub = find_reply(session, turn.describe(request), reply_seed)
        if not isinstance(selected, SelectedReply):
            return None
        planned = _plan_reply(session, request, reply_seed, turn, selected)
        if isinstance(planned, RenderedReply):
            return None
        reply = planned
        if stub is not None and turn.is_plain and session.stubs.are_repeatable:
            request.reply, request.stub = reply, stub
    if reply.delivery is not DEFAULT_DELIVERY or reply.fault_name:
        return None
    session.count_occurrence(request.digest, reply_seed.occurrence)
    if stub is not None:
        session.stubs.count_call(stub)
    rendered, record = _fill_in(session, request, reply, reply_seed, parent, calls, raw_body)
    if facts.store:
        store.add(record)
    return rendered


def _fill_in(
    session: Session,
    request: RequestPlan,
    reply: ReplyPlan,
    reply_seed: ReplySeed,
    parent: ResponseRecord | None,
    calls: Turn | None,
    raw_body: bytes,
) -> tuple[RenderedReply, ResponseRecord]:
    """The reply with its ids and times, and its record for later turns."""
    facts, clock, occurrence = request.facts, session.clock, reply_seed.occurrence
    # One step: to read a member of a tuple by its name takes as long as to unpack all of them.
    (
        template,
        rendering,
        stored_template,
        fixed_slots,
        text_slots,
        item_ids,
        _,
        total_tokens,
        details,
        delivery,
        _,
        fault_name,
    ) = reply
    now = clock.now()
    created_at = clock.reply_timestamp(now, occurrence if parent is None else parent.turn + occurrence)
    response_id = reply_seed.response_id(session.profile)
    slots = reply_slots(rendering, response_id, created_at, fixed_slots, item_ids.draw(reply_seed))
    stream, body_slots = facts.stream, (*slots, *text_slots) if text_slots else slots
    pieces = template.render(slots if stream else body_slots)
    response_body = pieces[0] if stored_template is None else stored_template.render(body_slots)[0]
    context_tokens = total_tokens - facts.instruction_tokens
    bodies = raw_body, response_body
    record = build_record(session, response_id, parent, now, details.stub_name, context_tokens, bodies, calls)
    members = reply_seed.request_id, details, pieces, stream, 200, (), (), fault_name, delivery
    return new_tuple(RenderedReply, members), record


def plan_at_once(session: Session, path: str, raw_body: bytes) -> RequestPlan:
    """The plan of a small request; ApiError if it is invalid."""
    version = session.version + session.stubs.version
    request: RequestPlan | None = session.plans.get(version, path, raw_body)
    if request is None:
        request = read_by_form(session, version, path, raw_body) or _read_request(raw_body, session, path)
        session.plans.add(path, raw_body, request)
    return request


async def _plan_request(raw_body: bytes, session: Session, path: str) -> RequestPlan:
    """The plan of a request that comes for the first time, made beside the event loop if it is large."""
    request = await run_beside_loop(_read_request, raw_body, session, path)
    session.plans.add(path, raw_body, request)
    return request


def _read_request(raw_body: bytes, session: Session, path: str) -> RequestPlan:
    """The request, read and checked; ApiError if it is invalid.

    It changes no state, so that it can run in any thread.
    """
    try:
        body = json.loads(raw_body)
    except InvalidJSON as error:
        raise error_from_invalid_json(error, raw_body) from None
    findings = tuple(found) if (found := session.request_checker.check(body)) else ()
    for finding in findings:
        if finding.severity is Severity.ERROR and not _needs_earlier_turns(finding, body):
            raise _refusal(body, finding, findings, session.profile)
    facts = parse_request(body, session.profile)
    prepare_texts(facts.prompt)
    digest = digest_request(path, body, len(raw_body))
    # A request without findings has no parameter that the profile ignores.
    ignored = tuple(ignored_parameters(body, session.profile)) if findings else ()
    # A large one is searched only if its line is written: other threads would wait for the search.
    has_sign = is_large(raw_body) or may_have_credentials(raw_body)
    details = EntryDetails(facts.model, facts.prompt, None, findings, ignored, has_sign)
    calls = None if body["input"].__class__ is str else calls_before_reply(None, body["input"])
    return RequestPlan(body, findings, facts, digest, details, calls)


class _TurnContext(NamedTuple):
    """What beside the bytes of a request decides its reply."""

    parent: ResponseRecord | None
    headers: Mapping[bytes, bytes]
    scenario: str | None
    session_cache: bool

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing of the kind, except for headers."""
        return self.parent is None and self.scenario is None and not self.session_cache

    @property
    def number(self) -> int:
        """The turn of the conversation, from 1."""
        return 1 if self.parent is None else self.parent.turn + 1

    @property
    def after(self) -> str | None:
        """Name of the stub or exchange that answered the turn before."""
        return None if self.parent is None else self.parent.stub_name

    def describe(self, request: RequestPlan) -> IncomingRequest:
        """The request for those that select its reply."""
        return IncomingRequest(request, request.facts, self.headers, self.after, self.number)


def _plan_reply(
    session: Session,
    request: RequestPlan,
    reply_seed: ReplySeed,
    turn: _TurnContext,
    selected: SelectedReply,
) -> ReplyPlan | RenderedReply:
    """The selected reply to a request: a plan for a script, rendered already for all others."""
    parent, _, _, asks_for_cache = turn
    stub_name, script, delivery, _ = selected
    facts, profile, details = request.facts, session.profile, request.details
    if stub_name is not None or parent is not None:
        model, prompt, _, findings, ignored, has_sign, *_ = details
        details = EntryDetails(
            model, prompt, stub_name, findings, ignored, has_sign, "", (), turn.after, turn.number
        )
    details = mark_invalid(details) if delivery.invalid else details
    if not isinstance(script, Script):
        if isinstance(script, RequestedFault):
            return render_fault(session, script, reply_seed, details, stream=facts.stream, delivery=delivery)
        return render_exchange_reply(script, reply_seed.request_id, details, delivery)
    if facts.max_output_tokens is not None:
        script = _limit_output_tokens(script, facts, profile)
    input_tokens = count_input_tokens(facts, parent, script, profile)
    if session.limiter is not None:
        input_tokens = session.limiter.limit_context(input_tokens)
    cache = _session_cache_for(session, parent, input_tokens) if asks_for_cache else None
    compiled, echoes = _compile_reply(session, request, selected, script, cache)
    template, stored_template, text_slots, item_ids, output_tokens = compiled
    total_tokens = input_tokens + output_tokens
    members = (
        template,
        load_rendering(profile.name, session.rendering),
        stored_template,
        (b"%d" % input_tokens, b"%d" % total_tokens, *echoes),
        text_slots,
        item_ids,
        input_tokens,
        total_tokens,
        details,
        delivery,
        cache,
        INVALID_CONTENT if delivery.invalid else "",
    )
    reply = new_tuple(ReplyPlan, members)
    if stub_name is not None and turn.is_plain and is_repeatable(selected, session):
        request.reply = reply
    return reply


def _compile_reply(
    session: Session,
    request: RequestPlan,
    selected: SelectedReply,
    script: Script,
    cache: SessionCache | None,
) -> tuple[CompiledScript, SlotValues]:
    """The compiled script, and what its template shows of the request: the same for all requests of a form."""
    is_generated = selected.stub_name is None
    known = request.known_replies if is_generated and cache is None else None
    if known is not None and script in known:
        return known[script]
    facts = request.facts
    form = (session.profile.name, session.rendering, facts.model, build_shape(session, request, cache))
    echoes = build_echo_slots(session, facts, request, script, cache)
    if selected.compiled is not None and script is selected.reply:
        kept = compile_kept_script(selected.compiled, script, form, stream=facts.stream)
        if kept is not None:
            return kept, echoes
    is_large = script.json_size > MAX_KEPT_SCRIPT_BYTES
    compile_ = compile_script.__wrapped__ if is_large else compile_script
    compiled = compile_(script, *form, facts.stream, is_generated)
    if known is not None and not is_large and len(known) < _MAX_KNOWN_REPLIES:
        known[script] = compiled, echoes
    return compiled, echoes


def _refusal(body: Any, finding: Finding, findings: tuple[Finding, ...], profile: Profile) -> ApiError:
    """The error for the first finding of severity error."""
    if not isinstance(body, dict):
        return error_from_finding(finding, findings)
    error = error_from_finding(finding, findings, stream_requested=body.get("stream") is True)
    error.ignored = tuple(ignored_parameters(body, profile))
    return error


def _needs_earlier_turns(finding: Finding, body: Any) -> bool:
    """Whether only the earlier turns tell what is wrong with an output: it may repeat one that has no call."""
    return finding.rule in _CALL_RULES and (
        body.get("previous_response_id") is not None or body.get("conversation") is not None
    )


async def check_in_context(session: Session, store: Store, raw_body: bytes, body: Any) -> list[Finding]:
    """The findings in a request's body, also those by the stored turns that it continues."""
    findings: list[Finding] = await run_beside_loop(lambda _: session.request_checker.check(body), raw_body)
    if not all(each.rule in _CALL_RULES for each in errors(findings)):
        return findings
    try:
        parent = await find_parent(session, store, parse_request(body, session.profile))
    except ApiError:
        return findings
    if parent is None:
        return findings
    wrong = errors(check_outputs_of_calls(body, calls_after_response(parent), session.profile))
    return [*wrong, *(each for each in findings if each.rule not in _CALL_RULES)] if wrong else findings


def _check_calls(
    raw_body: bytes, request: RequestPlan, parent: ResponseRecord | None, profile: Profile
) -> Turn | None:
    """The calls of the earlier turns and of the input.

    ApiError 400 if the outputs in `input` do not answer the calls of the earlier turns. It changes no state.
    """
    if parent is None:
        return request.calls
    findings = request.findings
    calls = calls_after_response(parent)
    if calls is not None or findings or raw_body.find(_OUTPUT_TYPE) >= 0:
        wrong = errors(check_outputs_of_calls(request.body, calls, profile))
        for finding in wrong:
            others = (each for each in findings if each.rule not in _CALL_RULES)
            raise _refusal(request.body, finding, (*wrong, *others), profile)
    return request.calls if calls is None else calls_before_reply(calls, request.body["input"])


async def _count_request(
    session: Session, facts: RequestFacts, parent: ResponseRecord | None, headers: Mapping[bytes, bytes]
) -> None:
    """Count a request against the rate limits; ApiError if it exceeds one."""
    context = parent.context_tokens if parent else session.profile.hidden_prompt_tokens
    key = headers.get(b"authorization", b"")
    if session.limiter is not None:
        tokens, now = facts.input_tokens + context, session.clock.now()
        await session.limiter.admit(key, facts.model, tokens, now, session.name, session.shared_store)


async def _count_output(
    session: Session, facts: RequestFacts, reply: ReplyPlan, headers: Mapping[bytes, bytes]
) -> None:
    """Count the output tokens against the rate limits of later requests."""
    if session.limiter is not None:
        key, tokens = headers.get(b"authorization", b""), reply.total_tokens - reply.input_tokens
        await session.limiter.add_output_tokens(key, facts.model, tokens, session.name, session.shared_store)


def _session_cache_for(
    session: Session, parent: ResponseRecord | None, input_tokens: int
) -> SessionCache | None:
    """What the session cache does for a request that asks for it; None if the profile has no cache."""
    if not session.profile.cache_seconds:
        return None
    return SessionCache.for_context(parent, input_tokens, session.clock.now(), session.profile)


def _limit_output_tokens(script: Script, facts: RequestFacts, profile: Profile) -> Script:
    """The script, cut to `max_output_tokens`."""
    stated, limit = script.usage.output_tokens, facts.max_output_tokens or 0
    if script.status != "completed" or (stated is not None and stated <= limit):
        return script
    counts_thoughts = any(fnmatchcase(facts.model, pattern) for pattern in profile.counts_thoughts)
    return truncate_to_tokens(script, limit, counts_thoughts)
