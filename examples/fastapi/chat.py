"""A chat backend: streams the model's text to a web page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from openai import APIError, AsyncOpenAI
from pydantic import BaseModel

MODEL = "qwen3-max-2026-01-23"

app = FastAPI()


class Question(BaseModel):
    """What the page sends."""

    text: str
    previous: str | None = None


@app.get("/")
async def page() -> FileResponse:
    """The page."""
    return FileResponse(Path(__file__).with_name("static") / "index.html")


@app.post("/ask")
async def ask(question: Question) -> StreamingResponse:
    """The answer as events `text`, then `done` with the id of the response, or `error`."""
    return StreamingResponse(events(question), media_type="text/event-stream")


async def events(question: Question) -> AsyncIterator[str]:
    """The events of an answer; if the page is closed, so is the stream of the model."""
    extra = {} if question.previous is None else {"previous_response_id": question.previous}
    async with AsyncOpenAI(max_retries=0) as client:
        try:
            async with await client.responses.create(
                model=MODEL, input=question.text, stream=True, **extra
            ) as stream:
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        yield encode("text", event.delta)
                    elif event.type == "response.completed":
                        yield encode("done", event.response.id)
                        return
                    elif event.type in ("response.failed", "response.incomplete"):
                        break
            yield encode("error", "The answer is incomplete.")
        except APIError as error:
            yield encode("error", error.message)


def encode(name: str, value: str) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
