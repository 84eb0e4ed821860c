"""Running the application with uvicorn on bound sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
import uvicorn.lifespan.off  # uvicorn would load it when a server is started

from mockserver.server.http.background_stream import background_output, require_written
from mockserver.server.http.listeners import LISTEN_BACKLOG
from mockserver.server.http.open_files import raise_max_open_files
from mockserver.server.http.request_body import BODY_TIMEOUT_SECONDS
from mockserver.server.http.uvicorn_server.connection import HttpConnection, ProtocolLog
from mockserver.server.large_bodies import defer_imports_of_loop
from mockserver.stop_signals import stop_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mockserver.server.http.tunnels import Gateway

new_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as new_loop
except ImportError:  # Windows, PyPy
    new_loop = asyncio.new_event_loop

__all__ = ["ABORT_TIMEOUT_SECONDS", "SHUTDOWN_GRACE_SECONDS", "UvicornServer", "new_loop", "run_forever"]

#: Seconds that open requests get to finish when the server stops.
SHUTDOWN_GRACE_SECONDS = 2.0

#: Connections that asyncio accepts at once. It takes a few rounds to refuse one, and without a file it repeats each
#: attempt later on, so that many would multiply.
_ACCEPTED_AT_ONCE = 2

#: Seconds that tasks get to end after their connections are closed.
ABORT_TIMEOUT_SECONDS = 0.5


def _report_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As usual, except for a connection that cannot be accepted: the loop tries again every second."""
    error = context.get("exception")
    if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
        loop.default_exception_handler(context)


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
            HttpConnection,
            gateway=gateway,
            direct_replies=getattr(app, "direct_replies", None),
            protocol_log=None if log is None else ProtocolLog(log),
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
            listener.listen(LISTEN_BACKLOG)  # the loop has listened again, with its own number

    async def main_loop(self) -> None:
        self._on_start()
        now = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1, BODY_TIMEOUT_SECONDS / 4)):
                    await self._stopping.wait()
            for connection in list(self.server_state.connections):
                if isinstance(connection, HttpConnection):
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

    raise_max_open_files()
    with background_output(), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def _install_signal_handlers(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
