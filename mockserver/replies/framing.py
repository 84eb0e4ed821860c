"""Encodes events, including broken ones, as the bytes of a stream."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.wire import json, sse

__all__ = ["encode_error_payload", "encode_event", "encode_events", "to_json_text"]


def encode_event(event: dict[str, Any], profile: Profile) -> bytes:
    """One numbered event, framed as the profile frames its streams."""
    data = json.dumps(event)
    if profile.framing == "vendor":
        # id, event, a comment, data, no spaces: raw SSE sample recorded on 26 January 2026.
        return b"id:%d\nevent:%b\n:HTTP_STATUS/200\ndata:%b\n\n" % (
            event["sequence_number"] + 1,
            event["type"].encode(),
            data,
        )
    return sse.encode(data, event=event["type"])


def encode_error_payload(code: str, message: str, request_id: str, profile: Profile) -> bytes:
    """An error without a type, as the service sometimes sends it in a stream (client notes, August 2026)."""
    data = json.dumps({"code": code, "message": message, "request_id": request_id})
    return b"data:%b\n\n" % data if profile.framing == "vendor" else sse.encode(data)


def encode_events(stream: list[Any], profile: str | None = DEFAULT_PROFILE) -> list[bytes]:
    """One frame per event, valid or not, as the profile frames it; `None`: only `event` and `data` lines."""
    return [_encode_any_event(event, profile) for event in stream]


def _encode_any_event(event: Any, profile: str | None) -> bytes:
    kind = event.get("type") if isinstance(event, dict) else None
    number = event.get("sequence_number") if isinstance(event, dict) else None
    if profile is not None and isinstance(kind, str) and number.__class__ is int and _is_encodable(event):
        return encode_event(event, load_profile(profile))
    return sse.encode(to_json_text(event), event=kind if isinstance(kind, str) else "")


def to_json_text(value: Any) -> str:
    """JSON text of any value; non-ASCII characters are escaped only if a lone surrogate requires it."""
    try:
        return stdlib_json.dumps(value, ensure_ascii=not _is_encodable(value), separators=(",", ":"))
    except UnicodeEncodeError:
        return stdlib_json.dumps(value, separators=(",", ":"))


def _is_encodable(value: Any) -> bool:
    try:
        stdlib_json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
