"""The fixture `responses_intercept`."""

from __future__ import annotations

import os

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

CLIENT = """
import os
import subprocess
import sys

import httpx

URL = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1/responses"

def post(text="hi", url=URL):
    head = {"authorization": "Bearer " + os.environ["DASHSCOPE_API_KEY"]}
    return httpx.post(url, headers=head, json={"model": "qwen3-max-2026-01-23", "input": text}, timeout=60)
"""


def test_clients_of_the_test_and_its_processes_reach_the_mock(run: RunPytest) -> None:
    result = run(
        CLIENT
        + """
CODE = '''
import json, os, urllib.request
head = {"authorization": "Bearer " + os.environ["DASHSCOPE_API_KEY"], "content-type": "application/json"}
body = json.dumps({"model": "qwen3-max-2026-01-23", "input": "hi"}).encode()
print(urllib.request.urlopen(urllib.request.Request("%s", body, head)).status)
''' % URL

def test_in_this_process(responses_intercept, responses_server):
    responses_server.reply("intercepted")
    assert text(post().json()) == "intercepted"
    assert responses_server.journal.last.path in URL

def test_between(responses_server, ask):
    assert "HTTPS_PROXY" not in os.environ
    assert text(ask())

@pytest.mark.usefixtures("responses_intercept")
def test_in_another_process(responses_server):
    assert subprocess.check_output([sys.executable, "-c", CODE], text=True) == "200\\n"
    assert len(responses_server.journal) == 1

def test_another_server(make_responses_server, monkeypatch):
    server = make_responses_server(intercept=True)
    for name, value in server.intercept_env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DASHSCOPE_API_KEY", server.api_key)
    assert post().status_code == 200
""",
        subprocess=True,  # the clients of this process trust the usual authorities
    )
    result.assert_outcomes(passed=4)


def test_a_contract_violation_and_a_refused_host_fail_their_test(run: RunPytest) -> None:
    result = run(
        CLIENT
        + """
def test_violation(responses_intercept):
    post([])

def try_another_host():
    with pytest.raises(httpx.ProxyError):
        post(url="https://telemetry.example/v1")

def test_refused(responses_intercept):
    try_another_host()

@pytest.mark.responses(allow=["refused"])
def test_allowed(responses_intercept):
    try_another_host()
""",
        subprocess=True,
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["Contract violation REQ-001*", "Refused request*CONNECT telemetry.example:443*"]
    )


def test_the_environment_is_restored(run: RunPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_OPTIONS", raising=False)
    run("def test_one(responses_intercept): pass").assert_outcomes(passed=1)
    assert "NODE_OPTIONS" not in os.environ
