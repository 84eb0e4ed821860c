"""What may be written down."""

from __future__ import annotations

from mockserver.wire.redaction import REDACTED, redact, safe_headers


def test_keys_go_whatever_they_look_like() -> None:
    text = redact("use secret! and sk-abc123 and sk-ws-x_y-z, not task-list", ["secret!", ""])
    assert text == f"use {REDACTED} and {REDACTED} and {REDACTED}, not task-list"


def test_only_harmless_headers_keep_their_values() -> None:
    headers = [
        (b"Authorization", b"Bearer k"),
        (b"X-Api-Key", b"k"),
        (b"User-Agent", b"me sk-12345"),
        (b"host", b"h"),
    ]
    assert safe_headers(headers) == {
        "authorization": REDACTED,
        "x-api-key": REDACTED,
        "user-agent": f"me {REDACTED}",
        "host": "h",
    }
