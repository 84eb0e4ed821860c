"""Token counts of texts: a deterministic estimate of what the vendor's vocabulary gives.

The estimate has one token per word, digit, run of punctuation, or run of a few characters of a script. How many
depends on the script, and was measured with the vocabulary that the vendor publishes (qwen.tiktoken in dashscope
2.0): `benchmarks/tokens.py` prints the error for each language. The vocabulary has most English words whole, and
splits those of other languages. Texts in these are told by their accents, or by a word that is frequent in them and
rare in English: the words of a passage are split from there on.

The classes are spelled out instead of taken from Python's Unicode tables, which change from version to version. They
are whole ranges of lead bytes in UTF-8, so that a text can be counted as bytes, many times faster than by patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from mockserver.errors import ConfigurationError

if TYPE_CHECKING:
    from mockserver.replies.vocabulary import Vocabulary

__all__ = [
    "TOKEN_COUNTS",
    "count_new_tokens",
    "count_tokens",
    "require_token_counts",
    "token_counts_in_force",
    "token_ends",
    "use_token_counts",
]

#: What tokens are counted by: the estimate, or the vendor's vocabulary.
TOKEN_COUNTS = ("estimate", "vendor")

#: Counts of texts shorter than this are cached, because conversations repeat them.
_MAX_CACHED_CHARACTERS = 200

#: Letters with accents.
_ACCENTED = r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u027f\u1e00-\u1eff"
#: Those of languages whose words are split more often, such as Polish, Czech and Turkish. Vietnamese has none of them.
_EASTERN = frozenset("ĄąĆćČčĎďĘęĚěĞğİıŁłŃńŇňŐőŒœŘřŚśŞşŠšȘșŢţŤťȚțŮůŰűŹźŻżŽž")
#: Whitespace, also that beyond ASCII, is in no token. Classes of a single range are found faster.
_OTHER_TOKENS = (
    r"[\u3100-\u9fff]{1,2}"  # Han
    r"|[\u3040-\u30ff]{1,2}"  # kana
    r"|[\ua000-\ubfff]{1,2}|[\uc000-\uffff]"  # Hangul: about three tokens for four syllables
    r"|[0-9]"
    r"|[\x00-\x08\x0e-\x1f!-/:-@\[-`{-\x7f]+"  # punctuation
    r"|[\u0400-\u053f]{1,3}"  # Cyrillic
    r"|[\u0580-\u05ff]{1,3}"  # Hebrew
    r"|[\u0600-\u06ff]{1,3}"  # Arabic
    r"|[\u0e00-\u0e7f]{1,2}"  # Thai
    r"|[^\x00-\x7f\u0085\u00a0\u2000-\u200a\u2028\u2029\u202f\u3000]"
)
#: Frequent words of other languages that English has not; Indonesian and Italian have few accents or none.
_INDONESIAN = ("yang", "dan", "dari", "ke", "ini", "itu", "untuk", "kami", "pada", "tidak", "dengan")
_ITALIAN = ("il", "la", "che", "del", "della", "una", "nel", "sono", "gli")
_FOREIGN_WORDS = (*_INDONESIAN, *_ITALIAN)
#: Their first letters are looked for first, which most words of a text do not have.
_find_word = re.compile(
    f" (?=[{''.join(sorted({each[0] for each in _FOREIGN_WORDS}))}])(?:{'|'.join(_FOREIGN_WORDS)}) "
).search
#: Characters of a passage whose words are split: after such a word, and after an accent, which English may have too.
_AFTER_WORD, _AFTER_ACCENT = 300, 100

#: The kind of each character of a text, by its first byte in UTF-8.
_LETTER, _ACCENTED_LETTER, _DIGIT, _PUNCTUATION, _OTHER = b"a", b"e", b"0", b".", b"o"
_HAN, _KANA, _HANGUL, _CYRILLIC, _HEBREW, _ARABIC, _THAI = b"h", b"k", b"g", b"c", b"b", b"r", b"t"
#: How many characters of a kind a token has at most.
_MOST_CHARACTERS = (
    (_HAN, 2),
    (_KANA, 2),
    (_HANGUL, 2),
    (_CYRILLIC, 3),
    (_HEBREW, 3),
    (_ARABIC, 3),
    (_THAI, 2),
)
#: First bytes that UTF-8 does not have, for characters that differ from others with their first byte.
_OTHER_BYTE, _KANA_BYTE, _THAI_BYTE = b"\xf5", b"\xf6", b"\xf7"


def _kinds_by_byte() -> bytes:
    """A table for `bytes.translate`."""
    kinds = [_OTHER] * 256
    for number in range(128):
        character = chr(number)
        kinds[number] = _LETTER if character.isalpha() else _DIGIT if character.isdigit() else _PUNCTUATION
    for space in b"\t\n\v\f\r ":
        kinds[space] = b" "
    ranges = (
        (0xC3, 0xC9, _ACCENTED_LETTER),
        (0xD0, 0xD4, _CYRILLIC),
        (0xD6, 0xD7, _HEBREW),
        (0xD8, 0xDB, _ARABIC),
        (0xE3, 0xE9, _HAN),
        (0xEA, 0xEB, _HANGUL),
        (_KANA_BYTE[0], _KANA_BYTE[0], _KANA),
        (_THAI_BYTE[0], _THAI_BYTE[0], _THAI),
    )
    for first, last, kind in ranges:
        kinds[first : last + 1] = [kind] * (last + 1 - first)
    return b"".join(kinds)


_KINDS = _kinds_by_byte()
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
#: Tables that make the characters of one kind `x`, and all others spaces.
_ONLY_LETTERS = bytes(ord("x") if each == _LETTER[0] else ord(" ") for each in range(256))
_ONLY_PUNCTUATION = bytes(ord("x") if each == _PUNCTUATION[0] else ord(" ") for each in range(256))
#: By bytes that a text may have: what is replaced then.
_REPLACEMENTS = (
    (b"\xc2", ((b"\xc2\x85", b" "), (b"\xc2\xa0", b" "))),
    (b"\xc3", ((b"\xc3\x97", _OTHER_BYTE), (b"\xc3\xb7", _OTHER_BYTE))),  # × and ÷
    (b"\xe0", ((b"\xe0\xb8", _THAI_BYTE), (b"\xe0\xb9", _THAI_BYTE))),
    (b"\xe1", tuple((b"\xe1%c" % each, b"\xc3") for each in b"\xb8\xb9\xba\xbb")),  # accented letters
    (b"\xe2\x80", tuple((b"\xe2\x80%c" % each, b" ") for each in (*range(0x80, 0x8B), 0xA8, 0xA9, 0xAF))),
    (
        b"\xe3",
        (
            (b"\xe3\x80\x80", b" "),
            (b"\xe3\x80", _OTHER_BYTE),
            *((b"\xe3%c" % each, _KANA_BYTE) for each in b"\x81\x82\x83"),
        ),
    ),
)


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


def require_token_counts(choice: str) -> None:
    """Count by this one of `TOKEN_COUNTS`. Raises ConfigurationError if this process has counted by another."""
    if choice == token_counts_in_force():
        return
    if _count_tokens_cached.cache_info().currsize:  # and others may keep these counts
        raise ConfigurationError(
            f"token_counts={choice!r}: this process has counted by {token_counts_in_force()!r} already;"
            " set it for the first server"
        )
    use_token_counts(choice)


def token_counts_in_force() -> str:
    """The one of `TOKEN_COUNTS` by which this process counts."""
    return TOKEN_COUNTS[0] if _vocabulary is None else TOKEN_COUNTS[1]


def count_tokens(text: str) -> int:
    """The tokens of a text: by default the estimate, in time linear in its length."""
    return _count_tokens_cached(text) if len(text) < _MAX_CACHED_CHARACTERS else count_new_tokens(text)


def token_ends(text: str) -> Iterator[int]:
    """Where each token ends: a text up to the n-th end has n tokens by the estimate, and about n by the vocabulary."""
    if _vocabulary is not None:
        yield from _vocabulary.ends(text)
        return
    for most_letters, start, end in _passages(text, _kinds(text)):
        for token in _token_pattern(most_letters).finditer(text, start, end):
            yield token.end()


@cache
def _token_pattern(most_letters: int) -> re.Pattern[str]:
    """The pattern of a token of that many letters at most, 0 for any number; few replies need it."""
    letters = rf"[A-Za-z{_ACCENTED}]"
    return re.compile(rf"{letters}{f'{{1,{most_letters}}}' if most_letters else '+'}|{_OTHER_TOKENS}")


def count_new_tokens(text: str) -> int:
    """Like `count_tokens`, of a text that is not likely to come again."""
    if _vocabulary is not None:
        return _vocabulary.count(text)
    if text.isascii() and _find_word(text) is None:  # most texts, in as few steps as possible
        kinds = f" {text}".encode().translate(_KINDS)
        words, marks = kinds.translate(_ONLY_LETTERS), kinds.translate(_ONLY_PUNCTUATION)
        return kinds.count(b"0") + words.count(b" x") + marks.count(b" x")
    kinds = _kinds(text)
    passages: dict[int, list[bytes]] = {}
    for most_letters, start, end in _passages(text, kinds):
        passages.setdefault(most_letters, []).append(kinds[start:end])
    return sum(_count_kinds(b" ".join(each), most_letters) for most_letters, each in passages.items())


_count_tokens_cached = lru_cache(maxsize=1024)(count_new_tokens)


def _passages(text: str, kinds: bytes) -> Iterator[tuple[int, int, int]]:
    """The parts of a text: (most letters of a token, start, end). No part depends on what follows it."""
    position, word, accent = 0, _find_word(text), kinds.find(_ACCENTED_LETTER)
    while word is not None or accent >= 0:
        if word is not None and not 0 <= accent < word.start():
            most_letters = 3 if word[0][1:-1] in _INDONESIAN else 4
            start, length = word.end() - 1, _AFTER_WORD
        else:
            most_letters = 3 if text[accent] in _EASTERN else 4
            start, length = accent, _AFTER_ACCENT
        yield 0, position, start
        position = min(start + length, len(text))
        yield most_letters, start, position
        if word is not None and word.start() < position:
            word = _find_word(text, position)
        accent = kinds.find(_ACCENTED_LETTER, position)
    yield 0, position, len(text)


def _kinds(text: str) -> bytes:
    """The kind of each character of a text."""
    data = text.encode("utf-8", "surrogatepass")
    for present, replacements in _REPLACEMENTS:
        if present in data:
            for old, new in replacements:
                data = data.replace(old, new)
    return data.translate(_KINDS, _CONTINUATION_BYTES)


def _count_kinds(kinds: bytes, most_letters: int) -> int:
    """The tokens of characters of these kinds: the matches of `_token_pattern`."""
    count = kinds.count(_DIGIT) + kinds.count(_OTHER) + _count_runs(kinds, _ONLY_PUNCTUATION)
    for kind, most in _MOST_CHARACTERS:
        if kind in kinds:
            count += _count_pieces(kinds, kind, most)
    letters = kinds.replace(_ACCENTED_LETTER, _LETTER)
    if most_letters:
        return count + _count_pieces(letters, _LETTER, most_letters)
    return count + _count_runs(letters, _ONLY_LETTERS)


def _count_runs(kinds: bytes, table: bytes) -> int:
    """The runs of the kind that a table leaves: it makes all others spaces."""
    marks = kinds.translate(table)
    return marks.count(b" x") + marks.startswith(b"x")


def _count_pieces(kinds: bytes, kind: bytes, most: int) -> int:
    """The pieces of at most so many characters of a kind into which its runs are split."""
    for size in range(most, 1, -1):
        kinds = kinds.replace(kind * size, b"x")
    return kinds.count(b"x") + kinds.count(kind)
