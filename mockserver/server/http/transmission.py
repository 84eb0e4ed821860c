"""Sending replies on a connection; nothing else sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope
from starlette.types import Send as AsgiSend

from mockserver.clock import SystemClock
from mockserver.server.delivery.steps import Await, Close, Raw, Reset, Send, Step, Wait
from mockserver.server.delivery.timer import Timer

__all__ = [
    "CONNECTION_EXTENSION",
    "ENTRY_SCOPE_KEY",
    "REPLY_MESSAGE",
    "Connection",
    "Headers",
    "send_body",
    "send_steps",
    "with_standard_messages",
]

Headers: TypeAlias = list[tuple[bytes, bytes]]

#: Type of a message of our own, with a whole reply: `status`, `headers` and `pieces`. The runner writes all of it, each
#: piece by itself; without a `content-length` the pieces are chunks.
REPLY_MESSAGE = "mockserver.reply"
#: Key in `scope["extensions"]` for the connection, set by the runner.
CONNECTION_EXTENSION = "mockserver.connection"
#: Key in the scope for the journal entry, on which the runner records that the client left.
ENTRY_SCOPE_KEY = "mockserver.entry"


class Connection(Protocol):
    """A connection on which steps can wait, and break HTTP."""

    request_arrived_at: float
    """When the request that is being answered was complete, by the loop's clock."""

    def watch_disconnect(self) -> asyncio.Future[bool]:
        """A future that gets True when the client disconnects, in place of the previous one.

        The request's body must have been read.
        """

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the socket without HTTP framing."""

    def close(self) -> None:
        """Close the connection once everything written so far is sent."""

    def reset(self) -> None:
        """Reset the connection (TCP RST)."""


async def send_body(send: AsgiSend, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole reply with `content-length`."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": REPLY_MESSAGE, "status": status, "headers": headers, "pieces": (body,)})


async def send_steps(
    scope: Scope,
    send: AsgiSend,
    status: int,
    headers: Headers,
    steps: Iterable[Step],
    timer: Timer | None = None,
) -> bool:
    """Send a reply step by step; return False, without an error, if the client leaves first.

    Status 0 sends no head, for steps that end with a close or a reset. `timer` measures the time; without
    it, pauses follow the system clock.
    """
    connection: Connection = scope["extensions"][CONNECTION_EXTENSION]
    timer = timer or Timer(SystemClock(), arrived_at=connection.request_arrived_at)
    if status:
        await send({"type": "http.response.start", "status": status, "headers": headers})
    head_waits = bool(status)  # for the first piece of the body
    for step in steps:
        if isinstance(step, Send):
            head_waits = False
            await _send_piece(scope, send, step.data, timer)
        elif isinstance(step, Wait):
            if head_waits:
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                head_waits = False
            disconnect = connection.watch_disconnect()
            if await timer.disconnected_within(disconnect, step.seconds, from_now=step.from_now):
                return False
        elif isinstance(step, Await):
            if await step.wait(connection.watch_disconnect()):
                return False
            timer.restart()
        elif not _apply_connection_step(connection, step, timer):
            return True
    await send({"type": "http.response.body", "body": b""})
    return True


async def _send_piece(scope: Scope, send: AsgiSend, data: bytes, timer: Timer) -> None:
    at = timer.now()
    await send({"type": "http.response.body", "body": data, "more_body": True})
    entry = scope.get(ENTRY_SCOPE_KEY)
    if entry is None or not entry.left:  # what is sent to a client that has left is dropped
        timer.mark_sent(at, len(data))


def _apply_connection_step(connection: Connection, step: Raw | Reset | Close, timer: Timer) -> bool:
    """Apply a step outside of HTTP; return whether the connection is still open."""
    if isinstance(step, Raw):
        connection.write_raw(step.data)
        timer.sent_bytes += len(step.data)
        return True
    if isinstance(step, Reset):
        connection.reset()
    else:
        connection.close()
    return False


def with_standard_messages(app: ASGIApp) -> ASGIApp:
    """The application for ASGI middleware, which does not know our message for a whole reply."""

    async def call(scope: Scope, receive: Receive, send: AsgiSend) -> None:
        async def send_parts(message: Message) -> None:
            if message["type"] != REPLY_MESSAGE:
                await send(message)
                return
            head = {name: message[name] for name in ("status", "headers")}
            await send({"type": "http.response.start", **head})
            for piece in message["pieces"]:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        await app(scope, receive, send_parts)

    return call
