"""The servers of a test run, and the collection of what each test sends to them."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mockserver.errors import StartError
from mockserver.network import proxy_note
from mockserver.server.verdicts import FailurePolicy
from mockserver.settings import MAX_BODY_BYTES, parse_body_size
from mockserver.testing.local_server import LocalServer, create_mock_server
from mockserver.testing.mock import MockServer
from mockserver.testing.pytest_plugin.findings import FindingCollector, contract_error
from mockserver.testing.pytest_plugin.fixture_servers import ExtraMockServer, SharedMockServer
from mockserver.testing.pytest_plugin.options import is_live, report_path, skip_when_live
from mockserver.testing.pytest_plugin.recording_manager import RecordingManager
from mockserver.testing.pytest_plugin.settings import (
    UNREACHABLE,
    failure_policy,
    load_masks,
    load_run_settings,
    settings_for_test,
)
from mockserver.testing.pytest_plugin.transcript import RemovedRequests, session_transcript
from mockserver.testing.server_settings import ServerSettings, validate_settings
from mockserver.wire.masks import use_masks
from mockserver.wire.redaction import redact

if TYPE_CHECKING:
    from mockserver.live.relay import Relay
    from mockserver.server.state.journal import Entry
    from mockserver.server.state.sessions import Session
    from mockserver.testing.pytest_plugin.html_report import ExchangeLog
    from mockserver.testing.pytest_plugin.live_endpoint import LiveSettings

__all__ = ["ItemResult", "ServerManager"]


class ItemResult:
    """The result of a test, for its pytest report."""

    def __init__(self, report_data: dict[str, Any], section: str) -> None:
        self.report_data = report_data
        self.section = section
        self.exchanges: list[str] = []
        """Its exchanges, serialized, if the run writes an HTML report."""
        self.error: BaseException | None = None
        """The error that a test fails with although its body passed."""


class ServerManager:
    """The servers of a run, each started when a test first needs it."""

    def __init__(self, config: pytest.Config, fixture_settings: Mapping[str, Any]) -> None:
        use_masks(load_masks(config))
        self.settings = load_run_settings(config, fixture_settings)
        self._live_settings = _load_live_settings(config) if is_live(config) else None
        self._max_body = parse_body_size(self.settings.get("max_body", MAX_BODY_BYTES))
        self._relay: Relay | None = None
        self._reported_spending = (0, 0)
        self._recording_manager = RecordingManager(config, self._live_settings, self._max_body)
        self.shared_server: SharedMockServer | None = None
        self._pool: list[tuple[ServerSettings, LocalServer]] = []
        self._extra_servers: list[ExtraMockServer] = []
        self._test_settings = self.settings
        self._test_id = ""
        self._policy = FailurePolicy()
        self._collector = FindingCollector(self._policy)
        self._removed_requests = RemovedRequests(self._policy)
        self._exchange_log = _create_exchange_log(config)

    def open_shared_server(self) -> MockServer:
        """The server of the fixture `responses_server`."""
        server = self._current_server()
        self.shared_server = SharedMockServer(server)
        self.shared_server.switch_to(server, self._forbid_scripting, self._policy)
        self._watch_server(server, always_reset=True)
        return self.shared_server

    def begin_test(self, item: pytest.Item) -> None:
        """Reset the servers for a test and start to collect its requests."""
        self._policy = failure_policy(item)
        self._test_id = item.nodeid
        self._removed_requests = RemovedRequests(self._policy)
        self._collector = FindingCollector(self._policy)
        fixture_names = getattr(item, "fixturenames", ())
        self._test_settings = (
            settings_for_test(item, self.settings) if self._live_settings is None else self.settings
        )
        if self._live_settings is None and "responses_intercept" in fixture_names:
            self._test_settings = {**self._test_settings, "intercept": True}
        self._recording_manager.begin_test(item)
        if self.shared_server is None:
            return
        uses_fixture = "responses_server" in fixture_names
        current = self._current_server()
        self.shared_server.switch_to(current, self._forbid_scripting, self._policy)
        for server in self._shared_servers:
            self._watch_server(server, always_reset=uses_fixture and server is current)

    def _current_server(self) -> LocalServer:
        """The server for the running test: a replay server if the test has recordings."""
        current = self._recording_manager.replay_server() or self._server_for(self._test_settings)
        if self._relay is not None:
            self._relay.listener = self._relay.player = self._recording_manager.recording
        return current

    @property
    def _forbid_scripting(self) -> Callable[[str], NoReturn] | None:
        if self._recording_manager.is_replaying:
            return self._recording_manager.forbid_scripting
        return None if self._live_settings is None else skip_when_live

    def require_recordings(self) -> None:
        """Fail the running test if its recordings are missing or invalid."""
        __tracebackhide__ = True
        if self._recording_manager.error:
            pytest.fail(self._recording_manager.error, pytrace=False)

    def make_server(self, **settings: Any) -> MockServer:
        """Start another server for the running test."""
        if self._live_settings is not None:
            skip_when_live("it starts a mock server of its own")
        strict = settings.pop("strict", self._policy.strict)
        merged = validate_settings({**self._test_settings, "port": 0, **settings}, "make_responses_server")
        server = ExtraMockServer(strict=strict, **merged)
        server.use_policy(replace(self._policy, strict=strict))
        server.start()
        self._extra_servers.append(server)
        self._watch_server(server.local_server, strict=strict)
        return server

    def stop_extra_servers(self) -> None:
        """Stop the extra servers of the test that ended."""
        while self._extra_servers:
            self._extra_servers.pop().stop()

    def close_clients(self) -> None:
        """Close the clients of the test that ended."""
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
        """The running server with these settings, or a new one."""
        port = settings.get("port", 0)
        for known, server in [*self._pool]:
            if not server.is_running or (port and known != settings and known.get("port") == port):
                self._pool.remove((known, server))
                server.stop()
        for known, server in self._pool:
            if known == settings:
                return server
        if self._live_settings is None:
            server = create_mock_server(settings)
        else:
            server, self._relay = _create_live_server(self._live_settings, self._max_body)
        server.start()
        self._pool.append((settings, server))
        return server

    def _watch_server(
        self, server: LocalServer, *, always_reset: bool = False, strict: bool | None = None
    ) -> None:
        """Collect the requests to a server; `always_reset` resets it even if it is unused."""
        session = server.session
        session.journal.on_removed = None
        is_used = len(session.journal) or len(session.stubs) or len(server.sessions) > 1
        if server.is_running and (always_reset or is_used):
            server.reset()
        session.strict = self._policy.strict if strict is None else strict
        session.journal.on_removed = self._removal_callback(session)

    def _removal_callback(self, session: Session) -> Callable[[Entry], None]:
        add_entry, removed = self._entry_callback(session), self._removed_requests

        def add_removed(entry: Entry) -> None:
            add_entry(entry)
            removed.add(session, entry)

        return add_removed

    def _entry_callback(self, session: Session) -> Callable[[Entry], None]:
        add_entry, log = self._collector.add_entry, self._exchange_log
        if log is None:
            return add_entry

        def log_and_add(entry: Entry) -> None:
            log.add(session.profile.name, entry)
            add_entry(entry)

        return log_and_add

    @property
    def _shared_servers(self) -> list[LocalServer]:
        return [*(server for _, server in self._pool), *self._recording_manager.servers]

    @property
    def _all_servers(self) -> list[LocalServer]:
        return [*self._shared_servers, *(extra.local_server for extra in self._extra_servers)]

    def end_test(self, *, passed: bool) -> ItemResult:
        """Check the remaining requests; the result has an error if a passed test must fail."""
        collector = self._collector
        self._collect_findings(passed=passed)
        recorded = self._recording_manager.end_test(collector, passed=passed)
        notes = recorded.notes
        if not (passed or collector.request_count) and self._all_servers and proxy_note(os.environ):
            hint = "; the fixture responses_env sets NO_PROXY"
            notes += f"no request reached the mock server{proxy_note(os.environ)}{hint}"
        result = ItemResult({**self._report_data(), **recorded.report_data}, self._report_section(notes))
        if self._exchange_log is not None:
            result.exchanges = self._exchange_log.take_exchanges_json(
                self._test_id, self._policy.allowed_rules
            )
        violations = collector.take_violations(0)
        crashes = [server.crash_reason for server in self._all_servers if server.crash_reason is not None]
        if passed and crashes:
            result.error = StartError(f"the mock server crashed during the test: {crashes[0]}")
        elif passed and violations:
            result.error = contract_error(violations)
        elif passed and recorded.error:
            result.error = StartError(recorded.error)
        return result

    def _collect_findings(self, *, passed: bool) -> None:
        """Check the entries of all journals, once, and the unused stubs if the test passed."""
        for server in self._all_servers:
            server.wait_until_idle()
        sessions = [
            session
            for server in self._all_servers
            if server.session.journal.on_removed is not None
            for session in server.sessions
        ]
        for session in sessions:
            session.journal.on_removed = None
            add_entry = self._entry_callback(session)
            for entry in session.journal:
                add_entry(entry)
        self._collector.check_conduct()
        if self._relay is not None and self._relay.has_open_exchanges:
            self._collector.add_open_request()
        elif self._relay is not None and self._relay.has_unchecked_exchanges:
            self._collector.add_unchecked_reply()
        if passed:
            self._collector.add_unused_stubs(stub for session in sessions for stub in session.stubs.pending)

    @property
    def stop_reason(self) -> str:
        """Why the run must stop: the endpoint has answered no request yet, and the test does not allow that."""
        relay, settings = self._relay, self._live_settings
        if relay is None or settings is None or relay.reached:
            return ""
        name, reason = relay.failure
        if relay.has_open_exchanges:
            name, reason = UNREACHABLE, "it does not reply"
        if not name or name in self._policy.allowed_rules:
            return ""
        return f"responses: no request reached {settings.endpoint.base_url}: {redact(reason)}"

    def _report_section(self, recording_notes: str) -> str:
        parts = [recording_notes] if recording_notes else []
        parts += [
            session_transcript(
                session, self._policy, self._removed_requests.take(server.session, session.name)
            )
            for server in self._all_servers
            for session in server.sessions
        ]
        parts += ["\n".join(lines) for lines in self._removed_requests.take_all()]
        parts += [
            f"the mock server crashed: {server.crash_reason}"
            for server in self._all_servers
            if server.crash_reason is not None
        ]
        return "\n\n".join(part for part in parts if part)

    def _report_data(self) -> dict[str, Any]:
        collector = self._collector
        if (
            not collector.request_count
            and not collector.unused_count
            and self._recording_manager.recording is None
        ):
            return {}
        sessions = [each for server in self._all_servers for each in server.sessions if len(each.journal)]
        return {
            "profiles": sorted({session.profile.name for session in sessions}),
            "requests": collector.request_count,
            "unused": collector.unused_count,
            "ignored": dict(sorted(collector.ignored_parameters.items()))
            if collector.policy.ignored_parameters != "off"
            else {},
            "findings": collector.findings_as_json(),
            **self._live_report_data(),
        }

    def _live_report_data(self) -> dict[str, Any]:
        """What the test spent at the live endpoint."""
        if self._relay is None:
            return {}
        budget, (requests, tokens) = self._relay.budget, self._reported_spending
        self._reported_spending = budget.spent_requests, budget.spent_tokens
        return {
            "live": {"requests": budget.spent_requests - requests, "tokens": budget.spent_tokens - tokens}
        }

    @contextmanager
    def check_examples(self, item: pytest.Item) -> Iterator[None]:
        """While a property runs, reset the servers before each example and check it after.

        An example that violates the contract fails, so Hypothesis shrinks it.
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
                start, passed = self._begin_example(), False
                try:
                    result = await inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(start, passed=passed)
                return result

        else:

            @functools.wraps(inner)
            def example(*arguments: Any, **named: Any) -> Any:
                __tracebackhide__ = True
                start, passed = self._begin_example(), False
                try:
                    result = inner(*arguments, **named)
                    passed = True
                finally:
                    self._end_example(start, passed=passed)
                return result

        return example

    def _begin_example(self) -> int:
        self._recording_manager.rewind()
        for server in self._all_servers:
            server.reset()  # checks what came before the first example; the end of the test reports it
            server.session.journal.on_removed = self._removal_callback(server.session)
        self._collector.check_conduct()
        return self._collector.begin_example()

    def _end_example(self, start: int, *, passed: bool) -> None:
        __tracebackhide__ = True
        # The journals stay as they are: the report shows those of the last example.
        self._collect_findings(passed=passed)
        violations = self._collector.take_violations(start)
        if passed and violations:
            raise contract_error(violations)


# Most runs need none of these modules, so they are imported here.


def _create_exchange_log(config: pytest.Config) -> ExchangeLog | None:
    if report_path(config, "html") is None:
        return None
    from mockserver.testing.pytest_plugin.html_report import ExchangeLog

    return ExchangeLog()


def _load_live_settings(config: pytest.Config) -> LiveSettings | None:
    from mockserver.testing.pytest_plugin.live_endpoint import load_live_settings

    return load_live_settings(config)


def _create_live_server(settings: LiveSettings, max_body: int) -> tuple[LocalServer, Relay]:
    from mockserver.testing.pytest_plugin.live_endpoint import create_live_server

    return create_live_server(settings, max_body)
