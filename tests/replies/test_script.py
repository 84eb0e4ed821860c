"""Scripts as values, and the form that exchange files carry."""

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
    chunked,
    script_from,
)


@given(st.text(), st.lists(st.integers(0, 5)))
def test_chunks_join_to_the_text(text: str, sizes: list[int]) -> None:
    chunks = chunked(text, sizes)
    assert "".join(chunks) == text
    assert all(chunks)


def test_chunks_are_words_or_pieces_of_long_ones() -> None:
    assert chunked("one two  three\n") == ("one", " two", "  three\n")
    assert chunked("one two three four", [2, 1]) == ("one two", " three", " four")
    assert chunked("人工智能是一门技术") == ("人工", "智能", "是一", "门技", "术")


def test_scripts_are_equal_by_what_they_say() -> None:
    def built() -> Script:
        return Script((Message(("a",)), ToolCall("web_search", {"b": [1], "a": {}})))

    assert built() == built()
    assert hash(built()) == hash(built())
    assert ToolCall("x", {"a": 1}) != ToolCall("x", {"a": 2})


def test_from_a_file() -> None:
    script = script_from(
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
    assert script.open_calls == (2,)


def test_an_item_without_a_type_is_told() -> None:
    with pytest.raises(ConfigurationError, match="type"):
        script_from({"items": [{"text": "x"}]})
