"""Running the application: uvicorn on a bound socket.

The only module that touches uvicorn's insides. What differs from uvicorn's own way, and why:

- stopping waits for open requests but never longer than asked, and never polls or sleeps for long
  (uvicorn: two sleeps of 100 ms, and an open stream holds it for ever);
- a request that is not HTTP is answered in the API's envelope, not in plain text;
- each request's scope carries its connection, for the steps that HTTP knows nothing of;
- a response's head is written together with what follows it, and headers of our own are not checked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import uvicorn
import uvicorn.lifespan.off  # uvicorn would load it when a server is started
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mockserver.server.errors import ApiError, render_error
from mockserver.server.http.request_body import BODY_TIMEOUT_SECONDS
from mockserver.server.http.transmission import CONNECTION_EXTENSION, ENTRY_SCOPE_KEY

new_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as new_loop
except ImportError:  # Windows, PyPy
    new_loop = asyncio.new_event_loop

__all__ = ["ABORT_TIMEOUT_SECONDS", "UvicornServer", "bind_socket", "listener_url", "new_loop", "run_forever"]

#: Seconds that requests under way get to end when the server is stopped.
SHUTDOWN_GRACE_SECONDS = 2.0

#: Bytes a request's head may have before it is whole: no real one comes near.
MAX_HEAD_BYTES = 64 << 10

#: The request id of what never became a request.
_NIL_REQUEST_ID = "00000000-0000-0000-0000-000000000000"

#: Statuses of answers without a body.
_BODILESS_STATUSES = frozenset({204, 304})

_UPGRADE_HEADER = re.compile(rb"(\r\n)upgrade:", re.IGNORECASE)
#: How far into what arrives to look for an upgrade.
_UPGRADE_SEARCH_BYTES = 4096

_LOGGER = logging.getLogger("mockserver.connection")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False

#: Seconds a connection may be silent between two requests.
IDLE_TIMEOUT_SECONDS = 75.0

#: Seconds that tasks get to end once their connections are gone.
ABORT_TIMEOUT_SECONDS = 0.5


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket; OSError where the address can not be had. Port 0: a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def listener_url(listener: socket.socket) -> str:
    """`http://host:port` of a bound socket, as a client on this machine writes it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _ResponseCycle(RequestResponseCycle):
    """A request and its answer, with a `send` for our own application alone.

    It trusts the headers, whose names are lower case and whose values were checked where they came from, and
    writes a head together with the first piece of the body: a write costs more than anything else.
    """

    pending_head = b""
    """A head that waits for the first piece."""

    async def receive(self) -> Any:
        if self.more_body or self.response_complete or self.disconnected or not self.body:
            return await super().receive()
        body, self.body = self.body, bytearray()  # it came with its head, as most do
        self.message_event.clear()
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._start_response(message["status"], message["headers"])
            return
        more = message.get("more_body", False)
        self.flush(self._frame_body(message["body"], more))
        if not more:
            self._finish_response()

    def flush(self, data: bytes = b"") -> None:
        """Write what follows the head, and the head before it."""
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


