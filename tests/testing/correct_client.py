"""A small correct client; tests override its methods with wrong ones."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx

__all__ = ["CorrectClient"]

TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MODEL = "qwen3-max-2026-01-23"


class CorrectClient:
    """Reads replies as the contract describes them, and raises what it cannot read."""

    def __init__(self, *, retries: int = 0, tools: bool = False) -> None:
        self.retries = retries
        self.tools = [TOOL] if tools else []

    def ask(
        self,
        base_url: str,
        api_key: str,
        stream: bool = False,
        timeout: float = 2,
        follow_up: str | None = None,
    ) -> str:
        """The text of the last reply."""
        url = f"{base_url}/responses"
        headers = {"authorization": f"Bearer {api_key}"}
        body: dict[str, Any] = {"model": MODEL, "input": "Hello!", "stream": stream}
        with httpx.Client(headers=headers, timeout=timeout, trust_env=False) as client:
            response = self.fetch_response(client, url, body)
            if follow_up is not None:
                body |= {"input": follow_up, "previous_response_id": response["id"]}
                response = self.fetch_response(client, url, body)
        return self.output_text(response)

    def stream_text(
        self, base_url: str, api_key: str, stream: bool = True, timeout: float = 2
    ) -> Iterator[str]:
        """The pieces of the text of all replies; it answers function calls."""
        url = f"{base_url}/responses"
        headers = {"authorization": f"Bearer {api_key}"}
        body: dict[str, Any] = {"model": MODEL, "input": "Hello!", "stream": stream, "tools": self.tools}
        with httpx.Client(headers=headers, timeout=timeout, trust_env=False) as client:
            while True:
                response: dict[str, Any] = {}
                for event in self.request_events(client, url, body):
                    if event.get("type") == "response.output_text.delta":
                        yield event["delta"]
                    response = event.get("response") or response
                response = self.require_completed(response)
                if not stream:
                    yield self.output_text(response)
                outputs = [
                    self.function_output(item)
                    for item in response["output"]
                    if item["type"] == "function_call"
                ]
                if not outputs:
                    return
                body |= {"input": outputs, "previous_response_id": response["id"]}

    def fetch_response(self, client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """A complete response."""
        response: dict[str, Any] = {}
        for event in self.request_events(client, url, body):
            response = event.get("response") or response
        return self.require_completed(response)

    def require_completed(self, response: dict[str, Any]) -> dict[str, Any]:
        """The response; ValueError if it is not complete."""
        if response.get("status") != "completed":
            raise ValueError("the response is not complete")
        return response

    def request_events(
        self, client: httpx.Client, url: str, body: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """The events of a reply; a reply that is not streamed counts as one event."""
        for attempt in range(self.retries + 1):
            with client.stream("POST", url, json=body) as reply:
                if reply.status_code in (429, 500, 503) and attempt < self.retries:
                    continue
                reply.raise_for_status()
                if not body["stream"]:
                    yield {"response": json.loads(reply.read())}
                    return
                for line in self.decode_lines(reply.iter_raw()):
                    if line.startswith("data:"):
                        yield json.loads(line[5:])
                return

    def decode_lines(self, chunks: Iterator[bytes]) -> Iterator[str]:
        """Lines with any line ending, however the bytes are chunked."""
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
        rest = ""
        for chunk in chunks:
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from whole
        yield from (rest + decoder.decode(b"", final=True)).split("\n")

    def output_text(self, response: dict[str, Any]) -> str:
        """The text of all messages of a response."""
        messages = [item for item in response["output"] if item["type"] == "message"]
        return "".join(part["text"] for item in messages for part in item["content"])

    def function_output(self, call: dict[str, Any]) -> dict[str, Any]:
        """The output item for a function call."""
        return {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
