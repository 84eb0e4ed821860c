"""The engine of Chat Completions: the reply to the Responses form of a request, as a completion.

    parse → check → migrate → select a reply → fill in its template

Both APIs reply to the same messages with the same text, calls and tokens: the seed of generated texts derives
from the Responses form, at the service's own path. Ids derive from the chat request.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from mockserver.contract.chat.migration import migrate_body
from mockserver.contract.chat.requests import chat_request_findings, ignored_chat_parameters
from mockserver.contract.chat.service import chat_models
from mockserver.contract.findings import Finding, Severity
from mockserver.errors import InvalidJSON
from mockserver.profiles import Profile
from mockserver.replies.chat import (
    calls_to_identify,
    chat_slots,
    compile_chat_completion,
    compile_chat_stream,
    count_chat_tokens,
)
from mockserver.replies.generated_scripts import prepare_texts
from mockserver.replies.markers import ReplyTemplate, StreamTemplate
from mockserver.replies.script import Script
from mockserver.replies.truncation import truncate_at_stop, truncate_to_tokens
from mockserver.replies.usage import count_output_tokens
from mockserver.server.chat.errors import chat_error_from_fault, chat_error_from_finding
from mockserver.server.chat.exchange_scripts import error_from_failed_script, script_from_reply
from mockserver.server.chat.history import previous_reply_name, turn_number
from mockserver.server.chat.plan import ChatReplyPlan, ChatRequestPlan
from mockserver.server.delivery.faults import RequestedFault
from mockserver.server.delivery.options import DEFAULT_DELIVERY, INVALID_CONTENT
from mockserver.server.engine.rendered_replies import RenderedReply, mark_invalid, mark_stub_error
from mockserver.server.engine.selection import (
    SelectedReply,
    find_reply,
    is_repeatable,
    select_reply,
)
from mockserver.server.engine.template_values import ReplySeed, count_input_tokens
from mockserver.server.errors import ApiError, error_from_invalid_json
from mockserver.server.large_bodies import digest_request, run_beside_loop
from mockserver.server.request_facts import as_integer, output_schema_of, parse_request
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.wire import json

__all__ = ["check_chat_body", "incoming_chat_request", "respond_chat", "respond_chat_at_once"]


async def respond_chat(
    session: Session, path: str, raw_body: bytes, headers: Mapping[bytes, bytes], scenario: str | None = None
) -> RenderedReply:
    """The reply to a chat request; ApiError, worded as by Responses, if the API rejects it.

    `scenario` names the stub, exchange or scenario that answers.
    """
    version = session.version + session.stubs.version
    request: ChatRequestPlan | None = session.plans.get(version, path, raw_body)
    if request is None:
        request = await run_beside_loop(_read_request, raw_body, path, session)
        session.plans.add(path, raw_body, request)
    facts, limiter = request.incoming.facts, session.limiter
    key = headers.get(b"authorization", b"")
    if limiter is not None:
        tokens = facts.input_tokens + session.profile.hidden_prompt_tokens
        now = session.clock.now()
        await limiter.admit(key, facts.model, tokens, now, session.name, session.shared_store)
    reply_seed = ReplySeed(session.ids, request.digest, await session.next_shared_occurrence(request.digest))
    reply = request.reply
    if reply is None or scenario is not None:
        incoming = _in_context(session, request, headers)
        selected = select_reply(session, incoming, _text_seed(session, request, reply_seed), scenario)
        if not isinstance(selected, SelectedReply):
            selected = await selected.wait(incoming, session)
        reply = _plan_reply(session, request, incoming, selected, scenario)
    elif request.stub is not None:
        session.stubs.count_call(request.stub)
    if limiter is not None:
        await limiter.add_output_tokens(
            key, facts.model, reply.output_tokens, session.name, session.shared_store
        )
    return _fill_in(session, request, reply, reply_seed)


def respond_chat_at_once(
    session: Session, path: str, headers: Mapping[bytes, bytes], raw_body: bytes
) -> RenderedReply | None:
    """What `respond_chat` returns, if it need not wait, as `engine.pipeline.respond_at_once` does for Responses."""
    if session.shares_seed:
        return None
    version = session.version + session.stubs.version
    request: ChatRequestPlan | None = session.plans.get(version, path, raw_body)
    if request is None:
        request = _read_request(raw_body, path, session)
        session.plans.add(path, raw_body, request)
    reply_seed = ReplySeed(session.ids, request.digest, session.occurrence_of(request.digest))
    reply, stub = request.reply, request.stub
    if reply is None:
        incoming = _in_context(session, request, headers)
        selected, stub = find_reply(session, incoming, _text_seed(session, request, reply_seed))
        if not isinstance(selected, SelectedReply):
            return None
        reply = _plan_reply(session, request, incoming, selected, None)
        if stub is not None and session.stubs.are_repeatable:
            request.reply, request.stub = reply, stub
    if reply.delivery is not DEFAULT_DELIVERY or reply.fault_name:
        return None
    session.count_occurrence(request.digest, reply_seed.occurrence)
    if stub is not None:
        session.stubs.count_call(stub)
    return _fill_in(session, request, reply, reply_seed)


def _fill_in(
    session: Session, request: ChatRequestPlan, reply: ChatReplyPlan, reply_seed: ReplySeed
) -> RenderedReply:
    """The reply with its ids and times."""
    template, token_slots, calls, _, details, delivery, fault_name = reply
    incoming, clock, request_id = request.incoming, session.clock, reply_seed.request_id
    created = clock.reply_timestamp(clock.now(), incoming.turn - 1 + reply_seed.occurrence)
    call_ids = reply.draw_call_ids(reply_seed) if calls else ()
    slots = chat_slots(request_id, created, token_slots, call_ids)
    pieces, stream = template.render(slots), incoming.facts.stream
    return RenderedReply(request_id, details, pieces, stream, 200, (), (), fault_name, delivery)


def _in_context(
    session: Session, request: ChatRequestPlan, headers: Mapping[bytes, bytes]
) -> IncomingRequest:
    """The request for matchers, with its headers and the reply to the turn before."""
    incoming = request.incoming
    after = previous_reply_name(session, request.body["messages"]) if incoming.turn > 1 else None
    return incoming.with_context(headers, after)


def _text_seed(session: Session, request: ChatRequestPlan, reply_seed: ReplySeed) -> ReplySeed:
    """The seed of generated texts: the same as for the Responses form."""
    return ReplySeed(session.ids, request.responses_digest, reply_seed.occurrence)


def _plan_reply(
    session: Session,
    request: ChatRequestPlan,
    incoming: IncomingRequest,
    selected: SelectedReply,
    scenario: str | None,
) -> ChatReplyPlan:
    """The plan of the selected reply to a request; ApiError if it is an error."""
    body = request.body
    script = _limit_output(_script_of_reply(selected), body)
    details = request.details._replace(stub_name=selected.stub_name, after=incoming.after)
    choice_count = int(body.get("n") or 1)
    prompt_tokens = count_input_tokens(incoming.facts, None, script, session.profile)
    if session.limiter is not None:
        prompt_tokens = session.limiter.limit_context(prompt_tokens)
    is_invalid = selected.delivery.invalid
    reply = ChatReplyPlan(
        _compile_template(script, incoming, body, choice_count),
        count_chat_tokens(script, prompt_tokens, choice_count).slots(),
        calls_to_identify(script),
        count_output_tokens(script)[0] * choice_count,
        mark_invalid(details) if is_invalid else details,
        selected.delivery,
        INVALID_CONTENT if is_invalid else "",
    )
    if scenario is None and is_repeatable(selected, session):
        request.reply = reply
    return reply


def _compile_template(
    script: Script, request: IncomingRequest, body: Mapping[str, Any], choice_count: int
) -> ReplyTemplate | StreamTemplate:
    if not request.stream:
        return compile_chat_completion(script, request.model, choice_count)
    options = body.get("stream_options") or {}
    include_usage = options.get("include_usage") is True
    return compile_chat_stream(script, request.model, choice_count, include_usage=include_usage)


def incoming_chat_request(
    body: Mapping[str, Any], profile: Profile, headers: Mapping[bytes, bytes]
) -> IncomingRequest:
    """A chat request in its Responses form, for matchers; without the reply to the turn before."""
    form = migrate_body(body)
    # Chat supports `response_format` in every profile, also where Responses ignores `text.format`.
    facts = parse_request(form, profile)._replace(output_schema=output_schema_of(form.get("text")))
    return IncomingRequest(form, facts, headers, None, turn_number(body["messages"]))


def check_chat_body(session: Session, body: Any) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return the findings in a chat request for the journal, and the parameters that the service ignores."""
    findings = tuple(chat_request_findings(body, session.profile, _AcceptedModels(session.models)))
    return findings, ignored_chat_parameters(body) if isinstance(body, dict) and findings else ()


