"""What may be written down: keys never, headers by one allow-list.

What is taken out of bytes is covered by as many bytes, so that their length, the boundaries of their pieces
and every place in them stay what they were.
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

#: Stands for a character of a key.
_MASK_CHARACTER = "•"

#: Characters below which a key is no secret, but a part of many words.
_MIN_SECRET_LENGTH = 4

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
_KEY_PATTERN = re.compile(r"\bsk-[A-Za-z0-9_-]{4,}")
#: … and in what a service says: longer than the names of packages and tasks in a text.
_LONG_KEY_PATTERN = re.compile(rb"\bsk-[A-Za-z0-9_-]{16,}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets and without anything that has the form of a key."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = text.replace(secret, REDACTED)
    return _KEY_PATTERN.sub(REDACTED, text) if "sk-" in text else text


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """As `redact`, but as long as `text` is: every other character stays in its place."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = text.replace(secret, _MASK_CHARACTER * len(secret))
    return _KEY_PATTERN.sub(lambda match: _MASK_CHARACTER * len(match[0]), text) if "sk-" in text else text


def redact_headers(headers: Iterable[tuple[bytes, bytes]], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Header names and values fit to be kept: values off the allow-list are redacted whole."""
    secrets = tuple(secrets)
    lowered = tuple(secret.lower() for secret in secrets)  # as the names are
    kept = {}
    for raw_name, raw_value in headers:
        name = redact(raw_name.decode("latin-1").lower(), lowered)
        value = raw_value.decode("latin-1")
        kept[name] = redact(value, secrets) if name in SAFE_HEADERS else REDACTED
    return kept


def encode_secrets(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """The bytes that secrets have on the wire: as they are, within JSON, and within a URL; longest first."""
    found: set[bytes] = set()
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_LENGTH:
            text = secret.encode(errors="replace")
            inner = json.dumps(text.decode())[1:-1]
            found |= {text, inner, inner.replace(b"/", b"\\/"), quote(secret, safe="").encode()}
    return tuple(sorted(found, key=lambda each: (-len(each), each)))


def mask_secrets(chunks: Sequence[bytes], secrets: Iterable[bytes]) -> list[bytes]:
    """The pieces, in the same lengths, without secrets: in one piece, or across several."""
    whole = clean = b"".join(chunks)
    for secret in secrets:
        clean = clean.replace(secret, _mask_bytes(len(secret)))
    return [*chunks] if clean == whole else _split_like(clean, chunks)


def mask_keys(chunks: Sequence[bytes]) -> list[bytes]:
    """The pieces, in the same lengths, without what has the form of a whole key."""
    return _split_like(
        _LONG_KEY_PATTERN.sub(lambda match: _mask_bytes(len(match[0])), b"".join(chunks)), chunks
    )


def _split_like(whole: bytes, chunks: Sequence[bytes]) -> list[bytes]:
    cut, at = [], 0
    for piece in chunks:
        cut.append(whole[at : at + len(piece)])
        at += len(piece)
    return cut


def _mask_bytes(length: int) -> bytes:
    return REDACTED.encode().ljust(length, b"*")[:length]
