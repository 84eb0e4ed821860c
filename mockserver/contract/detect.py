"""What a file is: a request, a response, an error, a stream or an exchange, told by positive marks.

Also what comes from Chat Completions: its requests, completions and streams. Taken: JSON of any of them,
arrays and JSON Lines of events, raw server-sent events, and each of these with the HTTP head that `curl -i`
puts before it, chunked or not. What has no mark is of no kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mockserver.contract.lines import is_event
from mockserver.errors import InvalidJSON
from mockserver.wire import json

__all__ = ["KINDS", "DetectedContent", "detect_content"]

#: What a file can be judged as; an exchange is judged by its parts.
KINDS = (
    "request",
    "response",
    "stream",
    "error",
    "exchange",
    "chat_request",
    "chat_completion",
    "chat_stream",
)

_STATUS_LINE = re.compile(rb"HTTP/[0-9](?:\.[0-9])? ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r\n")
_SSE_FIELD = re.compile(rb"^(?:(?:data|event|id|retry) *:|:)", re.MULTILINE)
_CHAT_CHUNK = re.compile(rb'^data: ?\{.*"object": ?"chat\.completion\.chunk"', re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
#: So far into a file the first field of a stream is looked for.
_MAX_SEARCHED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class DetectedContent:
    """A file's content and what it is."""

    kind: str | None
    """One of `KINDS`; None where nothing tells."""
    body: bytes
    """The content without the HTTP head, chunks put together."""
    value: Any = None
    """The JSON value, where the body is one."""
    is_json: bool = False
    status: int | None = None
    """Of the HTTP head, if there is one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    truncated: bool = False
    """Whether the chunks of the body end without their end."""


def detect_content(data: bytes) -> DetectedContent:
    """What `data` is."""
    found = _strip_http_heads(data)
    text = found.body.removeprefix(_BOM).strip()
    if not text or text[:1] == b"<":
        # Nothing, or a page: what a stream is when there is no stream. The judge of streams says so.
        return replace(found, kind="stream")
    try:
        value = json.loads(text)
    except InvalidJSON:
        return replace(found, kind=_kind_of_text(found, text))
    return replace(found, kind=_kind_of_value(found, value), value=value, is_json=True)


def _strip_http_heads(data: bytes) -> DetectedContent:
    """The body behind any number of HTTP heads (100 Continue, a proxy's 200, redirects, the answer)."""
    status, headers, rest = None, {}, data
    while (line := _STATUS_LINE.match(rest)) is not None:
        status = int(line[1])
        head, blank, rest = _split_head(rest[line.end() :])
        headers = _parse_headers(head)
        if not blank:
            break
    if "chunked" in headers.get("transfer-encoding", "") and _CHUNK_SIZE.match(rest):
        body, whole = _join_chunks(rest)
        return DetectedContent(None, body, status=status, headers=headers, truncated=not whole)
    return DetectedContent(None, rest, status=status, headers=headers)


def _split_head(data: bytes) -> tuple[bytes, bytes, bytes]:
    blank = re.search(rb"(?:\A|\n)\r?\n", data)
    return (data, b"", b"") if blank is None else (data[: blank.start()], b"\n", data[blank.end() :])


def _parse_headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def _join_chunks(data: bytes) -> tuple[bytes, bool]:
    """The chunks put together, and whether the last of them was there."""
    pieces: list[bytes] = []
    at = 0
    while (size := _CHUNK_SIZE.match(data, at)) is not None:
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces), True
        pieces.append(data[size.end() : size.end() + length])
        at = size.end() + length + 2
    return b"".join(pieces), False


def _kind_of_text(detected: DetectedContent, text: bytes) -> str | None:
    """The kind of a body that is not one JSON value."""
    if text[:1] == b"{":
        first = _first_line_value(text)
        if _is_chat_chunk(first):
            return "chat_stream"
        return "stream" if _is_response_event(first) else None
    if _CHAT_CHUNK.search(text[:_MAX_SEARCHED_BYTES]):
        return "chat_stream"
    if "text/event-stream" in detected.headers.get("content-type", "") or _SSE_FIELD.search(
        text[:_MAX_SEARCHED_BYTES]
    ):
        return "stream"
    return None


def _first_line_value(text: bytes) -> Any:
    return json.value_or_none(text.partition(b"\n")[0])


def _kind_of_value(detected: DetectedContent, value: Any) -> str | None:
    if isinstance(value, list):
        if any(map(_is_chat_chunk, value)):
            return "chat_stream"
        return "stream" if not value or any(map(_is_response_event, value)) else None
    if not isinstance(value, dict):
        return None
    for kind, marked in _KIND_SIGNALS.items():
        if marked(value):
            return kind
    return "error" if detected.status is not None and detected.status >= 400 else None


def _is_response_event(value: Any) -> bool:
    """Whether a value is an event of a response, and no input item, which has a type too."""
    return is_event(value) and value["type"].startswith(("response.", "error"))


def _is_chat_chunk(value: Any) -> bool:
    """Whether a value is a chunk of Chat Completions."""
    return isinstance(value, dict) and value.get("object") == "chat.completion.chunk"


def _is_error_body(value: dict[str, Any]) -> bool:
    return isinstance(value.get("error"), dict | str) or ("code" in value and "message" in value)


_KIND_SIGNALS = {
    "exchange": lambda value: "match" in value and "reply" in value,
    "chat_stream": _is_chat_chunk,
    "chat_completion": lambda value: value.get("object") == "chat.completion",
    "chat_request": lambda value: "messages" in value and "input" not in value,
    "response": lambda value: value.get("object") == "response" or ("output" in value and "status" in value),
    "stream": _is_response_event,
    "request": lambda value: "input" in value or ("model" in value and "id" not in value),
    "error": _is_error_body,
}
"""What tells each kind of object, in the order in which they are asked."""
