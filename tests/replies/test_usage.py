"""Cutting a script short, and the row of the bill."""

from __future__ import annotations

from hypothesis import given, settings

from mockserver import strategies
from mockserver.profiles import load_profile
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall, Usage
from mockserver.replies.usage import (
    CacheTokens,
    build_usage,
    count_output_tokens,
    count_tokens,
    truncate_to_tokens,
)

REASONING = Reasoning(("one two ", "three"))
SEARCH = ToolCall("web_search", {"action": {"type": "search", "query": "q"}})


def test_a_script_within_its_limit_is_left_alone() -> None:
    script = Script((REASONING, Message(("a b", " c"))))
    assert truncate_to_tokens(script, 3, False) == script
    assert truncate_to_tokens(script, 6, True) == script


def test_script_is_truncated_at_the_limit() -> None:
    script = Script((REASONING, SEARCH, Message(("a b", " c d", " e"))), Usage(output_tokens=99))
    cut = truncate_to_tokens(script, 3, False)
    assert cut.items == (REASONING, SEARCH, Message(("a b", " c")))
    assert (cut.status, cut.usage.output_tokens) == ("incomplete", None)
    assert truncate_to_tokens(script, 2, True).items == (Reasoning(("one two",)),)
    assert truncate_to_tokens(script, 4, True).items[2] == Message(("a",))


def test_arguments_are_truncated() -> None:
    script = Script((FunctionCall("f", '{"a": 1}'), Message(("x",))))
    (call,) = truncate_to_tokens(script, 3, False).items
    assert isinstance(call, FunctionCall)
    assert '{"a": 1}'.startswith(call.arguments)
    assert call.arguments != '{"a": 1}'


@settings(max_examples=200, derandomize=True, database=None)
@given(strategies.scripts(profile="qwen-2026-09", statuses=["completed"], kinds=["message", "reasoning"]))
def test_no_script_is_longer_than_its_limit(script: Script) -> None:
    cut = truncate_to_tokens(script, 2, True)
    assert count_output_tokens(cut)[0] <= 2 or cut == script
    said = "".join(item.text for item in script.items if isinstance(item, Message | Reasoning))
    kept = "".join(item.text for item in cut.items if isinstance(item, Message | Reasoning))
    assert said.startswith(kept)
    assert (cut.status == "incomplete") == (cut != script)


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
