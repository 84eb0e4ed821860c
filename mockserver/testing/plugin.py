"""The pytest plugin: fixtures for tests of clients, and a verdict on what they ask.

Importing it imports only pytest; a test that uses a fixture loads the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from mockserver.testing.run import options

if TYPE_CHECKING:
    from mockserver.testing.mock import MockServer
    from mockserver.testing.run.gallery import Gallery
    from mockserver.testing.run.kit import Kit, Outcome
    from mockserver.testing.run.summary import Summary

__all__ = ["make_responses_server", "responses_config", "responses_env", "responses_server"]

_ITEM = pytest.StashKey[pytest.Item]()
"""The test that runs."""
_KIT = pytest.StashKey["Kit"]()
_OUTCOME = pytest.StashKey["Outcome"]()
_STALE_FILES = pytest.StashKey[list[str]]()
#: … and under pytest-xdist the name under which a worker tells them.
_STALE = "responses_stale"


@pytest.fixture(scope="session")
def responses_config() -> Mapping[str, Any]:
    """Settings of the servers, by the names of `[tool.mockserver]`; override it to change some.

    They come after those of pyproject.toml and of pytest's ini file, and before the command line.
    """
    return {}


@pytest.fixture(scope="session")
def _responses_kit(request: pytest.FixtureRequest, responses_config: Mapping[str, Any]) -> Iterator[Kit]:
    from mockserver.testing.run.kit import Kit

    stash = request.config.stash
    kit = Kit(request.config, responses_config)
    kit.begin(stash[_ITEM])
    stash[_KIT] = kit
    yield kit
    del stash[_KIT]
    kit.stop()


@pytest.fixture(scope="session")
def responses_server(_responses_kit: Kit) -> MockServer:
    """A mock server on loopback, as new in each test, and under `@given` in each example.

    It has `.base_url`, `.api_key`, `.model`, `.reply(…)`, `.journal`, `.clock`, `.openai()`,
    `.async_openai()` and `.httpx()`. When the test is over, each request is judged.
    """
    return _responses_kit.open()


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
def make_responses_server(_responses_kit: Kit) -> Iterator[Callable[..., MockServer]]:
    """Starts more servers for this test: `make_responses_server(profile=…, seed=…)`.

    Settings are those of the run unless given; each server is judged like the first, and stopped.
    """
    yield _responses_kit.make
    _responses_kit.dismiss()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER)
    for name in ("strict", "unused", "ignored", "record-mode"):
        options.chosen(config, name)
    options.require_endpoint(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reports(config), "mockserver-reports")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """A marker that can not be read ends the run before it begins; in a worker of xdist, its own test.

    Before any test is left out it is told which recordings are no test's.
    """
    stale = [] if any("::" in each for each in config.args) else _stale(items)
    if hasattr(config, "workerinput"):
        config.workeroutput[_STALE] = stale  # type: ignore[attr-defined] # of a worker of xdist
        return (yield)
    config.stash[_STALE_FILES] = stale
    result = yield
    _require_readable(config, items)
    return result


def _stale(items: Iterable[pytest.Item]) -> list[str]:
    """Files of recordings that are no test's; most projects have no recordings, and need not pay for this."""
    folders = {item.path.parent for item in items}
    if not any((folder / options.RECORDINGS).is_dir() for folder in folders):
        return []
    from mockserver.testing.run.places import stale_files

    return [*map(str, stale_files(items))]


def _require_readable(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """UsageError where a marker can not be used."""
    marked = [item for item in items if item.get_closest_marker("responses") is not None]
    if not marked:
        return
    from mockserver.testing.run.policy import policy_of, run_settings, settings_of

    kit = config.stash.get(_KIT, None)
    settings = run_settings(config, {}) if kit is None else kit.settings
    for item in marked:
        policy_of(item)
        settings_of(item, settings)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _require_readable(item.config, [item])  # before a fixture for the whole run would fail of it
    item.config.stash[_ITEM] = item
    if options.is_live(item.config) and item.get_closest_marker("responses") is not None:
        from mockserver.testing.run.live import skip_scripted

        skip_scripted(item)
    kit = item.config.stash.get(_KIT, None)
    if kit is not None:
        kit.begin(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The verdict is part of the call, so that a test has one outcome."""
    __tracebackhide__ = True
    stash = item.config.stash
    kit = stash.get(_KIT, None)
    if kit is not None:
        kit.require_tape()
    with kit.examples(item) if kit is not None else nullcontext():
        try:
            result = yield
        except Exception:
            _end(item, passed=False)
            raise
        except BaseException as error:
            # Skipped and failed by word of pytest; whatever ends the run is no matter of a test's.
            if isinstance(error, pytest.fail.Exception | pytest.skip.Exception):
                _end(item, passed=False)
            raise
    outcome = _end(item, passed=True)
    if outcome is not None and outcome.error is not None:
        raise outcome.error
    return result


def _end(item: pytest.Item, *, passed: bool) -> Outcome | None:
    kit = item.config.stash.get(_KIT, None)
    if kit is None:
        return None
    item.stash[_OUTCOME] = outcome = kit.end(passed=passed)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    outcome = item.stash.get(_OUTCOME, None)
    if outcome is None or call.when != "call":
        return report
    del item.stash[_OUTCOME]
    if outcome.data:
        report.responses = outcome.data  # type: ignore[attr-defined] # xdist carries it along
        report.responses_shown = outcome.shown  # type: ignore[attr-defined]
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
        kit = item.config.stash.get(_KIT, None)
        if kit is not None:
            kit.finish()


class _Reports:
    """Gathers what tests came to, in the process that tells the user: under xdist the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._summary: Summary | None = None
        self._gallery: Gallery | None = None

    @property
    def summary(self) -> Summary:
        if self._summary is None:
            from mockserver.testing.run.summary import Summary

            self._summary = Summary()
        return self._summary

    @property
    def gallery(self) -> Gallery:
        if self._gallery is None:
            from mockserver.testing.run.gallery import Gallery

            self._gallery = Gallery()
        return self._gallery

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and hasattr(report, "responses"):
            self.summary.add(report)
            if options.report_file(self._config, "html") is not None:
                self.gallery.add(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker of xdist has ended: it has told which recordings are no test's."""
        self._config.stash[_STALE_FILES] = getattr(node, "workeroutput", {}).get(_STALE, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        complete = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        for name in ("report", "html"):
            file = options.report_file(self._config, name)
            if file is None:
                continue
            try:
                (self.summary if name == "report" else self.gallery).write(file, complete=complete)
            except OSError as error:
                reason = f"responses_{name}: can not write {file}: {error.strerror or error}"
                pytest.exit(reason, pytest.ExitCode.USAGE_ERROR)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if stale := self._config.stash.get(_STALE_FILES, []):
            root = f"{self._config.rootpath}/"
            self.summary.stale = [each.removeprefix(root) for each in stale]
        if self._summary is not None:
            for line in self._summary.lines():
                terminalreporter.write_line(line)
