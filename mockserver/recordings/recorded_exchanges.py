"""Turn a request and reply that passed through into an exchange for a file, and name it."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mockserver import __version__
from mockserver.errors import InvalidJSON
from mockserver.exchanges import parse_exchange
from mockserver.live.client import MAX_REPLY_CHUNKS
from mockserver.live.pass_through import PassThroughExchange
from mockserver.recordings.canonical_requests import (
    CanonicalRequest,
    canonicalize_request,
)
from mockserver.wire import json
from mockserver.wire.masks import NO_MASKS, Masks
from mockserver.wire.redaction import REDACTED, mask_reply, may_have_masked_members, redact
from mockserver.wire.sse import decode_frames

__all__ = [
    "PendingRecording",
    "build_exchange",
    "encode_chunk",
    "is_error_reply",
    "pending_recording",
    "unreadable_request_reason",
    "unrecorded_reason",
]

#: Request headers that a recording keeps: what the client wants and which it is.
_RECORDED_REQUEST_HEADERS = frozenset(
    {
        *("accept", "content-type", "user-agent", "x-dashscope-session-cache"),
        *("x-stainless-lang", "x-stainless-package-version", "x-stainless-retry-count"),
    }
)
_NON_SLUG_CHARACTERS = re.compile(r"[^a-z0-9]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class PendingRecording:
    """A request that was forwarded and has no reply yet."""

    request: CanonicalRequest
    number: int
    """Its number among equal requests, from 1, in the order of the requests and not of the replies."""
    secrets: tuple[str, ...]
    masks: Masks = NO_MASKS

    @property
    def stem(self) -> str:
        """The name without its number: a slug of the prompt and four bytes of the digest."""
        return f"{_request_slug(self.request)}-{self.request.digest[:4].hex()}"

    @property
    def name(self) -> str:
        """The recording's name, such as `hello-introduce-yourself-stream-1f0c22ab-001`."""
        return f"{self.stem}-{self.number:03}"


def pending_recording(
    pass_through: PassThroughExchange, masks: Masks, number: int, secrets: Sequence[str] = ()
) -> PendingRecording:
    """The pending recording of a request; its secrets include the texts that the masks removed."""
    keys = (pass_through.endpoint_key, *secrets) if pass_through.endpoint_key else tuple(secrets)
    request, masked = canonicalize_request(
        pass_through.scope["method"], pass_through.path, pass_through.request_body, masks, keys
    )
    return PendingRecording(request, number, (*keys, *masked), masks)


def _request_slug(request: CanonicalRequest) -> str:
    value = request.value if isinstance(request.value, dict) else {}
    if request.method == "POST" and request.path == "/responses":
        words = request.prompt or ("tool output" if isinstance(value.get("input"), list) else "")
        words = _slugify(words)[:40].strip("-") or "responses"
        return f"{words}-{'stream' if value.get('stream') is True else 'reply'}"
    return _slugify(f"{request.method} {request.path}")[:60].strip("-")


