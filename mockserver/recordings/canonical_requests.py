"""Canonical requests: requests without keys and masked members, with a digest to compare them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mockserver.errors import InvalidJSON
from mockserver.ids import request_digest
from mockserver.wire import json
from mockserver.wire.masks import NO_MASKS, Masks
from mockserver.wire.redaction import mask_request, redact_body, redact_url

__all__ = ["CanonicalRequest", "canonicalize_request"]

#: Maximum length of a value in a difference.
_MAX_VALUE_CHARS = 60


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """A request without secrets."""

    method: str
    path: str
    """Relative to the base URL, with the query."""
    value: Any
    """The body's JSON value, its text if it is not JSON, or None without a body."""
    digest: bytes
    """Equal for equal requests, however their JSON is written."""

    @property
    def body(self) -> bytes:
        """The body, as JSON."""
        if isinstance(self.value, str):
            return self.value.encode()
        return b"" if self.value is None else json.dumps(self.value)

    @property
    def prompt(self) -> str:
        """The text of the last user message; empty if there is none."""
        content = self.value.get("input") if isinstance(self.value, dict) else None
        if isinstance(content, str):
            return content
        items = [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
        users = [each.get("content") for each in items if each.get("role") == "user"]
        if not users:
            return ""
        parts = users[-1] if isinstance(users[-1], list) else [{"text": users[-1]}]
        texts = [each.get("text") for each in parts if isinstance(each, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))

    def differences(self, other: CanonicalRequest) -> Iterator[str]:
        """How `other` differs, one phrase each."""
        if (self.method, self.path) != (other.method, other.path):
            yield f"{other.method} {other.path} instead of {self.method} {self.path}"
        elif isinstance(self.value, dict) and isinstance(other.value, dict):
            yield from _differences(self.value, other.value, "")
        elif self.value != other.value:
            yield f"body: recorded {_shorten_value(self.value)}, got {_shorten_value(other.value)}"


def canonicalize_request(
    method: str, path: str, body: bytes, masks: Masks = NO_MASKS, secrets: Sequence[str] = ()
) -> tuple[CanonicalRequest, tuple[str, ...]]:
    """(the request without secrets, the credentials that it had)."""
    path = redact_url(path, secrets)
    removed: tuple[str, ...] = ()
    try:
        value: Any = json.loads(body) if body else None
        value, removed = mask_request(value, secrets, masks)
        digest = json.canonical(value) if body else b""
    except InvalidJSON:
        value = redact_body(body.decode(errors="backslashreplace"), secrets)
        # The bytes, so that no two requests are equal that only look alike as text.
        digest = body
    return CanonicalRequest(
        method, path, value, request_digest(f"{method} {path}\n".encode() + digest)
    ), removed


def _differences(recorded: Any, got: Any, pointer: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(got, dict):
        for name in dict.fromkeys((*recorded, *got)):
            location = f"{pointer}/{name}"
            if name not in got:
                yield f"{location}: recorded {_shorten_value(recorded[name])}, got nothing"
            elif name not in recorded:
                yield f"{location}: not recorded, got {_shorten_value(got[name])}"
            else:
                yield from _differences(recorded[name], got[name], location)
    elif isinstance(recorded, list) and isinstance(got, list) and len(recorded) == len(got):
        for number, (one, other) in enumerate(zip(recorded, got, strict=True)):
            yield from _differences(one, other, f"{pointer}/{number}")
    elif recorded != got or type(recorded) is not type(got):
        yield f"{pointer}: recorded {_shorten_value(recorded)}, got {_shorten_value(got)}"


def _shorten_value(value: Any) -> str:
    text = json.dumps(value).decode()
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"
