"""Connections, with limits on heads, trailers, bodies and idle time; plain requests get direct replies."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mockserver.server.errors import ApiError, render_error
from mockserver.server.http.open_files import max_open_files
from mockserver.server.http.request_body import BODY_TIMEOUT_SECONDS
from mockserver.server.http.transmission import CONNECTION_EXTENSION, ENTRY_SCOPE_KEY
from mockserver.server.http.uvicorn_server.response_cycle import ResponseCycle, frame_chunks
from mockserver.server.state.journal import ClientAddress, Entry

if TYPE_CHECKING:
    from starlette.types import Scope

    from mockserver.server.http.direct_replies import DirectReplies, DirectReply
    from mockserver.server.http.tunnels import Address, Gateway

__all__ = ["HttpConnection", "ProtocolLog"]

#: Bytes that a request may have in a row beside its body: as its head, as trailers, or between two pieces of
#: the body. Real ones are much smaller.
MAX_HEAD_BYTES = 64 << 10

#: Requests of a connection that wait for their turn while more of it is read.
MAX_PIPELINED_REQUESTS = 8

#: Open files that are left to what is not a connection: imports, exchange files, reports.
RESERVED_FILES = 16

#: Bytes of a connection that are parsed before its waiting requests are counted.
_BYTES_PARSED_AT_ONCE = 1024

#: Bytes of replies that wait in memory for a client that does not read; the socket holds many more.
_MAX_UNSENT_BYTES = 16 << 10

#: Seconds that a connection may be idle between two requests.
IDLE_TIMEOUT_SECONDS = 75.0

#: The request id in the reply to something that is not a request.
_NIL_REQUEST_ID = "00000000-0000-0000-0000-000000000000"

#: How clients of other protocols begin, and what is wrong. They cannot read the reply, so it is logged too.
_OTHER_PROTOCOLS = {
    b"\x16": "A TLS handshake arrived, but this port speaks plain HTTP: begin the base URL with http://.",
    b"PRI * HTTP/2": "A client began with HTTP/2, but this port speaks HTTP/1.1.",
}

#: Seconds between two log lines about the same protocol.
_PROTOCOL_LOG_INTERVAL_SECONDS = 60.0

_SLASH = ord("/")

_LOGGER = logging.getLogger("mockserver.connection")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False


class ProtocolLog:
    """Logs that clients speak another protocol, once in a while: each of their attempts says the same."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._logged_at: dict[str, float] = {}

    def add(self, problem: str) -> None:
        now, before = monotonic(), self._logged_at.get(problem)
        if before is None or now - before >= _PROTOCOL_LOG_INTERVAL_SECONDS:
            self._logged_at[problem] = now
            self._log(f"refused a connection: {problem}")


class _Trailers:
    """Takes the header fields after a body in place of the request's headers, and keeps none."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Drop a trailer."""


_TRAILERS: Any = _Trailers()


