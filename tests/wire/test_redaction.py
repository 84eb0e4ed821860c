"""What may be written down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.redaction import (
    REDACTED,
    covered,
    covered_keys,
    redact,
    safe_headers,
    spellings,
)


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


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=6),
    secret=st.sampled_from([b"secret-7", b"key!"]),
    at=st.integers(0, 40),
)
def test_a_secret_is_covered_across_pieces_and_no_length_changes(
    pieces: list[bytes], secret: bytes, at: int
) -> None:
    whole = b"".join(pieces)
    whole = whole[:at] + secret + whole[at:]
    cut, begin = [], 0
    for piece in (*pieces, secret):
        cut.append(whole[begin : begin + len(piece)])
        begin += len(piece)
    clean = covered(cut, [secret])
    assert secret not in b"".join(clean)
    assert [*map(len, clean)] == [*map(len, cut)]


def test_whole_keys_are_covered_and_words_are_not() -> None:
    text = b"use sk-0123456789abcdef01 with sk-learn, and mask-work"
    (clean,) = covered_keys([text])
    assert clean == b"use [redacted]*********** with sk-learn, and mask-work"
    assert covered_keys([b"nothing"]) == [b"nothing"]


def test_secrets_are_known_however_they_are_spelled() -> None:
    assert spellings(['ab/c"d', "abc"]) == (
        b"ab%2Fc%22d",
        b'ab\\/c\\"d',
        b'ab/c\\"d',
        b'ab/c"d',
    )
