"""Canonical requests: requests without keys and masked members, with a digest to compare them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.ids import request_digest
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = [
    "DEFAULT_MASKS",
    "MASK",
    "CanonicalRequest",
    "canonicalize_request",
    "mask_members",
    "may_have_masked_members",
    "parse_mask",
    "redact_value",
]

MASK = "[masked]"

#: Members of requests that hold third-party keys: those of MCP servers (API reference, tools, August 2026).
DEFAULT_MASKS = ("/tools/*/headers/*", "/tools/*/authorization")


def parse_mask(pointer: str) -> str:
    """Parse a JSON pointer into request bodies, with `*` for any step. Raises ConfigurationError."""
    if not pointer.startswith("/") or "\x00" in pointer:
        raise ConfigurationError(f"--mask {pointer!a}: a JSON pointer starts with /, such as /metadata/user")
    return pointer


def mask_members(value: Any, pointers: Iterable[str]) -> tuple[Any, list[str]]:
    """(the value with the members at the pointers masked, the texts that were removed)."""
    removed: list[str] = []
    for pointer in pointers:
        value = _mask_at(value, json.parse_pointer(pointer), removed)
    return value, removed


def _mask_at(value: Any, steps: Sequence[str], removed: list[str]) -> Any:
    if not steps:
        removed += [each for each in _strings_in(value) if each != MASK]
        return MASK
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        return {
            name: _mask_at(each, rest, removed) if step in ("*", name) else each
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [
            _mask_at(each, rest, removed) if step in ("*", str(index)) else each
            for index, each in enumerate(value)
        ]
    return value


def may_have_masked_members(text: str, pointers: Iterable[str]) -> bool:
    """Whether a text names all members on the way to a masked one; an escape may spell any name."""
    return "\\u" in text or any(
        all(step in text for step in json.parse_pointer(pointer) if not step.isdigit() and step != "*")
        for pointer in (*DEFAULT_MASKS, *pointers)
    )


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings_in(each)


def redact_value(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value with secrets redacted in strings and member names."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list):
        return [redact_value(each, secrets) for each in value]
    if isinstance(value, Mapping):
        return {redact(name, secrets): redact_value(each, secrets) for name, each in value.items()}
    return value


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
    method: str, path: str, body: bytes, masks: Iterable[str] = (), secrets: Sequence[str] = ()
) -> tuple[CanonicalRequest, list[str]]:
    """(the request without secrets, the texts that the masks removed)."""
    path = redact(path, secrets)
    removed: list[str] = []
    try:
        value: Any = json.loads(body) if body else None
        value, removed = mask_members(value, (*DEFAULT_MASKS, *masks))
        value = redact_value(value, (*secrets, *removed))
        digest = json.canonical(value) if body else b""
    except InvalidJSON:
        value = redact(body.decode(errors="backslashreplace"), secrets)
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
