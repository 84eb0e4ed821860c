"""Redaction of texts, bytes and headers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.redaction import (
    REDACTED,
    encode_secrets,
    mask_keys,
    mask_secrets,
    redact,
    redact_headers,
)


def test_secrets_and_key_shaped_text_are_redacted() -> None:
    text = redact("use secret! and sk-abc123 and sk-ws-x_y-z, not task-list", ["secret!", ""])
    assert text == f"use {REDACTED} and {REDACTED} and {REDACTED}, not task-list"


def test_only_safe_headers_keep_their_values() -> None:
    headers = [
        (b"Authorization", b"Bearer k"),
        (b"X-Api-Key", b"k"),
        (b"User-Agent", b"me sk-12345"),
        (b"host", b"h"),
    ]
    assert redact_headers(headers) == {
        "authorization": REDACTED,
        "x-api-key": REDACTED,
        "user-agent": f"me {REDACTED}",
        "host": "h",
    }


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=6),
    secret=st.sampled_from([b"secret-7", b"key!"]),
    at=st.integers(0, 40),
)
def test_a_secret_across_chunks_is_masked_in_the_same_length(
    pieces: list[bytes], secret: bytes, at: int
) -> None:
    whole = b"".join(pieces)
    whole = whole[:at] + secret + whole[at:]
    cut, begin = [], 0
    for piece in (*pieces, secret):
        cut.append(whole[begin : begin + len(piece)])
        begin += len(piece)
    clean = mask_secrets(cut, [secret])
    assert secret not in b"".join(clean)
    assert [*map(len, clean)] == [*map(len, cut)]


def test_long_keys_are_masked_and_words_are_not() -> None:
    text = b"use sk-0123456789abcdef01 with sk-learn, and mask-work"
    (clean,) = mask_keys([text])
    assert clean == b"use [redacted]*********** with sk-learn, and mask-work"
    assert mask_keys([b"nothing"]) == [b"nothing"]


def test_secrets_have_json_and_url_encodings() -> None:
    assert encode_secrets(['ab/c"d', "abc"]) == (
        b"ab%2Fc%22d",
        b'ab\\/c\\"d',
        b'ab/c\\"d',
        b'ab/c"d',
    )
