"""Truncates a script at a token limit or at a stop sequence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.replies.token_counts import count_tokens, token_ends
from mockserver.replies.usage import count_item_tokens

__all__ = ["first_tokens", "truncate_at_stop", "truncate_to_tokens"]


@lru_cache(maxsize=1024)
def truncate_to_tokens(script: Script, limit: int, count_reasoning: bool) -> Script:
    """The script up to `limit` tokens of its messages and function calls; an unchanged script if it fits.

    Reasoning counts only with `count_reasoning`; runs of built-in tools never count. A truncated script is
    incomplete and ends with the truncated item.
    """
    items: list[Item] = []
    left = limit
    for item in script.items:
        counts = isinstance(item, Message | FunctionCall) or (count_reasoning and isinstance(item, Reasoning))
        cost = count_item_tokens(item) if counts else 0
        if cost > left:
            items.append(_truncate_item(item, left))
            return Script(tuple(items), replace(script.usage, output_tokens=None), "incomplete")
        left -= cost
        items.append(item)
    return script


def truncate_at_stop(script: Script, stop_sequences: Iterable[str]) -> Script:
    """The script up to the first stop sequence in a message; an unchanged script if there is none."""
    items: list[Item] = []
    for item in script.items:
        text = item.text if isinstance(item, Message) else ""
        ends = [at for stop in stop_sequences if stop and (at := text.find(stop)) >= 0]
        if isinstance(item, Message) and ends:
            items.append(Message(_first_characters(item.chunks, min(ends))))
            return Script(tuple(items), replace(script.usage, output_tokens=None))
        items.append(item)
    return script


def _truncate_item(item: Item, limit: int) -> Item:
    if isinstance(item, FunctionCall):
        left = max(0, limit - count_tokens(item.name))
        return replace(item, arguments=first_tokens(item.arguments, left))
    if isinstance(item, ToolCall):
        raise TypeError("a run of a built-in tool cannot be truncated")
    return replace(item, chunks=_first_characters(item.chunks, len(first_tokens(item.text, limit))))


def first_tokens(text: str, limit: int) -> str:
    """The start of a text with at most `limit` tokens."""
    ends = [*islice(token_ends(text), limit)]
    while (
        ends and count_tokens(text[: ends[-1]]) > limit
    ):  # a vocabulary may split the start of a word otherwise
        ends.pop()
    return text[: ends[-1]] if ends else ""


def _first_characters(chunks: Iterable[str], size: int) -> tuple[str, ...]:
    """The chunks that hold the first `size` characters, the last one cut."""
    first = []
    for chunk in chunks:
        if size > 0:
            first.append(chunk[:size])
        size -= len(chunk)
    return tuple(first)
