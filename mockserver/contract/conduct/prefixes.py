"""Where the prompt of a turn first differs from the turn before, although it should begin with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockserver.contract.conduct.turns import Turn, item_text
from mockserver.wire import json

__all__ = ["PrefixChange", "find_prefix_change"]

#: The share of a text that stays if it was changed by accident: a time or a counter in it. Another text was
#: chosen on purpose.
_COMMON_SHARE = 0.5
_WORD = re.compile(r"\w+")
#: Characters that a message shows on each side.
_SHOWN_CHARACTERS = 24


class PrefixChange(NamedTuple):
    """The first difference between the prompts of two turns."""

    pointer: str
    """Where it is in the later request."""
    description: str


def find_prefix_change(earlier: Turn, later: Turn) -> PrefixChange | None:
    """The first difference that looks like an accident; None if there is none.

    Whole new instructions, other tools and a history without its oldest items are choices of the client.
    """
    return next(_find_changes(earlier, later), None)


def _find_changes(earlier: Turn, later: Turn) -> Iterator[PrefixChange]:
    before, now = earlier.attempt.request, later.attempt.request
    yield from _compare_texts("/instructions", before.get("instructions"), now.get("instructions"))
    yield from _compare_tools(before.get("tools"), now.get("tools"))
    if not later.is_stored:
        yield from _compare_items(earlier, later)


def _compare_texts(pointer: str, before: Any, now: Any) -> Iterator[PrefixChange]:
    if not isinstance(before, str) or not isinstance(now, str) or before == now:
        return
    start = _common_length(before, now)
    if _common_share(before, now, start) >= _COMMON_SHARE:
        shown = (each[start : start + _SHOWN_CHARACTERS] for each in (before, now))
        was, became = map(repr, shown)
        yield PrefixChange(pointer, f"differs at character {start}: {was} became {became}")


def _common_share(before: str, now: str, start: int) -> float:
    """The share of a text that stays: its beginning and end, or its words. Chinese has no words to tell."""
    end = _common_length(before[::-1], now[::-1], min(len(before), len(now)) - start)
    words = [Counter(_WORD.findall(each)) for each in (before, now)]
    most_words = max(map(Counter.total, words), default=0) or 1
    common_words: int = (words[0] & words[1]).total()
    return max((start + end) / max(len(before), len(now)), common_words / most_words)


def _common_length(one: str, other: str, limit: int | None = None) -> int:
    length = min(len(one), len(other)) if limit is None else limit
    return next((index for index in range(length) if one[index] != other[index]), length)


def _compare_tools(before: Any, now: Any) -> Iterator[PrefixChange]:
    if not isinstance(before, list) or not isinstance(now, list):
        return
    was, became = ([json.canonical(each) for each in tools] for tools in (before, now))
    index = next(
        (index for index, pair in enumerate(zip(was, became, strict=False)) if len(set(pair)) > 1), None
    )
    if index is None:
        return
    if sorted(was) == sorted(became):
        yield PrefixChange(f"/tools/{index}", "the tools are in another order")
    elif [_tool_name(each) for each in before] == [_tool_name(each) for each in now]:
        texts = (each[index].decode() for each in (was, became))
        yield from _compare_texts(f"/tools/{index}", *texts)


def _tool_name(tool: Any) -> Any:
    return (tool.get("type"), tool.get("name")) if isinstance(tool, dict) else None


def _compare_items(earlier: Turn, later: Turn) -> Iterator[PrefixChange]:
    was, became = earlier.canonical_input, later.canonical_input
    pairs = zip(was, became, strict=False)
    index = next((index for index, (one, other) in enumerate(pairs) if one != other), None)
    if index is None:
        return
    if became[index] in was[index:]:
        if was[index] in became[index:]:
            yield PrefixChange(f"/input/{index}", "the items are in another order")
        return  # else the client has dropped its oldest items
    before, now = earlier.input_items[index], later.input_items[index]
    kind = before.get("type", "message")
    if (kind, before.get("role")) != (now.get("type", "message"), now.get("role")):
        return
    if item_text(before) and item_text(now):
        yield from _compare_texts(f"/input/{index}/content", item_text(before), item_text(now))
    else:
        yield from _compare_texts(f"/input/{index}", was[index].decode(), became[index].decode())