def _rename_upgrade_header(data: bytes) -> bytes:
    """The head without its wish to speak another protocol.

    The parser takes a request that has one for a request without a body, and Java's HTTP client has one
    (h2c) in the first request of a connection. A server is free to ignore it (RFC 9110, section 7.8).
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE_HEADER.sub(rb"\1x-upgrade:", head) + end + rest


class _HttpConnection(HttpToolsProtocol):
    """A connection that its requests can get hold of."""

    _request_began_at: float | None = None
    """When the request began that is not whole yet."""
    _idle_since = 0.0
    _head_bytes: int | None = None
    """Bytes that came for a head since it began; None: no head is under way."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # uvicorn's own loggers would tell the program around us what they think of a client, URLs and all.
        self.logger = _LOGGER
        self.access_log = False

    def data_received(self, data: bytes) -> None:
        under_way = self._head_bytes
        if b"pgrade" in data[:_UPGRADE_SEARCH_BYTES] and (
            under_way is not None or self._unfinished_cycle is None
        ):
            data = _rename_upgrade_header(data)
        super().data_received(data)
        if under_way is None or self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._reject(431, f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = _ResponseCycle  # uvicorn makes its own kind and offers no other way
        super()._start_asgi_task(cycle, app)

    @property
    def _unfinished_cycle(self) -> RequestResponseCycle | None:
        """The request that has not been answered whole yet."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return None if cycle is None or cycle.response_complete else cycle

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._request_began_at = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and (exc is not None or not cycle.response_complete):
            entry: Any = cycle.scope.get(ENTRY_SCOPE_KEY)
            if entry is not None:
                entry.left = True
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self.scope["extensions"] = {CONNECTION_EXTENSION: self}  # type: ignore[dict-item]
        self._request_began_at = self.loop.time()

    def on_message_complete(self) -> None:
        self._request_began_at = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # As uvicorn's, without a timer for each answer: the server looks after its connections by itself.
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def enforce_timeouts(self, now: float) -> None:
        """End what takes too long: a head, a body, or a silence between two requests."""
        waiting = self._unfinished_cycle
        if self._request_began_at is not None and now - self._request_began_at > BODY_TIMEOUT_SECONDS:
            if waiting is None:
                self.transport.close()
            else:
                waiting.message_event.set()  # its reader gets an empty piece: time is up
        elif (
            waiting is None
            and self._request_began_at is None
            and now - self._idle_since > IDLE_TIMEOUT_SECONDS
        ):
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._reject(400, "The request is not HTTP/1.1.")

    def _reject(self, status: int, message: str) -> None:
        """Answer what never became a request, and hang up; who asked properly before is answered first."""
        waiting = self._unfinished_cycle
        if waiting is not None and not waiting.more_body:
            waiting.keep_alive = False
            return
        if waiting is None or not waiting.response_started:
            body = render_error(ApiError(status, "InvalidParameter", message), _NIL_REQUEST_ID)
            self.transport.write(
                b"%bcontent-type: application/json\r\nx-request-id: %b\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b"
                % (STATUS_LINE[status], _NIL_REQUEST_ID.encode(), len(body), body)
            )
        self.transport.close()

    # The steps beyond HTTP (`transmit.Connection`).

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
        if isinstance(self.cycle, _ResponseCycle):
            self.cycle.flush()

    def _abandon_response(self) -> None:
        # uvicorn takes an answer that breaks off for a defect unless the client has gone.
        self.cycle.disconnected = True
        self.cycle.scope.pop(ENTRY_SCOPE_KEY, None)  # type: ignore[misc] # who breaks it off is the server


class UvicornServer(uvicorn.Server):
    """uvicorn's server with a start that is announced and a stop that is prompt."""

    def __init__(
        self,
        app: ASGIApp,
        grace_seconds: float,
        on_start: Callable[[], None],
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=_HttpConnection,
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
        """Begin to stop, or, asked again, wait for nobody; must be called in the server's loop."""
        if self._stopping.is_set():
            self._abort_connections()
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the caller."""
        yield

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
        # Whoever is still here does not read or is being kept waiting: end the connection, and its task ends.
        self._abort_connections()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=ABORT_TIMEOUT_SECONDS)
        await asyncio.sleep(0)  # lets closed transports tell their protocols

    def close_now(self) -> None:
        """Let go of everything at once: whoever waits for an answer need not wait for their own time-out."""
        for server in getattr(self, "servers", ()):  # there are none before it has begun to serve
            server.close()
        self._abort_connections()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def run_forever(
    app: ASGIApp,
    listener: socket.socket,
    on_start: Callable[[], None],
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; a second signal ends at once.

    `on_tick` is called about once a second.
    """

    async def main() -> None:
        server = UvicornServer(app, SHUTDOWN_GRACE_SECONDS, on_start, on_tick)
        _install_signal_handlers(server)
        await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def _install_signal_handlers(server: UvicornServer) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, server.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(server.stop))
