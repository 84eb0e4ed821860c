"""A client of the mock server, shared by many tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from mockserver.testing.mock import MockServer
from mockserver.wire.sse import Decoder


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Poll for the effect of another thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.001)


def output_text(reply: httpx.Response) -> str:
    """The text of a reply's first item."""
    assert reply.status_code == 200, reply.text
    text: str = reply.json()["output"][0]["content"][0]["text"]
    return text


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
        """Send a request to another operation, by its path under the base URL."""
        head = {
            "authorization": f"Bearer {self.server.api_key}",
            **({"content-type": "application/json"} if body is not None else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = None if body is None else json.dumps(body).encode()
        return self.client.request(method, self.server.base_url + path, content=content, headers=head)

    def request_json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of an operation's 200 reply."""
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
        """The stream's events for an input."""
        reply = self.post({"model": self.server.model, "input": content, "stream": True, **members})
        assert reply.status_code == 200, reply.text
        payloads = (frame.data or "" for frame in Decoder().feed(reply.content))
        return [json.loads(data) for data in payloads if data != "[DONE]"]

    def create_chat(self, messages: Any, **members: Any) -> httpx.Response:
        """Send messages, or the text of one, to Chat Completions."""
        message_list = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        return self.post_chat({"model": self.server.model, "messages": message_list, **members})

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
        """The chunks for messages, without `[DONE]`."""
        reply = self.create_chat(messages, stream=True, **members)
        assert reply.status_code == 200, reply.text
        payloads = [frame.data or "" for frame in Decoder().feed(reply.content)]
        assert payloads.pop() == "[DONE]"
        return [json.loads(each) for each in payloads]

    def post_refused(self, body: Any, **headers: str) -> tuple[int, str, str]:
        """(status, code, message) of an error reply."""
        reply = self.post(body, **headers)
        assert reply.status_code >= 400, reply.text
        error = reply.json()
        assert set(error) == {"code", "message", "request_id"}
        return reply.status_code, error["code"], error["message"]
