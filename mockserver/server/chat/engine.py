"""The engine of Chat Completions: what answers the Responses form of a request, told as a completion.

    parse → judge → translate → find what answers it → tell it as Chat does

The same messages get the same text, the same calls and the same tokens by either API: chance is drawn from
the Responses form, at the service's own path. Ids are this request's own.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from mockserver.contract.chat.migration import responses_form
from mockserver.contract.chat.requests import chat_request_findings, ignored_members
from mockserver.contract.chat.schemas import chat_models
from mockserver.contract.findings import Finding, Severity
from mockserver.errors import InvalidJSON
from mockserver.ids import call_id, request_digest
from mockserver.profiles import Profile
from mockserver.replies.chat import ChatFacts, chat_completion, chat_frames, stopped_at
from mockserver.replies.script import Script
from mockserver.replies.usage import cut_short, output_tokens
from mockserver.server.asks import form_of, read_ask
from mockserver.server.chat.faults import refusal_of
from mockserver.server.chat.history import told_before, turn_of
from mockserver.server.chat.scripts import failed_script, script_of
from mockserver.server.chat.words import chat_refusal
from mockserver.server.conditions import Incoming
from mockserver.server.engine import Answer, Chosen, chosen, planned_error
from mockserver.server.envelopes import ApiError
from mockserver.server.faults import AskedFault
from mockserver.server.journal import About
from mockserver.server.sessions import Session
from mockserver.server.values import Draw, context_tokens
from mockserver.wire import json

__all__ = ["chat_incoming", "respond_chat"]


def respond_chat(
    session: Session, path: str, raw: bytes, headers: Mapping[bytes, bytes], scenario: str | None = None
) -> Answer:
    """The answer to a chat request; ApiError where the API refuses it, in the words of Responses.

    `scenario` names what is to answer, whatever else would.
    """
    body, findings = _judged(session, raw)
    incoming = chat_incoming(body, session.profile, headers, session)
    key = headers.get(b"authorization", b"")
    _admit(session, incoming, key)
    digest = request_digest(b"%b %b" % (path.encode(), json.canonical(body)))
    draw = Draw(session.ids, digest, session.occurrence(digest))
    found = chosen(session, incoming, _told(session, incoming, draw), scenario)
    about = About(
        draw.request_id,
        incoming.model,
        incoming.prompt,
        found.name,
        findings,
        ignored_members(body) if findings else (),
        after=incoming.after,
        turn=incoming.turn,
    )
    script = _within(_script(found), body)
    facts = _facts(session, incoming, script, body, draw)
    if session.limiter is not None:
        session.limiter.spend(key, incoming.model, output_tokens(script)[0] * facts.choices)
    if incoming.stream:
        return Answer(about, chat_frames(script, facts), True, delivery=found.delivery)
    pieces = (json.dumps(chat_completion(script, facts)),)
    return Answer(about, pieces, False, delivery=found.delivery)


def chat_incoming(
    body: Mapping[str, Any],
    profile: Profile,
    headers: Mapping[bytes, bytes],
    session: Session | None = None,
) -> Incoming:
    """A chat request as one that waits for its reply; conditions see its Responses form.

    With the `session` also which of its plans and exchanges answered the turn before.
    """
    form = responses_form(body, profile).body
    # A form is asked for in any age of Chat, even where Responses ignores it.
    ask = read_ask(form, profile)._replace(form=form_of(form.get("text")))
    messages = body["messages"]
    after = told_before(session, messages) if session is not None else None
    return Incoming(form, ask, headers, after, turn_of(messages))


def _judged(session: Session, raw: bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    try:
        body = json.loads(raw)
    except InvalidJSON as error:
        # Text of the vendor's error-code page (2026); what is wrong follows.
        message = "Required body invalid, please check the request body format."
        raise ApiError(400, "InvalidParameter", f"{message} The body is not JSON: {error}.") from None
    found = tuple(chat_request_findings(body, session.profile, _Models(session.models)))
    for finding in found:
        if finding.severity is Severity.ERROR:
            raise chat_refusal(finding, found)
    return body, found


class _Models:
    """The models that a session takes, and those of any age: Chat has more than Responses."""

    def __init__(self, own: Container[str]) -> None:
        self._own = own

    def __contains__(self, model: object) -> bool:
        return model in self._own or model in chat_models()


def _admit(session: Session, incoming: Incoming, key: bytes) -> None:
    if session.limiter is not None:
        tokens = incoming.ask.input_tokens + session.profile.hidden_prompt_tokens
        session.limiter.admit(key, incoming.model, tokens, session.clock.now())


def _told(session: Session, incoming: Incoming, draw: Draw) -> Draw:
    """What chance decides of the text: the same as for the Responses form."""
    path = f"{session.profile.base_path}/responses".encode()
    digest = request_digest(b"%b %b" % (path, json.canonical(incoming.body)))
    return Draw(session.ids, digest, draw.occurrence)


def _script(found: Chosen) -> Script:
    try:
        if isinstance(found.reply, AskedFault):
            raise refusal_of(found.reply)
        script = found.reply if isinstance(found.reply, Script) else script_of(found.reply)
        if script.status == "failed":
            raise failed_script(script)
    except ApiError as error:
        raise planned_error(error, found.name, found.delivery) from None
    return script


def _within(script: Script, body: Mapping[str, Any]) -> Script:
    """The script as far as the request lets it go: to a text at which it ends, within so many tokens.

    `max_tokens` limits the answer alone, `max_completion_tokens` thoughts as well (compatibility notice,
    November 2026).
    """
    stop = body.get("stop")
    if stop:
        script = stopped_at(script, [stop] if isinstance(stop, str) else stop)
    for name, thoughts in (("max_tokens", False), ("max_completion_tokens", True)):
        limit = body.get(name)
        stated = script.usage.output_tokens
        if limit is not None and script.status == "completed" and (stated is None or stated > limit):
            script = cut_short(script, limit, thoughts)
    return script


def _facts(
    session: Session, incoming: Incoming, script: Script, body: Mapping[str, Any], draw: Draw
) -> ChatFacts:
    tokens = context_tokens(incoming.ask, None, script, session.profile)
    if session.limiter is not None:
        tokens = session.limiter.fitting(tokens)
    options = body.get("stream_options") or {}
    return ChatFacts(
        # chatcmpl- and the id of the request: live recordings, 2025 and 2026.
        f"chatcmpl-{draw.request_id}",
        session.clock.stamp(incoming.turn - 1 + draw.occurrence),
        incoming.model,
        tokens,
        tuple(call_id(digits) for digits in draw.items(len(script.items))),
        body.get("n") or 1,
        options.get("include_usage") is True,
    )
