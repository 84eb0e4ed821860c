"""A weather desk: answers questions about the weather with the help of a model and a tool."""

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
    """One conversation; key and address are where the SDK looks for them."""

    def __init__(self, look_up: Lookup, client: OpenAI | None = None) -> None:
        self._look_up = look_up
        self._client = client or OpenAI()
        self._previous: str | None = None

    def ask(self, question: str) -> str:
        """Ask, run the tool as often as the model wants it, and return what it says in the end."""
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
        more = {} if previous is None else {"previous_response_id": previous}
        try:
            return self._client.responses.create(model=MODEL, input=turn_input, tools=TOOLS, **more)
        except BadRequestError as error:
            if previous is None or "not found" not in str(error):
                raise
            # The service forgets after seven days: begin anew.
            return self._client.responses.create(model=MODEL, input=turn_input, tools=TOOLS)

    def _run_tool(self, call: Any) -> str:
        try:
            return json.dumps(self._look_up(json.loads(call.arguments)["city"]))
        except LookupError:
            return json.dumps({"error": "there is no such city"})

    def close(self) -> None:
        self._client.close()


async def stream(client: AsyncOpenAI, question: str) -> AsyncIterator[str]:
    """The answer to a question, piece by piece."""
    async with await client.responses.create(model=MODEL, input=question, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta
