"""Scripts as values, and their format in exchange files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import ConfigurationError
from mockserver.replies.script import (
    FunctionCall,
    Message,
    Reasoning,
    Script,
    ToolCall,
    Usage,
    chunk_text,
    parse_script,
)


@given(st.text(), st.lists(st.integers(0, 5)))
def test_joined_chunks_are_the_text(text: str, sizes: list[int]) -> None:
    chunks = chunk_text(text, sizes)
    assert "".join(chunks) == text
    assert all(chunks)


def test_chunks_are_words_or_parts_of_long_words() -> None:
    assert chunk_text("one two  three\n") == ("one", " two", "  three\n")
    assert chunk_text("one two three four", [2, 1]) == ("one two", " three", " four")
    assert chunk_text("人工智能是一门技术") == ("人工", "智能", "是一", "门技", "术")


def test_scripts_compare_by_content() -> None:
    def new_script() -> Script:
        return Script((Message(("a",)), ToolCall("web_search", {"b": [1], "a": {}})))

    assert new_script() == new_script()
    assert hash(new_script()) == hash(new_script())
    assert ToolCall("x", {"a": 1}) != ToolCall("x", {"a": 2})


def test_parse_script_reads_exchange_format() -> None:
    script = parse_script(
        {
            "items": [
                {"type": "reasoning", "text": "hm, well"},
                {"type": "web_search", "action": {"query": "q"}},
                {"type": "function_call", "name": "f", "arguments": {"a": 1}},
                {"type": "message", "chunks": ["x", "y"]},
            ],
            "usage": {"input_tokens": 5, "with_context": True},
        }
    )
    assert script.items == (
        Reasoning(("hm,", " well")),
        ToolCall("web_search", {"action": {"query": "q"}}),
        FunctionCall("f", '{"a":1}'),
        Message(("x", "y")),
    )
    assert script.usage == Usage(input_tokens=5, with_context=True)
    assert script.calls_without_id == (2,)


def test_item_without_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="type"):
        parse_script({"items": [{"text": "x"}]})
