"""What a reply costs, also if an endpoint writes nonsense into its usage."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.live.spending import Prices, Spending, spending_of_reply

USAGE = {"input_tokens": 100, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 60}}
CALL = {"type": "web_search_call"}


@pytest.mark.parametrize(
    ("usage", "output", "expected"),
    [
        (USAGE, [], Spending(100, 20, 60)),
        (
            {**USAGE, "x_tools": {"web_search": {"count": 3}}},
            [CALL],
            Spending(100, 20, 60, {"web_search": 3}),
        ),
        (USAGE, [CALL, CALL, {"type": "mcp_call"}], Spending(100, 20, 60, {"web_search": 2, "mcp": 1})),
        (USAGE, [{"type": "function_call"}, {"type": "custom_tool_call"}], Spending(100, 20, 60)),
        (None, [], Spending(10, 90)),
        ({"total_tokens": 100}, [], Spending(10, 90)),
    ],
)
def test_counts_come_from_the_usage_and_the_items(
    usage: Any, output: list[dict[str, Any]], expected: Spending
) -> None:
    assert spending_of_reply(usage, output, prompt_bytes=40, tokens=100) == expected


@pytest.mark.parametrize("value", [-1, True, 1.5, "7", None, [], {}, 10**400])
def test_a_value_that_is_no_count_counts_nothing(value: Any) -> None:
    usage = {
        "input_tokens": value,
        "output_tokens": value,
        "input_tokens_details": {"cached_tokens": value},
        "x_tools": {"web_search": {"count": value}},
    }
    assert spending_of_reply(usage, [{"type": value}], prompt_bytes=40, tokens=100) == Spending()


def test_names_of_tools_are_few_and_short() -> None:
    usage = {**USAGE, "x_tools": {f"{number:03}{'x' * 1000}": {"count": 1} for number in range(100)}}
    items = [{"type": f"{number:03}{'x' * 1000}_call"} for number in range(100)]
    for spending in (spending_of_reply(usage, [], 40, 100), spending_of_reply(USAGE, items, 40, 100)):
        assert len(spending.tool_calls) == 20
        assert {len(name) for name in spending.tool_calls} == {40}


def test_cached_tokens_have_a_price_of_their_own() -> None:
    models = {"a": {"input": 10, "cached_input": 1, "output": 100}, "b": {"input": 10, "output": 100}}
    prices = Prices("prices.json", "USD", models, {"web_search": 5})
    spending = Spending(1_000_000, 10_000, 600_000, {"web_search": 200, "mcp": 1})
    assert prices.cost(spending, "a").amount == 4 + 0.6 + 1 + 1
    assert prices.cost(spending, "b").amount == 10 + 1 + 1
    assert prices.cost(spending, "a").unpriced_tools == ("mcp",)