def _slugify(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _NON_SLUG_CHARACTERS.sub("-", plain.lower()).strip("-")


def unreadable_request_reason(pass_through: PassThroughExchange, masks: Masks) -> str:
    """Why a request cannot be written to a file; empty if it can. What cannot be read cannot be masked."""
    if pass_through.unread_reason:
        return pass_through.unread_reason
    body = pass_through.request_body
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "the request's body is not UTF-8, so a key in it could not be masked"
    if body and may_have_masked_members(text, masks) and not _is_json(body):
        return "the request's body is not JSON, so its masked members could not be found"
    return ""


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except InvalidJSON:
        return False
    return True


def unrecorded_reason(pass_through: PassThroughExchange, masks: Masks) -> str:
    """Why an exchange is not recorded; empty if it is."""
    if reason := unreadable_request_reason(pass_through, masks):
        return reason
    if pass_through.client_disconnected and not pass_through.status:
        return "the client disconnected before the endpoint replied"
    if pass_through.refused or not pass_through.status:
        return "the endpoint did not reply"
    if pass_through.is_truncated:
        return f"the reply has more than 32 MiB or {MAX_REPLY_CHUNKS:,} chunks"
    if dict(pass_through.reply_headers).get(b"content-encoding", b"identity") != b"identity":
        return "the reply is compressed, so a key in it could not be masked"
    return ""


def is_error_reply(pass_through: PassThroughExchange) -> bool:
    """Whether the reply is an error: by its status, as a failed response, or as an event of a stream."""
    if pass_through.status >= 400:
        return True
    if not pass_through.is_stream:
        return _is_error_value(json.loads_or_none(pass_through.reply_body))
    data = (frame.data for frame in decode_frames(pass_through.reply_body) if frame.data)
    return any(_is_error_value(json.loads_or_none(each.encode())) for each in data)


def _is_error_value(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return (
        value.get("type") in ("error", "response.failed")
        or value.get("status") == "failed"
        or isinstance(value.get("error"), dict)
    )


def build_exchange(
    pass_through: PassThroughExchange, pending: PendingRecording, upstream: str, profile: str
) -> dict[str, Any]:
    """The exchange of a request and its reply, as it is written to a file.

    Raises InvalidExchange if the file could not be read again, which an odd request can cause.
    """
    request = pending.request
    recorded = _recorded_member(pass_through, pending, upstream)
    exchange: dict[str, Any] = {
        "format": 1,
        "name": pending.name,
        "source": f"Recorded from {upstream} on {recorded['at'][:10]}.",
        "profile": profile,
    }
    if isinstance(request.value, dict):
        exchange["request"] = request.value
    elif request.value is not None:
        recorded["body"] = encode_chunk(request.body)
    exchange["match"] = _match_member(request)
    exchange["reply"] = {"http": _http_reply(pass_through, pending)}
    exchange["recorded"] = recorded
    parse_exchange(json.dumps(exchange), pending.name)
    return exchange


def _recorded_member(
    pass_through: PassThroughExchange, pending: PendingRecording, upstream: str
) -> dict[str, Any]:
    at = datetime.fromtimestamp(pass_through.received_at, UTC)
    recorded: dict[str, Any] = {
        "at": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "method": pending.request.method,
        "path": pending.request.path,
        "upstream": upstream,
        "headers": _headers(
            pass_through.scope["headers"], pending, lambda name: name in _RECORDED_REQUEST_HEADERS
        ),
        "head_ms": _milliseconds(pass_through.head_time),
        "end_ms": _milliseconds(pass_through.end_time),
        "end": "left" if pass_through.client_disconnected else "complete" if pass_through.complete else "cut",
        "tool": f"responses-mockserver {__version__}",
    }
    if pending.masks.as_options:
        recorded["masked"] = list(pending.masks.as_options)
    return recorded


def _match_member(request: CanonicalRequest) -> dict[str, Any]:
    """The matcher for `mockserver serve --exchanges`; a replay matches the whole request."""
    value = request.value
    if not isinstance(value, dict) or request.method != "POST" or request.path != "/responses":
        return {}
    match: dict[str, Any] = {"stream": value.get("stream") is True}
    if request.prompt:
        match["prompt"] = request.prompt
    tools = value.get("tools")
    types = [each.get("type") for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    if types:
        match["tools"] = sorted({str(each) for each in types})
    return match


def _http_reply(pass_through: PassThroughExchange, pending: PendingRecording) -> dict[str, Any]:
    chunks = mask_reply(pass_through.reply_chunks, pending.secrets, pending.masks)
    return {
        "status": pass_through.status,
        "headers": _headers(pass_through.reply_headers, pending, lambda name: True),
        "chunks": [
            {"at_ms": _milliseconds(at), **encode_chunk(chunk)}
            for at, chunk in zip(pass_through.chunk_times, chunks, strict=True)
        ],
    }


def _headers(
    pairs: Sequence[tuple[bytes, bytes]], pending: PendingRecording, is_recorded: Any
) -> Mapping[str, str]:
    headers = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if redact(value, pending.secrets) != value:
            value = REDACTED
        if is_recorded(name) and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value):
            headers[name] = value
    return headers


def encode_chunk(data: bytes) -> dict[str, str]:
    """Bytes as a JSON value: `text` if they are UTF-8, otherwise `base64`."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
