"""What must not get into the request of a recording: keys, whatever has the form of one, masked members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.errors import ConfigurationError
from mockserver.wire.redaction import redact

__all__ = ["ALWAYS_MASKED", "MASKED", "cleaned", "masked", "parse_mask"]

MASKED = "[masked]"

#: Members of requests that hold keys of others: what a client sends on to its MCP servers (API reference,
#: tools, August 2026).
ALWAYS_MASKED = ("/tools/*/headers/*", "/tools/*/authorization")


def parse_mask(pointer: str) -> str:
    """A pointer to members of a request's body, `*` for any; ConfigurationError where it is none."""
    if not pointer.startswith("/") or "\x00" in pointer:
        raise ConfigurationError(f"--mask {pointer!a}: a JSON pointer begins with /, like /metadata/user")
    return pointer


def masked(value: Any, pointers: Iterable[str]) -> tuple[Any, list[str]]:
    """(the value without what the pointers name, the texts that were there)."""
    taken: list[str] = []
    for pointer in pointers:
        steps = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
        value = _masked(value, steps, taken)
    return value, taken


def _masked(value: Any, steps: Sequence[str], taken: list[str]) -> Any:
    if not steps:
        taken += [each for each in _texts(value) if each != MASKED]
        return MASKED
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        return {
            name: _masked(each, rest, taken) if step in ("*", name) else each for name, each in value.items()
        }
    if isinstance(value, list):
        return [
            _masked(each, rest, taken) if step in ("*", str(place)) else each
            for place, each in enumerate(value)
        ]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)


def cleaned(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value without keys, in its texts and in its names."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, list):
        return [cleaned(each, secrets) for each in value]
    if isinstance(value, Mapping):
        return {redact(name, secrets): cleaned(each, secrets) for name, each in value.items()}
    return value
