"""What may be written down: keys never, headers by one allow-list."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["REDACTED", "SAFE_HEADERS", "masked", "redact", "safe_headers"]

REDACTED = "[redacted]"

#: Stands for a character of a key.
_MASK = "•"

#: Characters below which a key is no secret, but a part of many words.
_SHORTEST = 4

#: Request headers whose values may be kept. Everything else is kept by name alone.
SAFE_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
        "x-dashscope-session-cache",
        "x-stainless-lang",
        "x-stainless-package-version",
        "x-stainless-retry-count",
    }
)

#: The forms of the service's keys: `sk-…`, `sk-ws-…`, `sk-sp-…` (error-code page, 2026).
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{4,}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets and without anything that has the form of a key."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, REDACTED)
    return _KEY.sub(REDACTED, text) if "sk-" in text else text


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """As `redact`, but as long as `text` is: every other character stays in its place."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, _MASK * len(secret))
    return _KEY.sub(lambda match: _MASK * len(match[0]), text) if "sk-" in text else text


def safe_headers(headers: Iterable[tuple[bytes, bytes]], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Header names and values fit to be kept: values off the allow-list are redacted whole."""
    secrets = tuple(secrets)
    lowered = tuple(secret.lower() for secret in secrets)  # as the names are
    kept = {}
    for raw_name, raw_value in headers:
        name = redact(raw_name.decode("latin-1").lower(), lowered)
        value = raw_value.decode("latin-1")
        kept[name] = redact(value, secrets) if name in SAFE_HEADERS else REDACTED
    return kept
