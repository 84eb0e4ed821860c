"""Generated scripts: their language and their texts."""

from __future__ import annotations

import pytest

from mockserver.replies.generated_scripts import (
    LANGUAGES,
    POOL_SIZE,
    detect_language,
    message_from_pool,
    text_from_pool,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello", "en"),
        ("", "en"),
        ("Schöne Grüße", "en"),
        ("你好", "zh"),
        ("Tell me about 人工智能", "zh"),
        ("こんにちは、世界", "ja"),
        ("Привет", "ru"),
        ("مرحبا", "ar"),
        ("Γειά σου", "el"),
        ("שלום", "he"),
        ("Բարև", "hy"),
        ("হ্যালো", "bn"),
    ],
)
def test_detect_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_pools_are_in_their_language(language: str) -> None:
    texts = {text_from_pool(language, pick) for pick in range(POOL_SIZE)}
    assert len(texts) == POOL_SIZE
    assert {detect_language(text) for text in texts} == {language}
    assert text_from_pool(language, POOL_SIZE + 3) == text_from_pool(language, 3)
    assert message_from_pool(language, 5).text == text_from_pool(language, 5)
    assert len(message_from_pool(language, 5).chunks) > 3
