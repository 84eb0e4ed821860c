"""Drafts of exchange files: from a curl line, a HAR file, or a reply as it was recorded.

Keys never get in: of headers only the content type is kept, and bodies are redacted.
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
#: `$'…'`, and what a backslash means in it.
_ANSI_C_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_C_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ANSI_C_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
_VALID_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLACEHOLDER_REPLY = {"script": {"items": [{"type": "message", "text": "Say here what the model says."}]}}


def draft_exchanges(source: bytes, name: str, prompt: str | None = None) -> list[dict[str, Any]]:
    """Exchanges made of what was given, valid by the format; ConfigurationError where it is none of these.

    `name` is the first one's, the others are numbered; `prompt` is what the request of a bare reply says.
    """
    if not _VALID_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name: letters, digits, '.', '_' and '-', a letter or digit first"
        )
    made = list(_requests_and_replies(source, prompt))
    if not made:
        raise ConfigurationError("there is no call of …/responses in it")
    named = []
    for number, (request, reply) in enumerate(made, start=1):
        own = name if number == 1 else f"{name[:90]}-{number}"
        exchange = {"format": 1, "name": own, **_request_and_match(request, prompt), "reply": reply}
        parse_exchange(json.dumps(exchange), own)
        named.append(exchange)
    return named


def _requests_and_replies(
    source: bytes, prompt: str | None
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """(request, reply) of each exchange that is in the data."""
    text = source.decode(errors="replace").strip()
    if text.startswith("curl"):
        yield _request_from_curl(text), _PLACEHOLDER_REPLY
        return
    value = json.loads_or_none(source)
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        yield from _exchanges_from_har(value["log"])
        return
    found = detect_content(source)
    if not text or found.kind not in ("stream", "response", "error"):
        raise ConfigurationError("neither a curl line, a HAR file, a stream nor a response")
    kind = "text/event-stream" if found.kind == "stream" else "application/json"
    yield None, _recorded_reply(200, kind, found.body.decode(errors="replace"))


def _request_from_curl(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(_ANSI_C_QUOTED.sub(_requote, text.replace("\\\n", " ")))
    except ValueError as error:
        raise ConfigurationError(f"the curl line can not be read: {error}") from None
    for option, value in pairwise([*words, ""]):
        if option in _CURL_DATA_OPTIONS:
            return _parse_request_object(value)
        if option.startswith("-d") and len(option) > len("-d"):
            return _parse_request_object(option.removeprefix("-d"))
    raise ConfigurationError("the curl line sends no data")


def _requote(quoted: re.Match[str]) -> str:
    """A word in the quotes of ANSI C, which browsers copy, in those that every shell has."""

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
        raise ConfigurationError(f"what is sent is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("what is sent is no JSON object")
    return value


def _exchanges_from_har(log: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for entry in log.get("entries", ()):
        try:
            request, response = entry["request"], entry["response"]
            if request["method"] != "POST" or not request["url"].partition("?")[0].endswith("/responses"):
                continue
            content = response["content"]
            kind = str(content.get("mimeType", "application/json")).partition(";")[0]
            body = content["text"]
            if content.get("encoding") == "base64":
                body = b64decode(body).decode(errors="replace")
            yield (
                _parse_request_object(request["postData"]["text"]),
                _recorded_reply(response["status"], kind, body),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else f"can not be read: {error}"
            raise ConfigurationError(f"an entry of the HAR file {what}") from None


def _recorded_reply(status: int, content_type: str, body: str) -> dict[str, Any]:
    """A reply as it was, one chunk an event."""
    text = redact(body)
    cut = re.split(r"(?<=\n\n)", text) if content_type == "text/event-stream" else [text]
    chunks = [{"text": piece} for piece in cut if piece]
    return {"http": {"status": status, "headers": {"content-type": content_type}, "chunks": chunks}}


def _request_and_match(request: dict[str, Any] | None, prompt: str | None) -> dict[str, Any]:
    """The request and what a request must be like."""
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
