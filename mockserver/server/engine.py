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

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.requests import ignored_parameters
from mockserver.errors import InvalidJSON, Unsatisfiable
from mockserver.exchanges import recorded_chunks
from mockserver.ids import request_digest
from mockserver.profiles import Profile
from mockserver.replies.answers import Question, answer
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script, require_servable
from mockserver.replies.template import (
    Shape,
    Values,
    failed_frames,
    failed_reply,
    payload_frame,
    reply_template,
    stream_template,
)
from mockserver.replies.usage import cut_short
from mockserver.server import pacing
from mockserver.server.asks import Ask, read_ask
from mockserver.server.conditions import Incoming
from mockserver.server.context import SessionCache, converse, find_parent, record_of
from mockserver.server.delivery import PLAIN, Delivery
from mockserver.server.envelopes import ApiError, Unplanned, from_finding
from mockserver.server.faults import AskedFault, Fault
from mockserver.server.journal import About
from mockserver.server.sessions import Chosen, Session
from mockserver.server.steps import Send, Step
from mockserver.server.store import Record, Store
from mockserver.server.stubs import Stub
from mockserver.server.values import Draw, context_tokens, pick_of, shape_of, values_of
from mockserver.wire import json

#: Characters of a prompt that is repeated where a stub for it is proposed.
_LONGEST_PROMPT = 200
#: Characters of a name that is repeated where there is nothing of that name.
_LONGEST_NAME = 100

__all__ = ["Answer", "Chosen", "chosen", "fail", "failure", "in_band", "planned_error", "respond"]


_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class Answer(NamedTuple):
    """What goes back to the client."""

    about: About
    pieces: tuple[bytes, ...]
    """The body; for a stream one frame per event."""
    stream: bool
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Headers of a recording; empty: the usual ones."""
    steps: tuple[Step, ...] = ()
    """How a recording is to be sent; empty: piece by piece."""
    fault: str = ""
    """Name of the error that was asked for."""
    delivery: Delivery = PLAIN
    """How it was planned to go out."""


async def respond(
    session: Session,
    store: Store,
    path: str,
    raw: bytes,
    *,
    cache: bool = False,
    headers: Mapping[bytes, bytes] = _NO_HEADERS,
    scenario: str | None = None,
) -> Answer:
    """The answer to a create request, by its path and body; ApiError where the API refuses it.

    `cache`: the session's cache is asked for, by its header. `headers` are for the conditions of stubs.
    `scenario` names what is to answer, whatever else would.
    """
    body, findings = _judged(session, raw)
    ask = read_ask(body, session.profile)
    waits = ask.previous is not None or ask.conversation is not None
    parent = await find_parent(session, store, ask) if waits else None
    if session.limiter is not None:
        _admit(session, ask, parent, headers)
    digest = request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    draw = Draw(session.ids, digest, session.occurrence(digest))
    after, turn = (parent.exchange, parent.turn + 1) if parent else (None, 1)
    incoming = Incoming(body, ask, headers, after, turn)
    exchange, script, delivery = chosen(session, incoming, draw, scenario)
    about = _about(incoming, draw, exchange, findings, session.profile)
    if not isinstance(script, Script):
        return _unscripted_answer(session, script, draw, about, delivery, ask.stream)
    if ask.max_output_tokens is not None:
        script = _within(script, ask, session.profile)
    tokens = context_tokens(ask, parent, script, session.profile)
    if session.limiter is not None:
        tokens = session.limiter.fitting(tokens)
    kept = _cached(session, parent, tokens) if cache else None
    values = values_of(session, ask, body, parent, script, draw, tokens, kept)
    if session.limiter is not None:
        _spend(session, ask, values, headers)
    pieces, whole = _written(session, ask, script, values, shape_of(session, body, kept))
    record = record_of(session, ask, parent, values, exchange, kept, raw, whole)
    if ask.store:
        await store.put(record)
    if ask.conversation is not None:
        await converse(store, ask.conversation, record, raw)
    return Answer(about, pieces, ask.stream, delivery=delivery)


def _about(
    request: Incoming, draw: Draw, exchange: str | None, findings: tuple[Finding, ...], profile: Profile
) -> About:
    ask = request.ask
    # Without a finding there is no parameter that the profile does not know.
    ignored = tuple(ignored_parameters(request.body, profile)) if findings else ()
    about = About(draw.request_id, ask.model, ask.prompt, exchange, findings, ignored)
    return about if request.turn == 1 else about._replace(after=request.after, turn=request.turn)


def _admit(session: Session, ask: Ask, parent: Record | None, headers: Mapping[bytes, bytes]) -> None:
    """Count a request against the limits; ApiError where it is one too many."""
    before = parent.context_tokens if parent else session.profile.hidden_prompt_tokens
    key, now = headers.get(b"authorization", b""), session.clock.now()
    if session.limiter is not None:
        session.limiter.admit(key, ask.model, ask.input_tokens + before, now)


def _spend(session: Session, ask: Ask, values: Values, headers: Mapping[bytes, bytes]) -> None:
    """Count what the answer writes against the limits of the requests to come."""
    if session.limiter is not None:
        written = values.total_tokens - values.input_tokens
        session.limiter.spend(headers.get(b"authorization", b""), ask.model, written)


def _cached(session: Session, parent: Record | None, input_tokens: int) -> SessionCache | None:
    """What the session's cache does for a request that asks for it; None where its age has no cache."""
    if not session.profile.cache_seconds:
        return None
    return SessionCache.of(parent, input_tokens, session.clock.now(), session.profile)


