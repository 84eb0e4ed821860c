"""The engine: from the bytes of a create request to the bytes of its reply, without a socket.

    parse → check → read facts → select a reply → fill in its template → store

Everything in a reply follows from the session's seed, the request and its history, never from the time or
the order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from mockserver.contract.bodies.call_outputs import Turn
from mockserver.contract.bodies.requests import ignored_parameters
from mockserver.contract.findings import Finding, Severity, errors
from mockserver.errors import InvalidJSON
from mockserver.profiles import Profile
from mockserver.replies.script import Script
from mockserver.replies.templates import TemplateShape, TemplateValues, compile_reply, compile_stream
from mockserver.replies.truncation import truncate_to_tokens
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.options import INVALID_CONTENT
from mockserver.server.engine.rendered_replies import (
    RenderedReply,
    mark_invalid,
    render_exchange_reply,
    render_fault,
)
from mockserver.server.engine.selection import select_reply
from mockserver.server.engine.template_values import (
    ReplySeed,
    build_shape,
    build_values,
    count_input_tokens,
)
from mockserver.server.errors import ApiError, error_from_finding, error_from_invalid_json
from mockserver.server.large_bodies import LARGE_BODY_BYTES, digest_request, run_beside_loop
from mockserver.server.request_facts import RequestFacts, parse_request
from mockserver.server.state.conversation_context import SessionCache, append_turn, build_record, find_parent
from mockserver.server.state.earlier_calls import (
    calls_after_response,
    calls_before_reply,
    check_outputs_of_calls,
)
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.parsed_requests import MAX_PARSED_BYTES, ParsedRequest
from mockserver.server.state.sessions import Session
from mockserver.server.state.store import ResponseRecord, Store
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.wire import json

__all__ = ["check_in_context", "respond"]

_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})

#: The end of the type of an item that is the output of a call.
_OUTPUT_TYPE = b'_output"'

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
) -> RenderedReply:
    """The reply to a create request; ApiError if the API rejects it.

    `session_cache`: the request asks for the session cache. `headers` are for matchers and limits.
    `scenario` names the stub, exchange or scenario that answers.
    """
    request = session.parsed_requests.get(path, raw_body, session.request_checker)
    if request is None:
        request = await _read_new_request(raw_body, session, path)
    body, findings, facts, digest = request
    continues = facts.previous_response_id is not None or facts.conversation_id is not None
    parent = await find_parent(session, store, facts) if continues else None
    has_calls = parent is not None or body["input"].__class__ is not str
    calls = (
        await run_beside_loop(_check_calls, raw_body, body, parent, findings, session.profile)
        if has_calls
        else None
    )
    if session.limiter is not None:
        _count_request(session, facts, parent, headers)
    reply_seed = ReplySeed(session.ids, digest, session.next_occurrence(digest))
    after, turn = (parent.stub_name, parent.turn + 1) if parent else (None, 1)
    incoming = IncomingRequest(body, facts, headers, after, turn)
    stub_name, script, delivery = select_reply(session, incoming, reply_seed, scenario)
    details = _entry_details(incoming, reply_seed, stub_name, findings, session.profile)
    details = mark_invalid(details) if delivery.invalid else details
    if not isinstance(script, Script):
        if isinstance(script, RequestedFault):
            return render_fault(session, script, reply_seed, details, stream=facts.stream, delivery=delivery)
        return render_exchange_reply(script, details, delivery)
    if facts.max_output_tokens is not None:
        script = _limit_output_tokens(script, facts, session.profile)
    tokens = count_input_tokens(facts, parent, script, session.profile)
    if session.limiter is not None:
        tokens = session.limiter.limit_context(tokens)
    cache = _session_cache_for(session, parent, tokens) if session_cache else None
    values = build_values(session, facts, body, parent, script, reply_seed, tokens, cache)
    if session.limiter is not None:
        _count_output(session, facts, values, headers)
    pieces, response = _render_pieces(session, facts, script, values, build_shape(session, body, cache))
    record = build_record(session, facts, parent, values, stub_name, cache, raw_body, response)
    record = record if calls is None else record._replace(calls=calls)
    if facts.conversation_id is not None:
        await append_turn(store, facts.conversation_id, record, raw_body)
    if facts.store:
        await store.put(record)
    fault_name = INVALID_CONTENT if delivery.invalid else ""
    return RenderedReply(details, pieces, facts.stream, fault_name=fault_name, delivery=delivery)


async def _read_new_request(raw_body: bytes, session: Session, path: str) -> ParsedRequest:
    """The request, read and checked, beside the event loop if it is large."""
    request = (
        await run_beside_loop(_read_request, raw_body, session, path)
        if len(raw_body) > LARGE_BODY_BYTES
        else _read_request(raw_body, session, path)
    )
    if len(raw_body) <= MAX_PARSED_BYTES:
        session.parsed_requests.add(path, raw_body, request)
    return request


def _read_request(raw_body: bytes, session: Session, path: str) -> ParsedRequest:
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
    digest = digest_request(path, body, len(raw_body))
    return ParsedRequest(body, findings, facts, digest)


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
    raw_body: bytes,
    body: dict[str, Any],
    parent: ResponseRecord | None,
    findings: tuple[Finding, ...],
    profile: Profile,
) -> Turn | None:
    """The calls of the earlier turns and of the input.

    ApiError 400 if the outputs in `input` do not answer the calls of the earlier turns. It changes no state.
    """
    calls = None if parent is None else calls_after_response(parent)
    if calls is not None or (parent is not None and (findings or _OUTPUT_TYPE in raw_body)):
        wrong = errors(check_outputs_of_calls(body, calls, profile))
        for finding in wrong:
            others = (each for each in findings if each.rule not in _CALL_RULES)
            raise _refusal(body, finding, (*wrong, *others), profile)
    return calls_before_reply(calls, body["input"])


def _entry_details(
    request: IncomingRequest,
    reply_seed: ReplySeed,
    stub_name: str | None,
    findings: tuple[Finding, ...],
    profile: Profile,
) -> EntryDetails:
    facts = request.facts
    # A request without findings has no parameter that the profile ignores.
    ignored = tuple(ignored_parameters(request.body, profile)) if findings else ()
    details = EntryDetails(reply_seed.request_id, facts.model, facts.prompt, stub_name, findings, ignored)
    return details if request.turn == 1 else details._replace(after=request.after, turn=request.turn)


def _count_request(
    session: Session, facts: RequestFacts, parent: ResponseRecord | None, headers: Mapping[bytes, bytes]
) -> None:
    """Count a request against the rate limits; ApiError if it exceeds one."""
    context = parent.context_tokens if parent else session.profile.hidden_prompt_tokens
    key, now = headers.get(b"authorization", b""), session.clock.now()
    if session.limiter is not None:
        session.limiter.admit(key, facts.model, facts.input_tokens + context, now)


def _count_output(
    session: Session, facts: RequestFacts, values: TemplateValues, headers: Mapping[bytes, bytes]
) -> None:
    """Count the output tokens against the rate limits of later requests."""
    if session.limiter is not None:
        output_tokens = values.total_tokens - values.input_tokens
        session.limiter.add_output_tokens(headers.get(b"authorization", b""), facts.model, output_tokens)


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


def _render_pieces(
    session: Session, facts: RequestFacts, script: Script, values: TemplateValues, shape: TemplateShape
) -> tuple[Sequence[bytes], bytes]:
    """(the body in pieces, the response in wire form for the store)."""
    profile, rendering = session.profile.name, session.rendering
    pieces: Sequence[bytes]
    if facts.stream:
        pieces = compile_stream(script, profile, rendering, facts.model, shape).render(values)
    else:
        pieces = (compile_reply(script, profile, rendering, facts.model, shape).render(values),)
        if rendering == "wire":
            return pieces, pieces[0]
    return pieces, compile_reply(script, profile, "wire", facts.model, shape).render(values)
