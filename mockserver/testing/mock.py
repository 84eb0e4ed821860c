"""`MockServer`: a mock server in a thread, configured from Python and read through its journal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from mockserver.clock import SteppedClock
from mockserver.contract.chat.service import CHAT_BASE_PATH
from mockserver.contract.findings import NumberedFinding
from mockserver.errors import ConfigurationError
from mockserver.server.mock_headers import SESSION_HEADER
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.session_registry import SESSION_PATH_PREFIX, SessionOverrides
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.matchers import build_matcher
from mockserver.server.stubs.stubs import Stub
from mockserver.server.verdicts import FailurePolicy
from mockserver.testing.clients import ClientFactory
from mockserver.testing.local_server import LocalServer, create_mock_server, open_fallback
from mockserver.testing.reply_values import UNSET, DeliveryOptions, ReplyContent, ReplyOptions
from mockserver.testing.request_assertions import (
    assert_left,
    assert_requested,
    check_sessions,
    wait_for_requests,
)
from mockserver.testing.server_settings import ServerSettings, as_tuple, validate_settings
from mockserver.testing.stub_builder import (
    ChainableStub,
    ConditionalStubs,
    RequestMatch,
    Scenario,
    StubBuilder,
    TextCondition,
    matcher_arguments,
)

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["MockBase", "MockServer", "MockSession"]


class MockBase(ABC):
    """Stubs, journal and clients of a session: the default one of a server, or a named one."""

    _clients: ClientFactory
    _failure_policy: FailurePolicy | None = None
    """What fails the running test; None: as by default, without the pytest plugin."""

    @property
    @abstractmethod
    def _session(self) -> Session: ...

    @abstractmethod
    def _raise_if_crashed(self) -> None:
        """Raise StartError if the server has crashed."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The base URL for clients: requests go to `{base_url}/responses`."""

    @property
    def chat_base_url(self) -> str:
        """The base URL for Chat Completions: requests go to `{chat_base_url}/chat/completions`."""
        base_path = self._session.profile.base_path
        return self.base_url and self.base_url.removesuffix(base_path) + CHAT_BASE_PATH

    @property
    @abstractmethod
    def api_key(self) -> str:
        """An API key that the server accepts."""

    @property
    def profile(self) -> str:
        """Name of the profile."""
        return self._session.profile.name

    @property
    @abstractmethod
    def model(self) -> str:
        """A model that the server accepts."""

    @property
    def journal(self) -> Journal:
        """Requests and replies since the last reset: `len(journal)`, `journal[i]`, `journal.last`."""
        return self._session.journal

    @property
    def clock(self) -> SteppedClock:
        """The server's clock: `clock.advance(seconds)` moves it, `clock.now()` reads it.

        ConfigurationError with `seed=None`, where the server uses the system's clock.
        """
        clock = self._session.clock
        if not isinstance(clock, SteppedClock):
            raise ConfigurationError(
                "without a seed the server uses the system's clock, which a test cannot move"
            )
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
        """Add a stub: a text, items, a script, `Reply`, `ErrorReply`, or a function of the request.

        The function returns any of the others, with options of its own in a `Reply` or an `ErrorReply`.

        `chunks`: a text in pieces, one event each in a stream; `json`: a value as the message's text;
        `reasoning`: a reasoning item before it; `usage`: token counts instead of estimates; `incomplete`:
        whether the last item is cut short. `DeliveryOptions` describes `fault`, `violate`, `pace`, `chunking`
        and `name`.

        Stubs reply in the order in which you add them, once each: `.times(n)` makes it n times, `.always()`
        any number of times, and `.then(…)` adds the next. ConfigurationError if the reply is invalid,
        StartError if the server has crashed.
        """
        options = ReplyOptions(chunks, json, reasoning, usage, incomplete)
        return self._stub_builder().add_reply(*content, options=options, **delivery)

    def when(self, prompt: TextCondition = None, **conditions: Unpack[RequestMatch]) -> ConditionalStubs:
        """Select requests: `.reply(…)`, `.fail(…)` and `.fault(…)` on the result apply to them only.

        `prompt` is the whole text of the last user message; `RequestMatch` describes the other conditions. If
        several stubs match a request, the earliest replies. ConfigurationError if a condition is invalid.
        """
        return ConditionalStubs(self._stub_builder(), build_matcher(**matcher_arguments(prompt, conditions)))

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        """Add a stub that replies with this error of the service; it queues like `reply`.

        The options are `retry_after`, `retry_after_ms` and `should_retry`. `mockserver faults` explains the
        names; ConfigurationError lists them.
        """
        return self._stub_builder().add_fault(name, options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        """Add a stub with a fault, by its name in `mockserver faults`; it queues like `reply`.

        The fault applies to the reply that would come without it; `reply(…, fault=NAME)` applies it to that
        reply. `violate(rule)` does the same for a rule of the contract.
        """
        return self._stub_builder().add_fault(name, options)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        """Add a stub whose reply breaks exactly this rule of the contract: `violate("SEQ-004")`."""
        return self._stub_builder().add_fault(rule, options)

    def scenario(self, name: str) -> Scenario:
        """A scenario: its stubs reply, step by step, to the requests that name it and to no others.

        A request names it in the header `x-mock-scenario`; `scenario(name).headers` has the header. The
        header can also name an exchange or a stub. ConfigurationError if the name is invalid.
        """
        return Scenario(self._stub_builder(), name)

    def assert_requested(
        self, prompt: TextCondition = None, *, times: int | None = None, **conditions: Unpack[RequestMatch]
    ) -> list[Entry]:
        """Return the requests that match the conditions of `when()`; AssertionError if their number is wrong.

        `times` is the exact number; without it, one is enough. The error lists how the nearest requests
        differ.
        """
        __tracebackhide__ = True
        return assert_requested(
            self.journal, self._session.profile, times, matcher_arguments(prompt, conditions)
        )

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> list[Entry]:
        """Wait until at least `count` requests have been answered, and return the entries of all.

        For clients that send requests in the background. `timeout` is in seconds; AssertionError if it ends
        first. It blocks: in an async test use `await asyncio.to_thread(server.wait_for_requests, count)`.
        """
        __tracebackhide__ = True
        return wait_for_requests(lambda: self.journal, count, timeout, self._raise_if_crashed)

    def mark_stopped(self, number: int = -1) -> Entry:
        """Record that the client of a request was told to stop, for `check(conduct=True)`; return the entry.

        `number` is its index in the journal; by default the newest. IndexError if there is none.
        """
        entry = self._session.journal[number]
        entry.stopped_at = self._session.clock.now()
        return entry

    def assert_left(self, number: int = -1, *, timeout: float = 5.0) -> Entry:
        """Wait until the client of a request has disconnected before it had the whole reply; return the entry.

        Call it after your test told the client to stop. `number` is the request's index in the journal; by
        default the newest. `timeout` is in seconds; AssertionError if it ends first, or if the client reads the
        reply to its end.
        """
        __tracebackhide__ = True
        return assert_left(self.mark_stopped(number), timeout, self._raise_if_crashed)

    def conduct_findings(self) -> list[NumberedFinding]:
        """The findings in the client's conduct over several requests, with the number of the request, from 1.

        They have every severity; `check(conduct=True)` raises those that fail a test. `docs/conduct.md` lists
        the rules.
        """
        from mockserver.server.conduct import check_journal  # only for those who ask for it

        self._wait_until_idle()
        return check_journal(self._session.journal)

    def check(self, *, allow: Iterable[str] = (), conduct: bool | None = None) -> None:
        """Raise what the pytest plugin would fail a test with now: for tests without the plugin.

        ContractError, with a line for each contract violation, unmatched request and unused stub; nothing if
        there is none. `allow` names rules that may be broken, or `unplanned`, `refused` and `unused`. `conduct`:
        whether to check also what the client does over several requests; None: as configured. Also
        ContractError if the journal has dropped requests, and StartError if the server has crashed.
        """
        __tracebackhide__ = True
        self._raise_if_crashed()
        policy = self._failure_policy or FailurePolicy(strict=self._session.strict)
        if conduct is not None:
            policy = replace(policy, conduct=conduct)
        check_sessions(self._checked_sessions(), policy, allow)

    @abstractmethod
    def _wait_until_idle(self) -> None:
        """Wait until every reply is in the journal."""

    @abstractmethod
    def _checked_sessions(self) -> Iterable[Session]:
        """The sessions that `check` is about, once every reply is in the journal."""

    def _stub_builder(self) -> StubBuilder:
        self._raise_if_crashed()
        return StubBuilder(self._session)

    @property
    def stubs(self) -> Sequence[Stub]:
        """The stubs since the last reset, with the number of their replies."""
        return self._session.stubs.all

    def httpx(self, **options: Any) -> Client:
        """An `httpx.Client` for this server; `options` go to the client."""
        return self._clients.httpx(self, **options)

    def openai(self, **options: Any) -> OpenAI:
        """An `openai.OpenAI` for this server; MissingPackage if openai is not installed."""
        return self._clients.openai(self, **options)

    def async_openai(self, **options: Any) -> AsyncOpenAI:
        """An `openai.AsyncOpenAI` for this server; MissingPackage if openai is not installed."""
        return self._clients.async_openai(self, **options)


class MockServer(MockBase):
    """A mock server on loopback, for `with`, `async with` or `start()` and `stop()`.

    The fixture `responses_server` is a `MockServer` too.

    >>> with MockServer(seed=1) as server:
    ...     stub = server.reply("Hi there!")
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        strict: bool = True,
        fallback: str | None = None,
        upstream_key_env: str = "DASHSCOPE_API_KEY",
        **settings: Unpack[ServerSettings],
    ) -> None:
        """Settings have the names and values of `[tool.mockserver]`; `ServerSettings` describes them.

        `strict`: reject requests that no stub matches (400) once a stub has been added. `fallback`: base URL
        of a live endpoint that answers these requests instead, with the key in the environment variable
        `upstream_key_env`. ConfigurationError if a setting is invalid or the variable is not set.
        """
        self._server = create_mock_server(
            validate_settings(settings, "MockServer"),
            strict=strict,
            fallback=None if fallback is None else open_fallback(fallback, upstream_key_env),
        )
        self._clients = ClientFactory()

    def start(self) -> Self:
        """Start the server; StartError if it fails."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Close the clients of `httpx()` and `openai()`, and stop the server if it runs."""
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
        """The base URL for clients: requests go to `{base_url}/responses`."""
        return self._server.base_url

    @property
    def api_key(self) -> str:
        """An API key that the server accepts."""
        return self._server.api_key

    @property
    def model(self) -> str:
        """A model that the server accepts."""
        return self._server.model

    @property
    def intercept_env(self) -> Mapping[str, str]:
        """Environment variables that lead a client's requests for the service's own https addresses here.

        For a client process: proxy, certificate authorities, and options of Node and Java. They hold from the
        start of the server to its stop. ConfigurationError unless the server has `intercept=True`.
        """
        return self._server.intercept_env

    @property
    def journal(self) -> Journal:
        self._server.wait_until_idle()
        return super().journal

    @property
    def _session(self) -> Session:
        return self._server.session

    def _raise_if_crashed(self) -> None:
        self._server.raise_if_crashed()

    def _wait_until_idle(self) -> None:
        self._server.wait_until_idle()

    def _checked_sessions(self) -> Iterable[Session]:
        self._wait_until_idle()
        return self._server.sessions

    def reset(self) -> None:
        """Delete stubs, journal, stored responses and named sessions, and reset the clock."""
        self._server.reset()

    def session(self, name: str, **settings: Unpack[SessionSettings]) -> MockSession:
        """A named session, with its own stubs, journal, clock, faults and stored responses.

        A request selects it with the header `x-mock-session: NAME`, a path below `/s/NAME/`, or its key. It
        has the settings of the server; passing settings resets it. A reset of the server deletes it.
        ConfigurationError if the name is invalid.
        """
        overrides = validate_settings(settings, "session()", frozenset(SessionSettings.__annotations__))
        if overrides:
            self._server.open_session(name, _build_overrides(overrides))
        session = MockSession(self._server, self._clients, name)
        session._failure_policy = self._failure_policy  # noqa: SLF001 (the server creates it)
        return session


class SessionSettings(TypedDict, total=False):
    """Settings of a session that differ from those of its server."""

    profile: str
    rendering: str
    seed: int
    strict: bool
    fault: str | Sequence[str]
    limit: str | Sequence[str]
    pace: str
    chunking: str
    api_key: str
    """A key that selects this session."""


def _build_overrides(settings: Mapping[str, Any]) -> SessionOverrides:
    lists = {name: as_tuple(settings[name]) for name in ("fault", "limit") if name in settings}
    return SessionOverrides(**{**settings, **lists})


class MockSession(MockBase):
    """A named session of a server: the result of `MockServer.session`."""

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
        """The base URL for clients; requests to it are in this session."""
        return (
            self._server.url
            and f"{self._server.url}{SESSION_PATH_PREFIX}{self.name}{self._session.profile.base_path}"
        )

    @property
    def headers(self) -> dict[str, str]:
        """Headers that select this session at the server's own base URL."""
        return {SESSION_HEADER.decode(): self.name}

    @property
    def api_key(self) -> str:
        """The session's own key if it has one, else the server's."""
        return self._server.key_for_session(self.name)

    @property
    def model(self) -> str:
        """A model that the server accepts."""
        if self._session.profile is self._server.session.profile:
            return self._server.model
        return self._session.profile.models[0]

    def _wait_until_idle(self) -> None:
        self._server.wait_until_idle()

    def _checked_sessions(self) -> Iterable[Session]:
        self._wait_until_idle()
        return (self._session,)

    def reset(self) -> None:
        """Delete stubs, journal and stored responses, and reset the clock."""
        self._server.reset_session(self._session)

    def close(self) -> None:
        """Delete the session; the next one of that name starts empty."""
        self._server.close_session(self.name)
