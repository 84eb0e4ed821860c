"""What must not get into the request of a recording: keys, whatever has the form of one, masked members.

Requests as recordings know them: what makes two the same, and what one lacks of another.
"""

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
    "parse_mask",
    "redact_value",
]

MASK = "[masked]"

#: Members of requests that hold keys of others: what a client sends on to its MCP servers (API reference,
#: tools, August 2026).
DEFAULT_MASKS = ("/tools/*/headers/*", "/tools/*/authorization")


def parse_mask(pointer: str) -> str:
    """A pointer to members of a request's body, `*` for any; ConfigurationError where it is none."""
    if not pointer.startswith("/") or "\x00" in pointer:
        raise ConfigurationError(f"--mask {pointer!a}: a JSON pointer begins with /, like /metadata/user")
    return pointer


def mask_members(value: Any, pointers: Iterable[str]) -> tuple[Any, list[str]]:
    """(the value without what the pointers name, the texts that were there)."""
    taken: list[str] = []
    for pointer in pointers:
        value = _mask_at(value, json.parse_pointer(pointer), taken)
    return value, taken


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
            _mask_at(each, rest, removed) if step in ("*", str(place)) else each
            for place, each in enumerate(value)
        ]
    return value


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
    """A JSON value without keys, in its texts and in its names."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list):
        return [redact_value(each, secrets) for each in value]
    if isinstance(value, Mapping):
        return {redact(name, secrets): redact_value(each, secrets) for name, each in value.items()}
    return value


#: Characters of a value that a difference shows.
_MAX_VALUE_CHARS = 60


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """A request without what must not be kept of it."""

    method: str
    path: str
    """Behind the base URL, with the query."""
    value: Any
    """The body's JSON value; its text where it is none; None where there is no body."""
    digest: bytes
    """The same for the same request, however its JSON is written."""

    @property
    def body(self) -> bytes:
        """The body, as JSON."""
        if isinstance(self.value, str):
            return self.value.encode()
        return b"" if self.value is None else json.dumps(self.value)

    @property
    def prompt(self) -> str:
        """What the user says; empty where the request does not tell."""
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
        """What about `other` is otherwise, each in words."""
        if (self.method, self.path) != (other.method, other.path):
            yield f"{other.method} {other.path} instead of {self.method} {self.path}"
        elif isinstance(self.value, dict) and isinstance(other.value, dict):
            yield from _differences(self.value, other.value, "")
        elif self.value != other.value:
            yield f"the body: recorded {_shorten_value(self.value)}, got {_shorten_value(other.value)}"


def canonicalize_request(
    method: str, path: str, body: bytes, masks: Iterable[str] = (), secrets: Sequence[str] = ()
) -> tuple[CanonicalRequest, list[str]]:
    """(the request without keys and masked members, the texts of those members)."""
    path = redact(path, secrets)
    taken: list[str] = []
    try:
        value: Any = json.loads(body) if body else None
        value, taken = mask_members(value, (*DEFAULT_MASKS, *masks))
        value = redact_value(value, (*secrets, *taken))
        digest = json.canonical(value) if body else b""
    except InvalidJSON:
        value = redact(body.decode(errors="replace"), secrets)
        digest = value.encode()
    return CanonicalRequest(
        method, path, value, request_digest(f"{method} {path}\n".encode() + digest)
    ), taken


def _differences(recorded: Any, got: Any, pointer: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(got, dict):
        for name in dict.fromkeys((*recorded, *got)):
            place = f"{pointer}/{name}"
            if name not in got:
                yield f"{place}: recorded {_shorten_value(recorded[name])}, and not there"
            elif name not in recorded:
                yield f"{place}: not recorded, and is {_shorten_value(got[name])}"
            else:
                yield from _differences(recorded[name], got[name], place)
    elif isinstance(recorded, list) and isinstance(got, list) and len(recorded) == len(got):
        for number, (one, other) in enumerate(zip(recorded, got, strict=True)):
            yield from _differences(one, other, f"{pointer}/{number}")
    elif recorded != got or type(recorded) is not type(got):
        yield f"{pointer}: recorded {_shorten_value(recorded)}, got {_shorten_value(got)}"


def _shorten_value(value: Any) -> str:
    text = json.dumps(value).decode()
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"