def _written(
    session: Session, ask: Ask, script: Script, values: Values, shape: Shape
) -> tuple[tuple[bytes, ...], bytes]:
    """(the body in its pieces, the response in wire form, as it is kept)."""
    profile, rendering = session.profile.name, session.rendering
    if ask.stream:
        pieces = tuple(stream_template(script, profile, rendering, ask.model, shape).frames(values))
    else:
        pieces = (reply_template(script, profile, rendering, ask.model, shape).body(values),)
        if rendering == "wire":
            return pieces, pieces[0]
    return pieces, reply_template(script, profile, "wire", ask.model, shape).body(values)


def _within(script: Script, ask: Ask, profile: Profile) -> Script:
    """The script within the tokens that the request allows."""
    stated, limit = script.usage.output_tokens, ask.max_output_tokens or 0
    if script.status != "completed" or (stated is not None and stated <= limit):
        return script
    thoughts = any(fnmatchcase(ask.model, each) for each in profile.counts_thoughts)
    return cut_short(script, limit, thoughts)


def _unscripted_answer(
    session: Session,
    reply: AskedFault | Mapping[str, Any],
    draw: Draw,
    about: About,
    delivery: Delivery,
    stream: bool,
) -> Answer:
    """The answer where no script was planned: an error of the service, or what an exchange has instead."""
    if isinstance(reply, AskedFault):
        return failure(session, reply, draw, about, stream=stream, delivery=delivery)
    return _verbatim(reply, about, delivery)


def fail(session: Session, path: str, raw: bytes, fault: AskedFault) -> Answer:
    """The answer to a create request that asks for a fault; what else it asks is not looked at."""
    body = json.value_or_none(raw)
    stream = isinstance(body, dict) and body.get("stream") is True
    asked = raw if body is None else json.canonical(body)
    digest = request_digest(b"%b %b" % (path.encode(), asked))
    draw = Draw(session.ids, digest, session.occurrence(digest))
    return failure(session, fault, draw, About(draw.request_id), stream=stream)


def failure(
    session: Session,
    asked: AskedFault,
    draw: Draw,
    about: About,
    *,
    stream: bool,
    delivery: Delivery = PLAIN,
) -> Answer:
    """An error of the service as it reports it; ApiError where it has a status of its own."""
    fault = asked.what
    if not isinstance(fault, Fault):
        raise TypeError("no error of the service")
    form = fault.in_band(stream=stream)
    if form is None:
        raise planned_error(fault.refusal(headers=asked.headers), about.exchange, delivery)
    code = (fault.stream_code if stream else None) or fault.code
    pieces = _in_band(session, draw, form, code, fault.message, stream=stream)
    about = about._replace(detail=f"fault {fault.name}")
    return Answer(about, pieces, stream, fault=fault.name, delivery=delivery)


