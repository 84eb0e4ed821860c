"""Redaction: remove keys from texts, bytes and headers before anything is written down.

Header values are kept only if an allow-list names the header. Masking bytes keeps their length, so the
boundaries of chunks and every offset stay the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from mockserver.wire import json

__all__ = [
    "REDACTED",
    "SAFE_HEADERS",
    "encode_secrets",
    "mask",
    "mask_keys",
    "mask_secrets",
    "redact",
    "redact_headers",
]

REDACTED = "[redacted]"

#: Replaces each character of a key in `mask`.
_MASK_CHARACTER = "•"

#: Shorter keys are not masked: they would match parts of ordinary words.
_MIN_SECRET_LENGTH = 4

#: Request headers whose values may be kept. Of all others only the name is kept.
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

#: The service's keys: `sk-…`, `sk-ws-…`, `sk-sp-…` (error-code page, 2026).
_KEY_PATTERN = re.compile(r"\bsk-[A-Za-z0-9_-]{4,}")
#: Keys in replies: longer, because texts contain the names of packages and tasks.
_LONG_KEY_PATTERN = re.compile(rb"\bsk-[A-Za-z0-9_-]{16,}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace the given secrets, and everything that looks like a key, by `[redacted]`."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = text.replace(secret, REDACTED)
    return _KEY_PATTERN.sub(REDACTED, text) if "sk-" in text else text


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Like `redact`, but keep the length of the text."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = text.replace(secret, _MASK_CHARACTER * len(secret))
    return _KEY_PATTERN.sub(lambda match: _MASK_CHARACTER * len(match[0]), text) if "sk-" in text else text


def redact_headers(headers: Iterable[tuple[bytes, bytes]], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return headers without secrets; a value that is not on the allow-list becomes `[redacted]`."""
    secrets = tuple(secrets)
    lowered = tuple(secret.lower() for secret in secrets)  # header names are lowered too
    redacted = {}
    for raw_name, raw_value in headers:
        name = redact(raw_name.decode("latin-1").lower(), lowered)
        value = raw_value.decode("latin-1")
        redacted[name] = redact(value, secrets) if name in SAFE_HEADERS else REDACTED
    return redacted


def encode_secrets(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return the bytes of secrets on the wire: plain, in JSON and in a URL, the longest first."""
    encoded: set[bytes] = set()
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = secret.encode(errors="replace")
            inner = json.dumps(text.decode())[1:-1]
            encoded |= {text, inner, inner.replace(b"/", b"\\/"), quote(secret, safe="").encode()}
    return tuple(sorted(encoded, key=lambda each: (-len(each), each)))


def mask_secrets(chunks: Sequence[bytes], secrets: Iterable[bytes]) -> list[bytes]:
    """Mask encoded secrets, also those that span chunks; the chunks keep their lengths."""
    whole = clean = b"".join(chunks)
    for secret in secrets:
        clean = clean.replace(secret, _mask_bytes(len(secret)))
    return [*chunks] if clean == whole else _split_like(clean, chunks)


def mask_keys(chunks: Sequence[bytes]) -> list[bytes]:
    """Mask everything that looks like a whole key; the chunks keep their lengths."""
    return _split_like(
        _LONG_KEY_PATTERN.sub(lambda match: _mask_bytes(len(match[0])), b"".join(chunks)), chunks
    )


def _split_like(whole: bytes, chunks: Sequence[bytes]) -> list[bytes]:
    pieces, start = [], 0
    for chunk in chunks:
        pieces.append(whole[start : start + len(chunk)])
        start += len(chunk)
    return pieces


def _mask_bytes(length: int) -> bytes:
    return REDACTED.encode().ljust(length, b"*")[:length]
