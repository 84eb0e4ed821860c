"""The engine: a request's bytes become an answer; it touches no socket.

    parse → judge → read → find what answers it → fill in the template → remember

Everything a reply needs is derived from the session's seed, the request and its history, never from
the moment or the order of arrival.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple

from mockserver.contract.bodies.requests import ignored_parameters
from mockserver.contract.findings import Finding, Severity
from mockserver.errors import InvalidJSON, UnsatisfiableSchema
from mockserver.exchanges import recorded_chunks
from mockserver.ids import request_digest
from mockserver.profiles import Profile
from mockserver.replies.framing import encode_error_payload
from mockserver.replies.generated_scripts import GenerationRequest, generate_script
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script, require_servable
from mockserver.replies.templates import (
    TemplateShape,
    TemplateValues,
    compile_reply,
    compile_stream,
    render_failed_reply,
    render_failed_stream,
)
from mockserver.replies.truncation import truncate_to_tokens
from mockserver.server.delivery import pacing
from mockserver.server.delivery.delivery import DEFAULT_DELIVERY, Delivery
from mockserver.server.delivery.faults import RequestedFault, ServiceFault
from mockserver.server.delivery.steps import Send, Step
from mockserver.server.engine.template_values import (
    ReplySeed,
    build_shape,
    build_values,
    count_input_tokens,
    text_seed_for,
)
from mockserver.server.errors import ApiError, UnmatchedRequest, error_from_finding
from mockserver.server.request_facts import RequestFacts, parse_request
from mockserver.server.state.conversation_context import SessionCache, append_turn, build_record, find_parent
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import SelectedReply, Session
from mockserver.server.state.store import ResponseRecord, Store
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.server.stubs.stubs import Stub
from mockserver.wire import json

#: Characters of a prompt that is repeated where a stub for it is proposed.
_MAX_SUGGESTED_PROMPT = 200
#: Characters of a name that is repeated where there is nothing of that name.
_MAX_SHOWN_NAME = 100

__all__ = [
    "RenderedReply",
    "SelectedReply",
    "mark_stub_error",
    "render_fault",
    "render_in_band_error",
    "respond",
    "respond_with_fault",
    "select_reply",
]


_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class RenderedReply(NamedTuple):
    """What goes back to the client."""

    details: EntryDetails
    pieces: tuple[bytes, ...]
    """The body; for a stream one frame per event."""
    stream: bool
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of a recording; empty: the usual ones."""
    steps: tuple[Step, ...] = ()
    """How a recording is to be sent; empty: piece by piece."""
    fault_name: str = ""
    """Name of the error that was asked for."""
    delivery: Delivery = DEFAULT_DELIVERY
    """How it was planned to go out."""


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
    """The answer to a create request, by its path and body; ApiError where the API refuses it.

    `cache`: the session's cache is asked for, by its header. `headers` are for the conditions of stubs.
    `scenario` names what is to answer, whatever else would.
    """
    body, findings = _parse_and_check(session, raw_body)
    ask = parse_request(body, session.profile)
    waits = ask.previous_response_id is not None or ask.conversation_id is not None
    parent = await find_parent(session, store, ask) if waits else None
    if session.limiter is not None:
        _count_request(session, ask, parent, headers)
    digest = request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    draw = ReplySeed(session.ids, digest, session.next_occurrence(digest))
    after, turn = (parent.stub_name, parent.turn + 1) if parent else (None, 1)
    incoming = IncomingRequest(body, ask, headers, after, turn)
    exchange, script, delivery = select_reply(session, incoming, draw, scenario)
    about = _entry_details(incoming, draw, exchange, findings, session.profile)
    if not isinstance(script, Script):
        return _render_unscripted(session, script, draw, about, delivery, ask.stream)
    if ask.max_output_tokens is not None:
        script = _limit_output_tokens(script, ask, session.profile)
    tokens = count_input_tokens(ask, parent, script, session.profile)
    if session.limiter is not None:
        tokens = session.limiter.limit_context(tokens)
    kept = _session_cache_for(session, parent, tokens) if session_cache else None
    values = build_values(session, ask, body, parent, script, draw, tokens, kept)
    if session.limiter is not None:
        _count_output(session, ask, values, headers)
    pieces, whole = _render_pieces(session, ask, script, values, build_shape(session, body, kept))
    record = build_record(session, ask, parent, values, exchange, kept, raw_body, whole)
    if ask.store:
        await store.put(record)
    if ask.conversation_id is not None:
        await append_turn(store, ask.conversation_id, record, raw_body)
    return RenderedReply(about, pieces, ask.stream, delivery=delivery)


