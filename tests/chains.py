"""A client that plays chained conversations over many connections at once, while servers may fail.

It reads no more of a reply than it needs, so that the servers and not the client are busy.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from mockserver.wire.sse import decode_frames

__all__ = ["Chain", "Connection", "Play", "Reply", "added_tokens", "fetch_all", "play_chains", "turn_text"]

_KEY = "sk-chains"
_MODEL = "qwen3-max-2026-01-23"

#: A server, nginx or Redis is about to come back: the request is sent again.
_RETRIED_STATUSES = (502, 503)

_RETRY_PAUSE_S = 0.02
_PATIENCE_S = 300

#: The responses of a conversation, in their order.
Chain: TypeAlias = list[dict[str, Any]]


class Reply(NamedTuple):
    """A complete reply."""

    status: int
    body: bytes


@dataclass
class Play:
    """What came of chained conversations."""

    chains: list[Chain]
    """The acknowledged responses of each."""
    attempts: int = 0
    """Requests that continue a response."""
    refused: list[Reply] = field(default_factory=list)
    """What ended a conversation."""
    retried: Counter[str] = field(default_factory=Counter)
    """Why requests were sent again: a status, or `lost` for a connection that broke."""

    @property
    def responses(self) -> list[dict[str, Any]]:
        """All acknowledged responses."""
        return [response for chain in self.chains for response in chain]


class Connection:
    """A connection to the server of a base URL, opened with the first request and again after a failure."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self._host, self._port = url.hostname, url.port
        self._head = (
            f"host: {url.netloc}\r\nauthorization: Bearer {_KEY}\r\ncontent-type: application/json\r\n"
        )
        self._path = url.path.rstrip("/")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send a request; ConnectionError if the reply does not come to its end."""
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._head}content-length: {len(body)}\r\n\r\n"
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            return await self._read_reply(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from None

    async def post(self, body: dict[str, Any]) -> Reply:
        """Create a response."""
        return await self.request("POST", "/responses", json.dumps({"model": _MODEL, **body}).encode())

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _read_reply(self, reader: asyncio.StreamReader) -> Reply:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status_line, *lines = head.split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await _read_chunks(reader)
        if headers.get("connection") == "close":
            self.close()
        return Reply(int(status_line.split()[1]), body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(chunks)


async def play_chains(base_url: str, play: Play, *, turns: int, clients: int) -> None:
    """Play all chains of `play`, every other one as streams.

    Clients try again what failed; a chain goes on after its last acknowledged response, and ends when a turn is
    refused. All turns add equally many tokens.
    """
    waiting = iter(enumerate(play.chains))

    async def run_client() -> None:
        connection = Connection(base_url)
        for number, chain in waiting:
            while len(chain) < turns:
                body = {"input": turn_text(number, len(chain)), "stream": number % 2 == 1}
                if chain:
                    body["previous_response_id"] = chain[-1]["id"]
                    play.attempts += 1
                reply = await _post_until_settled(connection, body, play)
                if reply.status != 200:
                    play.refused.append(reply)
                    break
                chain.append(_completed_response(reply.body) if body["stream"] else json.loads(reply.body))
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(run_client())


def turn_text(number: int, turn: int) -> str:
    """What a chain says in a turn."""
    return f"This is turn {turn} of conversation {number:04}."


async def _post_until_settled(connection: Connection, body: dict[str, Any], play: Play) -> Reply:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                reply = await connection.post(body)
            except ConnectionError:
                play.retried["lost"] += 1
            else:
                if reply.status not in _RETRIED_STATUSES:
                    return reply
                play.retried[str(reply.status)] += 1
            await asyncio.sleep(_RETRY_PAUSE_S)


def _completed_response(stream: bytes) -> dict[str, Any]:
    (last,) = decode_frames(stream[stream.rindex(b"\n\n", 0, -2) + 2 :])
    event = json.loads(last.data or "")
    assert event["type"] == "response.completed"
    response: dict[str, Any] = event["response"]
    return response


async def fetch_all(base_url: str, paths: Iterable[str], *, clients: int) -> dict[str, Reply]:
    """The reply to each path."""
    waiting, replies = iter(paths), {}

    async def run_client() -> None:
        connection = Connection(base_url)
        for path in waiting:
            replies[path] = await connection.request("GET", path)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(run_client())
    return replies


def added_tokens(chain: Chain) -> set[int]:
    """How many tokens each turn adds to the context of the turn before."""
    usages = [response["usage"] for response in chain]
    return {after["input_tokens"] - before["total_tokens"] for before, after in pairwise(usages)}
