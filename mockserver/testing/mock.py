"""The mock server for tests: in a thread, on a free port, scripted from code, read through its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from mockserver.server.state.session_registry import SESSION_HEADER, SESSION_PATH_PREFIX, SessionOverrides
from mockserver.server.state.sessions import Session
from mockserver.testing.clients import Clients
from mockserver.testing.scripting import Scripted
from mockserver.testing.serving import Served, Settings, checked, serve_mock, several

__all__ = ["MockServer", "MockSession"]


class MockServer(Scripted):
    """A mock server on loopback, for `with`, `async with` or `start()` and `stop()`.

    The fixture `responses_server` is one too.

    >>> with MockServer(seed=1) as server:
    ...     planned = server.reply("Hi there!")
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, *, strict: bool = True, **settings: Unpack[Settings]) -> None:
        """Settings have the names and values of `[tool.mockserver]`, see `Settings`.

        `strict`: once a reply is planned, a request that none is planned for is refused (400).
        """
        self._served = serve_mock(checked(settings, "MockServer"), strict=strict)
        self._clients = Clients()

    def start(self) -> Self:
        """Start serving; StartError says why where it fails."""
        self._served.start()
        return self

    def stop(self) -> None:
        """Close the clients it gave and stop serving; harmless where it does not."""
        self._clients.close()
        self._served.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        from anyio.to_thread import run_sync

        return await run_sync(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from anyio.to_thread import run_sync

        await run_sync(self.stop)

    def __repr__(self) -> str:
        return f"<MockServer {self._served.session.profile.name} {self._served.base_url or 'not started'}>"

    @property
    def base_url(self) -> str:
        """What goes into a client; `{base_url}/responses` is the endpoint."""
        return self._served.base_url

    @property
    def api_key(self) -> str:
        """A key that it accepts."""
        return self._served.api_key

    @property
    def model(self) -> str:
        """A model that it accepts."""
        return self._served.model

    @property
    def _session(self) -> Session:
        return self._served.session

    def _require_alive(self) -> None:
        self._served.require_alive()

    def reset(self) -> None:
        """Forget replies, journal, stored responses and named sessions; the clock goes back to its start."""
        self._served.reset()

    def session(self, name: str, **otherwise: Unpack[Otherwise]) -> MockSession:
        """The session of that name: plans, journal, clock, faults and stored responses of its own.

        A request is in it that has `x-mock-session: NAME`, asks below `/s/NAME/`, or presents its key. It has
        the settings of the server unless it is said otherwise, which begins it anew. A reset of the server
        forgets it. ConfigurationError where it can not be called that.
        """
        given = checked(otherwise, "session()", frozenset(Otherwise.__annotations__))
        if given:
            self._served.open(name, _terms(given))
        return MockSession(self._served, self._clients, name)


class Otherwise(TypedDict, total=False):
    """What is otherwise about a session than about its server."""

    profile: str
    rendering: str
    seed: int
    strict: bool
    fault: str | Sequence[str]
    limit: str | Sequence[str]
    pace: str
    chunking: str
    api_key: str
    """A key that belongs to it: whoever presents it is in this session."""


def _terms(given: Mapping[str, Any]) -> SessionOverrides:
    lists = {name: several(given[name]) for name in ("fault", "limit") if name in given}
    return SessionOverrides(**{**given, **lists})


class MockSession(Scripted):
    """A named session of a server, as `MockServer.session` gives it."""

    def __init__(self, served: Served, clients: Clients, name: str) -> None:
        self.name = name
        self._served = served
        self._clients = clients
        served.open(name)

    def __repr__(self) -> str:
        return f"<MockSession {self.name} {self.base_url or 'not started'}>"

    @property
    def _session(self) -> Session:
        return self._served.open(self.name)

    def _require_alive(self) -> None:
        self._served.require_alive()

    @property
    def base_url(self) -> str:
        """What goes into a client that is to be in this session, whatever else it sends."""
        return (
            self._served.url
            and f"{self._served.url}{SESSION_PATH_PREFIX}{self.name}{self._session.profile.base_path}"
        )

    @property
    def headers(self) -> dict[str, str]:
        """What puts a request to the server's own base URL into this session."""
        return {SESSION_HEADER.decode(): self.name}

    @property
    def api_key(self) -> str:
        """A key that it accepts: its own, where one belongs to it, else the server's."""
        return self._served.key_of(self.name)

    @property
    def model(self) -> str:
        """A model that it accepts."""
        same = self._session.profile is self._served.session.profile
        return self._served.model if same else self._session.profile.models[0]

    def reset(self) -> None:
        """Forget replies, journal and stored responses; the clock goes back to its start."""
        self._served.reset_session(self._session)

    def close(self) -> None:
        """Forget the session; one of that name begins anew."""
        self._served.close(self.name)
