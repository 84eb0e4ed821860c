"""langchain-openai, with `use_responses_api`."""

# ruff: noqa: E402 - what the docs quote comes first

from __future__ import annotations

# snippet
import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="qwen3-max-2026-01-23",
    base_url=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    use_responses_api=True,
)
# end
import asyncio
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage

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


def make_model(**settings: Any) -> Any:
    defaults = {"model": MODEL, "base_url": BASE_URL, "api_key": API_KEY, "use_responses_api": True}
    return ChatOpenAI(**{**defaults, **settings})


def reply(message: Any) -> Observation:
    return {"text": message.text, "items": [block["type"] for block in message.content]}


def streamed(parts: Any) -> Any:
    """The chunks of a stream, added up."""
    first, *rest = parts
    for part in rest:
        first += part
    return first


def two_turns() -> Observation:
    first = model.invoke(PROMPTS["name"])
    return reply(model.invoke(PROMPTS["recall"], previous_response_id=first.response_metadata["id"]))


def with_tools() -> Any:
    """`bind_tools` refuses `web_extractor`; `bind` passes all three on."""
    return model.bind(tools=BUILT_IN_TOOLS, extra_body=THINKING)


def bind_extractor() -> Observation:
    model.bind_tools([{"type": "web_extractor"}])
    return {"text": "bound"}


def function(stream: bool) -> Observation:
    bound = model.bind_tools([WEATHER_TOOL])

    def ask(messages: Any) -> Any:
        return streamed(bound.stream(messages)) if stream else bound.invoke(messages)

    question = HumanMessage(PROMPTS["weather"])
    first = ask([question])
    (made,) = first.tool_calls
    second = ask([question, first, ToolMessage(WEATHER_OUTPUT, tool_call_id=made["id"])])
    return {**reply(second), "calls": [function_call(made["name"], made["args"])]}


def structured(method: str) -> Observation:
    city = model.with_structured_output(City, method=method).invoke(PROMPTS["city"])
    return {"value": city.model_dump()}


def cancel() -> Observation:
    """Leave a stream at its first text, then ask again with the same model."""
    deltas = 0
    parts = model.stream(PROMPTS["essay"])
    for part in parts:
        if part.text:
            deltas += 1
            break
    parts.close()
    return {"deltas": deltas, **reply(model.invoke(PROMPTS["basic"]))}


def asynchronous() -> Observation:
    """A reply and a stream at once."""

    async def both() -> list[str]:
        return list(await asyncio.gather(whole(), parts()))

    async def whole() -> str:
        return str((await model.ainvoke(PROMPTS["basic"])).text)

    async def parts() -> str:
        return "".join([part.text async for part in model.astream(PROMPTS["essay"])])

    return {"texts": asyncio.run(both())}


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": lambda: reply(model.invoke(PROMPTS["basic"])),
            "messages": lambda: reply(model.invoke(MESSAGES)),
            "two_turns": two_turns,
            "stream": lambda: reply(streamed(model.stream(PROMPTS["essay"]))),
            "tools": lambda: reply(with_tools().invoke(PROMPTS["tools"])),
            "tools_stream": lambda: reply(streamed(with_tools().stream(PROMPTS["tools"]))),
            "bind_extractor": bind_extractor,
            "function": lambda: function(stream=False),
            "function_stream": lambda: function(stream=True),
            "structured": lambda: structured("json_schema"),
            "structured_function": lambda: structured("function_calling"),
            "wrong_key": lambda: reply(make_model(api_key=WRONG_KEY).invoke("Hello!")),
            "unknown_model": lambda: reply(make_model(model=UNKNOWN_MODEL).invoke("Hello!")),
            "cancel": cancel,
            "async": asynchronous,
        }
    )
