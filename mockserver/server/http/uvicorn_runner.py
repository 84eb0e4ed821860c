"""Running the application with uvicorn on a bound socket.

The only module that uses uvicorn's internals. It differs from uvicorn on purpose:

- A stop waits for open requests, but no longer than its grace period, and does not poll (uvicorn sleeps
  100 ms twice, and an open stream blocks it forever).
- A request that is not HTTP gets the API's error envelope, not plain text.
- Each request's scope has its connection, for faults that break HTTP.
- It ignores `Upgrade` (RFC 9110, section 7.8) and reads the request's body. The parser would stop after the head,
  and take the body for the next request.
- The authority of a target in absolute form replaces `Host` (RFC 9112, section 3.2.2).
- The head of a response is written together with the first piece of its body, and its headers are not
  validated again, for speed.
- Trailers are dropped, and their bytes are limited as those of the head are.
- A client that sends more requests on a connection than it reads replies has to wait.
- A closed connection frees its requests at once, not when the garbage is collected.
- With a gateway, CONNECT opens a tunnel, in which the same application can answer.
- Plain requests, whose head has the same bytes as an earlier one, are not parsed and need no task (`direct_replies`).
- A connection that would take one of the last open files is refused with 503: without any, requests would fail
  at an import or at a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import ssl
import struct
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools
import uvicorn
import uvicorn.lifespan.off  # uvicorn would load it when a server is started
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mockserver.network import machine_addresses
from mockserver.server.errors import ApiError, render_error
from mockserver.server.http.background_stream import background_output, require_written
from mockserver.server.http.request_body import BODY_TIMEOUT_SECONDS
from mockserver.server.http.transmission import CONNECTION_EXTENSION, ENTRY_SCOPE_KEY, REPLY_MESSAGE
from mockserver.server.large_bodies import defer_imports_of_loop
from mockserver.server.state.journal import ClientAddress, Entry
from mockserver.stop_signals import stop_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

    from mockserver.server.http.direct_replies import DirectReplies, DirectReply
    from mockserver.server.http.tunnels import Address, Gateway

new_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as new_loop
except ImportError:  # Windows, PyPy
    new_loop = asyncio.new_event_loop

__all__ = [
    "ABORT_TIMEOUT_SECONDS",
    "UvicornServer",
    "bind_socket",
    "bind_sockets",
    "listener_url",
    "new_loop",
    "other_urls",
    "run_forever",
]

#: Seconds that open requests get to finish when the server stops.
SHUTDOWN_GRACE_SECONDS = 2.0

#: Bytes that a request may have in a row beside its body: as its head, as trailers, or between two pieces of
#: the body. Real ones are much smaller.
MAX_HEAD_BYTES = 64 << 10

#: Requests of a connection that wait for their turn while more of it is read.
MAX_PIPELINED_REQUESTS = 8

#: Open files that are left to what is not a connection: imports, exchange files, reports.
RESERVED_FILES = 16

#: Open files that `run_forever` asks for: more than clients need, and fewer than what some systems allow.
_WANTED_FILES = 65_536

#: Connections that may wait to be accepted.
_BACKLOG = 2048

#: Connections that asyncio accepts at once. It takes a few rounds to refuse one, and without a file it repeats each
#: attempt later on, so that many would multiply.
_ACCEPTED_AT_ONCE = 2

#: Bytes of a connection that are parsed before its waiting requests are counted.
_BYTES_PARSED_AT_ONCE = 1024

#: Bytes of replies that wait in memory for a client that does not read; the socket holds many more.
_MAX_UNSENT_BYTES = 16 << 10

#: Pieces of a reply that are made before they are written.
_PIECES_AT_ONCE = 16

#: The request id in the reply to something that is not a request.
_NIL_REQUEST_ID = "00000000-0000-0000-0000-000000000000"

#: How clients of other protocols begin, and what is wrong. They cannot read the reply, so it is logged too.
_OTHER_PROTOCOLS = {
    b"\x16": "A TLS handshake arrived, but this port speaks plain HTTP: begin the base URL with http://.",
    b"PRI * HTTP/2": "A client began with HTTP/2, but this port speaks HTTP/1.1.",
}

#: Seconds between two log lines about the same protocol.
_PROTOCOL_LOG_INTERVAL_SECONDS = 60.0

#: Statuses of replies without a body.
_BODILESS_STATUSES = frozenset({204, 304})

#: Errors of a machine without IPv6.
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_SLASH = ord("/")

_LOGGER = logging.getLogger("mockserver.connection")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False

#: Seconds that a connection may be idle between two requests.
IDLE_TIMEOUT_SECONDS = 75.0

#: Seconds that tasks get to end after their connections are closed.
ABORT_TIMEOUT_SECONDS = 0.5


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket; OSError if the address is not available. Port 0 picks a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` is every address, of IPv4 too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host.strip("[]") != "::")
        listener.bind((host.strip("[]"), port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """The listening sockets of a host: for `localhost` those of IPv4 and IPv6, on the same port. OSError."""
    if host != "localhost":
        return [bind_socket(host, port)]
    first = bind_socket("127.0.0.1", port)
    while True:
        try:
            return [first, bind_socket("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _NO_IPV6:
                return [first]
            first.close()
            if port:
                raise
        first = bind_socket("127.0.0.1", port)


def other_urls(listeners: Sequence[socket.socket]) -> list[str]:
    """The URLs of the sockets beside that of the first, also for other machines."""
    urls = []
    for listener in listeners:
        host, port = listener.getsockname()[:2]
        hosts = machine_addresses() if host in ("0.0.0.0", "::") else [host]
        urls += [f"http://[{each}]:{port}" if ":" in each else f"http://{each}:{port}" for each in hosts]
    return [each for each in urls if each != listener_url(listeners[0])]


def listener_url(listener: socket.socket) -> str:
    """`http://host:port` of a bound socket, for a client on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if sys.platform == "win32":  # has no limit that matters

    def _max_files() -> int:
        return sys.maxsize

    def _raise_max_files() -> None:
        pass

