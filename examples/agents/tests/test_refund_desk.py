"""What the agent does with the model's calls."""

from __future__ import annotations

import json

import pytest
from agents import MaxTurnsExceeded
from openai import InternalServerError
from refund_desk import Shop, answer

from mockserver import FunctionCall, MockServer


def outputs(server: MockServer) -> list[object]:
    """The outputs of tools in the last request."""
    items = server.journal.last.json["input"]
    return [json.loads(item["output"]) for item in items if item.get("type") == "function_call_output"]


async def test_an_order_is_looked_up_and_refunded(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("find_order", {"number": "A1"}))
    responses_server.reply(FunctionCall("refund", {"number": "A1"}))
    responses_server.reply("Done.")
    shop = Shop({"A1": 3})
    assert await answer("Please refund A1.", shop, responses_server.async_openai()) == "Done."
    assert shop.refunded == {"A1"}
    assert outputs(responses_server) == [{"days": 3}, {"refunded": "A1"}]


async def test_the_model_cannot_refund_an_old_order(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("refund", {"number": "A1"}))
    responses_server.reply("I cannot.")
    shop = Shop({"A1": 300})
    await answer("Please refund A1.", shop, responses_server.async_openai())
    assert shop.refunded == set()
    assert outputs(responses_server) == [{"error": "not refundable"}]


async def test_two_calls_in_one_turn(responses_server: MockServer) -> None:
    responses_server.reply(
        FunctionCall("find_order", {"number": "A1"}), FunctionCall("find_order", {"number": "B2"})
    )
    responses_server.reply("B2 does not exist.")
    await answer("Compare A1 and B2.", Shop({"A1": 3}), responses_server.async_openai())
    assert outputs(responses_server) == [{"days": 3}, {"error": "no such order"}]


async def test_a_model_that_never_stops(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("find_order", {"number": "A1"})).always()
    with pytest.raises(MaxTurnsExceeded):
        await answer("Please refund A1.", Shop({"A1": 3}), responses_server.async_openai())
    assert len(responses_server.journal) == 5


async def test_a_failure_in_mid_run_refunds_once(responses_server: MockServer) -> None:
    responses_server.reply(FunctionCall("refund", {"number": "A1"}))
    responses_server.fail("internal-error").always()
    shop = Shop({"A1": 3})
    client = responses_server.async_openai(max_retries=0)
    with pytest.raises(InternalServerError):
        await answer("Please refund A1.", shop, client)
    assert shop.refunded == {"A1"}
