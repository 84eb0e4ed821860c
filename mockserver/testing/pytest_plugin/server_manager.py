"""What a run keeps while its tests talk to servers: the servers, and the watch over the test that runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.clock import SteppedClock
from mockserver.errors import StartError
from mockserver.testing.clients import ClientFactory
from mockserver.testing.local_server import LocalServer, ServerSettings, create_mock_server, validate_settings
from mockserver.testing.mock import MockServer, MockSession
from mockserver.testing.pytest_plugin.findings import FindingCollector, contract_error
from mockserver.testing.pytest_plugin.options import is_live, report_path, skip_when_live
from mockserver.testing.pytest_plugin.recording_manager import RecordingManager
from mockserver.testing.pytest_plugin.settings import (
    FailurePolicy,
    failure_policy,
    load_run_settings,
    settings_for_test,
)
from mockserver.testing.pytest_plugin.transcript import session_transcript

if TYPE_CHECKING:
    from mockserver.live.relay import Relay
    from mockserver.server.state.journal import Entry, Journal
    from mockserver.server.state.sessions import Session
    from mockserver.testing.pytest_plugin.html_report import ExchangeLog
    from mockserver.testing.pytest_plugin.live_endpoint import LiveSettings
    from mockserver.testing.stub_builder import ChainableStub, ConditionalStubs, Scenario

__all__ = ["ItemResult", "ServerManager"]


class SharedMockServer(MockServer):
    """The server of `responses_server`: one object in all tests, whichever server is behind it.

    Where an endpoint or a recording is, there is no mock that could be scripted: `bar` ends the test then.
    """

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._clients = ClientFactory()
        self._forbid_scripting: Callable[[str], NoReturn] | None = None

    def switch_to(self, server: LocalServer, forbid_scripting: Callable[[str], NoReturn] | None) -> None:
        """Be this server from now on."""
        self._server = server
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

    def reply(self, *content: Any, **options: Any) -> ChainableStub:
        self._require_mock("it scripts a reply")
        return super().reply(*content, **options)

    def when(self, *arguments: Any, **conditions: Any) -> ConditionalStubs:
        self._require_mock("it scripts a reply")
        return super().when(*arguments, **conditions)

    def fail(self, name: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it scripts an error")
        return super().fail(name, **options)

    def fault(self, name: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it scripts a fault")
        return super().fault(name, **options)

    def scenario(self, name: str) -> Scenario:
        self._require_mock("it scripts a scenario")
        return super().scenario(name)

    def session(self, name: str, **settings: Any) -> MockSession:
        self._require_mock("it opens a session of the server")
        return super().session(name, **settings)

    def violate(self, rule: str, /, **options: Any) -> ChainableStub:
        self._require_mock("it breaks a rule on purpose")
        return super().violate(rule, **options)

    def reset(self) -> None:
        self._require_mock("it resets the server")
        super().reset()


class ExtraMockServer(MockServer):
    """A server of one test alone."""

    @property
    def local_server(self) -> LocalServer:
        return self._server


class ItemResult:
    """What a test came to, for its report."""

    def __init__(self, report_data: dict[str, Any], section: str) -> None:
        self.report_data = report_data
        self.section = section
        self.exchanges: list[str] = []
        """Its exchanges, where a page is asked for."""
        self.error: BaseException | None = None
        """The verdict, where it is what the test fails with."""


class ServerManager:
    """The servers of a run, each started when a test first needs it."""

    def __init__(self, config: pytest.Config, fixture_settings: Mapping[str, Any]) -> None:
        self.settings = load_run_settings(config, fixture_settings)
        self._live_settings = _load_live_settings(config) if is_live(config) else None
        self._relay: Relay | None = None
        self._recording_manager = RecordingManager(config, self._live_settings)
        self.shared_server: SharedMockServer | None = None
        self._pool: list[tuple[ServerSettings, LocalServer]] = []
        self._extra_servers: list[ExtraMockServer] = []
        self._test_settings = self.settings
        self._test_id = ""
        """Settings of the test that runs."""
        self._policy = FailurePolicy()
        self._collector = FindingCollector(self._policy)
        self._exchange_log = _create_exchange_log(config)

    def open_shared_server(self) -> MockServer:
        """The server of `responses_server`."""
        served = self._current_server()
        self.shared_server = SharedMockServer(served)
        self.shared_server.switch_to(served, self._forbid_scripting)
        self._watch_server(served, always_reset=True)
        return self.shared_server

    def begin_test(self, item: pytest.Item) -> None:
        """Make everything as new for a test, and watch what its clients ask."""
        self._policy = failure_policy(item)
        self._test_id = item.nodeid
        self._collector = FindingCollector(self._policy)
        self._test_settings = (
            settings_for_test(item, self.settings) if self._live_settings is None else self.settings
        )
        self._recording_manager.begin_test(item)
        if self.shared_server is None:
            return
        named = "responses_server" in getattr(item, "fixturenames", ())
        current = self._current_server()
        self.shared_server.switch_to(current, self._forbid_scripting)
        for served in self._shared_servers:
            self._watch_server(served, always_reset=named and served is current)

    def _current_server(self) -> LocalServer:
        """The server that answers the test that runs: one that plays its recordings, where it has some."""
        played = self._recording_manager.replay_server()
        current = played or self._server_for(self._test_settings)
        if self._relay is not None:
            self._relay.listener = self._relay.player = self._recording_manager.recording
        return current

    @property
    def _forbid_scripting(self) -> Callable[[str], NoReturn] | None:
        if self._recording_manager.is_replaying:
            return self._recording_manager.forbid_scripting
        return None if self._live_settings is None else skip_when_live

    def require_recordings(self) -> None:
        """Fail the test that runs where its recordings can not be had."""
        __tracebackhide__ = True
        if self._recording_manager.error:
            pytest.fail(self._recording_manager.error, pytrace=False)

    def make_server(self, **settings: Any) -> MockServer:
        """One more server, for the test that runs."""
        if self._live_settings is not None:
            skip_when_live("it starts a mock server of its own")
        strict = settings.pop("strict", self._policy.strict)
        own = validate_settings({**self._test_settings, "port": 0, **settings}, "make_responses_server")
        extra = ExtraMockServer(strict=strict, **own)
        extra.start()
        self._extra_servers.append(extra)
        self._watch_server(extra.local_server, strict=strict)
        return extra

    def stop_extra_servers(self) -> None:
        """Stop the servers of the test that ran."""
        while self._extra_servers:
            self._extra_servers.pop().stop()

    def close_clients(self) -> None:
        """Close the clients of the test that ran."""
        if self.shared_server is not None:
            self.shared_server.close_clients()

    def stop(self) -> None:
        """Stop every server."""
        self.close_clients()
        self.stop_extra_servers()
        self._recording_manager.stop()
        while self._pool:
            self._pool.pop()[1].stop()

    def _server_for(self, settings: ServerSettings) -> LocalServer:
        """A server with these settings: the one there is, else a new one."""
        port = settings.get("port", 0)
        for known, served in [*self._pool]:
            if not served.is_running or (port and known != settings and known.get("port") == port):
                self._pool.remove((known, served))
                served.stop()
        for known, served in self._pool:
            if known == settings:
                return served
        if self._live_settings is None:
            served = create_mock_server(settings)
        else:
            served, self._relay = _create_live_server(self._live_settings)
        served.start()
        self._pool.append((settings, served))
        return served

    def _watch_server(
        self, server: LocalServer, *, always_reset: bool = False, strict: bool | None = None
    ) -> None:
        """Put a server under the watch; `fresh` resets it even if nobody asked it anything."""
        session = server.session
        session.journal.on_removed = None
        asked = len(session.journal) or len(session.stubs) or len(server.sessions) > 1
        if server.is_running and (always_reset or asked):
            server.reset()
        session.strict = self._policy.strict if strict is None else strict
        session.journal.on_removed = self._entry_callback(session)

    def _entry_callback(self, session: Session) -> Callable[[Entry], None]:
        """What is told each request to a session."""
        note, kept = self._collector.add_entry, self._exchange_log
        if kept is None:
            return note

        def log_and_add(entry: Entry) -> None:
            kept.add(session.profile.name, entry)
            note(entry)

        return log_and_add

    @property
    def _shared_servers(self) -> list[LocalServer]:
        return [*(served for _, served in self._pool), *self._recording_manager.servers]

    @property
    def _all_servers(self) -> list[LocalServer]:
        return [*self._shared_servers, *(extra.local_server for extra in self._extra_servers)]

    # The end of a test.

    def end_test(self, *, passed: bool) -> ItemResult:
        """Judge what is left to judge; the outcome has an error where the test passed and must not."""
        watch = self._collector
        self._collect_findings(passed=passed)
        recorded = self._recording_manager.end_test(watch, passed=passed)
        outcome = ItemResult(
            {**self._report_data(), **recorded.report_data}, self._report_section(recorded.notes)
        )
        if self._exchange_log is not None:
            outcome.exchanges = self._exchange_log.take_exchanges_json(
                self._test_id, self._policy.allowed_rules
            )
        broken = watch.take_violations(0)
        died = [served.crash_reason for served in self._all_servers if served.crash_reason is not None]
        if passed and died:
            outcome.error = StartError(f"the mock server died during the test: {died[0]}")
        elif passed and broken:
            outcome.error = contract_error(broken)
        elif passed and recorded.error:
            outcome.error = StartError(recorded.error)
        return outcome

    def _collect_findings(self, *, passed: bool) -> None:
        """Judge what is in the journals, once, and what was planned, where the test got to its end."""
        for served in self._all_servers:
            served.wait_until_idle()
        watched = [
            session
            for served in self._all_servers
            if served.session.journal.on_removed is not None
            for session in served.sessions
        ]
        for session in watched:
            session.journal.on_removed = None
            note = self._entry_callback(session)
            for entry in session.journal:
                note(entry)
        if passed:
            self._collector.add_unused_stubs(stub for session in watched for stub in session.stubs.pending)

    def _report_section(self, recording_notes: str) -> str:
        parts = [recording_notes] if recording_notes else []
        parts += [session_transcript(session) for served in self._all_servers for session in served.sessions]
        parts += [
            f"the mock server died: {served.crash_reason}"
            for served in self._all_servers
            if served.crash_reason is not None
        ]
        return "\n\n".join(part for part in parts if part)

    def _report_data(self) -> dict[str, Any]:
        watch = self._collector
        if not watch.request_count and not watch.unused_count and self._recording_manager.recording is None:
            return {}
        sessions = [each for served in self._all_servers for each in served.sessions if len(each.journal)]
        return {
            "profiles": sorted({session.profile.name for session in sessions}),
            "requests": watch.request_count,
            "unused": watch.unused_count,
            "ignored": dict(sorted(watch.ignored_parameters.items()))
            if watch.policy.ignored_parameters != "off"
            else {},
            "findings": watch.findings_as_json(),
        }

    # Examples of a property.

    @contextmanager
    def check_examples(self, item: pytest.Item) -> Iterator[None]:
        """While a property runs, reset before and judge behind each of its examples.

        An example that breaks the contract fails like any other, so Hypothesis shrinks it.
        """
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        inner = getattr(handle, "inner_test", None)
        if handle is None or inner is None:
            yield
            return
        handle.inner_test = self._wrap_inner_test(inner)
        try:
            yield
        finally:
            handle.inner_test = inner

    def _wrap_inner_test(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def example(*arguments: Any, **named: Any) -> Any:
                __tracebackhide__ = True
                mark, passed = self._begin_example(), False
                try:
                    result = await inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(mark, passed=passed)
                return result

        else:

            @functools.wraps(inner)
            def example(*arguments: Any, **named: Any) -> Any:
                __tracebackhide__ = True
                mark, passed = self._begin_example(), False
                try:
                    result = inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(mark, passed=passed)
                return result

        return example

    def _begin_example(self) -> int:
        self._recording_manager.rewind()
        for served in self._all_servers:
            served.reset()  # what came before the first example is judged now, and told at the end
            served.session.journal.on_removed = self._entry_callback(served.session)
        return self._collector.begin_example()

    def _end_example(self, mark: int, *, passed: bool) -> None:
        __tracebackhide__ = True
        # The journals are left as they are: the last example's is what the report shows.
        self._collect_findings(passed=passed)
        broken = self._collector.take_violations(mark)
        if passed and broken:
            raise contract_error(broken)


# What most runs need not load.


def _create_exchange_log(config: pytest.Config) -> ExchangeLog | None:
    if report_path(config, "html") is None:
        return None
    from mockserver.testing.pytest_plugin.html_report import ExchangeLog

    return ExchangeLog()


def _load_live_settings(config: pytest.Config) -> LiveSettings | None:
    from mockserver.testing.pytest_plugin.live_endpoint import load_live_settings

    return load_live_settings(config)


def _create_live_server(settings: LiveSettings) -> tuple[LocalServer, Relay]:
    from mockserver.testing.pytest_plugin.live_endpoint import create_live_server

    return create_live_server(settings)
