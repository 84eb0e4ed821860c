"""Draft exchange files from a curl command, a HAR file, a recorded reply, or the fixtures of another tool.

Drafts hold no keys: the only header kept is the content type, and bodies are redacted.
"""

from __future__ import annotations

import re
import shlex
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mockserver.cli.fixture_imports import cassette_entries, imported_stubs, parse_yaml
from mockserver.contract.detection import detect_content
from mockserver.errors import ConfigurationError, InvalidExchange, InvalidJSON
from mockserver.exchanges import parse_exchange
from mockserver.server.request_facts import item_texts
from mockserver.wire import json
from mockserver.wire.masks import configured_masks
from mockserver.wire.redaction import mask_request, redact, redact_body
from mockserver.wire.sse import decode_frames
from mockserver.wire.terminal import escape_unprintable
from mockserver.wire.text_files import to_utf8

__all__ = ["Drafts", "draft_exchanges"]

_T = TypeVar("_T")

_MAX_SHOWN_CHARACTERS = 200

_CURL_DATA_OPTIONS = ("-d", "--data", "--data-raw", "--data-binary", "--json")
#: `$'…'`, and the backslash escapes inside.
_ANSI_C_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_C_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ANSI_C_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
#: The start of a cassette or of fixtures in YAML.
_YAML_SOURCE = re.compile(r"\A(?:---\s*\n|#.*\n|\s*\n)*(?:interactions|fixtures|version):")
_VALID_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLACEHOLDER_REPLY = {
    "script": {"items": [{"type": "message", "text": "Write the reply of the model here."}]}
}


@dataclass(frozen=True, slots=True)
class Drafts:
    """The exchanges drafted from a source."""

    exchanges: list[dict[str, Any]]
    left_out: list[str]
    """What was left out of the source and why, a line each."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A request and its reply, before they have a name."""

    request: dict[str, Any] | None
    reply: dict[str, Any]
    location: str = ""
    """Where it is in a source with several."""
    members: Mapping[str, Any] | None = None
    """The other members of the exchange; None: they follow from the request."""


def draft_exchanges(source: bytes, name: str, prompt: str | None = None) -> Drafts:
    """Return valid exchanges for a source; ConfigurationError if there is none.

    The first exchange gets `name`; the others are numbered. `prompt` is the prompt to match, for a reply
    that comes without its request.
    """
    if not _VALID_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a valid name: use letters, digits, '.', '_' and '-', with a letter or digit first"
        )
    drafts, left_out = _find_drafts(to_utf8(source))
    exchanges: list[dict[str, Any]] = []
    for draft in drafts:
        own = _exchange_name(name, len(exchanges), draft)
        members = draft.members
        exchange = {
            "format": 1,
            "name": own,
            **(_request_and_match(draft.request, prompt) if members is None else members),
            "reply": draft.reply,
        }
        try:
            parse_exchange(json.dumps(exchange), own)
        except InvalidExchange as error:
            if not draft.location:
                raise
            left_out.append(f"{draft.location}: {error.reason}")
            continue
        exchanges.append(exchange)
    if not exchanges:
        raise ConfigurationError("\n".join(["found no request to …/responses with a reply", *left_out]))
    return Drafts(exchanges, left_out)


def _exchange_name(name: str, count: int, draft: _Draft) -> str:
    """The first draft has the name; fixtures, of which the first that matches answers, are sorted by theirs."""
    if draft.members is not None:
        return f"{name[:90]}-{count + 1:04}"
    return f"{name[:90]}-{count + 1}" if count else name


def _find_drafts(source: bytes) -> tuple[list[_Draft], list[str]]:
    """(the drafts in a source, what was left out)."""
    text = _decode(source, "the source").strip()
    if not text:
        raise ConfigurationError("the source is empty")
    if text.startswith("curl"):
        return [_Draft(_request_from_curl(text), _PLACEHOLDER_REPLY)], []
    value = parse_yaml(text) if _YAML_SOURCE.search(text) else json.loads_or_none(source)
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        return _drafts_from_entries(value["log"].get("entries"))
    if isinstance(value, dict) and isinstance(value.get("interactions"), list):
        return _drafts_from_entries([*cassette_entries(value["interactions"])])
    if isinstance(value, dict) and isinstance(value.get("fixtures"), list):
        return _drafts_from_fixtures(value["fixtures"])
    detected = detect_content(source)
    if detected.kind not in ("stream", "response", "error"):
        raise ConfigurationError(
            "not a curl command, a HAR file, a cassette, fixtures, a stream or a response"
        )
    content_type = "text/event-stream" if detected.kind == "stream" else "application/json"
    status = detected.status or (400 if detected.kind == "error" else 200)
    return [_Draft(None, _recorded_reply(status, content_type, _decode(detected.body, "the reply")))], []


def _decode(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} is not UTF-8") from None


