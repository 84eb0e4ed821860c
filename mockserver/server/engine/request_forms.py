"""Request forms: requests that differ only in their texts are parsed and checked once.

A form is a request without the texts of its messages and without the id of the response that it continues. Nothing
but these texts changes from one request of a form to the next, and no schema and no rule asks more of them than not
to be empty. So a request whose other bytes are those of a valid request is valid, and its facts follow from its texts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest
from mockserver.replies.generated_scripts import prepare_texts
from mockserver.replies.markers import SlotValues
from mockserver.replies.script import Script
from mockserver.replies.token_counts import count_tokens
from mockserver.server.engine.plan import CompiledScript, RequestPlan
from mockserver.server.errors import ApiError
from mockserver.server.request_facts import RequestFacts, parse_request
from mockserver.server.state.earlier_calls import calls_before_reply
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import Session
from mockserver.wire import json

__all__ = ["read_by_form"]

#: What is before the texts of a request: those of its messages, or the only one. Encoders write it in these ways.
_BEFORE_TEXTS = (b'"content": "', b'"content":"', b'"input": "', b'"input":"')
_BEFORE_ID = b'"previous_response_id"'
#: What no text has that means the same in JSON as its bytes do, apart from the line breaks between texts.
_SPECIAL_BYTES = bytes({*range(0x20), ord("\\")} - {ord("\n")})
#: In a key, in place of a text and of an id: no JSON has these bytes.
_TEXT_GAP, _ID_GAP = b"\0", b"\1"

#: Bytes of requests that may have a form.
_MAX_REQUEST_BYTES = 16 << 10


class _Pieces(NamedTuple):
    """A request, cut into its texts and the rest."""

    key: bytes
    """The rest, with gaps for the texts and the id."""
    separator: bytes
    texts: list[bytes]
    previous_id: bytes
    """Empty: it continues no response, or its id is elsewhere."""

    def with_texts(self, texts: Sequence[bytes], previous_id: bytes) -> bytes:
        """A request of the same key."""
        first, *others = self.key.removeprefix(self.separator).replace(_ID_GAP, previous_id).split(_TEXT_GAP)
        parts = (b'%b%b"%b' % (self.separator, *each) for each in zip(texts, others, strict=True))
        return b"".join((first, *parts))


def _cut(raw_body: bytes) -> _Pieces | None:
    """The pieces of a request; None if it has no texts, or is written on several lines."""
    # Not `in`: bytes take what they are asked for as a number first, and make an error to find out that it is not.
    if raw_body.find(b"\n") >= 0:
        return None
    for separator in _BEFORE_TEXTS:
        start, *parts = raw_body.split(separator)
        if parts:
            break
    else:
        return None
    texts, rest = [], [separator + start]
    for part in parts:
        text, _, after = part.partition(b'"')
        texts.append(text)
        rest.append(after)
    key = _TEXT_GAP.join(rest)
    before, name, after = key.partition(_BEFORE_ID)
    if not name:
        return _Pieces(key, separator, texts, b"")
    colon, _, after = after.partition(b'"')
    previous_id, _, after = after.partition(b'"')
    key = b'%b%b%b"%b"%b' % (before, name, colon, _ID_GAP, after)
    return _Pieces(key, separator, texts, previous_id)


class _RequestForm(NamedTuple):
    """What the requests of a form have in common."""

    facts: RequestFacts
    prompt_at: int | None
    """Which of the texts is the prompt; None: there is none."""
    text_count: int
    has_id: bool
    canonical: bytes
    """Path and canonical JSON, to be formatted with the texts and the id."""
    known_replies: dict[Script, tuple[CompiledScript, SlotValues]]
    """As of `RequestPlan`."""

    def read(self, pieces: _Pieces, raw_body: bytes) -> RequestPlan | None:
        """The request; None if its texts are not plain."""
        form_facts, prompt_at, text_count, has_id, canonical, known_replies = self
        _, _, texts, previous_id = pieces
        joined = b"\n".join(texts)
        is_form = len(texts) == text_count and b"" not in texts and bool(previous_id) is has_id
        if not is_form or not _is_plain(joined) or (has_id and not _is_plain(previous_id)):
            return None
        try:
            text, id_ = joined.decode(), previous_id.decode() or None
        except UnicodeDecodeError:
            return None
        prompt = "" if prompt_at is None else texts[prompt_at].decode()
        prepare_texts(prompt)
        tokens = count_tokens(text) + form_facts.instruction_tokens
        # In the order of the members: `_replace` takes several times as long.
        model, stream, _, _, thinking, answered, _, *others = form_facts
        facts = RequestFacts(model, stream, prompt, tokens, thinking, answered, id_, *others)
        digest = request_digest(canonical % ((*texts, previous_id) if has_id else tuple(texts)))
        return RequestPlan(raw_body, (), facts, digest, EntryDetails(model, prompt), None, known_replies)


def _is_plain(text: bytes) -> bool:
    return len(text.translate(None, _SPECIAL_BYTES)) == len(text)


def read_by_form(session: Session, version: int, path: str, raw_body: bytes) -> RequestPlan | None:
    """The request, if its form is known under this version of the settings: from the third request of a form on."""
    pieces = _cut(raw_body) if len(raw_body) <= _MAX_REQUEST_BYTES else None
    if pieces is None:
        return None
    forms = session.forms
    form: _RequestForm | None = forms.get(version, path, pieces.key)
    if form is not None:
        return form.read(pieces, raw_body)
    if forms.comes_again(path, pieces.key):
        forms.keep(path, pieces.key, _build_form(pieces, path, session))
    return None


def _build_form(pieces: _Pieces, path: str, session: Session) -> _RequestForm:
    """The form of a request; the one that reads nothing if it is invalid, or its texts are elsewhere."""
    tokens = [secrets.token_hex(8) for _ in (*pieces.texts, pieces.previous_id)]
    *texts, previous_id = tokens if pieces.previous_id else (*tokens[:-1], "")
    try:
        body = json.loads(pieces.with_texts([each.encode() for each in texts], previous_id.encode()))
        if session.request_checker.check(body):
            return _NO_FORM
        facts = parse_request(body, session.profile)
    except (InvalidJSON, ApiError):
        return _NO_FORM
    content = body["input"]
    found = [content] if content.__class__ is str else [each.get("content") for each in content]
    is_whole = found == texts and (facts.previous_response_id or "") == previous_id
    if not is_whole or calls_before_reply(None, content) is not None:
        return _NO_FORM
    canonical = b"%b %b" % (path.encode(), json.canonical(body))
    canonical = canonical.replace(b"%", b"%%")
    for each in tokens:
        canonical = canonical.replace(each.encode(), b"%b")
    prompt_at = texts.index(facts.prompt) if facts.prompt else None
    return _RequestForm(facts, prompt_at, len(texts), bool(previous_id), canonical, {})


#: Reads no request: each has a text.
_NO_FORM = _RequestForm(RequestFacts("", False, "", 0, False, False, None, None), None, 0, False, b"", {})