else:
    import resource

    def _max_files() -> int:
        """How many files the process may have open."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return sys.maxsize if most == resource.RLIM_INFINITY else most

    def _raise_max_files() -> None:
        """Allow as many open files as the system does: each connection is one."""
        current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _WANTED_FILES if most == resource.RLIM_INFINITY else min(most, _WANTED_FILES)
        if current != resource.RLIM_INFINITY and current < wanted:
            with contextlib.suppress(OSError, ValueError):  # macOS has a limit that it does not tell
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _report_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As usual, except for a connection that cannot be accepted: the loop tries again every second."""
    error = context.get("exception")
    if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
        loop.default_exception_handler(context)


class _ResponseCycle(RequestResponseCycle):
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
                await self.finish_reply(_frame_chunks(head, message["pieces"]))
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


def _frame_chunks(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
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


class _ProtocolLog:
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


class _HttpConnection(HttpToolsProtocol):
    """A connection that its requests can reach, with limits on heads, trailers, bodies and idle time."""

    _request_began_at: float | None = None
    """When the incomplete request began; None: no request is incomplete."""
    _idle_since = 0.0
    _reads_head = False
    """Whether a head is incomplete."""
    _bytes_beside_body: int | None = None
    """Bytes received in a row that are not the body of the incomplete request; None: no request is incomplete."""
    request_arrived_at = 0.0
    """When the request that is being answered was complete, by the loop's clock."""
    _disconnect: asyncio.Future[bool] | None = None
    """What waits for the client to disconnect."""
    _active_cycle: RequestResponseCycle | None = None
    """The request that is being answered; uvicorn's `cycle` is the one that was received last."""
    _direct_entry: Entry | None = None
    """The journal entry of the last reply, if it was a direct one."""
    _unread = b""
    """A known head whose body has not come, or what comes while a direct reply waits for the store."""
    _reply_task: asyncio.Task[None] | None = None
    """Waits for the store with a direct reply."""
    _closes_after_reply = False
    """Whether the server stops meanwhile."""

    def __init__(
        self,
        *arguments: Any,
        gateway: Gateway | None = None,
        direct_replies: DirectReplies | None = None,
        protocol_log: _ProtocolLog | None = None,
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

    def data_received(self, data: bytes) -> None:
        if self._direct_replies is None:
            self._receive(data)
            return
        before, self._unread = self._unread, b""
        data = before + data if before else data
        if self._reply_task is not None:
            self._unread = data
            if len(data) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        elif self._is_between_requests:
            self._receive_request(data, self._direct_replies, may_wait=not before)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        if len(data) <= _BYTES_PARSED_AT_ONCE and not self._unparsed:
            self._parse(data)
        else:
            self._parse_in_pieces(self._unparsed + data)

    @property
    def _is_between_requests(self) -> bool:
        """Whether a request begins with the next byte, and its reply can be written at once."""
        cycle: RequestResponseCycle | None = self.cycle
        return (
            self._bytes_beside_body is None
            and (cycle is None or cycle.response_complete)
            and not (self._unparsed or self.flow.write_paused)
        )

    def _receive_request(self, data: bytes, direct_replies: DirectReplies, *, may_wait: bool) -> None:
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
        self._direct_entry = reply.entry
        if not reply.is_chunked:
            self.transport.write(reply.head + reply.pieces[0])
        else:
            write, flow, chunks = self.transport.write, self.flow, _frame_chunks(reply.head, reply.pieces)
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

    def _new_cycle(self, scope: Any) -> _ResponseCycle:
        return _ResponseCycle(
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
                _HttpConnection, config=self.config, server_state=self.server_state, app_state=self.app_state
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
        cycle.__class__ = _ResponseCycle  # uvicorn offers no other way to replace it
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
        if transport.get_extra_info("socket").fileno() >= _max_files() - RESERVED_FILES:
            limit = f"its process may have {_max_files()} open files (ulimit -n)"
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
        if isinstance(self._active_cycle, _ResponseCycle):
            self._active_cycle.flush()

    def _abandon_response(self) -> None:
        if self._active_cycle is None:  # the connection is lost
            return
        # uvicorn logs an incomplete reply as an error unless the client has disconnected.
        self._active_cycle.disconnected = True
        # The server closes the connection, so the journal must not record that the client left.
        self._active_cycle.scope.pop(ENTRY_SCOPE_KEY, None)  # type: ignore[misc]


class UvicornServer(uvicorn.Server):
    """uvicorn's server, with a callback at its start and a prompt stop."""

    def __init__(
        self,
        app: ASGIApp,
        grace_seconds: float,
        on_start: Callable[[], None],
        on_tick: Callable[[], None] | None = None,
        gateway: Gateway | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """`gateway` decides about tunnels; None: there are none. `log` gets lines about what is no request."""
        new_connection: Any = partial(
            _HttpConnection,
            gateway=gateway,
            direct_replies=getattr(app, "direct_replies", None),
            protocol_log=None if log is None else _ProtocolLog(log),
        )
        config = uvicorn.Config(
            app,
            http=new_connection,
            backlog=_ACCEPTED_AT_ONCE,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        super().__init__(config)
        self._grace_seconds = grace_seconds
        self._on_start = on_start
        self._on_tick = on_tick
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop; a second call aborts open connections. Call it in the server's loop."""
        if self._stopping.is_set():
            self._abort_connections()
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_report_loop_error)
        defer_imports_of_loop()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)  # the loop has listened again, with its own number

    async def main_loop(self) -> None:
        self._on_start()
        now = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1, BODY_TIMEOUT_SECONDS / 4)):
                    await self._stopping.wait()
            for connection in list(self.server_state.connections):
                if isinstance(connection, _HttpConnection):
                    connection.enforce_timeouts(now())
            if self._on_tick is not None:
                self._on_tick()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=self._grace_seconds)
        # Clients that do not read, or that wait for a paced reply, would keep their tasks running.
        self._abort_connections()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=ABORT_TIMEOUT_SECONDS)
        await asyncio.sleep(0)  # closed transports now notify their protocols

    def close_now(self) -> None:
        """Close everything at once, so that no client waits for its own time-out."""
        for server in getattr(self, "servers", ()):  # uvicorn sets it when it begins to serve
            server.close()
        self._abort_connections()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def run_forever(
    app: ASGIApp,
    listeners: Sequence[socket.socket],
    on_start: Callable[[], None],
    on_tick: Callable[[], None] | None = None,
    on_stop: Callable[[], Awaitable[None]] | None = None,
    install_stop: Callable[[Callable[[], None]], None] | None = None,
    *,
    log: Callable[[str], None] | None = None,
) -> None:
    """Serve in the foreground until a signal to stop; a second one aborts open connections.

    `on_tick` runs about once a second, `on_stop` at the end. What is printed meanwhile waits for no reader.
    `install_stop` gets, in the event loop, the function that these signals call, if something else is to call it.
    `log` gets lines about connections that bring no request.
    """

    def announce() -> None:
        on_start()
        require_written(sys.stdout)  # nobody could know the address

    async def main() -> None:
        server = UvicornServer(app, SHUTDOWN_GRACE_SECONDS, announce, on_tick, log=log)
        (install_stop or _install_signal_handlers)(server.stop)
        try:
            await server.serve(sockets=[*listeners])
        finally:
            if on_stop is not None:
                await on_stop()

    _raise_max_files()
    with background_output(), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def _install_signal_handlers(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
