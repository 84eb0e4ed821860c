"""Framing: any events, broken ones too, as the bytes of a stream."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.replies.template import frame
from mockserver.wire import sse

__all__ = ["frames_of", "json_text"]


def frames_of(stream: list[Any], profile: str | None = DEFAULT_PROFILE) -> list[bytes]:
    """One frame an event: as the profile writes them, or plainly (`event` and `data`) where it is None.

    Takes any event, also a broken one.
    """
    return [_frame(event, profile) for event in stream]


def _frame(event: Any, profile: str | None) -> bytes:
    kind = event.get("type") if isinstance(event, dict) else None
    number = event.get("sequence_number") if isinstance(event, dict) else None
    if profile is not None and isinstance(kind, str) and number.__class__ is int and _is_unicode(event):
        return frame(event, load_profile(profile))
    # A payload without a type, or an event that was broken.
    return sse.encode(json_text(event), event=kind if isinstance(kind, str) else "")


def json_text(value: Any) -> str:
    """A value as JSON, whatever is in it."""
    try:
        return stdlib_json.dumps(value, ensure_ascii=not _is_unicode(value), separators=(",", ":"))
    except UnicodeEncodeError:
        return stdlib_json.dumps(value, separators=(",", ":"))


def _is_unicode(value: Any) -> bool:
    try:
        stdlib_json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
