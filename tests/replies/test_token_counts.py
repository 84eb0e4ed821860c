"""Token counts of texts."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tokens import load_texts, relative_error
from mockserver.replies.token_counts import count_tokens, token_ends

#: A character of each class, and two of those that runs consist of.
ALPHABET = "ab1_-你日ひラ가하деשםسلกข\u0939é\u1ea1\u2009 \n\u3000，🎉\x00"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Yes, John! I remember your name. How can I assist you today?", 16),
        ("a_b", 3),
        ("3.14", 4),
        ("你好，世界", 3),
        ("naïve café", 3),
        (" \n\t\u3000", 0),
        ("print(f'{value!r}')", 8),
        ("Здравствуйте", 4),
    ],
)
def test_count_tokens(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@given(st.text(alphabet=ALPHABET, min_size=1, max_size=40), st.integers(16_000, 50_000))
def test_tokens_of_long_texts_are_counted_as_those_of_short_ones(text: str, length: int) -> None:
    long = (text * (length // len(text) + 1))[:length]
    assert count_tokens(long) == len([*token_ends(long)])


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_texts_have_the_tokens_of_other_texts(text: str) -> None:
    long = text * (400 // max(1, len(text)) + 1)
    for each in (text, long):
        assert count_tokens(each) == count_tokens(f"{each}你") - 1 == len([*token_ends(each)])


@given(st.text(alphabet=ALPHABET, max_size=300), st.integers(1, 100))
def test_a_text_up_to_the_end_of_a_token_has_the_tokens_so_far(text: str, number: int) -> None:
    ends = [*islice(token_ends(text), number)]
    assert count_tokens(text[: ends[-1]] if ends else "") == len(ends)


def test_words_of_other_languages_are_split() -> None:
    """As in the vocabulary, where most English words have one token and most others have more."""
    assert count_tokens("Your order confirmation") == 3
    assert count_tokens("Für Ihre Bestellbestätigung") > 6
    assert count_tokens("Dopo la conferma del suo ordine") > 6
    assert count_tokens("Pesanan yang ingin diubah") == 6
    assert count_tokens("3×4") == 3


@given(
    st.lists(st.sampled_from([" il ", " yang ", "yang", "ż", "é", "costa", " ", "-", "你好", "\ud800", "×"]))
)
def test_a_text_in_several_languages_has_the_tokens_so_far(parts: list[str]) -> None:
    text = "".join(parts)
    ends = [*token_ends(text)]
    assert count_tokens(text) == len(ends)
    for number, end in enumerate(ends, start=1):
        assert count_tokens(text[:end]) == number


@pytest.mark.parametrize("language", sorted(load_texts()))
def test_estimate_is_within_15_percent_of_the_vocabulary(language: str) -> None:
    row = load_texts()[language]
    assert abs(relative_error(row["text"], row["tokens"])) <= 0.15
