"""Running the application: uvicorn on a bound socket, in the foreground or in a thread.

The only module that touches uvicorn's insides. What differs from uvicorn's own way, and why:

- stopping waits for open requests but never longer than asked, and never polls or sleeps for long
  (uvicorn: two sleeps of 100 ms, and an open stream holds it for ever);
- a request that is not HTTP is answered in the API's envelope, not in plain text;
- each request's scope carries its connection, for the steps that HTTP knows nothing of.
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
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mockserver.errors import StartError
from mockserver.server.bodies import BODY_SECONDS
from mockserver.server.envelopes import ApiError, envelope
from mockserver.server.transmit import CONNECTION

__all__ = ["ThreadedServer", "bind", "run_forever", "url_of"]

#: Seconds that requests under way get to end when the server is stopped.
GRACE_SECONDS = 2.0

#: Bytes a request's head may have before it is whole: no real one comes near.
MAX_HEAD_BYTES = 64 << 10

#: The request id of what never became a request.
_NO_REQUEST = "00000000-0000-0000-0000-000000000000"

_UPGRADE = re.compile(rb"(\r\n)upgrade:", re.IGNORECASE)
#: How far into what arrives to look for an upgrade.
_HEAD_SAMPLE = 4096

_LOGGER = logging.getLogger("mockserver.connection")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False

T = TypeVar("T")

#: Seconds a thread may take to start serving.
_START_SECONDS = 10.0

#: Seconds that tasks get to end once their connections are gone.
_ABORT_SECONDS = 0.5


def bind(host: str, port: int) -> socket.socket:
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


def url_of(listener: socket.socket) -> str:
    """`http://host:port` of a bound socket, as a client on this machine writes it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Corked:
    """A transport that sends a response's head together with the first piece of its body.

    A write costs more than anything else on the way of a reply; a head that nothing follows at once goes
    out at the end of the loop's turn.
    """

    __slots__ = ("_held", "_soon", "_transport", "get_extra_info", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._soon = loop.call_soon
        self._held = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data.startswith(b"HTTP/1.1 "):
            self._held = data
            self._soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)


def _without_upgrade(data: bytes) -> bytes:
    """The head without its wish to speak another protocol.

    The parser takes a request that has one for a request without a body, and Java's HTTP client has one
    (h2c) in the first request of a connection. A server is free to ignore it (RFC 9110, section 7.8).
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(rb"\1x-upgrade:", head) + end + rest


class _Connection(HttpToolsProtocol):
    """A connection that its requests can get hold of."""

    _late: asyncio.TimerHandle | None = None
    _head: int | None = None
    """Bytes that came for a head since it began; None: no head is under way."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # uvicorn's own loggers would tell the program around us what they think of a client, URLs and all.
        self.logger = _LOGGER
        self.access_log = False

    def data_received(self, data: bytes) -> None:
        under_way = self._head
        if b"pgrade" in data[:_HEAD_SAMPLE] and (under_way is not None or self._waiting is None):
            data = _without_upgrade(data)
        super().data_received(data)
        if under_way is None or self._head is None:
            return
        self._head += len(data)
        if self._head > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    @property
    def _waiting(self) -> RequestResponseCycle | None:
        """The request that has not been answered whole yet."""
        cycle: RequestResponseCycle | None = (
            self.cycle
        )  # None until the first request, whatever its type says
        return None if cycle is None or cycle.response_complete else cycle

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _Corked(transport, self.loop)  # type: ignore[assignment]
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]
        if self._late is None:
            self._watch()

    def on_message_complete(self) -> None:
        self._unwatch()
        super().on_message_complete()

    def _watch(self) -> None:
        self._late = self.loop.call_later(BODY_SECONDS, self._time_is_up)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _time_is_up(self) -> None:
        """A request that is not whole yet: wake up its reader, or hang up where not even its head came."""
        waiting = self._waiting
        if waiting is None:
            self.transport.close()
            return
        waiting.message_event.set()
        self._late = self.loop.call_later(1, self._time_is_up)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "The request is not HTTP/1.1.")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never became a request, and hang up; who asked properly before is answered first."""
        waiting = self._waiting
        if waiting is not None and not waiting.more_body:
            waiting.keep_alive = False
            return
        if waiting is None or not waiting.response_started:
            body = envelope(ApiError(status, "InvalidParameter", message), _NO_REQUEST)
            self.transport.write(
                b"%bcontent-type: application/json\r\nx-request-id: %b\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (STATUS_LINE[status], _NO_REQUEST.encode(), len(body), body)
            )
        self.transport.close()

    # The steps beyond HTTP (`transmit.Connection`).

    def raw(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self._leave()
        self.transport.close()

    def reset(self) -> None:
        self._leave()
        linger = struct.pack("ii", 1, 0)
        raw_socket = self.transport.get_extra_info("socket")
        if raw_socket is not None:
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _leave(self) -> None:
        # uvicorn takes an answer that breaks off for a defect unless the client has gone.
        self.cycle.disconnected = True


class _Server(uvicorn.Server):
    """uvicorn's server with a start that is announced and a stop that is prompt."""

    def __init__(self, app: ASGIApp, grace: float, on_start: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        super().__init__(config)
        self._grace = grace
        self._on_start = on_start
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop, or, asked again, wait for nobody; must be called in the server's loop."""
        if self._stopping.is_set():
            self._abort()
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the caller."""
        yield

    async def main_loop(self) -> None:
        self._on_start()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=self._grace)
        # Whoever is still here does not read or is being kept waiting: end the connection, and its task ends.
        self._abort()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=_ABORT_SECONDS)
        await asyncio.sleep(0)  # lets closed transports tell their protocols

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run_forever(app: ASGIApp, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; a second signal ends at once."""

    async def main() -> None:
        server = _Server(app, GRACE_SECONDS, on_start)
        _on_signals(server)
        await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _on_signals(server: _Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, server.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(server.stop))


class ThreadedServer:
    """The application in a thread of its own, on a real socket; start and stop are bounded in time."""

    def __init__(self, app: ASGIApp, host: str = "127.0.0.1", port: int = 0, grace: float = 0.5) -> None:
        self._app = app
        self._address = (host, port)
        self._grace = grace
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: _Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self) -> None:
        """Bind and serve; StartError says why where that fails."""
        try:
            listener = bind(*self._address)
        except OSError as error:
            host, port = self._address
            raise StartError(f"can not listen on {host}:{port}: {error.strerror or error}") from None
        self.url = url_of(listener)
        self._thread = threading.Thread(target=self._run, args=(listener,), name="mockserver", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure is not None:
            raise StartError(f"the server did not start: {self._failure or 'no answer in time'}")

    def stop(self) -> None:
        """Stop and wait for the thread; StartError where it does not end in time."""
        if self._thread is None or self._loop is None or self._server is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop ended by itself
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(self._grace + 5)
        if self._thread.is_alive():
            raise StartError("the server's thread did not end in time")
        self._thread = None

    @property
    def alive(self) -> bool:
        """Whether the thread is serving."""
        return self._thread is not None and self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and wait for it; StartError where there is no server."""
        if self._loop is None or not self.alive:
            work.close()
            raise StartError(f"the server is not running: {self._failure or 'it was not started'}")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    def _run(self, listener: socket.socket) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._main(listener))
        except BaseException as error:  # noqa: BLE001 (told to whoever waits)
            self._failure = error
        finally:
            listener.close()
            self._ready.set()

    async def _main(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = _Server(self._app, self._grace, self._ready.set)
        await self._server.serve(sockets=[listener])
