"""Scripts truncated at a token limit or at a stop sequence."""

from __future__ import annotations

from hypothesis import given, settings

from mockserver import strategies
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall, Usage
from mockserver.replies.truncation import truncate_at_stop, truncate_to_tokens
from mockserver.replies.usage import count_output_tokens

REASONING = Reasoning(("one two ", "three"))
SEARCH = ToolCall("web_search", {"action": {"type": "search", "query": "q"}})


def test_script_within_the_limit_is_unchanged() -> None:
    script = Script((REASONING, Message(("a b", " c"))))
    assert truncate_to_tokens(script, 3, False) == script
    assert truncate_to_tokens(script, 6, True) == script


def test_script_is_truncated_at_the_limit() -> None:
    script = Script((REASONING, SEARCH, Message(("a b", " c d", " e"))), Usage(output_tokens=99))
    truncated = truncate_to_tokens(script, 3, False)
    assert truncated.items == (REASONING, SEARCH, Message(("a b", " c")))
    assert (truncated.status, truncated.usage.output_tokens) == ("incomplete", None)
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
def test_truncated_script_is_within_the_limit(script: Script) -> None:
    truncated = truncate_to_tokens(script, 2, True)
    assert count_output_tokens(truncated)[0] <= 2 or truncated == script
    text = "".join(item.text for item in script.items if isinstance(item, Message | Reasoning))
    truncated_text = "".join(item.text for item in truncated.items if isinstance(item, Message | Reasoning))
    assert text.startswith(truncated_text)
    assert (truncated.status == "incomplete") == (truncated != script)


def test_script_is_truncated_at_the_first_stop_sequence() -> None:
    script = Script((REASONING, Message(("one two", " three"))), Usage(output_tokens=99))
    truncated = truncate_at_stop(script, ["three", "wo t", ""])
    assert truncated.items == (REASONING, Message(("one t",)))
    assert (truncated.status, truncated.usage.output_tokens) == ("completed", None)
    assert truncate_at_stop(script, ["four"]) == script
