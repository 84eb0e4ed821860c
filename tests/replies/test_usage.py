"""Token counts, and the `usage` member made of them."""

from __future__ import annotations

import pytest

from mockserver.exchanges import packaged_exchanges
from mockserver.profiles import load_profile
from mockserver.replies.script import Message, Script, ToolCall, Usage, message_script, parse_script
from mockserver.replies.token_counts import count_tokens
from mockserver.replies.usage import (
    CacheTokens,
    build_usage,
    count_output_tokens,
)

SEARCH = ToolCall("web_search", {"action": {"type": "search", "query": "q"}})


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


def test_x_details_row() -> None:
    script = Script((SEARCH, Message(("a b",))))
    usage = build_usage(
        script, 2000, 2000 + count_output_tokens(script)[0], load_profile("qwen-2026-09"), CacheTokens(5, 7)
    )
    (row,) = usage["x_details"]
    assert usage["input_tokens_details"] == {"cached_tokens": 5}
    assert row["prompt_tokens_details"] == {
        "cached_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 7},
        "cache_creation_input_tokens": 7,
        "cache_type": "ephemeral",
    }
    assert row["plugins"] == usage["x_tools"] == {"web_search": {"count": 1}}
    assert "x_details" not in build_usage(script, 1, 2, load_profile("qwen-2026-01"))
    assert count_tokens("a b") == 2
