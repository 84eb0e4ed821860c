"""From a passage to an exchange: what is kept of a request and its answer, and under which name."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mockserver import __version__
from mockserver.exchanges import parse_exchange
from mockserver.live.pass_through import PassThroughExchange
from mockserver.recordings.canonical_requests import CanonicalRequest, canonicalize_request
from mockserver.wire import json
from mockserver.wire.redaction import SAFE_HEADERS, encode_secrets, mask_keys, mask_secrets, redact

__all__ = ["PendingRecording", "build_exchange", "encode_chunk", "pending_recording", "unrecorded_reason"]

#: Request headers that a recording keeps beside those of the service.
_KEPT_REQUEST_HEADERS = SAFE_HEADERS - {
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
}
_NON_SLUG_CHARACTERS = re.compile(r"[^a-z0-9]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class PendingRecording:
    """What is told of a request when it comes; its place among those like it is not its answer's affair."""

    request: CanonicalRequest
    number: int
    """Which of the requests that are the same it is, from 1."""
    secrets: tuple[str, ...]
    masks: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name without its number: what was asked, and four bytes of its digest."""
        return f"{_request_slug(self.request)}-{self.request.digest[:4].hex()}"

    @property
    def name(self) -> str:
        """For instance: hello-introduce-yourself-stream-1f0c22ab-001."""
        return f"{self.stem}-{self.number:03}"


def pending_recording(
    pass_through: PassThroughExchange, masks: Sequence[str], number: int, secrets: Sequence[str] = ()
) -> PendingRecording:
    """The ticket of a request; `number` is overwritten by whoever counts."""
    known = (pass_through.endpoint_key, *secrets) if pass_through.endpoint_key else tuple(secrets)
    request, taken = canonicalize_request(
        pass_through.scope["method"], pass_through.path, pass_through.request_body, masks, known
    )
    return PendingRecording(request, number, (*known, *taken), tuple(masks))


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


def unrecorded_reason(pass_through: PassThroughExchange) -> str:
    """Why a passage is not recorded; empty: it is."""
    if pass_through.refused or not pass_through.status:
        return "the endpoint gave no answer"
    if pass_through.is_truncated:
        return "the answer is longer than 32 MiB"
    if dict(pass_through.reply_headers).get(b"content-encoding", b"identity") != b"identity":
        return "the answer is compressed, so that a key in it would not be seen"
    return ""


def build_exchange(
    pass_through: PassThroughExchange, pending: PendingRecording, upstream: str, profile: str
) -> dict[str, Any]:
    """The exchange of a passage that has been answered, as it goes into a file.

    InvalidExchange where it could not be read again: a request may be as odd as it likes.
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
    told: dict[str, Any] = {
        "at": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "method": pending.request.method,
        "path": pending.request.path,
        "upstream": upstream,
        "headers": _headers(
            pass_through.scope["headers"], pending, lambda name: name in _KEPT_REQUEST_HEADERS
        ),
        "head_ms": _milliseconds(pass_through.head_time),
        "end_ms": _milliseconds(pass_through.end_time),
        "end": "left" if pass_through.client_disconnected else "complete" if pass_through.complete else "cut",
        "tool": f"responses-mockserver {__version__}",
    }
    if pending.masks:
        told["masked"] = list(pending.masks)
    return told


def _match_member(request: CanonicalRequest) -> dict[str, Any]:
    """What makes a server of exchanges give the recording; a replay goes by the whole request."""
    value = request.value
    if not isinstance(value, dict) or request.method != "POST" or request.path != "/responses":
        return {}
    match: dict[str, Any] = {"stream": value.get("stream") is True}
    if request.prompt:
        match["prompt"] = request.prompt
    tools = value.get("tools")
    kinds = [each.get("type") for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    if kinds:
        match["tools"] = sorted({str(each) for each in kinds})
    return match


def _http_reply(pass_through: PassThroughExchange, pending: PendingRecording) -> dict[str, Any]:
    secrets = encode_secrets(pending.secrets)
    pieces = mask_keys(mask_secrets(pass_through.reply_chunks, secrets))
    return {
        "status": pass_through.status,
        "headers": _headers(pass_through.reply_headers, pending, lambda name: True),
        "chunks": [
            {"at_ms": _milliseconds(at), **encode_chunk(piece)}
            for at, piece in zip(pass_through.chunk_times, pieces, strict=True)
        ],
    }


def _headers(
    pairs: Sequence[tuple[bytes, bytes]], pending: PendingRecording, is_kept: Any
) -> Mapping[str, str]:
    kept = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), redact(raw_value.decode("latin-1"), pending.secrets)
        if is_kept(name) and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value):
            kept[name] = value
    return kept


def encode_chunk(data: bytes) -> dict[str, str]:
    """Bytes as JSON has them: text where they are text."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
