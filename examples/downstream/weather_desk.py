"""A weather desk: answers questions about the weather with a model and a tool."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from openai import AsyncOpenAI, BadRequestError, OpenAI

MODEL = "qwen3-max-2026-01-23"

TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
]

Lookup = Callable[[str], Mapping[str, Any]]


class Desk:
    """One conversation; the SDK reads key and base URL from the environment."""

    def __init__(self, look_up: Lookup, client: OpenAI | None = None) -> None:
        self._look_up = look_up
        self._client = client or OpenAI()
        self._previous: str | None = None

    def ask(self, question: str) -> str:
        """Ask a question, run the tool as often as the model calls it, and return the final text."""
        response = self._create(question, self._previous)
        while calls := [item for item in response.output if item.type == "function_call"]:
            outputs = [
                {"type": "function_call_output", "call_id": call.call_id, "output": self._run_tool(call)}
                for call in calls
            ]
            response = self._create(outputs, response.id)
        self._previous = response.id
        return str(response.output_text)

    def _create(self, turn_input: Any, previous: str | None) -> Any:
        continuation = {} if previous is None else {"previous_response_id": previous}
        try:
            return self._client.responses.create(model=MODEL, input=turn_input, tools=TOOLS, **continuation)
        except BadRequestError as error:
            if previous is None or "not found" not in str(error).lower():
                raise
            # The service deletes a response after seven days: start a new conversation.
            return self._client.responses.create(model=MODEL, input=turn_input, tools=TOOLS)

    def _run_tool(self, call: Any) -> str:
        try:
            return json.dumps(self._look_up(json.loads(call.arguments)["city"]))
        except LookupError:
            return json.dumps({"error": "no such city"})

    def close(self) -> None:
        self._client.close()


async def stream(client: AsyncOpenAI, question: str) -> AsyncIterator[str]:
    """The text of the answer, in pieces."""
    async with await client.responses.create(model=MODEL, input=question, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta
