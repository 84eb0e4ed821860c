"""openai for Python, any version that has `responses`."""

# ruff: noqa: E402 - what the docs quote comes first

from __future__ import annotations

# snippet
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
# end
import asyncio
from typing import Any

from openai import AsyncOpenAI

from tests.acceptance.clients.city import City
from tests.acceptance.clients.driver import (
    API_KEY,
    BASE_URL,
    BUILT_IN_TOOLS,
    MESSAGES,
    MODEL,
    PROMPTS,
    THINKING,
    UNKNOWN_MODEL,
    WEATHER_OUTPUT,
    WEATHER_TOOL,
    WRONG_KEY,
    Observation,
    function_call,
    run_scenarios,
)


def reply(response: Any) -> Observation:
    return {"text": response.output_text, "items": [item.type for item in response.output]}


def streamed(events: Any) -> Observation:
    """Text of the deltas and the items of the last event.

    The stream is read to its end: with openai 1.x, one that is left half-read without `close()` can lock
    the whole client up when it is collected as garbage.
    """
    text, items = "", None
    for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.completed":
            items = [item.type for item in event.response.output]
    return {"text": text, "items": items}


def basic() -> Observation:
    return reply(client.responses.create(model=MODEL, input=PROMPTS["basic"]))


def messages() -> Observation:
    return reply(client.responses.create(model=MODEL, input=MESSAGES))


def two_turns() -> Observation:
    first = client.responses.create(model=MODEL, input=PROMPTS["name"])
    return reply(client.responses.create(model=MODEL, input=PROMPTS["recall"], previous_response_id=first.id))


def stream() -> Observation:
    return streamed(client.responses.create(model=MODEL, input=PROMPTS["essay"], stream=True))


def helper() -> Observation:
    with client.responses.stream(model=MODEL, input=PROMPTS["essay"]) as events:
        return reply(events.get_final_response())


def tools() -> Observation:
    return reply(
        client.responses.create(
            model=MODEL, input=PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING
        )
    )


def tools_stream() -> Observation:
    return streamed(
        client.responses.create(
            model=MODEL, input=PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING, stream=True
        )
    )


def helper_tools() -> Observation:
    with client.responses.stream(
        model=MODEL, input=PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING
    ) as events:
        return reply(events.get_final_response())


def function() -> Observation:
    first = client.responses.create(model=MODEL, input=PROMPTS["weather"], tools=[WEATHER_TOOL])
    (made,) = first.output
    second = client.responses.create(
        model=MODEL,
        input=[{"type": "function_call_output", "call_id": made.call_id, "output": WEATHER_OUTPUT}],
        previous_response_id=first.id,
        tools=[WEATHER_TOOL],
    )
    return {**reply(second), "calls": [function_call(made.name, made.arguments)]}


def function_stream() -> Observation:
    question = {"role": "user", "content": PROMPTS["weather"]}
    arguments, made = "", None
    for event in client.responses.create(model=MODEL, input=[question], tools=[WEATHER_TOOL], stream=True):
        if event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        elif event.type == "response.output_item.done":
            made = event.item
    assert made is not None
    assert made.arguments == arguments
    history = [
        question,
        {"type": made.type, "name": made.name, "arguments": arguments, "call_id": made.call_id},
        {"type": "function_call_output", "call_id": made.call_id, "output": WEATHER_OUTPUT},
    ]
    seen = streamed(client.responses.create(model=MODEL, input=history, tools=[WEATHER_TOOL], stream=True))
    return {**seen, "calls": [function_call(made.name, arguments)]}


def structured() -> Observation:
    response = client.responses.parse(model=MODEL, input=PROMPTS["city"], text_format=City)
    return {"value": response.output_parsed.model_dump()}


def wrong_key() -> Observation:
    return reply(client.with_options(api_key=WRONG_KEY).responses.create(model=MODEL, input="Hello!"))


def unknown_model() -> Observation:
    return reply(client.responses.create(model=UNKNOWN_MODEL, input="Hello!"))


def cancel() -> Observation:
    """Leave a stream at its first delta, then ask again with the same client."""
    deltas = 0
    with client.responses.create(model=MODEL, input=PROMPTS["essay"], stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                deltas += 1
                break
    return {"deltas": deltas, **basic()}


def asynchronous() -> Observation:
    """A reply and a stream at once."""

    async def both() -> list[str]:
        async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY) as other:
            return list(await asyncio.gather(whole(other), parts(other)))

    async def whole(other: Any) -> str:
        response = await other.responses.create(model=MODEL, input=PROMPTS["basic"])
        return str(response.output_text)

    async def parts(other: Any) -> str:
        events = await other.responses.create(model=MODEL, input=PROMPTS["essay"], stream=True)
        return "".join([event.delta async for event in events if event.type == "response.output_text.delta"])

    return {"texts": asyncio.run(both())}


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": basic,
            "messages": messages,
            "two_turns": two_turns,
            "stream": stream,
            "helper": helper,
            "tools": tools,
            "tools_stream": tools_stream,
            "helper_tools": helper_tools,
            "function": function,
            "function_stream": function_stream,
            "structured": structured,
            "wrong_key": wrong_key,
            "unknown_model": unknown_model,
            "cancel": cancel,
            "async": asynchronous,
        }
    )
