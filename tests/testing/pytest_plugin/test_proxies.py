"""Tests on a machine whose environment names a proxy."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

PROXIED_TESTS = """
import os
import httpx

CLIENT = '''
import os, httpx
key = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
body = {"model": "qwen3-max-2026-01-23", "input": "hi"}
url = os.environ["OPENAI_BASE_URL"] + "/responses"
assert httpx.post(url, json=body, headers=key).status_code == 200
'''

def test_client_that_reads_the_environment(responses_env):
    exec(CLIENT)
    assert "intranet.example" in os.environ["NO_PROXY"].split(",")

def test_without_the_fixture(responses_server):
    httpx.post(responses_server.base_url + "/responses", timeout=30)
"""


def test_responses_env_reaches_the_mock_and_a_failure_names_the_proxy(
    run: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    result = run(PROXIED_TESTS)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*no request reached the mock server; HTTP_PROXY, http_proxy, ALL_PROXY are*"]
    )
