"""Checks every byte that the server emits in any test of this repository against the contract.

With CI=true a skipped test is a failure, since CI has every program that the tests need.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
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


def pytest_collection_finish() -> None:
    # What is loaded by now stays: a collection of garbage need not visit thousands of tests each time.
    gc.freeze()
    # A test that writes a module twice within a second must not import the bytecode of the first one.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One worker more than there are processors, because tests also wait: for processes, pauses and timeouts."""
    return (yield) + 1


@pytest.fixture(scope="session")
def _spool_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names for the folders of all tests. `mktemp` would list those of all earlier tests for each."""
    root = tmp_path_factory.mktemp("spools")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _check_all_traffic(_spool_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    spool = next(_spool_folders)
    spool.mkdir()
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
