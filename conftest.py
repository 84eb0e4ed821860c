"""Checks every byte that the server emits in any test of this repository against the contract.

With CI=true a skipped test is a failure, since CI has every program that the tests need.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import traffic_recorder

pytest_plugins = ["pytester"]

# A deadline would make the outcome depend on how busy the machine is.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

RECORDER_FOLDER = Path(__file__).parent / "tests" / "recorder"

_problems: list[str] = []


def pytest_configure() -> None:
    from mockserver.server.http.app import App

    traffic_recorder.record_application(
        App, lambda exchange: _problems.extend(traffic_recorder.contract_problems(exchange))
    )


@pytest.fixture(autouse=True)
def _check_all_traffic(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    spool = tmp_path_factory.mktemp("spool")
    monkeypatch.setenv(traffic_recorder.SPOOL_VARIABLE, str(spool))
    monkeypatch.setenv("PYTHONPATH", str(RECORDER_FOLDER), prepend=os.pathsep)
    _problems.clear()
    yield
    for exchange in traffic_recorder.read_spool(spool):
        _problems.extend(traffic_recorder.contract_problems(exchange))
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
