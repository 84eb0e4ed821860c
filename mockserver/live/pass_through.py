"""One request and its reply on their way between a client and an endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from mockserver.contract.findings import Finding
from mockserver.contract.operations import Operation, find_operation
from mockserver.live.client import MAX_REPLY_BYTES, MAX_REPLY_CHUNKS
from mockserver.live.endpoint import stays_below_base_path
from mockserver.profiles import Profile
from mockserver.server.errors import ApiError, render_error
from mockserver.server.http.request_body import NO_BODY
from mockserver.wire import json

__all__ = ["Failure", "PassThroughExchange", "relative_path", "run_until_disconnect"]

#: Statuses with which an endpoint refuses a key.
_KEY_REFUSALS = (401, 403)
#: Statuses with which it refuses a path or a method.
_UNKNOWN_PATH = (404, 405)
_MAX_MESSAGE_CHARACTERS = 200

#: Characters that a path or query may contain unescaped (RFC 3986); all others are percent-encoded.
_SAFE_URL_CHARACTERS = "%/?:@!$&'()*+,;=~-._[]|{}^"


class Failure(NamedTuple):
    """Why an endpoint did not answer a request; falsy names mean that it did."""

    name: str = ""
    """refused, unreachable or budget: the names that tests allow."""
    reason: str = ""


class PassThroughExchange:
    """One request and its reply while they pass through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self._send = send
        self.received_at = time.time()
        self._started = time.perf_counter()
        self.path = ""
        """Relative to the base path, with the query."""
        self.body_start = NO_BODY
        """The request's body as the client sent it, as far as it was read."""
        self.request_body = b""
        """The request's body, decoded; empty if it was not read."""
        self.unread_reason = ""
        """Why the body that was passed on could not be read."""
        self.body_findings: tuple[Finding, ...] = ()
        """Findings in a body that could not be read."""
        self.status = 0
        self.reply_headers: list[tuple[bytes, bytes]] = []
        """As they were passed on."""
        self.reply_chunks: list[bytes] = []
        self.chunk_times: list[float] = []
        """Seconds from the request to each chunk."""
        self.head_time = 0.0
        self.end_time = 0.0
        self.endpoint_key = ""
        """The key sent to the endpoint: never written anywhere."""
        self.forwarded = False
        """Whether the endpoint got the request."""
        self.refused = False
        """Whether the reply is an error of ours, not the endpoint's."""
        self.failure = Failure()
        """Why the endpoint did not answer, set before `send_error`."""
        self.complete = False
        self.client_disconnected = False
        """Whether the client disconnected before the end."""
        self._reply_size = 0
        self._chunk_count = 0
        self.is_stream = False
        self.request_id = str(uuid4())
        self.exchange_name: str | None = None
        """The name of the recording that was played."""

    @property
    def is_truncated(self) -> bool:
        """Whether the reply is larger than what is kept."""
        return self._reply_size > MAX_REPLY_BYTES or self._chunk_count > MAX_REPLY_CHUNKS

    @property
    def is_create_request(self) -> bool:
        """Whether the request creates a response."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/responses")

    @property
    def is_chat_request(self) -> bool:
        """Whether the request is one of Chat Completions."""
        return self.scope["method"] == "POST" and str(self.scope["path"]).endswith("/chat/completions")

    @property
    def request_json(self) -> Any:
        """The request's JSON value; None if it is not JSON."""
        return json.loads_or_none(self.request_body)

    @property
    def kept_bytes(self) -> int:
        """The size of both bodies, as far as they are kept."""
        return len(self.request_body) + min(self._reply_size, MAX_REPLY_BYTES)

    @property
    def reply_body(self) -> bytes:
        """The reply's body so far."""
        return b"".join(self.reply_chunks)

    def mark_forwarded(self) -> None:
        """Mark the request as complete and forwarded; times count from now."""
        self.forwarded, self.received_at, self._started = True, time.time(), time.perf_counter()

    async def send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status and headers."""
        names = dict(headers)
        self.status, self.reply_headers, self.head_time = status, headers, self._elapsed()
        self.is_stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        self.request_id = names.get(b"x-request-id", self.request_id.encode()).decode("latin-1")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send_chunks(self, chunks: AsyncIterator[bytes]) -> None:
        """Send each chunk as it arrives."""
        async for chunk in chunks:
            await self.send_chunk(chunk)
        self.complete = True

    async def send_chunk(self, chunk: bytes) -> None:
        """Send a chunk of the body."""
        self._reply_size += len(chunk)
        self._chunk_count += 1
        if not self.is_truncated:
            self.reply_chunks.append(chunk)
            self.chunk_times.append(self._elapsed())
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def flush_head(self) -> None:
        """Send the head before the first chunk is there."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def finish(self) -> None:
        """End the reply as the endpoint did: complete, or by closing the connection."""
        self.end_time = self._elapsed()
        if self.complete:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            self.scope["extensions"]["mockserver.connection"].close()

    def full_path(self, profile: Profile) -> str:
        """The path below the profile's base path, without the query."""
        return profile.base_path + self.path.partition("?")[0]

    def operation(self, profile: Profile) -> Operation | None:
        """The operation of the Responses API that was requested; None if the profile has none there."""
        return find_operation(profile, self.scope["method"], self.full_path(profile))

    def settle_failure(self, profile: Profile) -> None:
        """Set `failure` if the endpoint refused the request or cut the reply.

        404 can be the answer of an operation that retrieves something; it is a refusal of any other request.
        """
        if self.refused or not self.forwarded or self.exchange_name is not None:
            return
        unknown_path = self.status in _UNKNOWN_PATH and (
            self.is_create_request or self.operation(profile) is None
        )
        if self.status in _KEY_REFUSALS or unknown_path:
            message = _error_message(self.reply_body)
            self.failure = Failure("refused", f"the endpoint replied {self.status}: {message}")
        elif not self.status and not self.failure.name:
            self.failure = Failure("unreachable", "the client disconnected before the endpoint replied")
        elif self.status and not self.complete and not self.client_disconnected:
            size = f"{self._reply_size:,} bytes"
            self.failure = Failure("unreachable", f"the endpoint cut the reply after {size}")

    async def send_error(self, error: ApiError) -> None:
        """Send an error of ours instead of the endpoint's reply."""
        body = render_error(error, self.request_id)
        self.status, self.reply_chunks, self.complete, self.refused = error.status, [body], True, True
        self.failure = self.failure if self.failure.name else Failure("refused", error.message)
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
            *error.headers,
        ]
        await self._send({"type": "http.response.start", "status": error.status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started


def relative_path(scope: Scope, base_path: str) -> str | None:
    """The path behind the base path, with the query and escaped as received; None if it is not below it.

    A path that an endpoint could read as one outside the base path is not below it.
    """
    path: str = scope["path"]
    if not path.startswith(f"{base_path}/"):
        return None
    raw = scope.get("raw_path", b"").decode("latin-1")
    relative = (
        raw.removeprefix(base_path) if raw.startswith(f"{base_path}/") else path.removeprefix(base_path)
    )
    if not stays_below_base_path(relative):
        return None
    query = scope["query_string"].decode("latin-1")
    return quote(
        f"{relative}?{query}" if query else relative,
        safe=_SAFE_URL_CHARACTERS,
        encoding="latin-1",
        errors="replace",
    )


async def run_until_disconnect(
    pass_through: PassThroughExchange, work: Coroutine[Any, Any, None], receive: Receive
) -> None:
    """Run `work`, and cancel it if the client disconnects first, or if the server stops."""
    task, disconnect = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        pass_through.client_disconnected = not task.done()
    finally:
        for each in (task, disconnect):
            each.cancel()
        await asyncio.wait({task, disconnect})
    if not task.cancelled():
        task.result()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error_message(body: bytes) -> str:
    """The message of an error envelope, or the start of the body."""
    value = json.loads_or_none(body)
    holder = value.get("error", value) if isinstance(value, dict) else None
    message = holder.get("message") if isinstance(holder, dict) else None
    text = message if isinstance(message, str) else body[:_MAX_MESSAGE_CHARACTERS].decode(errors="replace")
    return " ".join(text.split())[:_MAX_MESSAGE_CHARACTERS] or "no message"
