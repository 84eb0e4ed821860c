"""Usage: a stated, deterministic estimate.

One token for each word, run of digits, run of one punctuation mark, or Chinese, Japanese or Korean
character; each request costs the profile's hidden prompt on top; a turn's input counts the turns before it.
On the vendor's samples (January 2026) the rule gives 47 for the introduction's 46 output tokens, 16 for the
16 of the second turn and 187 for the essay's 166.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from mockserver.profiles import Profile
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.wire import json

__all__ = ["CacheTokens", "build_usage", "count_output_tokens", "count_tokens", "truncate_to_tokens"]

#: Characters below which a text's count is remembered: conversations repeat themselves.
_MAX_CACHED_CHARACTERS = 200

_TOKEN_PATTERN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # one character, one token
    r"|[^\W\d_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"  # a word
    r"|\d+|([^\w\s]|_)\1*"
)


def count_tokens(text: str) -> int:
    """The estimate for a text; linear in its length."""
    return (
        _count_tokens_cached(text)
        if len(text) < _MAX_CACHED_CHARACTERS
        else len(_TOKEN_PATTERN.findall(text))
    )


@lru_cache(maxsize=1024)
def _count_tokens_cached(text: str) -> int:
    return len(_TOKEN_PATTERN.findall(text))


@lru_cache(maxsize=1024)
def count_output_tokens(script: Script) -> tuple[int, int]:
    """(all output tokens, those of them spent on reasoning); at least one each where there is text."""
    reasoning = sum(_count_item_tokens(item) for item in script.items if isinstance(item, Reasoning))
    return reasoning + sum(
        _count_item_tokens(item) for item in script.items if not isinstance(item, Reasoning)
    ), reasoning


def _count_item_tokens(item: Item) -> int:
    if isinstance(item, Message | Reasoning):
        return count_tokens(item.text)
    if isinstance(item, FunctionCall):
        return count_tokens(item.name) + count_tokens(item.arguments)
    return count_tokens(json.dumps(dict(item.data)).decode())


class CacheTokens(NamedTuple):
    """Tokens that the session's cache gave, and took; each may be a template's marker."""

    cached_tokens: Any
    created_tokens: Any


def build_usage(
    script: Script,
    input_tokens: Any,
    total_tokens: Any,
    profile: Profile,
    cache_tokens: CacheTokens | None = None,
) -> dict[str, Any]:
    """The `usage` member; what depends on the conversation may be a template's markers.

    `cache` is given where the session's cache is on.
    """
    estimated, reasoning = count_output_tokens(script)
    stated = script.usage
    output = estimated if stated.output_tokens is None else stated.output_tokens
    usage: dict[str, Any] = {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": stated.cached_tokens if cache_tokens is None else cache_tokens.cached_tokens
        },
        "output_tokens": output,
        "output_tokens_details": {
            "reasoning_tokens": min(reasoning, output)
            if stated.reasoning_tokens is None
            else stated.reasoning_tokens
        },
        "total_tokens": total_tokens,
    }
    if profile.x_details:
        usage["x_details"] = [_details_row(usage, script, profile, cache_tokens)]
    if runs := _count_tool_runs(script.items, profile):
        usage["x_tools"] = runs
    return usage


def _details_row(
    usage: dict[str, Any], script: Script, profile: Profile, cache_tokens: CacheTokens | None
) -> dict[str, Any]:
    """The row of the bill: the same numbers, and what the session's cache did."""
    details: dict[str, Any] = {"cached_tokens": usage["input_tokens_details"]["cached_tokens"]}
    if cache_tokens is not None:
        details |= {
            "cache_creation": {"ephemeral_5m_input_tokens": cache_tokens.created_tokens},
            "cache_creation_input_tokens": cache_tokens.created_tokens,
            "cache_type": "ephemeral",
        }
    row: dict[str, Any] = {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
    row["output_tokens_details"] = usage["output_tokens_details"]
    row["prompt_tokens_details"] = dict(sorted(details.items()))
    row["x_billing_type"] = "response_api"
    if "plugins" in profile.x_details and (runs := _count_tool_runs(script.items, profile)):
        row["plugins"] = runs
    return dict(sorted(row.items()))


@lru_cache(maxsize=1024)
def truncate_to_tokens(script: Script, limit: int, count_reasoning: bool) -> Script:
    """The script as far as `limit` tokens of its answer go; with `thoughts`, those count as well.

    Runs of built-in tools are no part of the answer and cost nothing here. What is cut is incomplete, and
    nothing comes after it; a script within the limit is given back as it is.
    """
    kept: list[Item] = []
    left = limit
    for item in script.items:
        counts = isinstance(item, Message | FunctionCall) or (count_reasoning and isinstance(item, Reasoning))
        cost = _count_item_tokens(item) if counts else 0
        if cost > left:
            kept.append(_truncate_item(item, left))
            return Script(tuple(kept), replace(script.usage, output_tokens=None), "incomplete")
        left -= cost
        kept.append(item)
    return script


def _truncate_item(item: Item, limit: int) -> Item:
    if isinstance(item, FunctionCall):
        left = max(0, limit - count_tokens(item.name))
        return replace(item, arguments=_first_tokens(item.arguments, left))
    if isinstance(item, ToolCall):
        raise TypeError("the run of a tool is not cut")
    left, chunks = len(_first_tokens(item.text, limit)), []
    for chunk in item.chunks:
        if left > 0:
            chunks.append(chunk[:left])
        left -= len(chunk)
    return replace(item, chunks=tuple(chunks))


def _first_tokens(text: str, limit: int) -> str:
    """As much of a text as its first `limit` tokens are."""
    ends = [match.end() for match in islice(_TOKEN_PATTERN.finditer(text), limit)]
    return text[: ends[-1]] if ends else ""


def _count_tool_runs(items: Iterable[Item], profile: Profile) -> dict[str, dict[str, int]]:
    known = {kind for kind, tool in profile.tools.items() if tool.counted}
    counts = Counter(item.kind for item in items if isinstance(item, ToolCall) and item.kind in known)
    return {kind: {"count": count} for kind, count in sorted(counts.items())}
