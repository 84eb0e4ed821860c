"""langchain-openai's ChatOpenAI with its defaults: prints what it gets as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Weather(BaseModel):
    """The weather of a city."""

    city: str


chat: Any = ChatOpenAI(model=os.environ["MODEL"], max_retries=0, stream_usage=True)

plain = chat.invoke("Hi")
chunks = list(chat.stream("Hi"))
[call] = chat.bind_tools([Weather]).invoke("Which city?").tool_calls
structured = chat.with_structured_output(Weather).invoke("Make it up.")

print(
    json.dumps(
        [
            [plain.content, plain.usage_metadata["total_tokens"] > 0],
            "".join(chunk.content for chunk in chunks),
            call["name"],
            type(structured).__name__,
        ]
    )
)
