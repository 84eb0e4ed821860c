"""A way to ask the mock server, shared by many tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from mockserver.testing.mock import MockServer
from mockserver.wire.sse import Decoder


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.001)


def output_text(reply: httpx.Response) -> str:
    """The text of the first item that a reply has."""
    assert reply.status_code == 200, reply.text
    said: str = reply.json()["output"][0]["content"][0]["text"]
    return said


@dataclass(frozen=True)
class ApiClient:
    """Posts create requests to a server."""

    server: MockServer
    client: httpx.Client

    def post(self, body: Any, **headers: str) -> httpx.Response:
        """Post a body, as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {
            "authorization": f"Bearer {self.server.api_key}",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.client.post(f"{self.server.base_url}/responses", content=content, headers=head)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask another operation, by its path under the base URL."""
        head = {
            "authorization": f"Bearer {self.server.api_key}",
            **({"content-type": "application/json"} if body is not None else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = None if body is None else json.dumps(body).encode()
        return self.client.request(method, self.server.base_url + path, content=content, headers=head)

    def request_json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON that an operation answers with 200."""
        reply = self.request(method, path, body)
        assert reply.status_code == 200, reply.text
        value: dict[str, Any] = reply.json()
        return value

    def create(self, content: Any = "Tell me something.", **members: Any) -> dict[str, Any]:
        """The response to an input."""
        reply = self.post({"model": self.server.model, "input": content, **members})
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def create_stream(self, content: Any = "Tell me something.", **members: Any) -> list[dict[str, Any]]:
        """The events of the stream that answers an input."""
        reply = self.post({"model": self.server.model, "input": content, "stream": True, **members})
        assert reply.status_code == 200, reply.text
        told = (frame.data or "" for frame in Decoder().feed(reply.content))
        return [json.loads(data) for data in told if data != "[DONE]"]

    def create_chat(self, messages: Any, **members: Any) -> httpx.Response:
        """Ask Chat Completions: messages, or the text of one."""
        given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        return self.post_chat({"model": self.server.model, "messages": given, **members})

    def post_chat(self, body: Any, **headers: str) -> httpx.Response:
        """Post a chat request, as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {
            "authorization": f"Bearer {self.server.api_key}",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        url = f"{self.server.chat_base_url}/chat/completions"
        return self.client.post(url, content=content, headers=head)

    def create_completion(self, messages: Any, **members: Any) -> dict[str, Any]:
        """The completion for messages."""
        reply = self.create_chat(messages, **members)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def create_chunks(self, messages: Any, **members: Any) -> list[dict[str, Any]]:
        """The chunks for messages, without the marker at their end."""
        reply = self.create_chat(messages, stream=True, **members)
        assert reply.status_code == 200, reply.text
        told = [frame.data or "" for frame in Decoder().feed(reply.content)]
        assert told.pop() == "[DONE]"
        return [json.loads(each) for each in told]

    def post_refused(self, body: Any, **headers: str) -> tuple[int, str, str]:
        """(status, code, message) of a refusal."""
        reply = self.post(body, **headers)
        assert reply.status_code >= 400, reply.text
        error = reply.json()
        assert set(error) == {"code", "message", "request_id"}
        return reply.status_code, error["code"], error["message"]