def planned_error(error: ApiError, exchange: str | None, delivery: Delivery) -> ApiError:
    """An error that was planned, with what planned it, and how it goes out."""
    error.exchange, error.delivery = exchange, None if delivery.is_plain else delivery
    return error


def in_band(session: Session, path: str, raw: bytes, error: ApiError) -> Answer:
    """The refusal of a stream, reported within one with HTTP 200 (live recordings, 2026).

    An unsupported model is told by a payload without a type, all else by one lone `response.failed`.
    """
    digest = request_digest(b"%b %b" % (path.encode(), raw))
    draw = Draw(session.ids, digest, session.occurrence(digest))
    form = "payload" if error.message.startswith("Unsupported model") else "failed"
    pieces = _in_band(session, draw, form, error.code, error.message, stream=True)
    about = About(draw.request_id, judged=error.findings, detail=error.detail or error.message)
    return Answer(about, pieces, True)


def _in_band(
    session: Session, draw: Draw, form: str, code: str, message: str, *, stream: bool
) -> tuple[bytes, ...]:
    if form == "payload" and not session.profile.error_types:
        return (payload_frame(code, message, draw.request_id, session.profile),)
    created = session.clock.stamp(draw.occurrence)
    error = {"code": code, "message": message}
    about = (draw.response_id(session.profile), created, error, session.profile.name, session.rendering)
    return failed_frames(*about) if stream else (json.dumps(failed_reply(*about)),)


