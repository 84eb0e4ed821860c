"""Scripting: what a test says of a server, or of one of its sessions, and what it reads of it.

The mock server for tests: in a thread, on a free port, scripted from code, read through its journal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mockserver.clock import SteppedClock
from mockserver.contract.chat.service import CHAT_BASE_PATH
from mockserver.errors import ConfigurationError
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.matchers import build_matcher
from mockserver.server.stubs.stubs import Stub
from mockserver.testing.clients import ClientFactory
from mockserver.testing.request_assertions import assert_requested
from mockserver.testing.stub_builder import (
    UNSET,
    ChainableStub,
    ConditionalStubs,
    DeliveryOptions,
    ReplyContent,
    ReplyOptions,
    RequestMatch,
    Scenario,
    StubBuilder,
    matcher_arguments,
)

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI
from types import TracebackType
from typing import Self, TypedDict

from mockserver.server.mock_headers import SESSION_HEADER
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX, SessionOverrides
from mockserver.testing.local_server import (
    LocalServer,
    ServerSettings,
    as_tuple,
    create_mock_server,
    validate_settings,
)

__all__ = ["MockBase", "MockServer", "MockSession"]


class MockBase(ABC):
    """What can be said of and read from a session, be it that of a server or one that is named."""

    _clients: ClientFactory

    @property
    @abstractmethod
    def _session(self) -> Session:
        """The session itself."""

    @abstractmethod
    def _raise_if_crashed(self) -> None:
        """StartError where the server has died."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """What goes into a client; `{base_url}/responses` is the endpoint."""

    @property
    def chat_base_url(self) -> str:
        """What goes into a client of Chat Completions; `{chat_base_url}/chat/completions` is the endpoint."""
        own = self._session.profile.base_path
        return self.base_url and self.base_url.removesuffix(own) + CHAT_BASE_PATH

    @property
    @abstractmethod
    def api_key(self) -> str:
        """A key that it accepts."""

    @property
    def profile(self) -> str:
        """Name of the age that it plays."""
        return self._session.profile.name

    @property
    @abstractmethod
    def model(self) -> str:
        """A model that it accepts."""

    @property
    def journal(self) -> Journal:
        """What was asked and answered since the last reset: `len`, `[i]`, `.last`."""
        return self._session.journal

    @property
    def clock(self) -> SteppedClock:
        """The server's clock: `clock.advance(seconds)` lets time pass, `clock.now()` tells it.

        ConfigurationError where it has no clock of its own, but the system's: `seed=None`.
        """
        clock = self._session.clock
        if not isinstance(clock, SteppedClock):
            raise ConfigurationError("without a seed the server has the system's clock, which nobody moves")
        return clock

    def reply(
        self,
        *content: ReplyContent,
        chunks: Iterable[str] | None = None,
        json: Any = UNSET,
        reasoning: str | None = None,
        usage: Mapping[str, Any] | None = None,
        incomplete: bool = False,
        **delivery: Unpack[DeliveryOptions],
    ) -> ChainableStub:
        """Plan a reply: a text, items, a script, or a function of the request that gives one of these.

        `chunks`: a text in these pieces, one event each in a stream; `json`: a value as the message's text;
        `reasoning`: a thought before it; `usage`: token counts that are not estimated; `incomplete`: the last
        item was cut short. `fault`, `violate`, `pace`, `chunking` and `name` are as in `Delivered`.

        Replies are given in the order in which they are planned, each once: `.times(n)` on what is returned
        makes it n times, `.always()` as often as it is asked, `.then(…)` plans the next. ConfigurationError
        where it can not be given, StartError where the server has died.
        """
        more = ReplyOptions(chunks, json, reasoning, usage, incomplete)
        return self._stub_builder().add_reply(*content, options=more, **delivery)

    def when(self, prompt: str | None = None, **conditions: Unpack[RequestMatch]) -> ConditionalStubs:
        """The requests that are like that: `.reply(…)`, `.fail(…)` and `.fault(…)` on it are for them alone.

        `prompt` is the whole text of the last user message; for the others see `Like`. Of several plans that
        fit a request, the earlier answers. ConfigurationError names what can not be used.
        """
        return ConditionalStubs(self._stub_builder(), build_matcher(**matcher_arguments(prompt, conditions)))

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        """Plan the service's error of that name, in line with the replies and returned like them.

        Options set `retry_after`, `retry_after_ms` and `should_retry`. ConfigurationError lists the names,
        which `mockserver faults` explains.
        """
        return self._stub_builder().add_fault(name, options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        """Plan a fault by its name in `mockserver faults`, in line with the replies and returned like them.

        What it breaks is the answer that would come anyhow; `reply(…, fault=NAME)` breaks that reply.
        `violate(rule)` is the same for a rule of the contract.
        """
        return self._stub_builder().add_fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        """Plan an answer that breaks this rule of the contract, and no other: `violate("SEQ-004")`."""
        return self._stub_builder().add_fault(rule, options)

    def scenario(self, name: str) -> Scenario:
        """A scenario: what is planned on it answers, step by step, those requests alone that name it.

        They do so by the header `x-mock-scenario`, which `scenario(name).headers` has; such a request can
        name an exchange or a plan as well. ConfigurationError where a scenario can not be called that.
        """
        return Scenario(self._stub_builder(), name)

    def assert_requested(
        self, prompt: str | None = None, *, times: int | None = None, **conditions: Unpack[RequestMatch]
    ) -> list[Entry]:
        """The requests that were like that, by the names of `when()`; AssertionError shows what there was.

        `times` is how many there must be; without it, at least one. A failing one names, for the nearest
        requests, what about them was otherwise.
        """
        __tracebackhide__ = True
        return assert_requested(
            self.journal, self._session.profile, times, matcher_arguments(prompt, conditions)
        )

    def _stub_builder(self) -> StubBuilder:
        self._raise_if_crashed()
        return StubBuilder(self._session)

    @property
    def stubs(self) -> Sequence[Stub]:
        """The replies planned since the last reset, with how often each was given."""
        return self._session.stubs.all

    def httpx(self, **options: Any) -> Client:
        """An `httpx.Client` for this server; `options` are the client's own."""
        return self._clients.httpx(self, **options)

    def openai(self, **options: Any) -> OpenAI:
        """An `openai.OpenAI` for this server; ConfigurationError where openai is not installed."""
        return self._clients.openai(self, **options)

    def async_openai(self, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` for this server; ConfigurationError where openai is not installed."""
        return self._clients.async_openai(self, **options)


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
