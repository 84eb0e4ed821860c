"""The token counts of items, and the `usage` member made of them.

Each request also costs the profile's hidden prompt, and the input of a turn includes the earlier turns. For
the vendor's samples (January 2026) the estimate gives 47 for the introduction's 46 output tokens, 16 for the
16 of the second turn and 186 for the essay's 166.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from mockserver.errors import InvalidJSON
from mockserver.named_tuples import NamedTuple
from mockserver.profiles import Profile
from mockserver.replies.script import FunctionCall, Item, Message, Reasoning, Script, ToolCall
from mockserver.replies.token_counts import count_tokens
from mockserver.wire import json, sse

__all__ = [
    "CacheTokens",
    "build_usage",
    "count_item_tokens",
    "count_output_tokens",
    "count_text_tokens",
    "stated_or_estimated_tokens",
]


@lru_cache(maxsize=1024)
def count_output_tokens(script: Script) -> tuple[int, int]:
    """(all output tokens, the reasoning tokens among them)."""
    reasoning = sum(count_item_tokens(item) for item in script.items if isinstance(item, Reasoning))
    return reasoning + sum(
        count_item_tokens(item) for item in script.items if not isinstance(item, Reasoning)
    ), reasoning


def stated_or_estimated_tokens(script: Script) -> tuple[Any, Any]:
    """(output tokens, the reasoning tokens among them) as `usage` has them; a template's markers stay what they are."""
    stated = script.usage
    if stated.output_tokens is not None and stated.reasoning_tokens is not None:
        return stated.output_tokens, stated.reasoning_tokens
    estimated, reasoning = count_output_tokens(script)
    output = estimated if stated.output_tokens is None else stated.output_tokens
    return output, min(reasoning, output) if stated.reasoning_tokens is None else stated.reasoning_tokens


def count_item_tokens(item: Item) -> int:
    """The estimate for one item: its text, name and arguments, or the JSON of a built-in tool's data."""
    if isinstance(item, Message | Reasoning):
        return count_tokens(item.text)
    if isinstance(item, FunctionCall):
        return count_tokens(item.name) + count_tokens(item.arguments)
    return count_tokens(json.dumps(dict(item.data)).decode())


class CacheTokens(NamedTuple):
    """Tokens read from and added to the session cache; each may be a template's marker."""

    cached_tokens: Any
    created_tokens: Any


def build_usage(
    script: Script,
    input_tokens: Any,
    total_tokens: Any,
    profile: Profile,
    cache_tokens: CacheTokens | None = None,
) -> dict[str, Any]:
    """The `usage` member; the token counts passed in may be a template's markers.

    Pass `cache_tokens` if the session cache is on.
    """
    stated = script.usage
    output, reasoning = stated_or_estimated_tokens(script)
    usage: dict[str, Any] = {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": stated.cached_tokens if cache_tokens is None else cache_tokens.cached_tokens
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
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
    """The row in `x_details`: the same counts, and what the session cache did."""
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


def _count_tool_runs(items: Iterable[Item], profile: Profile) -> dict[str, dict[str, int]]:
    known = {kind for kind, tool in profile.tools.items() if tool.counted}
    counts = Counter(item.kind for item in items if isinstance(item, ToolCall) and item.kind in known)
    return {kind: {"count": count} for kind, count in sorted(counts.items())}


def count_text_tokens(data: bytes) -> int:
    """Count the tokens of text in a piece of a reply of either API: in its deltas, or in a whole body."""
    if data.startswith(b"{"):
        return _output_tokens(data)
    tokens = 0
    if b'.delta"' in data or b'"chat.completion.chunk"' in data:
        for frame in sse.Decoder(1 << 26).feed(data):
            tokens += _count_delta_tokens(frame.data or "")
    return tokens


def _count_delta_tokens(data: str) -> int:
    value = _json_object(data.encode())
    delta = value.get("delta")
    if isinstance(delta, str):
        return max(1, count_tokens(delta))
    choices = value.get("choices")
    texts = [text for each in choices for text in _chunk_texts(each)] if isinstance(choices, list) else []
    return sum(max(1, count_tokens(text)) for text in texts if isinstance(text, str) and text)


def _chunk_texts(choice: Any) -> Iterator[Any]:
    """The texts in a choice of a chunk, which may be invalid: content, thoughts and arguments of calls."""
    delta = choice.get("delta") if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        return
    yield delta.get("content")
    yield delta.get("reasoning_content")
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        yield function.get("arguments") if isinstance(function, dict) else None


def _output_tokens(body: bytes) -> int:
    usage = _json_object(body).get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = counts.get("output_tokens", counts.get("completion_tokens"))
    return tokens if type(tokens) is int and tokens > 0 else 0


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except InvalidJSON:
        return {}
    return value if isinstance(value, dict) else {}
