"""The mock server for tests: in a thread, on a free port, scripted from code, read through its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from mockserver.server.state.session_registry import SESSION_HEADER, SESSION_PATH_PREFIX, SessionOverrides
from mockserver.server.state.sessions import Session
from mockserver.testing.clients import ClientFactory
from mockserver.testing.scripting import MockBase
from mockserver.testing.serving import LocalServer, ServerSettings, validate_settings, create_mock_server, as_tuple

__all__ = ["MockServer", "MockSession"]


class MockServer(MockBase):
    """A mock server on loopback, for `with`, `async with` or `start()` and `stop()`.

    The fixture `responses_server` is one too.

    >>> with MockServer(seed=1) as server:
    ...     planned = server.reply("Hi there!")
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, *, strict: bool = True, **settings: Unpack[ServerSettings]) -> None:
        """Settings have the names and values of `[tool.mockserver]`, see `Settings`.

        `strict`: once a reply is planned, a request that none is planned for is refused (400).
        """
        self._server = create_mock_server(validate_settings(settings, "MockServer"), strict=strict)
        self._clients = ClientFactory()

    def start(self) -> Self:
        """Start serving; StartError says why where it fails."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Close the clients it gave and stop serving; harmless where it does not."""
        self._clients.close()
        self._server.stop()

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
        return f"<MockServer {self._server.session.profile.name} {self._server.base_url or 'not started'}>"

    @property
    def base_url(self) -> str:
        """What goes into a client; `{base_url}/responses` is the endpoint."""
        return self._server.base_url

    @property
    def api_key(self) -> str:
        """A key that it accepts."""
        return self._server.api_key

    @property
    def model(self) -> str:
        """A model that it accepts."""
        return self._server.model

    @property
    def _session(self) -> Session:
        return self._server.session

    def _raise_if_crashed(self) -> None:
        self._server.raise_if_crashed()

    def reset(self) -> None:
        """Forget replies, journal, stored responses and named sessions; the clock goes back to its start."""
        self._server.reset()

    def session(self, name: str, **settings: Unpack[SessionSettings]) -> MockSession:
        """The session of that name: plans, journal, clock, faults and stored responses of its own.

        A request is in it that has `x-mock-session: NAME`, asks below `/s/NAME/`, or presents its key. It has
        the settings of the server unless it is said otherwise, which begins it anew. A reset of the server
        forgets it. ConfigurationError where it can not be called that.
        """
        given = validate_settings(settings, "session()", frozenset(SessionSettings.__annotations__))
        if given:
            self._server.open_session(name, _build_overrides(given))
        return MockSession(self._server, self._clients, name)


class SessionSettings(TypedDict, total=False):
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


def _build_overrides(settings: Mapping[str, Any]) -> SessionOverrides:
    lists = {name: as_tuple(settings[name]) for name in ("fault", "limit") if name in settings}
    return SessionOverrides(**{**settings, **lists})


class MockSession(MockBase):
    """A named session of a server, as `MockServer.session` gives it."""

    def __init__(self, server: LocalServer, clients: ClientFactory, name: str) -> None:
        self.name = name
        self._server = server
        self._clients = clients
        server.open_session(name)

    def __repr__(self) -> str:
        return f"<MockSession {self.name} {self.base_url or 'not started'}>"

    @property
    def _session(self) -> Session:
        return self._server.open_session(self.name)

    def _raise_if_crashed(self) -> None:
        self._server.raise_if_crashed()

    @property
    def base_url(self) -> str:
        """What goes into a client that is to be in this session, whatever else it sends."""
        return (
            self._server.url
            and f"{self._server.url}{SESSION_PATH_PREFIX}{self.name}{self._session.profile.base_path}"
        )

    @property
    def headers(self) -> dict[str, str]:
        """What puts a request to the server's own base URL into this session."""
        return {SESSION_HEADER.decode(): self.name}

    @property
    def api_key(self) -> str:
        """A key that it accepts: its own, where one belongs to it, else the server's."""
        return self._server.key_for_session(self.name)

    @property
    def model(self) -> str:
        """A model that it accepts."""
        same = self._session.profile is self._server.session.profile
        return self._server.model if same else self._session.profile.models[0]

    def reset(self) -> None:
        """Forget replies, journal and stored responses; the clock goes back to its start."""
        self._server.reset_session(self._session)

    def close(self) -> None:
        """Forget the session; one of that name begins anew."""
        self._server.close_session(self.name)
