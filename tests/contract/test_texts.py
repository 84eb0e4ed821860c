"""Texts in pieces."""

from __future__ import annotations

import pytest

from mockserver.contract import texts
from mockserver.contract.texts import Stage, Text, difference


def told(pieces: list[str], whole: str) -> tuple[str, str] | None:
    text = Text()
    for piece in pieces:
        text.add(piece)
    return text.finish(whole)


def test_pieces_make_the_text() -> None:
    assert told([], "") is None
    assert told(["a", "", "b"], "ab") is None
    assert told(["a"], "ab") == ("a", "ab")


def test_long_texts_are_kept_as_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "KEPT_CHARACTERS", 4)
    assert told(["abc", "def", "\ud800", "g"], "abcdef\ud800g") is None
    assert told(["abc", "def"], "abcdeg") is not None


def test_a_spoiled_text_is_not_compared() -> None:
    text = Text()
    text.add(None)
    assert text.finish("x") is None
    assert (text.spoiled, text.stage) == (True, Stage.TOLD)


def test_the_difference_is_shown_in_its_place() -> None:
    assert difference("same", "same") is None
    assert difference("x" * 50 + "a", "x" * 50 + "b") == ("…" + "x" * 20 + "a", "…" + "x" * 20 + "b")
    assert difference("a" * 9, "a" * 8) == ("a" * 9, "a" * 8)
