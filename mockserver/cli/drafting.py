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

__all__ = ["drafts"]

_DATA = ("-d", "--data", "--data-raw", "--data-binary", "--json")
#: `$'…'`, and what a backslash means in it.
_ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLACEHOLDER = {"script": {"items": [{"type": "message", "text": "Say here what the model says."}]}}


def drafts(data: bytes, name: str, prompt: str | None = None) -> list[dict[str, Any]]:
    """Exchanges made of what was given, valid by the format; ConfigurationError where it is none of these.

    `name` is the first one's, the others are numbered; `prompt` is what the request of a bare reply says.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name: letters, digits, '.', '_' and '-', a letter or digit first"
        )
    made = list(_made(data, prompt))
    if not made:
        raise ConfigurationError("there is no call of …/responses in it")
    named = []
    for number, (request, reply) in enumerate(made, start=1):
        own = name if number == 1 else f"{name[:90]}-{number}"
        exchange = {"format": 1, "name": own, **_asked(request, prompt), "reply": reply}
        parse_exchange(json.dumps(exchange), own)
        named.append(exchange)
    return named


def _made(data: bytes, prompt: str | None) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """(request, reply) of each exchange that is in the data."""
    text = data.decode(errors="replace").strip()
    if text.startswith("curl"):
        yield _of_curl(text), _PLACEHOLDER
        return
    value = json.loads_or_none(data)
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        yield from _of_har(value["log"])
        return
    found = detect_content(data)
    if not text or found.kind not in ("stream", "response", "error"):
        raise ConfigurationError("neither a curl line, a HAR file, a stream nor a response")
    kind = "text/event-stream" if found.kind == "stream" else "application/json"
    yield None, _recorded(200, kind, found.body.decode(errors="replace"))


def _of_curl(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(_ANSI_C.sub(_as_plain, text.replace("\\\n", " ")))
    except ValueError as error:
        raise ConfigurationError(f"the curl line can not be read: {error}") from None
    for option, value in pairwise([*words, ""]):
        if option in _DATA:
            return _object(value)
        if option.startswith("-d") and len(option) > len("-d"):
            return _object(option.removeprefix("-d"))
    raise ConfigurationError("the curl line sends no data")


def _as_plain(quoted: re.Match[str]) -> str:
    """A word in the quotes of ANSI C, which browsers copy, in those that every shell has."""

    def meant(escape: re.Match[str]) -> str:
        code = escape[1]
        return chr(int(code[1:], 16)) if code[0] in "ux" and len(code) > 1 else _ESCAPES.get(code, code)

    return shlex.quote(_ESCAPE.sub(meant, quoted[1]))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(redact(text).encode())
    except InvalidJSON as error:
        raise ConfigurationError(f"what is sent is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("what is sent is no JSON object")
    return value


def _of_har(log: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
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
            yield _object(request["postData"]["text"]), _recorded(response["status"], kind, body)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else f"can not be read: {error}"
            raise ConfigurationError(f"an entry of the HAR file {what}") from None


def _recorded(status: int, kind: str, body: str) -> dict[str, Any]:
    """A reply as it was, one chunk an event."""
    text = redact(body)
    cut = re.split(r"(?<=\n\n)", text) if kind == "text/event-stream" else [text]
    chunks = [{"text": piece} for piece in cut if piece]
    return {"http": {"status": status, "headers": {"content-type": kind}, "chunks": chunks}}


def _asked(request: dict[str, Any] | None, prompt: str | None) -> dict[str, Any]:
    """The request and what a request must be like."""
    if request is None:
        return {"match": {"prompt": prompt} if prompt else {}}
    match: dict[str, Any] = {"stream": request.get("stream") is True}
    if text := prompt or _prompt(request.get("input")):
        match["prompt"] = text
    tools = [each.get("type") for each in request.get("tools") or () if isinstance(each, dict)]
    if tools:
        match["tools"] = sorted({str(each) for each in tools})
    return {"request": request, "match": match}


def _prompt(content: Any) -> str:
    if isinstance(content, str):
        return content
    users = [each for each in content or () if isinstance(each, dict) and each.get("role") == "user"]
    return "\n".join(item_texts(users[-1])) if users else ""
