"""The messages that send a reply on a connection: a whole reply in one; `reply_steps` sends one in several."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "CONNECTION_EXTENSION",
    "ENTRY_SCOPE_KEY",
    "REPLY_MESSAGE",
    "Connection",
    "Headers",
    "send_body",
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


async def send_body(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole reply with `content-length`."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": REPLY_MESSAGE, "status": status, "headers": headers, "pieces": (body,)})


def with_standard_messages(app: ASGIApp) -> ASGIApp:
    """The application for ASGI middleware, which does not know our message for a whole reply."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
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
