"""Request forms: requests that differ only in their texts are parsed and checked once.

A form is a request without the texts of its messages and without the id of the response that it continues. Nothing
but these texts changes from one request of a form to the next, and no schema and no rule asks more of them than not
to be empty. So a request whose other bytes are those of a valid request is valid, and its facts follow from its texts.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest
from mockserver.named_tuples import NamedTuple, new_tuple
from mockserver.replies.generated_scripts import prepare_texts
from mockserver.replies.markers import SlotValues
from mockserver.replies.script import Script
from mockserver.replies.token_counts import count_new_tokens
from mockserver.server.engine.plan import CompiledScript, RequestPlan
from mockserver.server.errors import ApiError
from mockserver.server.request_facts import RequestFacts, parse_request
from mockserver.server.state.earlier_calls import calls_before_reply
from mockserver.server.state.journal import EntryDetails
from mockserver.server.state.sessions import Session
from mockserver.wire import json
from mockserver.wire.redaction import may_have_credentials

__all__ = ["read_by_form"]

#: A text with its name, if it means the same in JSON as its bytes do. A request has the texts of its messages, or one.
_PLAIN_TEXT = rb'"([ !#-\[\]-\xff]++)"'
_split_at_contents = re.compile(rb'"content": ?' + _PLAIN_TEXT).split
_split_at_input = re.compile(rb'"input": ?' + _PLAIN_TEXT).split
_split_at_id = re.compile(rb'"previous_response_id": ?' + _PLAIN_TEXT).split
#: In a key, in place of a text and of an id with its name: no JSON has these bytes.
_CONTENT_GAP, _INPUT_GAP, _ID_GAP = b"\0", b"\1", b"\2"

#: Bytes of requests that may have a form.
_MAX_REQUEST_BYTES = 16 << 10


class _Pieces(NamedTuple):
    """A request, cut into its texts and the rest."""

    key: bytes
    """The rest, with gaps for the texts and the id."""
    texts: list[bytes]
    previous_id: bytes
    """Empty: it continues no response, or its id is elsewhere."""

    def with_texts(self, texts: Sequence[bytes], previous_id: bytes) -> bytes:
        """A request of the same key. Raises InvalidJSON if that has more gaps than texts, which no JSON has."""
        gap, name = (_CONTENT_GAP, b"content") if _CONTENT_GAP in self.key else (_INPUT_GAP, b"input")
        first, *others = self.key.replace(_ID_GAP, b'"previous_response_id":"%b"' % previous_id).split(gap)
        if len(others) != len(texts):
            raise InvalidJSON("a control character is not in a string")
        return b"".join(
            (first, *(b'"%b":"%b"%b' % (name, *each) for each in zip(texts, others, strict=True)))
        )


def _cut(raw_body: bytes) -> _Pieces | None:
    """The pieces of a request; None if it has no texts."""
    parts, gap = [raw_body], _CONTENT_GAP
    # Not `in`: bytes take what they are asked for as a number first, and make an error to find out that it is not.
    if raw_body.find(b'"content":') >= 0:
        parts = _split_at_contents(raw_body)
    if len(parts) == 1:
        parts, gap = _split_at_input(raw_body), _INPUT_GAP
    texts = parts[1::2]
    if not texts:
        return None
    del parts[1::2]
    key, previous_id = gap.join(parts), b""
    if key.find(b'"previous_response_id"') >= 0:
        parts = _split_at_id(key)
        if len(parts) == 3:
            before, previous_id, after = parts
            key = b"%b%b%b" % (before, _ID_GAP, after)
    return new_tuple(_Pieces, (key, texts, previous_id))


class _RequestForm(NamedTuple):
    """What the requests of a form have in common."""

    facts: RequestFacts
    prompt_at: int | None
    """Which of the texts is the prompt; None: there is none."""
    text_count: int
    has_id: bool
    has_sign: bool
    """Whether the rest has what bodies with credentials have."""
    canonical: bytes
    """Path and canonical JSON, to be formatted with the texts and the id."""
    known_replies: dict[Script, tuple[CompiledScript, SlotValues]]
    """As of `RequestPlan`."""

    def read(self, pieces: _Pieces, raw_body: bytes) -> RequestPlan | None:
        """The request; None if its texts are not UTF-8, or it is none."""
        form_facts, prompt_at, text_count, has_id, has_sign, canonical, known_replies = self
        _, texts, previous_id = pieces
        if len(texts) != text_count or bool(previous_id) is not has_id:
            return None
        joined = b"\n".join(texts)
        try:
            text, id_ = joined.decode(), previous_id.decode() or None
        except UnicodeDecodeError:
            return None
        prompt = "" if prompt_at is None else text if text_count == 1 else texts[prompt_at].decode()
        prepare_texts(prompt)
        tokens = count_new_tokens(text) + form_facts.instruction_tokens
        # In the order of the members: `_replace` takes several times as long.
        model, stream, _, _, thinking, answered, _, *others = form_facts
        facts = new_tuple(RequestFacts, (model, stream, prompt, tokens, thinking, answered, id_, *others))
        digest = request_digest(canonical % ((*texts, previous_id) if has_id else tuple(texts)))
        # Texts and ids have no quotes and no backslashes.
        has_sign = has_sign or joined.find(b"//") >= 0 or previous_id.find(b"//") >= 0
        details = EntryDetails(model, prompt, None, (), (), has_sign)
        return RequestPlan(raw_body, (), facts, digest, details, None, known_replies)


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
        raw_body = pieces.with_texts([each.encode() for each in texts], previous_id.encode())
        body = json.loads(raw_body)
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
    has_id, has_sign = bool(previous_id), may_have_credentials(raw_body)
    return _RequestForm(facts, prompt_at, len(texts), has_id, has_sign, canonical, {})


#: Reads no request: each has a text.
_NO_FORM = _RequestForm(
    RequestFacts("", False, "", 0, False, False, None, None), None, 0, False, True, b"", {}
)
