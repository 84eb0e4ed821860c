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
from mockserver.live.passages import Passage
from mockserver.recordings.requests import Asked, asked
from mockserver.wire import json
from mockserver.wire.redaction import SAFE_HEADERS, covered, covered_keys, redact, spellings

__all__ = ["Ticket", "exchange_of", "part_of", "ticket_of", "unrecorded"]

#: Request headers that a recording keeps beside those of the service.
_KEPT = SAFE_HEADERS - {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}
_TEXT = re.compile(r"[^a-z0-9]+")
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is told of a request when it comes; its place among those like it is not its answer's affair."""

    asked: Asked
    number: int
    """Which of the requests that are the same it is, from 1."""
    secrets: tuple[str, ...]
    masked: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name without its number: what was asked, and four bytes of its digest."""
        return f"{_slug(self.asked)}-{self.asked.digest[:4].hex()}"

    @property
    def name(self) -> str:
        """For instance: hello-introduce-yourself-stream-1f0c22ab-001."""
        return f"{self.stem}-{self.number:03}"


def ticket_of(passage: Passage, masks: Sequence[str], number: int, secrets: Sequence[str] = ()) -> Ticket:
    """The ticket of a request; `number` is overwritten by whoever counts."""
    known = (passage.key, *secrets) if passage.key else tuple(secrets)
    request, taken = asked(passage.scope["method"], passage.path, passage.body, masks, known)
    return Ticket(request, number, (*known, *taken), tuple(masks))


def _slug(request: Asked) -> str:
    value = request.value if isinstance(request.value, dict) else {}
    if request.method == "POST" and request.path == "/responses":
        words = request.prompt or ("tool output" if isinstance(value.get("input"), list) else "")
        words = _ascii(words)[:40].strip("-") or "responses"
        return f"{words}-{'stream' if value.get('stream') is True else 'reply'}"
    return _ascii(f"{request.method} {request.path}")[:60].strip("-")


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _TEXT.sub("-", plain.lower()).strip("-")


def unrecorded(passage: Passage) -> str:
    """Why a passage is not recorded; empty: it is."""
    if passage.refused or not passage.status:
        return "the endpoint gave no answer"
    if passage.overflowed:
        return "the answer is longer than 32 MiB"
    if dict(passage.headers).get(b"content-encoding", b"identity") != b"identity":
        return "the answer is compressed, so that a key in it would not be seen"
    return ""


def exchange_of(passage: Passage, ticket: Ticket, upstream: str, profile: str) -> dict[str, Any]:
    """The exchange of a passage that has been answered, as it goes into a file.

    InvalidExchange where it could not be read again: a request may be as odd as it likes.
    """
    request = ticket.asked
    recorded = _recorded(passage, ticket, upstream)
    exchange: dict[str, Any] = {
        "format": 1,
        "name": ticket.name,
        "source": f"Recorded from {upstream} on {recorded['at'][:10]}.",
        "profile": profile,
    }
    if isinstance(request.value, dict):
        exchange["request"] = request.value
    elif request.value is not None:
        recorded["body"] = part_of(request.body)
    exchange["match"] = _match(request)
    exchange["reply"] = {"http": _http(passage, ticket)}
    exchange["recorded"] = recorded
    parse_exchange(json.dumps(exchange), ticket.name)
    return exchange


def _recorded(passage: Passage, ticket: Ticket, upstream: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(passage.at, UTC)
    told: dict[str, Any] = {
        "at": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "method": ticket.asked.method,
        "path": ticket.asked.path,
        "upstream": upstream,
        "headers": _headers(passage.scope["headers"], ticket, lambda name: name in _KEPT),
        "head_ms": _ms(passage.head_at),
        "end_ms": _ms(passage.ended_at),
        "end": "left" if passage.left else "complete" if passage.complete else "cut",
        "tool": f"responses-mockserver {__version__}",
    }
    if ticket.masked:
        told["masked"] = list(ticket.masked)
    return told


def _match(request: Asked) -> dict[str, Any]:
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


def _http(passage: Passage, ticket: Ticket) -> dict[str, Any]:
    secrets = spellings(ticket.secrets)
    pieces = covered_keys(covered(passage.pieces, secrets))
    return {
        "status": passage.status,
        "headers": _headers(passage.headers, ticket, lambda name: True),
        "chunks": [
            {"at_ms": _ms(at), **part_of(piece)} for at, piece in zip(passage.times, pieces, strict=True)
        ],
    }


def _headers(pairs: Sequence[tuple[bytes, bytes]], ticket: Ticket, keeps: Any) -> Mapping[str, str]:
    kept = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), redact(raw_value.decode("latin-1"), ticket.secrets)
        if keeps(name) and _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            kept[name] = value
    return kept


def part_of(data: bytes) -> dict[str, str]:
    """Bytes as JSON has them: text where they are text."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
