"""litellm, its `responses`."""

# ruff: noqa: E402 - what the docs quote comes first

from __future__ import annotations

# snippet
import os

import litellm  # type: ignore[import-not-found]

reply = litellm.responses(
    model="openai/qwen3-max-2026-01-23",
    input="Hello, please introduce yourself in one sentence.",
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
)
# end
import asyncio
from collections.abc import Callable
from typing import Any

from tests.acceptance.clients.driver import (
    API_KEY,
    BASE_URL,
    BUILT_IN_TOOLS,
    CITY_SCHEMA,
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

litellm.suppress_debug_info = True

SERVER = {"model": f"openai/{MODEL}", "api_base": BASE_URL, "api_key": API_KEY}


def create(question: Any, **parameters: Any) -> Any:
    return litellm.responses(**{**SERVER, "input": question, **parameters})


def observe(response: Any) -> Observation:
    return {"text": text_of(response), "items": types_of(response)}


def types_of(response: Any) -> list[str]:
    return [item.type for item in response.output]


def text_of(response: Any) -> str:
    return "".join(part.text for item in response.output if item.type == "message" for part in item.content)


def member(item: Any, name: str) -> Any:
    """A member of an object or a plain dict."""
    return item[name] if isinstance(item, dict) else getattr(item, name)


def streamed(events: Any) -> Observation:
    """Text of the deltas and the items of the last event."""
    text, items = "", None
    for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.completed":
            items = [member(item, "type") for item in event.response.output]
    return {"text": text, "items": items}


def two_turns() -> Observation:
    first = create(PROMPTS["name"])
    return observe(create(PROMPTS["recall"], previous_response_id=first.id))


def tools() -> Any:
    return create(PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING)


def tools_as_dicts() -> Observation:
    """What a user gets who accepts plain dicts among the items."""
    output = tools().output
    parts = [part for item in output if member(item, "type") == "message" for part in member(item, "content")]
    return {
        "text": "".join(member(part, "text") for part in parts),
        "items": [member(item, "type") for item in output],
        "dicts": [item["type"] for item in output if isinstance(item, dict)],
    }


def function() -> Observation:
    first = create(PROMPTS["weather"], tools=[WEATHER_TOOL])
    (made,) = first.output
    output = {"type": "function_call_output", "call_id": made.call_id, "output": WEATHER_OUTPUT}
    second = create([output], previous_response_id=first.id, tools=[WEATHER_TOOL])
    return {**observe(second), "calls": [function_call(made.name, made.arguments)]}


def function_stream() -> Observation:
    question = {"role": "user", "content": PROMPTS["weather"]}
    arguments, made = "", None
    for event in create([question], tools=[WEATHER_TOOL], stream=True):
        if event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        elif event.type == "response.completed":
            (made,) = event.response.output
    assert made is not None
    history = [
        question,
        {"type": made.type, "name": made.name, "arguments": made.arguments, "call_id": made.call_id},
        {"type": "function_call_output", "call_id": made.call_id, "output": WEATHER_OUTPUT},
    ]
    reply = streamed(create(history, tools=[WEATHER_TOOL], stream=True))
    return {**reply, "calls": [function_call(made.name, arguments)]}


def structured() -> Observation:
    """The client returns the text; parsing it is up to the user."""
    city = {"type": "json_schema", "name": "city", "schema": CITY_SCHEMA, "strict": True}
    return observe(create(PROMPTS["city"], text={"format": city}))


def cancel() -> Observation:
    """Leave a stream at its first delta, then ask again."""
    deltas = 0
    events = create(PROMPTS["essay"], stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            deltas += 1
            break
    return {"deltas": deltas, **observe(create(PROMPTS["basic"]))}


def asynchronous() -> Observation:
    """A reply and a stream at once."""

    async def both() -> list[str]:
        return list(await asyncio.gather(whole(), parts()))

    async def whole() -> str:
        return text_of(await litellm.aresponses(**SERVER, input=PROMPTS["basic"]))

    async def parts() -> str:
        events = await litellm.aresponses(**SERVER, input=PROMPTS["essay"], stream=True)
        return "".join([event.delta async for event in events if event.type == "response.output_text.delta"])

    return {"texts": asyncio.run(both())}


def native(play: Callable[[], Observation]) -> Observation:
    """A stream of a model that litellm knows to support streaming."""
    entry = {"litellm_provider": "openai", "mode": "responses", "supports_native_streaming": True}
    litellm.register_model({SERVER["model"]: entry, MODEL: entry})
    return play()


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": lambda: observe(reply),
            "messages": lambda: observe(create(MESSAGES)),
            "two_turns": two_turns,
            "stream": lambda: streamed(create(PROMPTS["essay"], stream=True)),
            "tools": lambda: observe(tools()),
            "tools_as_dicts": tools_as_dicts,
            "tools_stream": lambda: streamed(
                create(PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING, stream=True)
            ),
            "function": function,
            "function_stream": function_stream,
            "structured": structured,
            "wrong_key": lambda: observe(create("Hello!", api_key=WRONG_KEY)),
            "unknown_model": lambda: observe(create("Hello!", model=f"openai/{UNKNOWN_MODEL}")),
            "cancel": cancel,
            "async": asynchronous,
            "native_stream": lambda: native(lambda: streamed(create(PROMPTS["essay"], stream=True))),
            "native_tools_stream": lambda: native(
                lambda: streamed(
                    create(PROMPTS["tools"], tools=BUILT_IN_TOOLS, extra_body=THINKING, stream=True)
                )
            ),
        }
    )
