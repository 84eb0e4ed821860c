"""What a run costs: tokens and tool calls, and an amount of money by the prices of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from mockserver import resources
from mockserver.documents.problems import find_problems
from mockserver.errors import ConfigurationError, InvalidJSON
from mockserver.regular_files import read_named_file
from mockserver.wire import json

__all__ = ["Cost", "Prices", "Spending", "read_prices", "spending_of_reply"]

#: Tokens and calls of one reply that are believed; beyond, a sum would say nothing.
_MAX_COUNT = 10**12
#: Tool types of one reply that are counted, and characters of their names; a service has about ten.
_MAX_TOOL_TYPES, _MAX_NAME_LENGTH = 20, 40
#: Tools that the client runs, so that the service does not charge for them.
_CLIENT_TOOLS = frozenset({"apply_patch", "computer", "custom_tool", "function", "local_shell", "shell"})


@dataclass(frozen=True, slots=True)
class Spending:
    """The counts that a bill consists of."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Those of the input tokens that came from a cache."""
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """Calls of tools that the service runs, by type."""

    def __add__(self, other: Spending) -> Spending:
        calls = dict(self.tool_calls)
        for name, count in other.tool_calls.items():
            calls[name] = calls.get(name, 0) + count
        return Spending(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            calls,
        )


def spending_of_reply(
    usage: Any, output: Iterable[Mapping[str, Any]], prompt_bytes: int, tokens: int
) -> Spending:
    """Count what a reply cost. Without a usage, `tokens` is split by the size of the prompt: 4 bytes a token."""
    if not isinstance(usage, Mapping) or "input_tokens" not in usage:
        prompt = min(tokens, prompt_bytes // 4)
        return Spending(prompt, tokens - prompt, tool_calls=_output_calls(output))
    details = usage.get("input_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    given = _count(usage["input_tokens"])
    calls = _counted_calls(usage.get("x_tools")) or _output_calls(output)
    return Spending(given, _count(usage.get("output_tokens")), min(cached, given), calls)


def _counted_calls(tools: Any) -> dict[str, int]:
    """Runs of tools according to the usage."""
    if not isinstance(tools, Mapping):
        return {}
    rows = [(name, each.get("count")) for name, each in tools.items() if isinstance(each, Mapping)]
    return {name[:_MAX_NAME_LENGTH]: _count(count) for name, count in rows[:_MAX_TOOL_TYPES] if _count(count)}


def _output_calls(output: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Calls of tools that the service runs, according to the items of a reply."""
    calls: dict[str, int] = {}
    for item in output:
        kind = item.get("type")
        if not isinstance(kind, str) or not kind.endswith("_call"):
            continue
        name = kind.removesuffix("_call")[:_MAX_NAME_LENGTH]
        if name not in _CLIENT_TOOLS and (name in calls or len(calls) < _MAX_TOOL_TYPES):
            calls[name] = calls.get(name, 0) + 1
    return calls


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= _MAX_COUNT else 0


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str
    unpriced_tools: tuple[str, ...] = ()
    """Tools that were called and have no price, so that the amount lacks them."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a file."""

    file: str
    currency: str
    models: Mapping[str, Mapping[str, float]]
    """Prices of 1,000,000 tokens: "input", "output" and perhaps "cached_input"."""
    tool_calls: Mapping[str, float]
    """Prices of 1,000 calls by the type of the tool."""

    def require_model(self, model: str) -> None:
        """Raise ConfigurationError if the file has no prices for the model."""
        if model not in self.models:
            known = ", ".join(sorted(self.models)) or "none"
            raise ConfigurationError(
                f"{self.file} has no prices for the model {model!r}; its models: {known}"
            )

    def cost(self, spending: Spending, model: str) -> Cost:
        """The cost with a model of the file."""
        prices = self.models[model]
        cached_price = prices.get("cached_input", prices["input"])
        amount = (
            (spending.input_tokens - spending.cached_tokens) * prices["input"]
            + spending.cached_tokens * cached_price
            + spending.output_tokens * prices["output"]
        ) / 1_000_000
        calls = {name: count for name, count in spending.tool_calls.items() if count}
        amount += sum(count * self.tool_calls.get(name, 0) / 1_000 for name, count in calls.items())
        unpriced = tuple(sorted(calls.keys() - self.tool_calls.keys()))
        return Cost(round(amount, 6), self.currency, unpriced)


def read_prices(path: Path) -> Prices:
    """Read a price file. Raises ConfigurationError with every problem of it."""
    try:
        value = json.loads(read_named_file(path))
    except (OSError, InvalidJSON) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read the prices in {path}: {reason}") from None
    schema = _schema()
    problems = find_problems(jsonschema_rs.Draft202012Validator(schema), schema, value)
    if problems:
        reasons = "; ".join(f"{each.pointer or '/'}: {each.reason}" for each in problems)
        raise ConfigurationError(f"{path} is not a price file (`mockserver schema prices`): {reasons}")
    return Prices(str(path), value["currency"], value["models"], value.get("tool_calls", {}))


@cache
def _schema() -> Any:
    return json.loads((resources.data_folder("schemas") / "prices.json").read_bytes())
