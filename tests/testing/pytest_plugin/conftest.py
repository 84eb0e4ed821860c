"""Fixture `run`: a pytest run inside a test, on a project whose tests use the mock server."""

from __future__ import annotations

from collections.abc import Callable

import httpcore  # noqa: F401 - as below
import pytest

import mockserver.server.interception
import mockserver.testing.pytest_plugin.server_manager
import mockserver.testing.pytest_plugin.summary  # noqa: F401 - loaded once, not in each run in this process

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

    It runs in this process, in a subprocess, or in workers of pytest-xdist.
    """
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run(
        code: str, *options: str, subprocess: bool = False, workers: int | None = None
    ) -> pytest.RunResult:
        if workers is not None:
            # Without the other plugins a worker starts many times faster.
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            options = ("-p", "xdist", "-p", "mockserver.testing.pytest_plugin", "-n", str(workers), *options)
            subprocess = True
        pytester.makeconftest(PROJECT_CONFTEST)
        pytester.makepyfile("import pytest\nfrom conftest import text\n" + code)
        start = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return start("-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function", *options)

    return run