class _FlowControl(FlowControl):
    """uvicorn's, but a connection is not read while many requests on it wait for their turn.

    A few do not matter, and a connection that is not read cannot tell that its client has left.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if self.read_paused and len(self._pipeline) < MAX_PIPELINED_REQUESTS:
            super().resume_reading()


class HttpConnection(HttpToolsProtocol):
    """A connection that its requests can reach, with limits on heads, trailers, bodies and idle time."""

    def __init__(
        self,
        *arguments: Any,
        gateway: Gateway | None = None,
        direct_replies: DirectReplies | None = None,
        protocol_log: ProtocolLog | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._gateway = gateway
        self._direct_replies = direct_replies
        self._protocol_log = protocol_log
        # uvicorn's own loggers would print clients' URLs in the host program's log.
        self.logger = _LOGGER
        self.access_log = False
        self._unparsed = b""
        """Bytes that wait until fewer requests of the connection do."""
        self._request_began_at: float | None = None
        """When the incomplete request began; None: no request is incomplete."""
        self._idle_since = 0.0
        self._reads_head = False
        """Whether a head is incomplete."""
        self._bytes_beside_body: int | None = None
        """Bytes received in a row that are not the body of the incomplete request; None: no request is incomplete."""
        self.request_arrived_at = 0.0
        """When the request that is being answered was complete, by the loop's clock."""
        self._disconnect: asyncio.Future[bool] | None = None
        """What waits for the client to disconnect."""
        self._active_cycle: RequestResponseCycle | None = None
        """The request that is being answered; uvicorn's `cycle` is the one that was received last."""
        self._direct_entry: Entry | None = None
        """The journal entry of the last reply, if it was a direct one."""
        self._unread = b""
        """A known head whose body has not come, or what comes while a direct reply waits for the store."""
        self._reply_task: asyncio.Task[None] | None = None
        """Waits for the store with a direct reply."""
        self._closes_after_reply = False
        """Whether the server stops meanwhile."""

    def data_received(self, data: bytes) -> None:
        if self._direct_replies is None:
            self._receive(data)
            return
        before, self._unread = self._unread, b""
        data = before + data if before else data
        cycle: RequestResponseCycle | None = self.cycle
        if self._reply_task is not None:
            self._unread = data
            if len(data) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        elif (
            # A request begins with the next byte, and its reply can be written at once.
            self._bytes_beside_body is None
            and (cycle is None or cycle.response_complete)
            and not (self._unparsed or self.flow.write_paused)
        ):
            self._receive_request(data, self._direct_replies, not before)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        if len(data) <= _BYTES_PARSED_AT_ONCE and not self._unparsed:
            self._parse(data)
        else:
            self._parse_in_pieces(self._unparsed + data)

    def _receive_request(self, data: bytes, direct_replies: DirectReplies, may_wait: bool) -> None:
        """Answer a request that came whole and has a known head; parse any other, and get to know its head.

        `may_wait`: if the body comes later, as many clients send it, the head waits for it.
        """
        head, _, body = data.partition(b"\r\n\r\n")
        known, before = direct_replies.find_head(head), self.cycle
        if known is not None and known.body_size == len(body):
            reply = direct_replies.reply_to(known, body, self.client)
            if isinstance(reply, tuple):
                self._write_reply(reply)
                return
            if reply is not None:
                self._wait_for_reply(reply, body)
                return
        elif known is not None and may_wait and not body:
            self._unread = data
            self._request_began_at = self.loop.time()
            return
        self._receive(data)
        cycle = self.cycle
        is_whole = self._bytes_beside_body is None and cycle is not before and not cycle.more_body
        if known is None and is_whole and cycle.keep_alive:
            direct_replies.add_head(head, dict(cycle.scope), len(body))

    def _write_reply(self, reply: DirectReply) -> None:
        self._request_began_at = self._active_cycle = None
        head, pieces, is_chunked, self._direct_entry = reply
        if not is_chunked:
            self.transport.write(head + pieces[0])
        else:
            write, flow, chunks = self.transport.write, self.flow, frame_chunks(head, pieces)
            for chunk in chunks:
                write(chunk)
                if flow.write_paused:
                    self._continue_reply(chunks, reply.entry)
                    break
        self._idle_since = self.loop.time()

    def _wait_for_reply(self, making: Coroutine[Any, Any, DirectReply | Scope], body: bytes) -> None:
        self._request_began_at = self._active_cycle = self._direct_entry = None
        self._reply_task = task = self.loop.create_task(self._reply_later(making, body))
        self.tasks.add(task)

    async def _reply_later(self, making: Coroutine[Any, Any, DirectReply | Scope], body: bytes) -> None:
        """Write a reply as soon as the store has what it needs; what comes on the connection meanwhile waits."""
        task = self._reply_task
        try:
            reply = await making
            self._reply_task = None
            if self._unread:
                self.flow.resume_reading()
                self.loop.call_soon(self._read_waiting)  # outside of this task, as from the socket
            if isinstance(reply, tuple):
                self._write_later_reply(reply)
            else:
                await self._reply_by_application(reply, body)
        finally:
            self.tasks.discard(task)

    def _write_later_reply(self, reply: DirectReply) -> None:
        if self.transport.is_closing():
            reply.entry.mark_left()
        elif self._closes_after_reply:
            self._write_reply(reply._replace(head=b"%bconnection: close\r\n\r\n" % reply.head[:-2]))
            self._unread = b""
            self.shutdown()
        else:
            self._write_reply(reply)

    async def _reply_by_application(self, scope: Scope, body: bytes) -> None:
        scope["extensions"] = {CONNECTION_EXTENSION: self}
        cycle = self.cycle = self._active_cycle = self._new_cycle(scope)
        cycle.more_body, cycle.keep_alive = False, not self._closes_after_reply
        cycle.disconnected = self.transport.is_closing()
        self.request_arrived_at = self.loop.time()

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await cycle.run_asgi(lambda scope, _, send: self.app(scope, receive, send))
        if cycle.disconnected:
            self._free_requests()

    def _read_waiting(self) -> None:
        if self._unread and not self.transport.is_closing():
            self.data_received(b"")

    def _continue_reply(self, chunks: Iterator[bytes], entry: Entry) -> None:
        """Write the rest of a reply when its client reads again."""
        cycle = self.cycle = self._new_cycle({"method": "POST", ENTRY_SCOPE_KEY: entry})
        cycle.more_body, cycle.response_started = False, True
        self._start_asgi_task(cycle, lambda *_: cycle.finish_reply(chunks))

    def _new_cycle(self, scope: Any) -> ResponseCycle:
        return ResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )

    def _parse_in_pieces(self, data: bytes) -> None:
        """Parse until many requests wait for their turn: in memory, a request needs forty times its bytes."""
        view, at, self._unparsed = memoryview(data), 0, b""
        while at < len(data) and len(self.pipeline) < MAX_PIPELINED_REQUESTS:
            if not self._parse(view[at : at + _BYTES_PARSED_AT_ONCE]):
                return
            at += _BYTES_PARSED_AT_ONCE
        self._unparsed = data[at:]

    def _parse_rest(self) -> None:
        if self._unparsed:
            self._parse_in_pieces(self._unparsed)

    def _parse(self, data: bytes | memoryview) -> bool:
        """Give bytes to the parser; return False if nothing more can follow on this connection."""
        if self._bytes_beside_body is not None:
            self._bytes_beside_body += len(data)  # a piece of the body sets it to 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._reject_bytes(bytes(data))
            return False
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(memoryview(data)[upgrade.args[0] :])
        beside_body = self._bytes_beside_body
        if beside_body is not None and beside_body > MAX_HEAD_BYTES and not self.transport.is_closing():
            part = "head is" if self._reads_head else "trailers are"
            self._reject(431, f"The request's {part} longer than {MAX_HEAD_BYTES} bytes.")
        return not self.transport.is_closing()

    def _reject_bytes(self, data: bytes) -> None:
        """Answer bytes that are not HTTP/1.1."""
        latest: RequestResponseCycle | None = self.cycle
        protocols = _OTHER_PROTOCOLS if latest is None else {}
        problem = next((each for beginning, each in protocols.items() if data.startswith(beginning)), "")
        if problem and self._protocol_log is not None:
            self._protocol_log.add(problem)
        self._reject(400, problem or "The request is not HTTP/1.1.")

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Read the request again, without its `upgrade` header; `rest` follows its head."""
        while self.parser.get_method() != b"CONNECT":
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            try:
                self.parser.feed_data(head)
                self.parser.feed_data(rest)
            except httptools.HttpParserError:
                self._reject(400, "The request is not HTTP/1.1.")
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                continue
            return
        self._connect(self._gateway, rest)

    def _connect(self, gateway: Gateway | None, rest: memoryview) -> None:
        """Answer CONNECT, by which a client asks a proxy for a tunnel; `rest` follows its head."""
        if gateway is None:
            self._reject(405, "Request method 'CONNECT' is not supported.")
            return
        if rest or self._unfinished_cycle is not None:
            self._reject(400, "A tunnel begins after the reply to CONNECT.")
            return
        try:
            route = gateway.route(self.url, self.client)
        except ApiError as error:
            self._reject(error.status, error.message, error.code)
            return
        self.transport.pause_reading()  # until the tunnel has a protocol of its own
        task = self.loop.create_task(self._open_tunnel(gateway, route))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _open_tunnel(self, gateway: Gateway, route: ssl.SSLContext | Address) -> None:
        from mockserver.server.http.tunnels import Address, decrypt, forward  # only for servers with tunnels

        if isinstance(route, Address):
            try:
                await forward(self.transport, route, self.connections)
            except OSError as error:
                reason = error.strerror or str(error) or "no reply in time"
                failure = f"Cannot reach {route.host}, port {route.port}: {reason}."
                gateway.report_failure(self.url, self.client, 502, failure)
                self._reject(502, failure, "BadGateway")
                return
        else:
            new_connection = partial(
                HttpConnection, config=self.config, server_state=self.server_state, app_state=self.app_state
            )
            try:
                await decrypt(self.transport, route, new_connection, self.connections)
            except ssl.SSLError as error:
                gateway.report_failure(self.url, self.client, 0, f"The TLS handshake failed: {error.reason}.")
            except OSError:  # the client left
                pass
        self.connections.discard(self)  # the transport has another protocol
        self._free_requests()

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        return b"".join((*lines, b"\r\n"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = ResponseCycle  # uvicorn offers no other way to replace it
        self._active_cycle, self._direct_entry = cycle, None
        super()._start_asgi_task(cycle, app)

    @property
    def _unfinished_cycle(self) -> RequestResponseCycle | None:
        """The request whose reply is not complete."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return None if cycle is None or cycle.response_complete else cycle

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # `_ignore_upgrade` reads the request
        if self.url[0] != _SLASH:
            self._use_target_authority()
        self._reads_head = False
        super().on_headers_complete()
        self.headers = _TRAILERS  # the scope has the list of the headers

    def on_body(self, body: bytes) -> None:
        # Like uvicorn's, without its questions about upgrades.
        self._bytes_beside_body = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _use_target_authority(self) -> None:
        """Let the authority of a target in absolute form replace `Host`."""
        target = httptools.parse_url(self.url)
        if not target.host or target.userinfo:
            raise ValueError("no valid authority")
        host = b"[%b]" % target.host if b":" in target.host else target.host
        self.headers[:] = [each for each in self.headers if each[0] != b"host"]
        self.headers.append((b"host", b"%b:%d" % (host, target.port) if target.port else host))
        self.url = (target.path or b"/") + (b"?" + target.query if target.query else b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            address = self.client = ClientAddress(self.client)
            address.opened_at = monotonic()
        self.flow = _FlowControl(transport, self.pipeline)
        transport.set_write_buffer_limits(high=_MAX_UNSENT_BYTES)
        self._request_began_at = self.loop.time()
        # The system gives a new file the lowest free number.
        if transport.get_extra_info("socket").fileno() >= max_open_files() - RESERVED_FILES:
            limit = f"its process may have {max_open_files()} open files (ulimit -n)"
            self._reject(503, f"The server has too many connections: {limit}.", "ServiceUnavailable")

    def connection_lost(self, exc: Exception | None) -> None:
        cycle: Any = self._active_cycle
        entry = self._direct_entry if exc is not None else None
        if cycle is not None and (exc is not None or not cycle.response_complete):
            entry = cycle.scope.get(ENTRY_SCOPE_KEY)
        if entry is not None and not entry.left:
            entry.mark_left()
        if cycle is not None and cycle is not self.cycle:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        if isinstance(self.client, ClientAddress):
            self.client.closed_at = monotonic()
        if self._disconnect is not None and not self._disconnect.done():
            self._disconnect.set_result(True)
        self._free_requests()

    def _free_requests(self) -> None:
        """Break the reference cycles of connection, request and scope, which keep the bodies in memory."""
        self.pipeline.clear()
        self._unparsed = self._unread = b""
        self._active_cycle = self.cycle = self.scope = self.headers = None  # type: ignore[assignment]
        self._direct_entry = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reads_head, self._bytes_beside_body = True, 0
        self.scope["extensions"] = {CONNECTION_EXTENSION: self}  # type: ignore[dict-item]
        self._request_began_at = self.loop.time()

    def on_message_complete(self) -> None:
        if self._reads_head:
            return  # `_ignore_upgrade` reads the request
        self._request_began_at = self._bytes_beside_body = None
        if self.cycle is self._active_cycle:
            self.request_arrived_at = self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # Like uvicorn's, but without a timer per reply: `enforce_timeouts` closes idle connections.
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.request_arrived_at = self.loop.time()
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
        if self._unparsed and len(self.pipeline) < MAX_PIPELINED_REQUESTS:
            self._request_began_at = None if self._request_began_at is None else self.loop.time()
            self.loop.call_soon(self._parse_rest)
        self.flow.resume_reading()

    def _read_waiting_head(self) -> None:
        """Let the application wait for the body of a request."""
        began_at, data, self._unread = self._request_began_at, self._unread, b""
        self._receive(data)
        self._request_began_at = began_at

    def shutdown(self) -> None:
        if self._reply_task is not None:
            self._closes_after_reply = True
            return
        if self._unread:
            self._read_waiting_head()
        super().shutdown()

    def enforce_timeouts(self, now: float) -> None:
        """Close the connection if a head, a body or an idle period takes too long."""
        if self._reply_task is not None:
            return
        if self._unread:
            self._read_waiting_head()
        unfinished = self._unfinished_cycle
        if self._unparsed:
            return  # the rest of a request waits for us, not for its client
        if self._request_began_at is not None and now - self._request_began_at > BODY_TIMEOUT_SECONDS:
            if unfinished is None:
                self.transport.close()
            else:
                unfinished.message_event.set()  # its reader gets an empty piece and replies with 408
        elif (
            unfinished is None
            and self._request_began_at is None
            and now - self._idle_since > IDLE_TIMEOUT_SECONDS
        ):
            self.transport.close()

    def _reject(self, status: int, message: str, code: str = "InvalidParameter") -> None:
        """Answer something that is not a request and close; first finish the reply to a complete request."""
        unfinished = self._unfinished_cycle
        if unfinished is not None and not unfinished.more_body:
            unfinished.keep_alive = False
            return
        has_reply = unfinished is None and not self._reads_head and self._bytes_beside_body is not None
        if not has_reply and (unfinished is None or not unfinished.response_started):
            body = render_error(ApiError(status, code, message), _NIL_REQUEST_ID)
            self.transport.write(
                b"%bcontent-type: application/json\r\nx-request-id: %b\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b"
                % (STATUS_LINE[status], _NIL_REQUEST_ID.encode(), len(body), body)
            )
        self.transport.close()

    # `transmission.Connection`: waiting, and steps outside of HTTP.

    def watch_disconnect(self) -> asyncio.Future[bool]:
        self._disconnect = future = self.loop.create_future()
        if self._active_cycle is None or self._active_cycle.disconnected:
            future.set_result(True)
        else:
            self.flow.resume_reading()  # a connection that is not read cannot tell that its client has left
        return future

    def write_raw(self, data: bytes) -> None:
        self._flush_pending_head()
        self.transport.write(data)

    def close(self) -> None:
        self._flush_pending_head()
        self._abandon_response()
        self.transport.close()

    def reset(self) -> None:
        self._abandon_response()
        linger = struct.pack("ii", 1, 0)
        raw_socket = self.transport.get_extra_info("socket")
        if raw_socket is not None:
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _flush_pending_head(self) -> None:
        if isinstance(self._active_cycle, ResponseCycle):
            self._active_cycle.flush()

    def _abandon_response(self) -> None:
        if self._active_cycle is None:  # the connection is lost
            return
        # uvicorn logs an incomplete reply as an error unless the client has disconnected.
        self._active_cycle.disconnected = True
        # The server closes the connection, so the journal must not record that the client left.
        self._active_cycle.scope.pop(ENTRY_SCOPE_KEY, None)  # type: ignore[misc]