def _entry_details(
    request: IncomingRequest,
    reply_seed: ReplySeed,
    exchange: str | None,
    findings: tuple[Finding, ...],
    profile: Profile,
) -> EntryDetails:
    ask = request.facts
    # Without a finding there is no parameter that the profile does not know.
    ignored = tuple(ignored_parameters(request.body, profile)) if findings else ()
    about = EntryDetails(reply_seed.request_id, ask.model, ask.prompt, exchange, findings, ignored)
    return about if request.turn == 1 else about._replace(after=request.after, turn=request.turn)


def _count_request(
    session: Session, facts: RequestFacts, parent: ResponseRecord | None, headers: Mapping[bytes, bytes]
) -> None:
    """Count a request against the limits; ApiError where it is one too many."""
    before = parent.context_tokens if parent else session.profile.hidden_prompt_tokens
    key, now = headers.get(b"authorization", b""), session.clock.now()
    if session.limiter is not None:
        session.limiter.admit(key, facts.model, facts.input_tokens + before, now)


def _count_output(
    session: Session, facts: RequestFacts, values: TemplateValues, headers: Mapping[bytes, bytes]
) -> None:
    """Count what the answer writes against the limits of the requests to come."""
    if session.limiter is not None:
        written = values.total_tokens - values.input_tokens
        session.limiter.add_output_tokens(headers.get(b"authorization", b""), facts.model, written)


def _session_cache_for(
    session: Session, parent: ResponseRecord | None, input_tokens: int
) -> SessionCache | None:
    """What the session's cache does for a request that asks for it; None where its age has no cache."""
    if not session.profile.cache_seconds:
        return None
    return SessionCache.for_context(parent, input_tokens, session.clock.now(), session.profile)


def _render_pieces(
    session: Session, facts: RequestFacts, script: Script, values: TemplateValues, shape: TemplateShape
) -> tuple[tuple[bytes, ...], bytes]:
    """(the body in its pieces, the response in wire form, as it is kept)."""
    profile, rendering = session.profile.name, session.rendering
    if facts.stream:
        pieces = tuple(compile_stream(script, profile, rendering, facts.model, shape).render(values))
    else:
        pieces = (compile_reply(script, profile, rendering, facts.model, shape).render(values),)
        if rendering == "wire":
            return pieces, pieces[0]
    return pieces, compile_reply(script, profile, "wire", facts.model, shape).render(values)


def _limit_output_tokens(script: Script, facts: RequestFacts, profile: Profile) -> Script:
    """The script within the tokens that the request allows."""
    stated, limit = script.usage.output_tokens, facts.max_output_tokens or 0
    if script.status != "completed" or (stated is not None and stated <= limit):
        return script
    thoughts = any(fnmatchcase(facts.model, each) for each in profile.counts_thoughts)
    return truncate_to_tokens(script, limit, thoughts)


def _render_unscripted(
    session: Session,
    reply: RequestedFault | Mapping[str, Any],
    reply_seed: ReplySeed,
    details: EntryDetails,
    delivery: Delivery,
    stream: bool,
) -> RenderedReply:
    """The answer where no script was planned: an error of the service, or what an exchange has instead."""
    if isinstance(reply, RequestedFault):
        return render_fault(session, reply, reply_seed, details, stream=stream, delivery=delivery)
    return _render_exchange_reply(reply, details, delivery)


def respond_with_fault(session: Session, path: str, raw_body: bytes, fault: RequestedFault) -> RenderedReply:
    """The answer to a create request that asks for a fault; what else it asks is not looked at."""
    body = json.loads_or_none(raw_body)
    stream = isinstance(body, dict) and body.get("stream") is True
    asked = raw_body if body is None else json.canonical(body)
    digest = request_digest(b"%b %b" % (path.encode(), asked))
    draw = ReplySeed(session.ids, digest, session.next_occurrence(digest))
    return render_fault(session, fault, draw, EntryDetails(draw.request_id), stream=stream)


def render_fault(
    session: Session,
    requested_fault: RequestedFault,
    reply_seed: ReplySeed,
    details: EntryDetails,
    *,
    stream: bool,
    delivery: Delivery = DEFAULT_DELIVERY,
) -> RenderedReply:
    """An error of the service as it reports it; ApiError where it has a status of its own."""
    fault = requested_fault.definition
    if not isinstance(fault, ServiceFault):
        raise TypeError("no error of the service")
    form = fault.in_band_form(stream=stream)
    if form is None:
        raise mark_stub_error(
            fault.to_api_error(headers=requested_fault.headers), details.stub_name, delivery
        )
    code = (fault.stream_code if stream else None) or fault.code
    pieces = _in_band_pieces(session, reply_seed, form, code, fault.message, stream=stream)
    details = details._replace(error_detail=f"fault {fault.name}")
    return RenderedReply(details, pieces, stream, fault_name=fault.name, delivery=delivery)


