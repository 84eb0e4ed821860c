"""The servers that fixtures give to tests: `responses_server` and those of `make_responses_server`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from mockserver.clock import SteppedClock
from mockserver.server.verdicts import FailurePolicy
from mockserver.testing.clients import ClientFactory
from mockserver.testing.local_server import LocalServer
from mockserver.testing.mock import MockServer, MockSession

if TYPE_CHECKING:
    from mockserver.server.state.journal import Journal
    from mockserver.testing.stub_builder import ChainableStub, ConditionalStubs, Scenario

__all__ = ["ExtraMockServer", "SharedMockServer"]


class SharedMockServer(MockServer):
    """The value of `responses_server`: one object in all tests, whichever server is behind it.

    If an endpoint or a recording is behind it, `forbid_scripting` skips or fails a test that configures it.
    """

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._clients = ClientFactory()
        self._forbid_scripting: Callable[[str], NoReturn] | None = None

    def switch_to(
        self, server: LocalServer, forbid_scripting: Callable[[str], NoReturn] | None, policy: FailurePolicy
    ) -> None:
        self._server = server
        self._failure_policy = policy
        self._forbid_scripting = forbid_scripting

    def close_clients(self) -> None:
        self._clients.close()

    def _require_mock(self, action: str) -> None:
        if self._forbid_scripting is not None:
            self._forbid_scripting(action)

    @property
    def journal(self) -> Journal:
        self._server.wait_until_idle()
        return super().journal

    @property
    def clock(self) -> SteppedClock:
        self._require_mock("it moves the server's clock")
        return super().clock

    @property
    def intercept_env(self) -> Mapping[str, str]:
        self._require_mock("it intercepts requests")
        return super().intercept_env

    def reply(self, *content: Any, **options: Any) -> ChainableStub:
        self._require_mock("it configures a reply")
        return super().reply(*content, **options)

    def when(self, *arguments: Any, **conditions: Any) -> ConditionalStubs:
        self._require_mock("it configures a reply")
        return super().when(*arguments, **conditions)

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it configures an error")
        return super().fail(name, **options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it configures a fault")
        return super().fault(name, **options)

    def scenario(self, name: str) -> Scenario:
        self._require_mock("it configures a scenario")
        return super().scenario(name)

    def session(self, name: str, **settings: Any) -> MockSession:
        self._require_mock("it opens a session")
        return super().session(name, **settings)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it configures a contract violation")
        return super().violate(rule, **options)

    def reset(self) -> None:
        self._require_mock("it resets the server")
        super().reset()


class ExtraMockServer(MockServer):
    """A server that `make_responses_server` starts for one test."""

    @property
    def local_server(self) -> LocalServer:
        return self._server

    def use_policy(self, policy: FailurePolicy) -> None:
        """Check by the policy of the running test."""
        self._failure_policy = policy
