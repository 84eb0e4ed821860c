"""Fixture `run`: a pytest run inside a test, on a project whose tests use the mock server."""

from __future__ import annotations

from collections.abc import Callable

import httpcore  # noqa: F401 - as below
import pytest

import mockserver.server.delivery.faults.catalogue
import mockserver.server.interception
import mockserver.testing.pytest_plugin.live_endpoint
import mockserver.testing.pytest_plugin.recordings
import mockserver.testing.pytest_plugin.server_manager
import mockserver.testing.pytest_plugin.summary  # noqa: F401 - loaded once, not in each run in this process
from tests.pytest_runs import run_pytest_process

#: A client for the tests of the project; keyword arguments go into the request.
PROJECT_CONFTEST = '''
import httpx
import pytest

@pytest.fixture(scope="session")
def ask(responses_server):
    """A careless client: it ignores the status of the reply."""
    with httpx.Client(trust_env=False) as client:
        def ask(text="hi", server=responses_server, key=None, **more):
            head = {"authorization": f"Bearer {key or server.api_key}"}
            body = {"model": server.model, "input": text, **more}
            return client.post(f"{server.base_url}/responses", json=body, headers=head).json()
        yield ask

def text(reply):
    return reply["output"][0]["content"][0]["text"]
'''

RunPytest = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """`run(code, *options)`: the result of pytest on a test file, which can use `text` and the fixture `ask`.

    It runs in this process, in a subprocess, or in workers of pytest-xdist. The last two load no other plugin
    unless `all_plugins` asks for all that are installed.
    """
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run(
        code: str,
        *options: str,
        subprocess: bool = False,
        workers: int | None = None,
        all_plugins: bool = False,
    ) -> pytest.RunResult:
        pytester.makeconftest(PROJECT_CONFTEST)
        pytester.makepyfile("import pytest\nfrom conftest import text\n" + code)
        if workers is not None:
            return run_pytest_process(pytester, "-p", "xdist", "-n", str(workers), *options)
        if subprocess and not all_plugins:
            return run_pytest_process(pytester, *options)
        start = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        # Schemathesis loads its modules again in each run in this process.
        without = () if all_plugins else ("-p", "no:schemathesis")
        scope = ("-o", "asyncio_default_fixture_loop_scope=function")
        return start("-p", "no:cacheprovider", *without, *scope, *options)

    return run