def mark_stub_error(error: ApiError, exchange: str | None, delivery: Delivery) -> ApiError:
    """An error that was planned, with what planned it, and how it goes out."""
    error.exchange, error.delivery = exchange, None if delivery.is_immediate else delivery
    return error


def render_in_band_error(session: Session, path: str, raw_body: bytes, error: ApiError) -> RenderedReply:
    """The refusal of a stream, reported within one with HTTP 200 (live recordings, 2026).

    An unsupported model is told by a payload without a type, all else by one lone `response.failed`.
    """
    digest = request_digest(b"%b %b" % (path.encode(), raw_body))
    draw = ReplySeed(session.ids, digest, session.next_occurrence(digest))
    form = "payload" if error.message.startswith("Unsupported model") else "failed"
    pieces = _in_band_pieces(session, draw, form, error.code, error.message, stream=True)
    about = EntryDetails(
        draw.request_id, request_findings=error.findings, error_detail=error.detail or error.message
    )
    return RenderedReply(about, pieces, True)


def _in_band_pieces(
    session: Session, reply_seed: ReplySeed, form: str, code: str, message: str, *, stream: bool
) -> tuple[bytes, ...]:
    if form == "payload" and not session.profile.error_types:
        return (encode_error_payload(code, message, reply_seed.request_id, session.profile),)
    created = session.clock.reply_timestamp(reply_seed.occurrence)
    error = {"code": code, "message": message}
    about = (reply_seed.response_id(session.profile), created, error, session.profile.name, session.rendering)
    return render_failed_stream(*about) if stream else (json.dumps(render_failed_reply(*about)),)


