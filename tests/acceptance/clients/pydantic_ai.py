"""pydantic-ai, with its model for the Responses API."""

# ruff: noqa: E402 - what the docs quote comes first

from __future__ import annotations

# snippet
import os

from pydantic_ai import Agent  # type: ignore[import-not-found]
from pydantic_ai.models.openai import OpenAIResponsesModel  # type: ignore[import-not-found]
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found]

provider = OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
agent = Agent(OpenAIResponsesModel("qwen3-max-2026-01-23", provider=provider))
# end
import asyncio
from typing import Any

from pydantic_ai import NativeOutput
from pydantic_ai.messages import ModelRequest, SystemPromptPart, UserPromptPart  # type: ignore[import-not-found]

from tests.acceptance.clients.city import City
from tests.acceptance.clients.driver import (
    BASE_URL,
    BUILT_IN_TOOLS,
    MODEL,
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
    """Kinds of the parts of the model's messages in this run."""
    parts = [
        part for message in result.new_messages() if message.kind == "response" for part in message.parts
    ]
    return {"text": result.output, "items": [part.part_kind for part in parts]}


def ask(agent: Any, question: str | None, **options: Any) -> Observation:
    return reply(LOOP.run_until_complete(agent.run(question, **options)))


async def stream_of(agent: Any, question: str, **options: Any) -> Observation:
    async with agent.run_stream(question, **options) as result:
        text = "".join([part async for part in result.stream_text(delta=True)])
        return {"text": text, "items": [part.part_kind for part in result.response.parts]}


#: pydantic-ai has no class for `web_extractor`, so all three go into `extra_body`.
TOOLS = {"model_settings": {"extra_body": {**THINKING, "tools": BUILT_IN_TOOLS}}}


def messages() -> Observation:
    history = [ModelRequest(parts=[SystemPromptPart(PROMPTS["system"]), UserPromptPart(PROMPTS["hello"])])]
    return ask(agent, None, message_history=history)


def two_turns() -> Observation:
    async def both() -> Any:
        first = await agent.run(PROMPTS["name"])
        previous = {"openai_previous_response_id": first.response.provider_response_id}
        return await agent.run(PROMPTS["recall"], model_settings=previous)

    return reply(LOOP.run_until_complete(both()))


def with_function() -> Any:
    called.clear()
    return Agent(agent.model, tools=[get_weather])


def structured(output: Any) -> Observation:
    result = LOOP.run_until_complete(Agent(agent.model, output_type=output).run(PROMPTS["city"]))
    return {"value": result.output.model_dump()}


def make_agent(name: str, provider: Any) -> Any:
    return Agent(OpenAIResponsesModel(name, provider=provider))


def cancel() -> Observation:
    """Leave a stream at its first text, then ask again with the same agent."""

    async def leave() -> int:
        deltas = 0
        async with agent.run_stream(PROMPTS["essay"]) as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                deltas += 1
                break
        return deltas

    return {"deltas": LOOP.run_until_complete(leave()), **ask(agent, PROMPTS["basic"])}


def asynchronous() -> Observation:
    """A reply and a stream at once."""

    async def both() -> list[str]:
        whole, parts = await asyncio.gather(agent.run(PROMPTS["basic"]), stream_of(agent, PROMPTS["essay"]))
        return [whole.output, parts["text"]]

    return {"texts": LOOP.run_until_complete(both())}


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": lambda: ask(agent, PROMPTS["basic"]),
            "messages": messages,
            "two_turns": two_turns,
            "stream": lambda: LOOP.run_until_complete(stream_of(agent, PROMPTS["essay"])),
            "tools": lambda: ask(agent, PROMPTS["tools"], **TOOLS),
            "tools_stream": lambda: LOOP.run_until_complete(stream_of(agent, PROMPTS["tools"], **TOOLS)),
            "function": lambda: {**ask(with_function(), PROMPTS["weather"]), "calls": called},
            "function_stream": lambda: {
                **LOOP.run_until_complete(stream_of(with_function(), PROMPTS["weather"])),
                "calls": called,
            },
            "structured": lambda: structured(NativeOutput(City)),
            "structured_function": lambda: structured(City),
            "wrong_key": lambda: ask(
                make_agent(MODEL, OpenAIProvider(base_url=BASE_URL, api_key=WRONG_KEY)), "Hello!"
            ),
            "unknown_model": lambda: ask(make_agent(UNKNOWN_MODEL, provider), "Hello!"),
            "cancel": cancel,
            "async": asynchronous,
        }
    )
