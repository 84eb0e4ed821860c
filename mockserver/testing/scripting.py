"""Scripting: what a test says of a server, or of one of its sessions, and what it reads of it."""

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
from mockserver.testing.asserting import assert_requested
from mockserver.testing.clients import ClientFactory
from mockserver.testing.planning import (
    UNSET,
    DeliveryOptions,
    RequestMatch,
    ReplyOptions,
    ChainableStub,
    StubBuilder,
    ReplyContent,
    Scenario,
    ConditionalStubs,
    matcher_arguments,
)

if TYPE_CHECKING:
    from httpx import Client
    from openai import AsyncOpenAI, OpenAI

__all__ = ["MockBase"]


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
        return assert_requested(self.journal, self._session.profile, times, matcher_arguments(prompt, conditions))

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
