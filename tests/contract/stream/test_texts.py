"""Texts that come in deltas."""

from __future__ import annotations

import pytest

from mockserver.contract.stream import texts
from mockserver.contract.stream.texts import StreamedText, TextStage, text_difference


def compare(pieces: list[str], whole: str) -> tuple[str, str] | None:
    text = StreamedText()
    for piece in pieces:
        text.add_delta(piece)
    return text.finish(whole)


def test_deltas_make_the_text() -> None:
    assert compare([], "") is None
    assert compare(["a", "", "b"], "ab") is None
    assert compare(["a"], "ab") == ("a", "ab")


def test_long_texts_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_BUFFERED_CHARACTERS", 4)
    assert compare(["abc", "def", "\ud800", "g"], "abcdef\ud800g") is None
    assert compare(["abc", "def"], "abcdeg") is not None


def test_an_incomparable_text_is_not_compared() -> None:
    text = StreamedText()
    text.add_delta(None)
    assert text.finish("x") is None
    assert (text.incomparable, text.stage) == (True, TextStage.DONE)


def test_the_difference_is_shown_with_its_context() -> None:
    assert text_difference("same", "same") is None
    assert text_difference("x" * 50 + "a", "x" * 50 + "b") == ("…" + "x" * 20 + "a", "…" + "x" * 20 + "b")
    assert text_difference("a" * 9, "a" * 8) == ("a" * 9, "a" * 8)
