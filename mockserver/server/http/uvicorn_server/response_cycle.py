"""A request and its reply on a connection, as uvicorn and the application see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from mockserver.server.http.transmission import ENTRY_SCOPE_KEY, REPLY_MESSAGE

if TYPE_CHECKING:
    from mockserver.server.state.journal import Entry

__all__ = ["ResponseCycle", "frame_chunks"]

#: Pieces of a reply that are made before they are written.
_PIECES_AT_ONCE = 16

#: Statuses of replies without a body.
_BODILESS_STATUSES = frozenset({204, 304})


class ResponseCycle(RequestResponseCycle):
    """A request and its reply, with a `send` that serves only our own application.

    It trusts the application's headers, which have lower-case names and valid values. It writes the head
    together with the first piece of the body, because a write is the most expensive step.
    """

    pending_head = b""
    """The head until the first piece of the body comes."""

    async def receive(self) -> Any:
        if self.more_body or self.response_complete or self.disconnected or not self.body:
            return await super().receive()
        body, self.body = self.body, bytearray()  # the body arrived with the head, as most do
        self.message_event.clear()
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            entry: Entry | None = self.scope.get(ENTRY_SCOPE_KEY)  # type: ignore[assignment]
            if entry is not None and not entry.left:  # the client left before there was a reply to it
                entry.mark_left()
            return
        if message["type"] == REPLY_MESSAGE:
            self._start_response(message["status"], message["headers"])
            if self.chunked_encoding:
                head, self.pending_head = self.pending_head, b""
                await self.finish_reply(frame_chunks(head, message["pieces"]))
                return
            self.flush(b"" if self.scope["method"] == "HEAD" else message["pieces"][0])
            self._finish_response()
            return
        if not self.response_started:
            self._start_response(message["status"], message["headers"])
            return
        more = message.get("more_body", False)
        self.flush(self._frame_body(message["body"], more))
        if not more:
            self._finish_response()

    async def write_chunks(self, chunks: Iterable[bytes]) -> None:
        """Write framed chunks, one at a time, as fast as the client reads."""
        flow, write = self.flow, self.transport.write
        for chunk in chunks:
            if flow.write_paused:
                await flow.drain()
            if self.disconnected:
                self._record_unsent(1 + sum(1 for _ in chunks))
                return
            write(chunk)

    def _record_unsent(self, chunk_count: int) -> None:
        """Record in the journal that the client left before these chunks of a whole reply were written."""
        entry: Any = self.scope.get(ENTRY_SCOPE_KEY)
        if entry is not None and not entry.left_out:
            pieces = [piece for piece in entry.reply if piece]
            entry.sent_bytes = sum(map(len, pieces[: max(0, len(pieces) - chunk_count)]))

    async def finish_reply(self, chunks: Iterable[bytes]) -> None:
        """Write the rest of a reply that was begun."""
        await self.write_chunks(chunks)
        if not self.disconnected:
            self._finish_response()

    def flush(self, data: bytes = b"") -> None:
        """Write `data`, after the pending head."""
        if self.pending_head:
            data, self.pending_head = self.pending_head + data, b""
        if data:
            self.transport.write(data)

    def _start_response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = status not in _BODILESS_STATUSES and self.scope["method"] != "HEAD"
        lines = [STATUS_LINE[status]]
        for name, value in headers:
            if name == b"content-length":
                self.chunked_encoding = False
            elif name == b"connection":
                self.keep_alive = False
                continue
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"transfer-encoding: chunked\r\n\r\n" if self.chunked_encoding else b"\r\n")
        self.pending_head = b"".join(lines)

    def _frame_body(self, body: bytes, more: bool) -> bytes:
        if self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        return b"" if self.scope["method"] == "HEAD" else body

    def _finish_response(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def frame_chunks(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What to write for a head and its body: one chunk a piece, the head with the first, the end with the last.

    Few pieces are made before they are written.
    """
    remaining, pending = iter(pieces), head
    while batch := list(islice(remaining, _PIECES_AT_ONCE)):
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in batch if piece]
        if chunks:
            chunks[0] = pending + chunks[0]
            pending = chunks.pop()
        yield from chunks
    yield pending + b"0\r\n\r\n"
