"""What must not get into the request of a recording: keys, whatever has the form of one, masked members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.wire.redaction import redact

__all__ = ["DEFAULT_MASKS", "MASK", "redact_value", "mask_members", "parse_mask"]

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
        steps = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
        value = _mask_at(value, steps, taken)
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
