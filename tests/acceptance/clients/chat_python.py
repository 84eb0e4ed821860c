"""openai-python's Chat Completions: prints what it gets as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

import openai
from pydantic import BaseModel

client = openai.OpenAI(max_retries=0)
MODEL = os.environ["MODEL"]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS, "strict": True}}]


class Weather(BaseModel):
    city: str
    degrees: int


def user_message(text: str) -> Any:
    return [{"role": "user", "content": text}]


def plain() -> Any:
    return client.chat.completions.create(model=MODEL, messages=user_message("Hi")).choices[0].message.content


def streamed() -> Any:
    chunks = client.chat.completions.create(
        model=MODEL, messages=user_message("Hi"), stream=True, stream_options={"include_usage": True}
    )
    text, usage = "", None
    for chunk in chunks:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    return [text, usage is not None and usage.total_tokens > 0]


def helper() -> Any:
    with client.chat.completions.stream(model=MODEL, messages=user_message("Rain?"), tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    return [call.function.arguments, "tool_calls.function.arguments.done" in kinds]


def tools() -> Any:
    first = client.chat.completions.create(model=MODEL, messages=user_message("Rain?"), tools=TOOLS).choices[
        0
    ]
    call = first.message.tool_calls[0]
    messages = [
        *user_message("Rain?"),
        first.message,
        {"role": "tool", "tool_call_id": call.id, "content": "Rain in Oslo."},
    ]
    last = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    return [first.finish_reason, call.function.name, last.choices[0].message.content]


def parsed() -> Any:
    completion = client.chat.completions.parse(
        model=MODEL, messages=user_message("Make it up."), response_format=Weather
    )
    return type(completion.choices[0].message.parsed).__name__


def thinking() -> Any:
    completion = client.chat.completions.create(
        model=MODEL, messages=user_message("Think."), extra_body={"enable_thinking": True}
    )
    return completion.choices[0].message.reasoning_content


def refusals() -> Any:
    return [
        _refused({"model": "no-such-model"}),
        _refused({"temperature": 3}),
        _refused({"extra_headers": {"x-mock-fault": "limit-requests"}}),
    ]


def _refused(members: dict[str, Any]) -> Any:
    try:
        client.chat.completions.create(**{"model": MODEL, "messages": user_message("Hi"), **members})
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code, error.request_id is not None]
    return None


print(json.dumps([plain(), streamed(), helper(), tools(), parsed(), thinking(), refusals()]))
