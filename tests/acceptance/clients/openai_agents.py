"""openai-agents: the Agents SDK for Python."""

# ruff: noqa: E402 - what the docs quote comes first

from __future__ import annotations

# snippet
import os

from agents import Agent, OpenAIResponsesModel, set_tracing_disabled
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
agent = Agent(name="Assistant", model=OpenAIResponsesModel("qwen3-max-2026-01-23", client))
set_tracing_disabled(True)  # traces go to OpenAI, with OpenAI's key
# end
import asyncio
from typing import Any

from agents import ModelSettings, Runner, function_tool

from tests.acceptance.clients.city import City
from tests.acceptance.clients.driver import (
    BUILT_IN_TOOLS,
    MESSAGES,
    PROMPTS,
    THINKING,
    UNKNOWN_MODEL,
    WEATHER_OUTPUT,
    WRONG_KEY,
    Observation,
    run_scenarios,
)

#: One loop for all runs, because the client binds its connections to it.
LOOP = asyncio.new_event_loop()

called: list[Observation] = []


def get_weather(city: str) -> str:
    """Current weather of a city."""
    called.append({"name": "get_weather", "arguments": {"city": city}})
    return WEATHER_OUTPUT


def reply(result: Any) -> Observation:
    types = [
        item.raw_item.get("type") if isinstance(item.raw_item, dict) else item.raw_item.type
        for item in result.new_items
    ]
    return {"text": result.final_output, "items": types}


def run(agent: Any, question: Any, **options: Any) -> Observation:
    return reply(LOOP.run_until_complete(Runner.run(agent, question, **options)))


async def stream_of(who: Any, question: Any) -> Observation:
    result = Runner.run_streamed(who, question)
    text = ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    seen = reply(result)
    assert seen["text"] == text
    return seen


def with_tools() -> Any:
    """The SDK has no class for `web_extractor`, so all three go into `extra_body`."""
    return agent.clone(model_settings=ModelSettings(extra_body={**THINKING, "tools": BUILT_IN_TOOLS}))


def with_function() -> Any:
    called.clear()
    return agent.clone(tools=[function_tool(get_weather)])


def two_turns() -> Observation:
    async def both() -> Any:
        first = await Runner.run(agent, PROMPTS["name"])
        return await Runner.run(agent, PROMPTS["recall"], previous_response_id=first.last_response_id)

    return reply(LOOP.run_until_complete(both()))


def structured() -> Observation:
    result = LOOP.run_until_complete(Runner.run(agent.clone(output_type=City), PROMPTS["city"]))
    return {"value": result.final_output.model_dump()}


def wrong_key() -> Observation:
    other = OpenAIResponsesModel("qwen3-max-2026-01-23", client.with_options(api_key=WRONG_KEY))
    return run(agent.clone(model=other), "Hello!")


def cancel() -> Observation:
    """Leave a run at its first delta, then ask again."""

    async def leave() -> int:
        deltas = 0
        result = Runner.run_streamed(agent, PROMPTS["essay"])
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                deltas += 1
                result.cancel()
                break
        return deltas

    return {"deltas": LOOP.run_until_complete(leave()), **run(agent, PROMPTS["basic"])}


def asynchronous() -> Observation:
    """A reply and a stream at once."""

    async def both() -> list[str]:
        whole, parts = await asyncio.gather(
            Runner.run(agent, PROMPTS["basic"]), stream_of(agent, PROMPTS["essay"])
        )
        return [whole.final_output, parts["text"]]

    return {"texts": LOOP.run_until_complete(both())}


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": lambda: run(agent, PROMPTS["basic"]),
            "messages": lambda: run(agent, MESSAGES),
            "two_turns": two_turns,
            "stream": lambda: LOOP.run_until_complete(stream_of(agent, PROMPTS["essay"])),
            "tools": lambda: run(with_tools(), PROMPTS["tools"]),
            "tools_stream": lambda: LOOP.run_until_complete(stream_of(with_tools(), PROMPTS["tools"])),
            "function": lambda: {**run(with_function(), PROMPTS["weather"]), "calls": called},
            "function_stream": lambda: {
                **LOOP.run_until_complete(stream_of(with_function(), PROMPTS["weather"])),
                "calls": called,
            },
            "structured": structured,
            "wrong_key": wrong_key,
            "unknown_model": lambda: run(
                agent.clone(model=OpenAIResponsesModel(UNKNOWN_MODEL, client)), "Hello!"
            ),
            "cancel": cancel,
            "async": asynchronous,
        }
    )
