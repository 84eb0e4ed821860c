"""Travel notes with LangChain."""

from __future__ import annotations

from collections.abc import Iterator

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

MODEL = "qwen3-max-2026-01-23"


@tool
def distance(start: str, end: str) -> int:
    """The distance of two cities in kilometres."""
    return {("Paris", "Rome"): 1106}.get((start, end), 0)


def chat() -> ChatOpenAI:
    """A model that reads its address and key from the environment."""
    return ChatOpenAI(model=MODEL, use_responses_api=True, max_retries=1)


def summary(notes: str) -> Iterator[str]:
    """A summary, in pieces."""
    for chunk in chat().stream([HumanMessage(f"Summarise: {notes}")]):
        if text := chunk.text:
            yield str(text)


def plan(question: str) -> str:
    """Answer a question; the model may ask for distances, three times at most."""
    model = chat().bind_tools([distance])
    messages: list[HumanMessage | AIMessage | ToolMessage] = [HumanMessage(question)]
    for _ in range(3):
        reply = model.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            return str(reply.text)
        messages += [distance.invoke(call) for call in reply.tool_calls]
    raise RuntimeError("the model asks for distances again and again")
