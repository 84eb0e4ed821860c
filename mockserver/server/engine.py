"""The engine: a request's bytes become an answer; it touches no socket.

    parse → judge → read → find what answers it → fill in the template → remember

Everything a reply needs is derived from the session's seed, the request and its history, never from
the moment or the order of arrival.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.contract.findings import Finding, Severity
from mockserver.contract.requests import ignored_parameters
from mockserver.errors import InvalidJSON, Unsatisfiable
from mockserver.exchanges import recorded_chunks
from mockserver.ids import IdSource, call_id, request_digest, uuid
from mockserver.profiles import Profile
from mockserver.replies.answers import Question, answer
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script
from mockserver.replies.template import Values, reply_template, stream_template
from mockserver.replies.usage import output_tokens
from mockserver.server import pacing
from mockserver.server.asks import Ask, read_ask
from mockserver.server.envelopes import ApiError, Unplanned, from_finding
from mockserver.server.journal import About
from mockserver.server.sessions import Session
from mockserver.server.steps import Send, Step
from mockserver.server.store import Record, Store
from mockserver.wire import json

__all__ = ["Answer", "respond"]

#: Bytes of `tool_choice` that are echoed at the most.
_MAX_ECHO = 16 << 10

#: Ids drawn at once: the response's, and enough for a reply of one item.
_IDS = 2


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


async def respond(session: Session, store: Store, path: str, raw: bytes) -> Answer:
    """The answer to a create request, by its path and body; ApiError where the API refuses it."""
    body, findings = _judged(session, raw)
    profile = session.profile
    ask = read_ask(body, profile)
    parent = None if ask.previous is None else await _parent(session, store, ask.previous)
    digest = request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    occurrence = session.occurrence(digest)
    draw = Draw(session.ids, digest, occurrence)
    exchange, script = _script(session, ask, parent, draw)
    # Without a finding there is no parameter that the profile does not know.
    ignored = tuple(ignored_parameters(body, profile)) if findings else ()
    about = About(draw.request_id, ask.model, ask.prompt, exchange, findings, ignored)
    if not isinstance(script, Script):
        return _verbatim(script, about)
    values = _values(session, ask, parent, script, draw)
    if ask.stream:
        template = stream_template(script, profile.name, session.rendering, ask.model)
        pieces = tuple(template.frames(values))
    else:
        pieces = (reply_template(script, profile.name, session.rendering, ask.model).body(values),)
    if ask.stream or session.rendering != "wire":
        whole = reply_template(script, profile.name, "wire", ask.model).body(values)
    else:
        whole = pieces[0]
    await store.put(_record(session, parent, values, exchange, whole))
    return Answer(about, pieces, ask.stream)


def _judged(session: Session, raw: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    try:
        body = json.loads(raw)
    except InvalidJSON as error:
        # Text of the vendor's error-code page (2026); what is wrong follows.
        message = (
            f"Required body invalid, please check the request body format. The body is not JSON: {error}."
        )
        raise ApiError(400, "InvalidParameter", message) from None
    findings = tuple(session.judge.findings(body))
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise from_finding(finding, findings)
    return body, findings


async def _parent(session: Session, store: Store, previous: str) -> Record:
    record = await store.get(session.name, previous)
    if record is not None and session.clock.now() < record.expires:
        return record
    if record is not None:
        detail = "expired"
    elif await store.was_evicted(session.name, previous):
        detail = "evicted: the store was full"
    else:
        detail = "unknown"
    # Envelope and text inferred: the vendor documents them for retrieve and input_items alone (2026).
    message = f"Response with id '{previous}' not found."
    raise ApiError(400, "InvalidParameter", message, detail=f"previous_response_id {detail}")


def _script(
    session: Session, ask: Ask, parent: Record | None, draw: Draw
) -> tuple[str | None, Script | Mapping[str, Any]]:
    """(name of the exchange that answers, if one does; its script, or its reply where that is none)."""
    planned = session.stubs.take()
    if planned is not None:
        return None, planned
    only_planned = session.strict and len(session.stubs) > 0
    matcher = session.own if only_planned else session.matcher
    exchange = matcher.find(ask, parent.exchange if parent else None)
    if exchange is not None:
        return exchange.name, session.scripts.get(exchange.name, exchange.reply)
    if only_planned:
        # Not documented: the service has no such thing. A 400 is what clients do not send again.
        message = "No reply is planned for this request: all planned replies have been given."
        raise Unplanned(400, "UnplannedRequest", message, detail=f"planned: {session.stubs}")
    return None, _unscripted(ask, draw.pick)


def _unscripted(ask: Ask, pick: int) -> Script:
    if ask.answered:
        return answer(Question(ask.prompt, pick, ask.thinking))
    function = _function(ask.functions, ask.prompt)
    if function is None:
        return answer(Question(ask.prompt, pick, ask.thinking, ask.tools))
    name = function["name"]
    try:
        script = answer(
            Question(ask.prompt, pick, ask.thinking, ask.tools, (name, function.get("parameters")))
        )
    except Unsatisfiable as error:
        message = f"No arguments can be made up for the function '{name}': parameters{error}"
        raise ApiError(400, "InvalidParameter", message) from None
    if script.size > MAX_SCRIPT_BYTES:
        raise ApiError(400, "InvalidParameter", f"The function '{name}' asks for too large arguments.")
    return script


def _function(functions: tuple[Mapping[str, Any], ...], prompt: str) -> Mapping[str, Any] | None:
    """The function that the prompt names, else the first."""
    for function in functions:
        if re.search(rf"(?<![\w-]){re.escape(function['name'])}(?![\w-])", prompt, re.IGNORECASE):
            return function
    return functions[0] if functions else None


def _verbatim(reply: Mapping[str, Any], about: About) -> Answer:
    """The answer of an exchange that is not a script: an error, a body or a recording."""
    if "error" in reply:
        raise ApiError(reply["error"]["status"], reply["error"]["code"], reply["error"]["message"])
    if "body" in reply:
        return Answer(about, (json.dumps(reply["body"]),), False)
    http = reply["http"]
    chunks = tuple(recorded_chunks(http))
    return Answer(
        about,
        tuple(data for _, data in chunks),
        False,
        status=http["status"],
        headers=_recorded_headers(http.get("headers", {}).items()),
        steps=tuple(pacing.recorded(chunks)) or (Send(b""),),
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


class Draw:
    """What chance decides of one reply: its ids, and which of several texts."""

    __slots__ = ("_digest", "_digits", "_ids", "occurrence", "request_id")

    def __init__(self, ids: IdSource, digest: bytes, occurrence: int) -> None:
        self._ids = ids
        self._digest = digest
        self.occurrence = occurrence
        """How often the very same request came before."""
        self._digits = digits = ids.draw(digest, occurrence, _IDS)
        # x-request-id is inside the id of a Chat reply on the same hosts (observed 2026); here, inferred.
        self.request_id = uuid(digits[0])

    @property
    def pick(self) -> int:
        """A number to pick texts by; it shares its digits with an item id, which tells nobody."""
        return int(self._digits[1][:12], 16)

    def items(self, count: int) -> list[str]:
        """32 hex digits for each of so many ids."""
        if count >= len(self._digits):
            self._digits = self._ids.draw(self._digest, self.occurrence, count + 1)
        return self._digits[1 : count + 1]


def _values(session: Session, ask: Ask, parent: Record | None, script: Script, draw: Draw) -> Values:
    profile = session.profile
    turns = parent.turn if parent else 0
    items, calls = len(script.items), len(script.open_calls)
    digits = draw.items(items + calls)
    input_tokens = _input_tokens(ask, parent, script, profile)
    stated = script.usage.output_tokens
    output = output_tokens(script)[0] if stated is None else stated
    prefix = profile.item_id_prefix
    return Values(
        draw.request_id if profile.id_form == "uuid" else profile.id_form + draw.request_id,
        session.clock.stamp(turns + draw.occurrence),
        input_tokens,
        input_tokens + output,
        ask.echo_tools,
        b'"auto"' if ask.choice is None else _echo(ask.choice, session),
        [prefix + uuid(each) for each in digits[:items]],
        [call_id(each) for each in digits[items:]],
    )


def _echo(choice: Any, session: Session) -> bytes:
    echo = load_rendering(session.profile.name, session.rendering).echo(choice)
    if len(echo) > _MAX_ECHO:
        # Each snapshot of a stream repeats it, and no event may be longer than 1 MiB.
        raise ApiError(400, "InvalidParameter", f"tool_choice is longer than {_MAX_ECHO} bytes.")
    return echo


def _input_tokens(ask: Ask, parent: Record | None, script: Script, profile: Profile) -> int:
    stated = script.usage.input_tokens
    if stated is None:
        # The hidden prompt is in the context from the first turn on.
        return ask.input_tokens + (parent.context_tokens if parent else profile.hidden_prompt_tokens)
    return stated if parent is None or script.usage.with_context else stated + parent.context_tokens


def _record(
    session: Session, parent: Record | None, values: Values, exchange: str | None, body: bytes
) -> Record:
    now = session.clock.now()
    return Record(
        values.response_id,
        session.name,
        parent.id if parent else None,
        parent.turn + 1 if parent else 1,
        now,
        now + session.profile.lifetime_s,
        exchange,
        values.total_tokens,
        body,
    )
