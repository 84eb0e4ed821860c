"""The application in a background thread, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.types import ASGIApp

from mockserver.errors import StartError
from mockserver.server.http.listeners import bind_sockets, listener_url
from mockserver.server.http.uvicorn_server.server import ABORT_TIMEOUT_SECONDS, UvicornServer, new_loop

if TYPE_CHECKING:
    from mockserver.server.http.tunnels import Gateway

__all__ = ["ThreadedServer"]

T = TypeVar("T")

#: Seconds within which the thread must start to serve.
_START_TIMEOUT_SECONDS = 10.0


class ThreadedServer:
    """The application in a background thread on a real socket; start and stop have a time limit."""

    def __init__(
        self,
        app: ASGIApp,
        host: str = "127.0.0.1",
        port: int = 0,
        grace_seconds: float = 0.5,
        on_tick: Callable[[], None] | None = None,
        gateway: Gateway | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """`on_tick` runs in the thread about once a second; `gateway` decides about tunnels.

        `log` gets, in the thread, lines about connections that bring no request.
        """
        self._app = app
        self._gateway = gateway
        self._on_tick = on_tick
        self._log = log
        self._address = (host, port)
        self._grace_seconds = grace_seconds
        self._ready = threading.Event()
        self._ending = threading.Event()
        """Set before the server closes its connections at its end."""
        self._error: BaseException | None = None
        self._server: UvicornServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self) -> None:
        """Bind the socket and serve; StartError with the reason if that fails."""
        try:
            listeners = bind_sockets(*self._address)
        except OSError as error:
            host, port = self._address
            raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.url = listener_url(listeners[0])
        self._ready.clear()
        self._ending.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(listeners,), name="mockserver", daemon=True)
        self._thread.start()
        started = self._ready.wait(_START_TIMEOUT_SECONDS)
        if not started or self._ending.is_set():
            raise StartError(f"the server did not start: {self.crash_reason or 'no answer in time'}")

    def stop(self) -> None:
        """Stop and wait for the thread; StartError if it does not end in time."""
        if self._thread is None or self._loop is None or self._server is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(self._grace_seconds + 5)
        if self._thread.is_alive():
            raise StartError("the server's thread did not end in time")
        self._thread = None

    @property
    def is_running(self) -> bool:
        """Whether the thread is serving."""
        return self._thread is not None and self._thread.is_alive() and not self._ending.is_set()

    @property
    def crash_reason(self) -> str | None:
        """Why the thread ended without being stopped; None if it did not."""
        if self._thread is None or not self._ending.is_set():
            return None
        self._thread.join(ABORT_TIMEOUT_SECONDS)  # it sets the error at its end
        return f"{type(self._error).__name__}: {self._error}" if self._error else "it ended by itself"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and wait for it; StartError if the server is not running."""
        if self._loop is None or not self.is_running:
            coroutine.close()
            raise StartError(f"the server is not running: {self._error or 'it was not started'}")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_TIMEOUT_SECONDS)

    def _run(self, listeners: list[socket.socket]) -> None:
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self._main(listeners))
        except BaseException as error:  # noqa: BLE001 (`start` and `crash_reason` report it)
            self._error = error
        finally:
            for listener in listeners:
                listener.close()
            self._ready.set()

    async def _main(self, listeners: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = UvicornServer(
            self._app, self._grace_seconds, self._ready.set, self._on_tick, self._gateway, self._log
        )
        try:
            await self._server.serve(sockets=listeners)
        finally:
            self._ending.set()
            self._server.close_now()
