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
from mockserver.ids import call_id, request_digest, uuid
from mockserver.profiles import Profile
from mockserver.replies.answers import Question, answer
from mockserver.replies.renderings import load_rendering
from mockserver.replies.script import MAX_SCRIPT_BYTES, Script
from mockserver.replies.template import Values, reply_template, stream_template
from mockserver.replies.usage import output_tokens
from mockserver.server import pacing
from mockserver.server.asks import Ask, read_ask
from mockserver.server.envelopes import ApiError, from_finding
from mockserver.server.sessions import Session
from mockserver.server.steps import Step
from mockserver.server.store import Record, Store
from mockserver.wire import json

__all__ = ["Answer", "respond"]

#: Bytes of `tool_choice` that are echoed at the most.
_MAX_ECHO = 16 << 10

#: Ids drawn at once: the response's, and enough for a reply of one item.
_IDS = 2


class About(NamedTuple):
    """What the journal keeps of an answer beside its bytes."""

    request_id: str
    model: str
    prompt: str
    exchange: str | None
    findings: tuple[Finding, ...]
    ignored: tuple[str, ...]


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
    ask = read_ask(body, session.profile)
    if ask.choice.__class__ is dict and len(json.dumps(ask.choice)) > _MAX_ECHO:
        # Each snapshot of a stream repeats it, and no event may be longer than 1 MiB.
        raise ApiError(400, "InvalidParameter", f"tool_choice is longer than {_MAX_ECHO} bytes.")
    parent = await _parent(session, store, ask.previous)
    digest = request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    occurrence = session.occurrence(digest)
    reply = _Reply(session, ask, parent, digest, occurrence)
    exchange, script = _script(session, ask, parent, reply.pick)
    ignored = tuple(ignored_parameters(body, session.profile))
    about = About(reply.request_id, ask.model, ask.prompt, exchange, findings, ignored)
    if not isinstance(script, Script):
        return _verbatim(script, about)
    values = reply.values(script)
    look = (script, session.profile.name, session.rendering, ask.model)
    if ask.stream:
        pieces = tuple(stream_template(*look).frames(values))
    else:
        pieces = (reply_template(*look).body(values),)
    whole = pieces[0] if not ask.stream and session.rendering == "wire" else None
    await store.put(reply.record(script, values, about.exchange, whole))
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
    if findings:
        for finding in findings:
            if finding.severity is Severity.ERROR:
                raise from_finding(finding, findings)
    return body, findings


async def _parent(session: Session, store: Store, previous: str | None) -> Record | None:
    if previous is None:
        return None
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
    session: Session, ask: Ask, parent: Record | None, pick: int
) -> tuple[str | None, Script | Mapping[str, Any]]:
    """(name of the exchange that answers, if one does; its script, or its reply where that is none)."""
    if session.stubs:
        return None, session.stubs.popleft()
    exchange = session.matcher.find(ask, parent.exchange if parent else None)
    if exchange is not None:
        return exchange.name, session.scripts.get(exchange.name, exchange.reply)
    return None, _unscripted(ask, pick)


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
        steps=tuple(pacing.recorded(chunks)),
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


class _Reply:
    """The ids, times and token counts of one reply."""

    __slots__ = (
        *("_ask", "_digest", "_digits", "_look", "_occurrence", "_parent", "_session"),
        *("pick", "request_id"),
    )

    def __init__(
        self, session: Session, ask: Ask, parent: Record | None, digest: bytes, occurrence: int
    ) -> None:
        self._session = session
        self._look = load_rendering(session.profile.name, session.rendering)
        self._ask = ask
        self._parent = parent
        self._digest = digest
        self._occurrence = occurrence
        self._digits = session.ids.draw(digest, occurrence, _IDS)
        # x-request-id is inside the id of a Chat reply on the same hosts (observed 2026); here, inferred.
        self.request_id = uuid(self._digits[0])
        self.pick = int(self._digits[1][:12], 16)  # shares its digits with an item id, which tells nobody

    def values(self, script: Script) -> Values:
        items, calls = len(script.items), len(script.open_calls)
        digits = self._digits
        if items + calls + 1 > len(digits):
            digits = self._session.ids.draw(self._digest, self._occurrence, items + calls + 1)
        profile = self._session.profile
        prefix = profile.item_id_prefix
        input_tokens = self._input_tokens(script, profile)
        return Values(
            self.response_id,
            self._session.clock.stamp(self._turn - 1 + self._occurrence),
            input_tokens,
            input_tokens + _stated_or_counted(script),
            self._ask.echo_tools,
            self._look.echo(self._ask.choice),
            [prefix + uuid(each) for each in digits[1 : items + 1]],
            [call_id(each) for each in digits[items + 1 :]] if calls else (),
        )

    @property
    def response_id(self) -> str:
        form = self._session.profile.id_form
        return self.request_id if form == "uuid" else form + self.request_id

    @property
    def _turn(self) -> int:
        return self._parent.turn + 1 if self._parent else 1

    def _input_tokens(self, script: Script, profile: Profile) -> int:
        context = self._parent.context_tokens if self._parent else 0
        stated = script.usage.input_tokens
        if stated is None:
            return context + profile.hidden_prompt_tokens * (not context) + self._ask.input_tokens
        return stated if script.usage.with_context else context + stated

    def record(self, script: Script, values: Values, exchange: str | None, body: bytes | None) -> Record:
        session = self._session
        now = session.clock.now()
        if body is None:
            body = reply_template(script, session.profile.name, "wire", self._ask.model).body(values)
        return Record(
            id=values.response_id,
            session=session.name,
            parent=self._parent.id if self._parent else None,
            turn=self._turn,
            created=now,
            expires=now + session.profile.lifetime_s,
            exchange=exchange,
            context_tokens=values.total_tokens,
            response=body,
        )


def _stated_or_counted(script: Script) -> int:
    stated = script.usage.output_tokens
    return output_tokens(script)[0] if stated is None else stated
