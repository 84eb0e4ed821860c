"""The requests that the benchmarks send, by kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

__all__ = [
    "DISTINCT_KINDS",
    "RESPONSES_PATH",
    "encode_request",
    "path_of",
    "post",
    "request_body",
    "save_sample",
]

_BASE_PATH = "/api/v2/apps/protocols/compatible-mode/v1"
RESPONSES_PATH = f"{_BASE_PATH}/responses"
_CHAT_PATH = "/compatible-mode/v1/chat/completions"

#: The kinds of distinct requests, each a quarter of them.
DISTINCT_KINDS = ("plain", "chained", "tools", "history")

_MODEL = "qwen3-max-2026-01-23"
_INTRODUCTION = "Hello, please introduce yourself in one sentence."
_INTELLIGENCE = "Please briefly introduce artificial intelligence."


def _tool(name: str, member: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {member: {"type": "string"}}, "required": [member]}
    return {
        "type": "function",
        "name": name,
        "description": f"Find the {name[4:]}.",
        "parameters": parameters,
    }


_TOOLS = [_tool("get_weather", "city"), _tool("get_time", "time_zone")]


def request_body(kind: str, number: int = 0, earlier_id: str = "") -> dict[str, Any]:
    """The body of the request of that number; `chained` continues a response, `conversation` a conversation."""
    question = f"Question {number}: what is the capital of country {number * 7919}?"
    match kind:
        case "reply":
            members: dict[str, Any] = {"input": _INTRODUCTION}
        case "stream":
            members = {"input": _INTELLIGENCE, "stream": True}
        case "chat":
            members = {"messages": [{"role": "user", "content": _INTRODUCTION}]}
        case "chat-stream":
            members = {"messages": [{"role": "user", "content": _INTELLIGENCE}], "stream": True}
        case "history":
            members = {"input": [*_earlier_items(number), {"role": "user", "content": question}]}
        case _:
            members = {"input": question, **_question_parameters(earlier_id)[kind]}
    return {"model": _MODEL, **members}


def _question_parameters(earlier_id: str) -> dict[str, dict[str, Any]]:
    """What requests with one question have besides it, by kind."""
    return {
        "plain": {},
        "chained": {"previous_response_id": earlier_id},
        "conversation": {"conversation": earlier_id},
        "tools": {"tools": _TOOLS},
    }


def _earlier_items(number: int) -> list[dict[str, str]]:
    roles = ("user", "assistant") * 10
    return [{"role": role, "content": f"{role} {turn} of {number}"} for turn, role in enumerate(roles[1:])]


def path_of(kind: str) -> str:
    """The path of our server for requests of a kind."""
    return _CHAT_PATH if kind.startswith("chat") else RESPONSES_PATH


def encode_request(path: str, port: int, body: bytes) -> bytes:
    """A request as bytes, with the headers that an SDK sends."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n"
        f"content-type: application/json\r\nauthorization: Bearer sk-bench\r\nuser-agent: bench\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post(port: int, kind: str, number: int = 0, earlier_id: str = "") -> httpx.Response:
    """Send a request to our server and return its answer."""
    url = f"http://127.0.0.1:{port}{path_of(kind)}"
    headers = {"authorization": "Bearer sk-bench"}
    return httpx.post(url, json=request_body(kind, number, earlier_id), headers=headers).raise_for_status()


def save_sample(port: int, kind: str, folder: Path) -> None:
    """Save what our server answers to a kind of request, for the minimal application to send."""
    reply = post(port, kind, 0, post(port, "plain", -1).json()["id"] if kind == "chained" else "")
    is_stream = "event-stream" in reply.headers["content-type"]
    pieces = [piece + "\n\n" for piece in reply.text.split("\n\n")[:-1]] if is_stream else [reply.text]
    headers = [[name, reply.headers[name]] for name in ("content-type", "x-request-id", "date")]
    (folder / f"{kind}.json").write_text(json.dumps({"headers": headers, "pieces": pieces}))