def _parse_and_check(session: Session, raw_body: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    try:
        body = json.loads(raw_body)
    except InvalidJSON as error:
        # Text of the vendor's error-code page (2026); what is wrong follows.
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    findings = tuple(found) if (found := session.request_checker.check(body)) else ()
    for finding in findings:
        if finding.severity is Severity.ERROR:
            streamed = isinstance(body, dict) and body.get("stream") is True
            raise error_from_finding(finding, findings, stream_requested=streamed)
    return body, findings


def select_reply(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, scenario: str | None = None
) -> SelectedReply:
    """What answers, whichever API it is asked by.

    What was asked for by name, else a stub, else an exchange, else something made up.
    """
    if scenario is not None:
        return _reply_by_name(session, request, reply_seed, scenario)
    stub = session.stubs.take(request)
    return (
        _fallback_reply(session, request, reply_seed)
        if stub is None
        else _reply_from_stub(session, stub, request, reply_seed)
    )


def _reply_from_stub(
    session: Session, stub: Stub, request: IncomingRequest, reply_seed: ReplySeed
) -> SelectedReply:
    """What a stub answers."""
    plan = stub.definition
    if plan.reply is None:
        return SelectedReply(
            stub.name, _fallback_reply(session, request, reply_seed, strict=False).reply, plan.delivery
        )
    if isinstance(plan.reply, ServiceFault):
        return SelectedReply(stub.name, RequestedFault(plan.reply), plan.delivery)
    if isinstance(plan.reply, Script | RequestedFault | Mapping):
        return SelectedReply(stub.name, plan.reply, plan.delivery)
    return SelectedReply(stub.name, _call_reply_function(plan.reply, request, session), plan.delivery)


def _reply_by_name(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, name: str
) -> SelectedReply:
    """What answers by its name; ApiError 400 where there is none, or where it has no more to give."""
    stub = session.stubs.take_by_name(name)
    if stub is not None:
        return _reply_from_stub(session, stub, request, reply_seed)
    exchange = None if name in session.stubs.selectable_names else session.exchange_index.take_by_name(name)
    if exchange is not None:
        return session.exchange_replies[exchange.name]
    known = session.stubs.selectable_names | session.exchange_index.selectable_names
    if name in known:
        message = f"x-mock-scenario: {name} has answered as often as planned."
        raise UnmatchedRequest(400, "UnplannedRequest", message, detail=f"planned: {session.stubs}")
    nearest = get_close_matches(name, sorted(known), 1, 0.0)
    told = f"the nearest is {nearest[0]}" if nearest else "there is none at all"
    message = f"x-mock-scenario: there is no exchange and no scenario {name[:_MAX_SHOWN_NAME]!r}; {told}."
    raise ApiError(400, "InvalidParameter", message)


def _call_reply_function(
    function: Callable[[IncomingRequest], Script], request: IncomingRequest, session: Session
) -> Script:
    """What a function of the request says; Unplanned where it fails: a test is told, and nothing hangs."""
    name = getattr(function, "__name__", "a function")
    try:
        script = function(request)
        require_servable(script, session.profile)
    except Exception as error:  # noqa: BLE001 (code of a test: whatever it raises is its own)
        message = f"The reply's function {name} failed: {type(error).__name__}: {error}"
        raise UnmatchedRequest(400, "ReplyFunctionFailed", message, detail=message) from None
    return script


def _fallback_reply(
    session: Session, request: IncomingRequest, reply_seed: ReplySeed, *, strict: bool = True
) -> SelectedReply:
    only_planned = strict and session.strict and len(session.stubs) > 0
    matcher = session.user_exchange_index if only_planned else session.exchange_index
    exchange = matcher.take(request)
    if exchange is not None:
        return session.exchange_replies[exchange.name]
    if only_planned:
        # Not documented: the service has no such thing. A 400 is what clients do not send again.
        raise UnmatchedRequest(
            400, "UnplannedRequest", _unmatched_message(session, request), detail=f"planned: {session.stubs}"
        )
    return SelectedReply(
        None, _generate_script(request.facts, text_seed_for(request.body, reply_seed, session))
    )


def _unmatched_message(session: Session, request: IncomingRequest) -> str:
    """What is told where no stub is for a request: the nearest, what it lacks, and what would be one."""
    stubs = session.stubs
    if all(stub.is_exhausted for stub in stubs.all):
        message = "No reply is planned for this request: all planned replies have been given."
    else:
        message = "No reply is planned for this request."
    nearest = stubs.nearest_miss(request)
    if nearest is not None:
        stub, lacking = nearest
        message += f" The nearest is {stub.name}, {stub}: {'; '.join(lacking)}."
    prompt = request.prompt if len(request.prompt) <= _MAX_SUGGESTED_PROMPT else ""
    when = f"when(prompt={prompt!r})." if prompt else ""
    return f'{message} This line would answer it: server.{when}reply("…")'


def _generate_script(facts: RequestFacts, text_seed: int) -> Script:
    functions = () if facts.has_function_output else _functions_to_call(facts)
    try:
        script = generate_script(
            GenerationRequest(
                facts.prompt,
                text_seed,
                facts.thinking,
                () if facts.has_function_output else facts.builtin_tools,
                tuple((each["name"], each.get("parameters")) for each in functions),
                facts.output_schema,
                facts.mcp_server_label,
            )
        )
    except UnsatisfiableSchema as error:
        raise ApiError(400, "InvalidParameter", _unsatisfiable_message(functions, error)) from None
    if functions and script.json_size > MAX_SCRIPT_BYTES:
        names = "', '".join(each["name"] for each in functions)
        raise ApiError(400, "InvalidParameter", f"The function '{names}' asks for too large arguments.")
    if script.json_size > MAX_SCRIPT_BYTES:
        raise ApiError(400, "InvalidParameter", "text.format asks for too large a message.")
    return script


def _unsatisfiable_message(functions: tuple[Mapping[str, Any], ...], error: UnsatisfiableSchema) -> str:
    if not functions:
        return f"No message can be made up for text.format: schema{error}"
    names = "', '".join(each["name"] for each in functions)
    return f"No arguments can be made up for the function '{names}': parameters{error}"


def _functions_to_call(facts: RequestFacts) -> tuple[Mapping[str, Any], ...]:
    """The functions that the prompt names, the first of them where one is enough; else the first there is."""
    named = [each for each in facts.callable_functions if _is_mentioned(each["name"], facts.prompt)]
    if not facts.parallel_tool_calls:
        named = named[:1]
    return (tuple(named) or facts.callable_functions[:1])[: facts.max_tool_calls]


def _is_mentioned(name: str, prompt: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", prompt, re.IGNORECASE) is not None


def _render_exchange_reply(
    reply: Mapping[str, Any], details: EntryDetails, delivery: Delivery
) -> RenderedReply:
    """The answer of an exchange that is not a script: an error, a body or a recording."""
    if "error" in reply:
        told = reply["error"]
        error = ApiError(told["status"], told["code"], told["message"])
        raise mark_stub_error(error, details.stub_name, delivery)
    if "body" in reply:
        return RenderedReply(details, (json.dumps(reply["body"]),), False, delivery=delivery)
    http = reply["http"]
    chunks = tuple(recorded_chunks(http))
    return RenderedReply(
        details,
        tuple(data for _, data in chunks),
        False,
        status=http["status"],
        headers=_without_connection_headers(http.get("headers", {}).items()),
        steps=tuple(pacing.recorded_steps(chunks)) or (Send(b""),),
        delivery=delivery,
    )


def _without_connection_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    """A recording's headers without those that belong to the connection it came over."""
    of_connection = (
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "date",
        "x-request-id",
    )
    kept = ((name.lower(), value) for name, value in headers if name.lower() not in of_connection)
    return tuple((name.encode(), value.encode()) for name, value in kept)
