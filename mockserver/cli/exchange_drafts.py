"""Draft exchange files from a curl command, a HAR file or a recorded reply.

Drafts hold no keys: the only header kept is the content type, and bodies are redacted.
"""

from __future__ import annotations

import re
import shlex
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from mockserver.contract.detection import detect_content
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.exchanges import parse_exchange
from mockserver.server.request_facts import item_texts
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["draft_exchanges"]

_CURL_DATA_OPTIONS = ("-d", "--data", "--data-raw", "--data-binary", "--json")
#: `$'…'`, and the backslash escapes inside.
_ANSI_C_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_C_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ANSI_C_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
_VALID_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLACEHOLDER_REPLY = {
    "script": {"items": [{"type": "message", "text": "Write the reply of the model here."}]}
}


def draft_exchanges(source: bytes, name: str, prompt: str | None = None) -> list[dict[str, Any]]:
    """Return valid exchanges for a source; ConfigurationError if its format is unknown.

    The first exchange gets `name`; the others are numbered. `prompt` is the prompt to match, for a reply
    that comes without its request.
    """
    if not _VALID_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a valid name: use letters, digits, '.', '_' and '-', with a letter or digit first"
        )
    drafts = list(_requests_and_replies(source))
    if not drafts:
        raise ConfigurationError("found no request to …/responses")
    exchanges = []
    for number, (request, reply) in enumerate(drafts, start=1):
        own = name if number == 1 else f"{name[:90]}-{number}"
        exchange = {"format": 1, "name": own, **_request_and_match(request, prompt), "reply": reply}
        parse_exchange(json.dumps(exchange), own)
        exchanges.append(exchange)
    return exchanges


def _requests_and_replies(source: bytes) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    text = source.decode(errors="replace").strip()
    if text.startswith("curl"):
        yield _request_from_curl(text), _PLACEHOLDER_REPLY
        return
    value = json.loads_or_none(source)
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        yield from _exchanges_from_har(value["log"])
        return
    detected = detect_content(source)
    if not text or detected.kind not in ("stream", "response", "error"):
        raise ConfigurationError("not a curl command, a HAR file, a stream or a response")
    content_type = "text/event-stream" if detected.kind == "stream" else "application/json"
    yield None, _recorded_reply(200, content_type, detected.body.decode(errors="replace"))


def _request_from_curl(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(_ANSI_C_QUOTED.sub(_requote, text.replace("\\\n", " ")))
    except ValueError as error:
        raise ConfigurationError(f"cannot parse the curl command: {error}") from None
    for option, value in pairwise([*words, ""]):
        if option in _CURL_DATA_OPTIONS:
            return _parse_request_object(value)
        if option.startswith("-d") and len(option) > len("-d"):
            return _parse_request_object(option.removeprefix("-d"))
    raise ConfigurationError("the curl command sends no data")


def _requote(quoted: re.Match[str]) -> str:
    """Convert a word in ANSI C quotes, which browsers copy, to quotes that every shell has."""

    def unescape(escape: re.Match[str]) -> str:
        code = escape[1]
        return (
            chr(int(code[1:], 16)) if code[0] in "ux" and len(code) > 1 else _ANSI_C_ESCAPES.get(code, code)
        )

    return shlex.quote(_ANSI_C_ESCAPE.sub(unescape, quoted[1]))


def _parse_request_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(redact(text).encode())
    except InvalidJSON as error:
        raise ConfigurationError(f"the request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("the request body is not a JSON object")
    return value


def _exchanges_from_har(log: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for entry in log.get("entries", ()):
        try:
            request, response = entry["request"], entry["response"]
            if request["method"] != "POST" or not request["url"].partition("?")[0].endswith("/responses"):
                continue
            content = response["content"]
            content_type = str(content.get("mimeType", "application/json")).partition(";")[0]
            body = content["text"]
            if content.get("encoding") == "base64":
                body = b64decode(body).decode(errors="replace")
            yield (
                _parse_request_object(request["postData"]["text"]),
                _recorded_reply(response["status"], content_type, body),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
            raise ConfigurationError(f"an entry of the HAR file {reason}") from None


def _recorded_reply(status: int, content_type: str, body: str) -> dict[str, Any]:
    """A reply with these bytes; each event of a stream is one chunk."""
    text = redact(body)
    pieces = re.split(r"(?<=\n\n)", text) if content_type == "text/event-stream" else [text]
    chunks = [{"text": piece} for piece in pieces if piece]
    return {"http": {"status": status, "headers": {"content-type": content_type}, "chunks": chunks}}


def _request_and_match(request: dict[str, Any] | None, prompt: str | None) -> dict[str, Any]:
    """The members `request` and `match` of an exchange."""
    if request is None:
        return {"match": {"prompt": prompt} if prompt else {}}
    match: dict[str, Any] = {"stream": request.get("stream") is True}
    if text := prompt or _last_user_prompt(request.get("input")):
        match["prompt"] = text
    tools = [each.get("type") for each in request.get("tools") or () if isinstance(each, dict)]
    if tools:
        match["tools"] = sorted({str(each) for each in tools})
    return {"request": request, "match": match}


def _last_user_prompt(request_input: Any) -> str:
    if isinstance(request_input, str):
        return request_input
    users = [each for each in request_input or () if isinstance(each, dict) and each.get("role") == "user"]
    return "\n".join(item_texts(users[-1])) if users else ""
