"""The pytest plugin: fixtures for tests of clients, and a verdict on what they ask.

Importing it imports only pytest; a test that uses a fixture loads the rest.

What the plugin does in a test run: settings, the servers of a test, its verdict, the run's report.

`options` is loaded with the plugin, the rest when a test uses one of its fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from mockserver.testing.pytest_plugin import options

if TYPE_CHECKING:
    from mockserver.testing.mock import MockServer
    from mockserver.testing.pytest_plugin.html_report import HtmlReport
    from mockserver.testing.pytest_plugin.server_manager import ItemResult, ServerManager
    from mockserver.testing.pytest_plugin.summary import Summary

__all__ = ["make_responses_server", "responses_config", "responses_env", "responses_server"]

_CURRENT_ITEM = pytest.StashKey[pytest.Item]()
"""The test that runs."""
_MANAGER = pytest.StashKey["ServerManager"]()
_ITEM_RESULT = pytest.StashKey["ItemResult"]()
_STALE_RECORDINGS = pytest.StashKey[list[str]]()
#: … and under pytest-xdist the name under which a worker tells them.
_WORKER_STALE_KEY = "responses_stale"


@pytest.fixture(scope="session")
def responses_config() -> Mapping[str, Any]:
    """Settings of the servers, by the names of `[tool.mockserver]`; override it to change some.

    They come after those of pyproject.toml and of pytest's ini file, and before the command line.
    """
    return {}


@pytest.fixture(scope="session")
def _responses_server_manager(
    request: pytest.FixtureRequest, responses_config: Mapping[str, Any]
) -> Iterator[ServerManager]:
    from mockserver.testing.pytest_plugin.server_manager import ServerManager

    stash = request.config.stash
    kit = ServerManager(request.config, responses_config)
    kit.begin_test(stash[_CURRENT_ITEM])
    stash[_MANAGER] = kit
    yield kit
    del stash[_MANAGER]
    kit.stop()


@pytest.fixture(scope="session")
def responses_server(_responses_server_manager: ServerManager) -> MockServer:
    """A mock server on loopback, as new in each test, and under `@given` in each example.

    It has `.base_url`, `.api_key`, `.model`, `.reply(…)`, `.journal`, `.clock`, `.openai()`,
    `.async_openai()` and `.httpx()`. When the test is over, each request is judged.
    """
    return _responses_server_manager.open_shared_server()


@pytest.fixture
def responses_env(responses_server: MockServer, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Points `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `DASHSCOPE_API_KEY` to the mock; returns them."""
    variables = {
        "OPENAI_BASE_URL": responses_server.base_url,
        "OPENAI_API_KEY": responses_server.api_key,
        "DASHSCOPE_API_KEY": responses_server.api_key,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def make_responses_server(_responses_server_manager: ServerManager) -> Iterator[Callable[..., MockServer]]:
    """Starts more servers for this test: `make_responses_server(profile=…, seed=…)`.

    Settings are those of the run unless given; each server is judged like the first, and stopped.
    """
    yield _responses_server_manager.make_server
    _responses_server_manager.stop_extra_servers()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER_DESCRIPTION)
    for name in ("strict", "unused", "ignored", "record-mode"):
        options.option_value(config, name)
    options.require_endpoint_for_recording(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_RunReports(config), "mockserver-reports")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """A marker that can not be read ends the run before it begins; in a worker of xdist, its own test.

    Before any test is left out it is told which recordings are no test's.
    """
    stale = [] if any("::" in each for each in config.args) else _find_stale_recordings(items)
    if hasattr(config, "workerinput"):
        config.workeroutput[_WORKER_STALE_KEY] = stale  # type: ignore[attr-defined] # of a worker of xdist
        return (yield)
    config.stash[_STALE_RECORDINGS] = stale
    result = yield
    _validate_markers(config, items)
    return result


def _find_stale_recordings(items: Iterable[pytest.Item]) -> list[str]:
    """Files of recordings that are no test's; most projects have no recordings, and need not pay for this."""
    folders = {item.path.parent for item in items}
    if not any((folder / options.RECORDINGS_FOLDER).is_dir() for folder in folders):
        return []
    from mockserver.testing.pytest_plugin.recording_files import stale_recordings

    return [*map(str, stale_recordings(items))]


def _validate_markers(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """UsageError where a marker can not be used."""
    marked = [item for item in items if item.get_closest_marker("responses") is not None]
    if not marked:
        return
    from mockserver.testing.pytest_plugin.settings import failure_policy, load_run_settings, settings_for_test

    kit = config.stash.get(_MANAGER, None)
    settings = load_run_settings(config, {}) if kit is None else kit.settings
    for item in marked:
        failure_policy(item)
        settings_for_test(item, settings)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _validate_markers(item.config, [item])  # before a fixture for the whole run would fail of it
    item.config.stash[_CURRENT_ITEM] = item
    if options.is_live(item.config) and item.get_closest_marker("responses") is not None:
        from mockserver.testing.pytest_plugin.live_endpoint import skip_if_scripted

        skip_if_scripted(item)
    kit = item.config.stash.get(_MANAGER, None)
    if kit is not None:
        kit.begin_test(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The verdict is part of the call, so that a test has one outcome."""
    __tracebackhide__ = True
    stash = item.config.stash
    kit = stash.get(_MANAGER, None)
    if kit is not None:
        kit.require_recordings()
    with kit.check_examples(item) if kit is not None else nullcontext():
        try:
            result = yield
        except Exception:
            _end_call(item, passed=False)
            raise
        except BaseException as error:
            # Skipped and failed by word of pytest; whatever ends the run is no matter of a test's.
            if isinstance(error, pytest.fail.Exception | pytest.skip.Exception):
                _end_call(item, passed=False)
            raise
    outcome = _end_call(item, passed=True)
    if outcome is not None and outcome.error is not None:
        raise outcome.error
    return result


def _end_call(item: pytest.Item, *, passed: bool) -> ItemResult | None:
    kit = item.config.stash.get(_MANAGER, None)
    if kit is None:
        return None
    item.stash[_ITEM_RESULT] = outcome = kit.end_test(passed=passed)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    outcome = item.stash.get(_ITEM_RESULT, None)
    if outcome is None or call.when != "call":
        return report
    del item.stash[_ITEM_RESULT]
    if outcome.report_data:
        report.responses = outcome.report_data  # type: ignore[attr-defined] # xdist carries it along
        report.responses_shown = outcome.exchanges  # type: ignore[attr-defined]
    if outcome.section:
        report.sections.append(("what the mock server was asked", outcome.section))
    if report.failed and call.excinfo is not None and call.excinfo.value is outcome.error:
        report.longrepr = shown = call.excinfo.getrepr(style="value")  # where it was raised tells nothing
        if shown.reprcrash is not None:
            shown.reprcrash.message = str(outcome.error)  # its first line is all that a summary has room for
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        kit = item.config.stash.get(_MANAGER, None)
        if kit is not None:
            kit.close_clients()


class _RunReports:
    """Gathers what tests came to, in the process that tells the user: under xdist the controller."""

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
        """A worker of xdist has ended: it has told which recordings are no test's."""
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
                reason = f"responses_{name}: can not write {file}: {error.strerror or error}"
                pytest.exit(reason, pytest.ExitCode.USAGE_ERROR)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if stale := self._config.stash.get(_STALE_RECORDINGS, []):
            root = f"{self._config.rootpath}/"
            self.summary.stale_recordings = [each.removeprefix(root) for each in stale]
        if self._summary is not None:
            for line in self._summary.terminal_lines():
                terminalreporter.write_line(line)