def _judged(session: Session, raw: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    try:
        body = json.loads(raw)
    except InvalidJSON as error:
        # Text of the vendor's error-code page (2026); what is wrong follows.
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    findings = tuple(found) if (found := session.judge.findings(body)) else ()
    for finding in findings:
        if finding.severity is Severity.ERROR:
            streamed = isinstance(body, dict) and body.get("stream") is True
            raise from_finding(finding, findings, streamed=streamed)
    return body, findings


def chosen(session: Session, incoming: Incoming, draw: Draw, scenario: str | None = None) -> Chosen:
    """What answers, whichever API it is asked by.

    What was asked for by name, else a stub, else an exchange, else something made up.
    """
    if scenario is not None:
        return _asked_by_name(session, incoming, draw, scenario)
    stub = session.stubs.take(incoming)
    return _unplanned(session, incoming, draw) if stub is None else _planned(session, stub, incoming, draw)


def _planned(session: Session, stub: Stub, incoming: Incoming, draw: Draw) -> Chosen:
    """What a stub answers."""
    plan = stub.plan
    if plan.script is None:
        return Chosen(stub.name, _unplanned(session, incoming, draw, strict=False).reply, plan.delivery)
    if isinstance(plan.script, Fault):
        return Chosen(stub.name, AskedFault(plan.script), plan.delivery)
    if isinstance(plan.script, Script | AskedFault | Mapping):
        return Chosen(stub.name, plan.script, plan.delivery)
    return Chosen(stub.name, _said_by(plan.script, incoming, session), plan.delivery)


def _asked_by_name(session: Session, incoming: Incoming, draw: Draw, name: str) -> Chosen:
    """What answers by its name; ApiError 400 where there is none, or where it has no more to give."""
    stub = session.stubs.step(name)
    if stub is not None:
        return _planned(session, stub, incoming, draw)
    exchange = None if name in session.stubs.scenarios else session.matcher.step(name)
    if exchange is not None:
        return session.replies[exchange.name]
    known = session.stubs.scenarios | session.matcher.scenarios
    if name in known:
        message = f"x-mock-scenario: {name} has answered as often as planned."
        raise Unplanned(400, "UnplannedRequest", message, detail=f"planned: {session.stubs}")
    nearest = get_close_matches(name, sorted(known), 1, 0.0)
    told = f"the nearest is {nearest[0]}" if nearest else "there is none at all"
    message = f"x-mock-scenario: there is no exchange and no scenario {name[:_LONGEST_NAME]!r}; {told}."
    raise ApiError(400, "InvalidParameter", message)


def _said_by(function: Callable[[Incoming], Script], incoming: Incoming, session: Session) -> Script:
    """What a function of the request says; Unplanned where it fails: a test is told, and nothing hangs."""
    name = getattr(function, "__name__", "a function")
    try:
        script = function(incoming)
        require_servable(script, session.profile)
    except Exception as error:  # noqa: BLE001 (code of a test: whatever it raises is its own)
        message = f"The reply's function {name} failed: {type(error).__name__}: {error}"
        raise Unplanned(400, "ReplyFunctionFailed", message, detail=message) from None
    return script


def _unplanned(session: Session, incoming: Incoming, draw: Draw, *, strict: bool = True) -> Chosen:
    only_planned = strict and session.strict and len(session.stubs) > 0
    matcher = session.own if only_planned else session.matcher
    exchange = matcher.find(incoming)
    if exchange is not None:
        return session.replies[exchange.name]
    if only_planned:
        # Not documented: the service has no such thing. A 400 is what clients do not send again.
        raise Unplanned(
            400, "UnplannedRequest", _missed(session, incoming), detail=f"planned: {session.stubs}"
        )
    return Chosen(None, _unscripted(incoming.ask, pick_of(incoming.body, draw, session)))


def _missed(session: Session, incoming: Incoming) -> str:
    """What is told where no stub is for a request: the nearest, what it lacks, and what would be one."""
    stubs = session.stubs
    if all(stub.spent for stub in stubs.all):
        message = "No reply is planned for this request: all planned replies have been given."
    else:
        message = "No reply is planned for this request."
    nearest = stubs.nearest(incoming)
    if nearest is not None:
        stub, lacking = nearest
        message += f" The nearest is {stub.name}, {stub}: {'; '.join(lacking)}."
    prompt = incoming.prompt if len(incoming.prompt) <= _LONGEST_PROMPT else ""
    when = f"when(prompt={prompt!r})." if prompt else ""
    return f'{message} This line would answer it: server.{when}reply("…")'


def _unscripted(ask: Ask, pick: int) -> Script:
    functions = () if ask.answered else _functions(ask)
    try:
        script = answer(
            Question(
                ask.prompt,
                pick,
                ask.thinking,
                () if ask.answered else ask.tools,
                tuple((each["name"], each.get("parameters")) for each in functions),
                ask.form,
                ask.server_label,
            )
        )
    except Unsatisfiable as error:
        raise ApiError(400, "InvalidParameter", _impossible(functions, error)) from None
    if functions and script.size > MAX_SCRIPT_BYTES:
        names = "', '".join(each["name"] for each in functions)
        raise ApiError(400, "InvalidParameter", f"The function '{names}' asks for too large arguments.")
    if script.size > MAX_SCRIPT_BYTES:
        raise ApiError(400, "InvalidParameter", "text.format asks for too large a message.")
    return script


def _impossible(functions: tuple[Mapping[str, Any], ...], error: Unsatisfiable) -> str:
    if not functions:
        return f"No message can be made up for text.format: schema{error}"
    names = "', '".join(each["name"] for each in functions)
    return f"No arguments can be made up for the function '{names}': parameters{error}"


def _functions(ask: Ask) -> tuple[Mapping[str, Any], ...]:
    """The functions that the prompt names, the first of them where one is enough; else the first there is."""
    named = [each for each in ask.functions if _is_named(each["name"], ask.prompt)]
    if not ask.parallel:
        named = named[:1]
    return (tuple(named) or ask.functions[:1])[: ask.most_calls]


def _is_named(name: str, prompt: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", prompt, re.IGNORECASE) is not None


def _verbatim(reply: Mapping[str, Any], about: About, delivery: Delivery) -> Answer:
    """The answer of an exchange that is not a script: an error, a body or a recording."""
    if "error" in reply:
        told = reply["error"]
        error = ApiError(told["status"], told["code"], told["message"])
        raise planned_error(error, about.exchange, delivery)
    if "body" in reply:
        return Answer(about, (json.dumps(reply["body"]),), False, delivery=delivery)
    http = reply["http"]
    chunks = tuple(recorded_chunks(http))
    return Answer(
        about,
        tuple(data for _, data in chunks),
        False,
        status=http["status"],
        headers=_recorded_headers(http.get("headers", {}).items()),
        steps=tuple(pacing.recorded(chunks)) or (Send(b""),),
        delivery=delivery,
    )


def _recorded_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
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
