"""A refund desk: an agent that looks orders up and refunds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableSet
from dataclasses import dataclass, field

from agents import (
    Agent,
    OpenAIResponsesModel,
    RunContextWrapper,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

MODEL = "qwen3-max-2026-01-23"

set_tracing_disabled(True)  # traces go to OpenAI, with OpenAI's key


@dataclass
class Shop:
    """The orders by number, with their age in days, and the numbers of those that were refunded."""

    orders: Mapping[str, int]
    refunded: MutableSet[str] = field(default_factory=set)


@function_tool
def find_order(context: RunContextWrapper[Shop], number: str) -> str:
    """The age of an order in days."""
    days = context.context.orders.get(number)
    return json.dumps({"error": "no such order"} if days is None else {"days": days})


@function_tool
def refund(context: RunContextWrapper[Shop], number: str) -> str:
    """Refund an order that is at most 30 days old."""
    if context.context.orders.get(number, 31) > 30:
        return json.dumps({"error": "not refundable"})
    context.context.refunded.add(number)
    return json.dumps({"refunded": number})


async def answer(question: str, shop: Shop, client: AsyncOpenAI) -> str:
    """Answer a customer; the run ends after five turns of the model."""
    agent = Agent[Shop](
        name="Refund desk",
        instructions="You refund orders. Look an order up before you refund it.",
        tools=[find_order, refund],
        model=OpenAIResponsesModel(MODEL, client),
    )
    result = await Runner.run(agent, question, context=shop, max_turns=5)
    return str(result.final_output)
