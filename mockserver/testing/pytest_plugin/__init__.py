"""The pytest plugin: fixtures for tests of API clients, and a check of every request they send.

Importing it imports pytest and `options` only; a test that uses a fixture loads the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mockserver.testing.pytest_plugin import options

if TYPE_CHECKING:
    from mockserver.testing.mock import MockServer
    from mockserver.testing.pytest_plugin.html_report import HtmlReport
    from mockserver.testing.pytest_plugin.server_manager import ItemResult, ServerManager
    from mockserver.testing.pytest_plugin.summary import Summary

__all__ = [
    "make_responses_server",
    "responses_config",
    "responses_env",
    "responses_intercept",
    "responses_server",
]

_CURRENT_ITEM = pytest.StashKey[pytest.Item]()
_MANAGER = pytest.StashKey["ServerManager"]()
#: The `responses_config` whose settings the servers have; None if it is not known.
_CONFIG_FIXTURE = pytest.StashKey[Any]()
_ITEM_RESULT = pytest.StashKey["ItemResult"]()
_STALE_RECORDINGS = pytest.StashKey[list[str]]()
#: The same in the `workeroutput` of a pytest-xdist worker.
_WORKER_STALE_KEY = "responses_stale"


@pytest.fixture(scope="session")
def responses_config() -> Mapping[str, Any]:
    """Settings of the servers, with the names of `[tool.mockserver]`; override it to change them.

    They override those of pyproject.toml and of pytest's ini file; the command line overrides them.
    """
    return {}


@pytest.fixture(scope="session")
def _responses_server_manager(
    request: pytest.FixtureRequest, responses_config: Mapping[str, Any]
) -> Iterator[ServerManager]:
    from mockserver.testing.pytest_plugin.server_manager import ServerManager

    stash = request.config.stash
    manager = ServerManager(request.config, responses_config)
    stash[_CONFIG_FIXTURE] = _config_fixture(stash[_CURRENT_ITEM])
    manager.begin_test(stash[_CURRENT_ITEM])
    stash[_MANAGER] = manager
    yield manager
    del stash[_MANAGER]
    manager.stop()


@pytest.fixture(scope="session")
def responses_server(_responses_server_manager: ServerManager) -> MockServer:
    """A mock server on loopback, reset before each test, and before each example under `@given`.

    It has `.base_url`, `.api_key`, `.model`, `.reply(…)`, `.journal`, `.clock`, `.openai()`,
    `.async_openai()` and `.httpx()`. A request that violates the contract fails the test.
    """
    return _responses_server_manager.open_shared_server()


@pytest.fixture
def responses_env(responses_server: MockServer, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Sets `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `DASHSCOPE_API_KEY` to the mock's, and returns them.

    It adds the mock's host to `NO_PROXY` and `no_proxy`, so that no client asks a proxy for it.
    """
    from mockserver.network import no_proxy_variables

    variables = {
        "OPENAI_BASE_URL": responses_server.base_url,
        "OPENAI_API_KEY": responses_server.api_key,
        "DASHSCOPE_API_KEY": responses_server.api_key,
        **no_proxy_variables(os.environ, responses_server.base_url),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def responses_intercept(
    responses_server: MockServer, responses_env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Leads requests for the service's own https addresses to the mock, and lets clients reach no other host.

    It sets and returns the variables of `responses_env`, and those by which clients use the mock as a proxy
    and trust its certificates: see docs/intercept.md.
    """
    variables = {**responses_env, **responses_server.intercept_env}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def make_responses_server(_responses_server_manager: ServerManager) -> Iterator[Callable[..., MockServer]]:
    """Starts another server for this test: `make_responses_server(profile=…, seed=…)`.

    It has the settings of the run unless you change them. It is checked like the first, and stopped.
    """
    yield _responses_server_manager.make_server
    _responses_server_manager.stop_extra_servers()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER_DESCRIPTION)
    for name in ("strict", "unused", "ignored", "fail-on", "conduct", "record-mode"):
        options.option_value(config, name)
    options.require_endpoint_for_recording(config)
    if options.is_live(config):
        from mockserver.testing.pytest_plugin.live_endpoint import load_live_settings

        load_live_settings(config, detect=False)
    if not hasattr(config, "workerinput"):
        options.require_writable_reports(config)
        _warn_about_other_owners(config)
        config.pluginmanager.register(_RunReports(config), "mockserver-reports")


def _warn_about_other_owners(config: pytest.Config) -> None:
    """Warn if a distribution whose name tells it installs files in our module."""
    from mockserver.installation import other_owners, owners_note

    owners = other_owners("mockserver")
    if owners:
        warning = pytest.PytestConfigWarning(f"{owners_note(owners)}; see `mockserver doctor`")
        config.issue_config_time_warning(warning, stacklevel=2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """An invalid marker ends the run before the first test; in a worker of xdist it fails its own test.

    Stale recordings are looked for before other plugins deselect tests.
    """
    stale = [] if any("::" in each for each in config.args) else _find_stale_recordings(items)
    if hasattr(config, "workerinput"):
        config.workeroutput[_WORKER_STALE_KEY] = stale  # type: ignore[attr-defined] # xdist adds it to workers
        return (yield)
    config.stash[_STALE_RECORDINGS] = stale
    result = yield
    _validate_markers(config, items)
    return result


def _find_stale_recordings(items: Iterable[pytest.Item]) -> list[str]:
    folders = {item.path.parent for item in items}
    if not any((folder / options.RECORDINGS_FOLDER).is_dir() for folder in folders):
        return []
    from mockserver.testing.pytest_plugin.recording_files import stale_recordings

    return [*map(str, stale_recordings(items))]


def _validate_markers(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Raise UsageError if a marker is invalid."""
    marked = [item for item in items if item.get_closest_marker("responses") is not None]
    if not marked:
        return
    from mockserver.testing.pytest_plugin.settings import failure_policy, load_run_settings, settings_for_test

    manager = config.stash.get(_MANAGER, None)
    settings = load_run_settings(config, {}) if manager is None else manager.settings
    for item in marked:
        failure_policy(item)
        settings_for_test(item, settings)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _validate_markers(item.config, [item])  # before the session fixture fails because of it
    item.config.stash[_CURRENT_ITEM] = item
    if options.is_live(item.config) and item.get_closest_marker("responses") is not None:
        from mockserver.testing.pytest_plugin.live_endpoint import skip_if_scripted

        skip_if_scripted(item)
    manager = item.config.stash.get(_MANAGER, None)
    if manager is not None:
        _require_same_config(item)
        manager.begin_test(item)


def _config_fixture(item: pytest.Item) -> Any:
    """The definition of `responses_config` that a test uses; None if it uses none, or pytest does not tell."""
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return (definitions.get("responses_config") or (None,))[-1]


def _require_same_config(item: pytest.Item) -> None:
    """Raise UsageError if the test has a `responses_config` that has no effect: the servers have another's."""
    used, own = item.config.stash.get(_CONFIG_FIXTURE, None), _config_fixture(item)
    if used is None or own is None or own is used:
        return
    raise pytest.UsageError(
        f"{item.nodeid}: the servers of a run have one responses_config, and theirs is not that of this test "
        f"but of {_defining_file(used, item.config)}; move it to the topmost conftest.py, or use "
        "@pytest.mark.responses or make_responses_server"
    )


def _defining_file(definition: Any, config: pytest.Config) -> str:
    code = getattr(getattr(definition, "func", None), "__code__", None)
    file = Path(code.co_filename) if code is not None else Path(__file__)
    if file == Path(__file__):
        return "the plugin"
    return str(file.relative_to(config.rootpath) if file.is_relative_to(config.rootpath) else file)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Check the test's requests as part of the call, so that a test has one outcome."""
    __tracebackhide__ = True
    stash = item.config.stash
    manager = stash.get(_MANAGER, None)
    if manager is not None:
        manager.require_recordings()
    with manager.check_examples(item) if manager is not None else nullcontext():
        try:
            result = yield
        except Exception:
            _end_call(item, passed=False)
            raise
        except BaseException as error:
            # pytest.skip() and pytest.fail() end the test; other BaseExceptions end the run.
            if isinstance(error, pytest.fail.Exception | pytest.skip.Exception):
                _end_call(item, passed=False)
            raise
    item_result = _end_call(item, passed=True)
    if item_result is not None and item_result.error is not None:
        raise item_result.error
    return result


def _end_call(item: pytest.Item, *, passed: bool) -> ItemResult | None:
    manager = item.config.stash.get(_MANAGER, None)
    if manager is None:
        return None
    item.stash[_ITEM_RESULT] = item_result = manager.end_test(passed=passed)
    return item_result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.when == "call" and call.excinfo is not None and not item.config.getoption("fulltrace"):
        _end_at_the_caller(call.excinfo)
    report = yield
    item_result = item.stash.get(_ITEM_RESULT, None)
    if item_result is None or call.when != "call":
        return report
    del item.stash[_ITEM_RESULT]
    if item_result.report_data:
        report.responses = item_result.report_data  # type: ignore[attr-defined] # xdist sends it along
        report.responses_shown = item_result.exchanges  # type: ignore[attr-defined]
    if item_result.section:
        report.sections.append(("requests to the mock server", item_result.section))
    if report.failed and call.excinfo is not None and call.excinfo.value is item_result.error:
        report.longrepr = text = call.excinfo.getrepr(
            style="value"
        )  # a traceback into the plugin helps nobody
        if text.reprcrash is not None:
            text.reprcrash.message = str(item_result.error)  # the short summary shows its first line
    return report


def _end_at_the_caller(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave out how this package found an invalid argument: the message and the line that passed it are enough."""
    from mockserver.errors import ConfigurationError

    if not isinstance(excinfo.value, ConfigurationError):
        return
    package, caller, entry = Path(__file__).parents[2], None, excinfo.value.__traceback__
    while entry is not None:
        if package not in Path(entry.tb_frame.f_code.co_filename).parents:
            caller = entry
        entry = entry.tb_next
    if caller is not None:
        caller.tb_next = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        manager = item.config.stash.get(_MANAGER, None)
        if manager is not None:
            manager.close_clients()
            if reason := manager.stop_reason:
                item.session.shouldfail = reason


class _RunReports:
    """Collects the results of all tests and reports them: under xdist in the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._summary: Summary | None = None
        self._html_report: HtmlReport | None = None

    @property
    def summary(self) -> Summary:
        if self._summary is None:
            from mockserver.testing.pytest_plugin.summary import Summary

            self._summary = Summary()
        return self._summary

    @property
    def html_report(self) -> HtmlReport:
        if self._html_report is None:
            from mockserver.testing.pytest_plugin.html_report import HtmlReport

            self._html_report = HtmlReport()
        return self._html_report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and hasattr(report, "responses"):
            self.summary.add(report)
            if options.report_path(self._config, "html") is not None:
                self.html_report.add(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take the stale recordings from a worker of xdist that has ended."""
        self._config.stash[_STALE_RECORDINGS] = getattr(node, "workeroutput", {}).get(_WORKER_STALE_KEY, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        complete = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        for name in ("report", "html"):
            file = options.report_path(self._config, name)
            if file is None:
                continue
            try:
                (self.summary if name == "report" else self.html_report).write(file, complete=complete)
            except OSError as error:
                reason = f"responses_{name}: cannot write {file}: {error.strerror or error}"
                pytest.exit(reason, pytest.ExitCode.USAGE_ERROR)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if stale := self._config.stash.get(_STALE_RECORDINGS, []):
            root = f"{self._config.rootpath}/"
            self.summary.stale_recordings = [each.removeprefix(root) for each in stale]
        if self._summary is not None:
            for line in self._summary.terminal_lines():
                terminalreporter.write_line(line)