def _read_request(raw_body: bytes, path: str, session: Session) -> ChatRequestPlan:
    """Read and check a request; ApiError if it is invalid. Changes no state."""
    try:
        body = json.loads(raw_body)
    except InvalidJSON as error:
        raise error_from_invalid_json(error, raw_body) from None
    findings = tuple(chat_request_findings(body, session.profile, _AcceptedModels(session.models)))
    for finding in findings:
        if finding.severity is Severity.ERROR:
            refusal = chat_error_from_finding(finding, findings)
            refusal.ignored = ignored_chat_parameters(body) if isinstance(body, dict) else ()
            raise refusal.passed_on()
    incoming, size = incoming_chat_request(body, session.profile, {}), len(raw_body)
    prepare_texts(incoming.prompt)
    ignored = ignored_chat_parameters(body) if findings else ()
    return ChatRequestPlan(
        body,
        incoming,
        digest_request(path, body, size),
        digest_request(f"{session.profile.base_path}/responses", incoming.body, size),
        EntryDetails(incoming.model, incoming.prompt, None, findings, ignored, turn=incoming.turn),
    )


class _AcceptedModels:
    """The session's models, and those of Chat Completions, which has more than Responses."""

    def __init__(self, session_models: Container[str]) -> None:
        self._session_models = session_models

    def __contains__(self, model: object) -> bool:
        return model in self._session_models or model in chat_models()


def _script_of_reply(selected: SelectedReply) -> Script:
    try:
        if isinstance(selected.reply, RequestedFault):
            raise chat_error_from_fault(selected.reply)
        script = selected.reply if isinstance(selected.reply, Script) else script_from_reply(selected.reply)
        if script.status == "failed":
            raise error_from_failed_script(script)
    except ApiError as error:
        raise mark_stub_error(error, selected.stub_name, selected.delivery) from None
    return script


def _limit_output(script: Script, body: Mapping[str, Any]) -> Script:
    """The script, cut at a `stop` text and at the token limits.

    `max_tokens` limits only the answer, `max_completion_tokens` thoughts as well (compatibility notice,
    November 2026).
    """
    stop = body.get("stop")
    if stop:
        script = truncate_at_stop(script, [stop] if isinstance(stop, str) else stop)
    for name, thoughts in (("max_tokens", False), ("max_completion_tokens", True)):
        limit = as_integer(body.get(name))
        stated = script.usage.output_tokens
        if limit is not None and script.status == "completed" and (stated is None or stated > limit):
            script = truncate_to_tokens(script, limit, thoughts)
    return script
