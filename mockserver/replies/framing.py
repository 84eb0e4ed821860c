"""Framing: any events, broken ones too, as the bytes of a stream."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies.templates import encode_event
from mockserver.wire import sse

__all__ = ["encode_events", "to_json_text"]


def encode_events(stream: list[Any], profile: str | None = DEFAULT_PROFILE) -> list[bytes]:
    """One frame an event: as the profile writes them, or plainly (`event` and `data`) where it is None.

    Takes any event, also a broken one.
    """
    return [_encode_any_event(event, profile) for event in stream]


def _encode_any_event(event: Any, profile: str | None) -> bytes:
    kind = event.get("type") if isinstance(event, dict) else None
    number = event.get("sequence_number") if isinstance(event, dict) else None
    if profile is not None and isinstance(kind, str) and number.__class__ is int and _is_encodable(event):
        return encode_event(event, load_profile(profile))
    # A payload without a type, or an event that was broken.
    return sse.encode(to_json_text(event), event=kind if isinstance(kind, str) else "")


def to_json_text(value: Any) -> str:
    """A value as JSON, whatever is in it."""
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
