"""The stream helper and the plain stream of openai for Python, fed the prompts on standard input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from openai import OpenAI

client = OpenAI(max_retries=0, timeout=60)
MODEL = os.environ["MODEL"]


def read_with_helper(prompt: str) -> str:
    with client.responses.stream(model=MODEL, input=prompt) as events:
        for _ in events:
            pass
        return str(events.get_final_response().output_text)


def read_plain_stream(prompt: str) -> str:
    text = ""
    for event in client.responses.create(model=MODEL, input=prompt, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
    return text


def observe(read: Callable[[str], str], prompt: str) -> dict[str, Any]:
    try:
        return {"text": read(prompt)}
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user sees
        return {"error": type(error).__name__, "message": str(error)}


for title in json.load(sys.stdin):
    print(
        json.dumps(
            {
                "title": title,
                "helper": observe(read_with_helper, title),
                "create": observe(read_plain_stream, title),
            }
        )
    )
