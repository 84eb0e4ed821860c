"""Generated text and the estimate of tokens."""

from __future__ import annotations

import pytest

from mockserver.exchanges import packaged_exchanges
from mockserver.profiles import load_profile
from mockserver.replies.generated_scripts import (
    FAKER_LOCALES,
    POOL_SIZE,
    detect_language,
    message_from_pool,
    text_from_pool,
)
from mockserver.replies.script import Script, Usage, message_script, parse_script
from mockserver.replies.usage import build_usage, count_output_tokens, count_tokens


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
    ],
)
def test_detect_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("language", FAKER_LOCALES)
def test_pools_are_in_their_language(language: str) -> None:
    texts = {text_from_pool(language, pick) for pick in range(POOL_SIZE)}
    assert len(texts) == POOL_SIZE
    assert {detect_language(text) for text in texts} == {language}
    assert text_from_pool(language, POOL_SIZE + 3) == text_from_pool(language, 3)
    assert message_from_pool(language, 5).text == text_from_pool(language, 5)
    assert len(message_from_pool(language, 5).chunks) > 3


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Yes, John! I remember your name. How can I assist you today?", 16),
        ("a_b", 3),
        ("3.14", 3),
        ("你好，世界", 5),
        ("naïve café", 2),
        (" \n\t ", 0),
    ],
)
def test_count_tokens(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def test_estimate_is_near_documented_token_counts() -> None:
    """Output of the introduction (46) and of the essay (166), input of both (39, 37), in the guide."""
    scripts = {each.name: parse_script(each.reply["script"]) for each in packaged_exchanges("qwen-2026-01")}
    introduction, essay = scripts["introduction"], scripts["artificial-intelligence"]
    assert count_output_tokens(introduction)[0] == pytest.approx(46, abs=2)
    assert count_output_tokens(essay)[0] == pytest.approx(166, rel=0.2)
    hidden = load_profile("qwen-2026-01").hidden_prompt_tokens
    assert hidden + count_tokens("Hello, please introduce yourself in one sentence.") == pytest.approx(
        39, abs=1
    )
    assert hidden + count_tokens("Please briefly introduce artificial intelligence.") == pytest.approx(
        37, abs=1
    )


def test_stated_usage_overrides_estimate() -> None:
    profile = load_profile("qwen-2026-01")
    plain = build_usage(message_script("a b c"), 5, 8, profile)
    assert (plain["output_tokens"], plain["total_tokens"]) == (3, 8)
    stated = build_usage(Script(message_script("a").items, Usage(1, 9, 4, 1)), 1, 10, profile)
    assert stated["output_tokens"] == 9
    assert stated["output_tokens_details"] == {"reasoning_tokens": 4}
    assert stated["input_tokens_details"] == {"cached_tokens": 1}
    thoughtful = parse_script(
        {"items": [{"type": "reasoning", "text": "a b c d"}], "usage": {"output_tokens": 2}}
    )
    assert build_usage(thoughtful, 1, 3, profile)["output_tokens_details"] == {"reasoning_tokens": 2}