def _request_from_curl(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(_ANSI_C_QUOTED.sub(_requote, text.replace("\\\n", " ")))
    except ValueError as error:
        raise ConfigurationError(f"cannot parse the curl command: {error}") from None
    for option, value in pairwise([*words, ""]):
        if option in _CURL_DATA_OPTIONS:
            return _parse_request_object(value)[0]
        if option.startswith("-d") and len(option) > len("-d"):
            return _parse_request_object(option.removeprefix("-d"))[0]
    raise ConfigurationError("the curl command sends no data")


def _requote(quoted: re.Match[str]) -> str:
    """Convert a word in ANSI C quotes, which browsers copy, to quotes that every shell has."""

    def unescape(escape: re.Match[str]) -> str:
        code = escape[1]
        return (
            chr(int(code[1:], 16)) if code[0] in "ux" and len(code) > 1 else _ANSI_C_ESCAPES.get(code, code)
        )

    return shlex.quote(_ANSI_C_ESCAPE.sub(unescape, quoted[1]))


def _parse_request_object(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(the request without credentials, the credentials that it had)."""
    try:
        value = json.loads(text.encode())
    except InvalidJSON as error:
        raise ConfigurationError(f"the request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("the request body is not a JSON object")
    masked, secrets = mask_request(value, (), configured_masks())
    return masked, secrets


def _drafts_from_fixtures(fixtures: list[Any]) -> tuple[list[_Draft], list[str]]:
    drafts, left_out = [], []
    for each in imported_stubs(fixtures):
        if isinstance(each, str):
            left_out.append(each)
            continue
        members = json.loads(redact_body(json.dumps(each.exchange).decode(), ()).encode())
        drafts.append(_Draft(None, members.pop("reply"), each.location, members))
        left_out += [f"{each.location}: {name} has no equivalent" for name in each.left_out]
    return drafts, left_out


def _drafts_from_entries(entries: Any) -> tuple[list[_Draft], list[str]]:
    """(the drafts of all usable entries of a HAR file, the others with their index, URL and what is missing)."""
    if not isinstance(entries, list):
        raise ConfigurationError("the HAR file has no list of entries")
    drafts, left_out = [], []
    for index, entry in enumerate(entries):
        request = _member(entry, "request", dict) or {}
        location = f"entry {index}, {_shown_request(request)}"
        try:
            drafts.append(_draft_from_entry(request, _member(entry, "response", dict) or {}, location))
        except ConfigurationError as error:
            left_out.append(f"{location}: {error}")
    return drafts, left_out


def _shown_request(request: dict[str, Any]) -> str:
    """Method and URL for a message: without the parts of a URL that may hold a key."""
    url = urlsplit(_member(request, "url", str) or "")
    shown = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}" if url.netloc else url.path
    return escape_unprintable(redact(f"{_member(request, 'method', str)} {shown}"[:_MAX_SHOWN_CHARACTERS]))


def _draft_from_entry(request: dict[str, Any], response: dict[str, Any], location: str) -> _Draft:
    """The draft of an entry; ConfigurationError if it is no exchange with the API, or not a whole one."""
    path = urlsplit(_member(request, "url", str) or "").path
    if _member(request, "method", str) != "POST" or not path.endswith("/responses"):
        raise ConfigurationError("not a POST to …/responses")
    status = _member(response, "status", int) or 0
    if not 100 <= status <= 599:
        raise ConfigurationError(f"it has no reply (status {status}): the request was blocked or cancelled")
    body = _member(_member(request, "postData", dict) or {}, "text", str)
    if not body:
        raise ConfigurationError("the file has no body of the request (postData.text)")
    value, secrets = _parse_request_object(body)
    content = _member(response, "content", dict) or {}
    text = _har_text(content)
    if not text:
        raise ConfigurationError(
            "the file has no body of the reply (content.text), as browsers save streams; record it instead"
        )
    content_type = (_member(content, "mimeType", str) or "application/json").partition(";")[0].strip()
    return _Draft(value, _recorded_reply(status, content_type, text, secrets), location)


def _har_text(content: dict[str, Any]) -> str:
    text = _member(content, "text", str) or ""
    if content.get("encoding") != "base64":
        return text
    try:
        return _decode(b64decode(text, validate=True), "the body of the reply")
    except ValueError as error:
        raise ConfigurationError(f"the body of the reply (content.text) is not base64: {error}") from None


def _member(value: Any, name: str, kind: type[_T]) -> _T | None:
    """A member of an object if it has this type; HAR files have anything anywhere."""
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, kind) and not isinstance(member, bool) else None


def _recorded_reply(status: int, content_type: str, body: str, secrets: Sequence[str] = ()) -> dict[str, Any]:
    """A reply with these bytes; each event of a stream is one chunk. ConfigurationError for an empty stream."""
    text = redact_body(body, secrets)
    is_stream = content_type == "text/event-stream"
    if is_stream and not any(frame.data for frame in decode_frames(text.encode())):
        raise ConfigurationError("the reply is a stream without server-sent events")
    pieces = re.split(r"(?<=\n\n)", text) if is_stream else [text]
    chunks = [{"text": piece} for piece in pieces if piece]
    return {"http": {"status": status, "headers": {"content-type": content_type}, "chunks": chunks}}


def _request_and_match(request: dict[str, Any] | None, prompt: str | None) -> dict[str, Any]:
    """The members `request` and `match` of an exchange."""
    if request is None:
        return {"match": {"prompt": prompt} if prompt else {}}
    match: dict[str, Any] = {"stream": request.get("stream") is True}
    if text := prompt or _last_user_prompt(request.get("input")):
        match["prompt"] = text
    tools = [each.get("type") for each in _dicts(request.get("tools"))]
    if tools:
        match["tools"] = sorted({str(each) for each in tools})
    return {"request": request, "match": match}


def _last_user_prompt(request_input: Any) -> str:
    if isinstance(request_input, str):
        return request_input
    users = [each.get("content") for each in _dicts(request_input) if each.get("role") == "user"]
    return "\n".join(item_texts({"content": users[-1]})) if users else ""


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []
