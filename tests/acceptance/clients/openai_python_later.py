"""openai for Python with features from after January: stored responses, conversations, a function loop.

OPENAI_BASE_URL=… OPENAI_API_KEY=… python -m tests.acceptance.clients.openai_python_later stored conversations …
"""

from __future__ import annotations

from typing import Any

from openai import OpenAI

from tests.acceptance.clients.city import City
from tests.acceptance.clients.driver import (
    API_KEY,
    BASE_URL,
    MODEL,
    PROMPTS,
    WEATHER_OUTPUT,
    WEATHER_TOOL,
    Observation,
    run_scenarios,
)

client = OpenAI(base_url=BASE_URL, api_key=API_KEY)


def stored() -> Observation:
    """A response is retrieved, its input listed, deleted, and then gone."""
    first = client.responses.create(model=MODEL, input=PROMPTS["name"])
    second = client.responses.create(model=MODEL, input=PROMPTS["recall"], previous_response_id=first.id)
    again = client.responses.retrieve(second.id)
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user sees
        gone = type(error).__name__
    return {
        "same": again.output_text == second.output_text,
        "roles": [item.role for item in items if item.type == "message"],
        "gone": gone,
    }


def conversations() -> Observation:
    """All eight operations, and two turns in one conversation."""
    talk = client.conversations.create(items=[{"role": "user", "content": "Hi."}], metadata={"a": "b"})
    for prompt in (PROMPTS["name"], PROMPTS["recall"]):
        client.responses.create(model=MODEL, input=prompt, conversation=talk.id)
    client.conversations.items.create(talk.id, items=[{"role": "user", "content": "Bye."}])
    items = list(client.conversations.items.list(talk.id, order="asc", limit=2))
    last = client.conversations.items.retrieve(items[-1].id, conversation_id=talk.id)
    client.conversations.items.delete(items[-1].id, conversation_id=talk.id)
    changed = client.conversations.update(talk.id, metadata={"c": "d"})
    return {
        "roles": [item.role for item in items if item.type == "message"],
        "last": last.content[0].text,
        "left": len(list(client.conversations.items.list(talk.id))),
        "metadata": [client.conversations.retrieve(talk.id).metadata, changed.metadata],
        "deleted": client.conversations.delete(talk.id).deleted,
    }


def loop() -> Observation:
    """A stream calls a function; a second request sends its output and streams the reply."""

    def streamed(**members: Any) -> Any:
        events = client.responses.create(model=MODEL, tools=[WEATHER_TOOL], stream=True, **members)
        *_, last = events
        return last.response

    first = streamed(input=PROMPTS["weather"])
    made = first.output[-1]
    output = {"type": "function_call_output", "call_id": made.call_id, "output": WEATHER_OUTPUT}
    second = streamed(input=[output], previous_response_id=first.id)
    return {"called": made.name, "items": [item.type for item in second.output]}


def structured() -> Observation:
    response = client.responses.parse(model=MODEL, input=PROMPTS["city"], text_format=City)
    return {"city": sorted(response.output_parsed.model_dump())}


def helper() -> Observation:
    """The stream helper reads a model that does not think by default."""
    with client.responses.stream(model=MODEL, input=PROMPTS["essay"]) as events:
        response = events.get_final_response()
    return {"items": [item.type for item in response.output]}


def limited() -> Observation:
    """A limit truncates the reply; a profile without it replies in full."""
    response = client.responses.create(
        model=MODEL, input=PROMPTS["essay"], max_output_tokens=16, reasoning={"effort": "none"}
    )
    return {"status": response.status}


def models() -> Observation:
    return {"listed": MODEL in [model.id for model in client.models.list()]}


if __name__ == "__main__":
    run_scenarios(
        {
            "stored": stored,
            "conversations": conversations,
            "loop": loop,
            "structured": structured,
            "limited": limited,
            "helper": helper,
            "models": models,
        }
    )
