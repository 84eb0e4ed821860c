"""Token counts of texts: a deterministic estimate of what the vendor's vocabulary gives.

The estimate has one token per word, digit, run of punctuation, or run of a few characters of a script. How many
depends on the script, and was measured with the vocabulary that the vendor publishes (qwen.tiktoken in dashscope
2.0): `benchmarks/tokens.py` prints the error for each language. Languages with accents split their words, and texts
in them are told by their accents: words are split for a while after each.

The classes are spelled out instead of taken from Python's Unicode tables, which change from version to version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockserver.replies.vocabulary import Vocabulary

__all__ = ["TOKEN_COUNTS", "count_tokens", "token_ends", "use_token_counts"]

#: What tokens are counted by: the estimate, or the vendor's vocabulary.
TOKEN_COUNTS = ("estimate", "vendor")

#: Counts of texts shorter than this are cached, because conversations repeat them.
_MAX_CACHED_CHARACTERS = 200

#: Long texts are searched in windows, so that other threads can run in between.
_WINDOW_CHARACTERS = 1 << 14

#: Letters with accents.
_ACCENTED = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
#: Whitespace, also that beyond ASCII, is in no token. Classes of a single range are found faster.
_EAST_ASIAN_TOKENS = (
    r"[\u3400-\u9fff]{1,2}"  # Han
    r"|[\u3040-\u30ff]{1,2}"  # kana
    r"|[\uac00-\ubfff]{1,2}|[\uc000-\uffff]"  # Hangul: about three tokens for four syllables
)
_OTHER_TOKENS = (
    r"[0-9]"
    r"|[\x00-\x08\x0e-\x1f!-/:-@\[-`{-\x7f]+"  # punctuation
    r"|[\u0400-\u052f]{1,3}"  # Cyrillic
    r"|[\u0590-\u05ff]{1,3}"  # Hebrew
    r"|[\u0600-\u06ff]{1,3}"  # Arabic
    r"|[\u0e00-\u0e7f]{1,2}"  # Thai
    r"|[^\x00-\x7f\u0085\u00a0\u2000-\u200a\u2028\u2029\u202f\u3000]"
)
_TOKEN = re.compile(rf"{_EAST_ASIAN_TOKENS}|[A-Za-z]+|{_OTHER_TOKENS}")
#: A token after an accent.
_SPLIT_TOKEN = re.compile(rf"{_EAST_ASIAN_TOKENS}|[A-Za-z{_ACCENTED}]{{1,4}}|{_OTHER_TOKENS}")
#: A passage whose words are split: it begins with an accent.
_ACCENTED_PASSAGE = re.compile(rf"[{_ACCENTED}].{{0,99}}", re.DOTALL)

#: Translates ASCII to the kind of each character: `a` a letter, `0` a digit, `.` punctuation, or a space.
_ASCII_KINDS = bytes(
    ord("a" if chr(n).isalpha() else "0" if chr(n).isdigit() else " " if chr(n) in "\t\n\v\f\r " else ".")
    for n in range(128)
) + bytes(128)


_vocabulary: Vocabulary | None = None


def use_token_counts(choice: str) -> None:
    """Count by this one of `TOKEN_COUNTS` in this process, from the start on: counts that others keep stay.

    Raises MissingPackage and ConfigurationError if there is no vocabulary.
    """
    global _vocabulary  # noqa: PLW0603 (a setting of the process)
    if choice == "vendor":
        from mockserver.replies.vocabulary import load_vocabulary

        _vocabulary = load_vocabulary()
    else:
        _vocabulary = None
    _count_tokens_cached.cache_clear()


def count_tokens(text: str) -> int:
    """The tokens of a text: by default the estimate, in time linear in its length."""
    return _count_tokens_cached(text) if len(text) < _MAX_CACHED_CHARACTERS else _count_tokens(text)


def token_ends(text: str) -> Iterator[int]:
    """Where each token ends: a text up to the n-th end has n tokens by the estimate, and about n by the vocabulary."""
    if _vocabulary is not None:
        yield from _vocabulary.ends(text)
        return
    for pattern, start, end in _passages(text):
        for token in pattern.finditer(text, start, end):
            yield token.end()


def _count_tokens(text: str) -> int:
    if _vocabulary is not None:
        return _vocabulary.count(text)
    if text.isascii():
        return _count_ascii_tokens(text)
    return sum(_count_matches(pattern, text, start, end) for pattern, start, end in _passages(text))


_count_tokens_cached = lru_cache(maxsize=1024)(_count_tokens)


def _count_ascii_tokens(text: str) -> int:
    """The number of matches of `_TOKEN` in an ASCII text: words and punctuation where they begin, and digits."""
    count, before = 0, b" "
    for start in range(0, len(text), _WINDOW_CHARACTERS):
        kinds = before + text[start : start + _WINDOW_CHARACTERS].encode().translate(_ASCII_KINDS)
        count += sum(map(kinds.count, (b" a", b"0a", b".a", b" .", b"a.", b"0."))) + kinds.count(b"0", 1)
        before = kinds[-1:]
    return count


def _passages(text: str) -> Iterator[tuple[re.Pattern[str], int, int]]:
    """The parts of a text: (what finds their tokens, start, end). No part depends on what follows it."""
    position = 0
    for passage in _ACCENTED_PASSAGE.finditer(text):
        start, end = passage.span()
        yield _TOKEN, position, start
        yield _SPLIT_TOKEN, start, end
        position = end
    yield _TOKEN, position, len(text)


def _count_matches(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    """The number of matches from `start` to `end`, found in windows."""
    count, size = 0, _WINDOW_CHARACTERS
    while end - start > size:
        found = pattern.findall(text, start, start + size)
        is_last_cut = bool(found) and text.endswith(found[-1], start, start + size)
        if is_last_cut and len(found) == 1:
            size *= 2  # one token fills the window
            continue
        # The next window begins with a token that this one may have cut.
        count += len(found) - is_last_cut
        start += size - len(found[-1]) * is_last_cut if found else size
        size = _WINDOW_CHARACTERS
    return count + len(pattern.findall(text, start, end))
