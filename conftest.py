"""This repository's own recorder: every byte the server emits in any test goes to the judge.

Also: with CI=true a skipped test is a failure, since CI has every program the tests need.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests import recording

pytest_plugins = ["pytester"]

RECORDER_FOLDER = Path(__file__).parent / "tests" / "recorder"

_problems: list[str] = []


def pytest_configure() -> None:
    from mockserver.server.http.app import App

    recording.record_application(App, lambda crossing: _problems.extend(recording.contract_problems(crossing)))


@pytest.fixture(autouse=True)
def _check_all_traffic(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    spool = tmp_path_factory.mktemp("spool")
    monkeypatch.setenv(recording.SPOOL_VARIABLE, str(spool))
    monkeypatch.setenv("PYTHONPATH", str(RECORDER_FOLDER), prepend=os.pathsep)
    _problems.clear()
    yield
    for crossing in recording.read_spool(spool):
        _problems.extend(recording.contract_problems(crossing))
    assert not _problems, "\n".join(_problems)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI is a failure: {call.excinfo.value if call.excinfo else ''}"
    return report
