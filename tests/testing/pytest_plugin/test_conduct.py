"""The plugin checks a client's conduct if the run or the test asks for it."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

PROJECT = """
import pytest
from mockserver import FunctionCall

def send_rejected_twice(ask, server):
    server.fail("http-status", status=400).times(2)
    for _ in range(2):
        ask()

def test_it(ask, responses_server):
    send_rejected_twice(ask, responses_server)

def test_before_a_reset(ask, responses_server):
    send_rejected_twice(ask, responses_server)
    responses_server.reset()

@pytest.mark.responses(allow=["RTY-003"])
def test_allowed(ask, responses_server):
    send_rejected_twice(ask, responses_server)

@pytest.mark.responses(conduct=False)
def test_not_checked(ask, responses_server):
    send_rejected_twice(ask, responses_server)

@pytest.mark.responses(conduct=True, fail_on="warning")
def test_a_warning(ask, responses_server):
    responses_server.reply("Hello.").times(2)
    text = "You are a helpful assistant. Turn "
    first = ask(instructions=text + "1")
    ask(instructions=text + "2", previous_response_id=first["id"])

@pytest.mark.responses(conduct=True)
def test_another_server(ask, responses_server, make_responses_server):
    other = make_responses_server()
    for server in (responses_server, other):
        server.fail("http-status", status=400)
        ask(server=server)
"""


def test_the_plugin_checks_conduct_on_request(run: RunPytest) -> None:
    result = run(PROJECT, "--responses-conduct=true")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*Conduct RTY-003: the same request was rejected with 400 before, as request 1*",
            "*Conduct CTX-002 at /instructions: the prefix of request 1 has changed: *character 34*",
        ]
    )


def test_without_a_request_only_marked_tests_are_checked(run: RunPytest) -> None:
    result = run(PROJECT)
    result.assert_outcomes(passed=5, failed=1)


def test_an_invalid_marker_ends_the_run(run: RunPytest) -> None:
    result = run("@pytest.mark.responses(conduct='yes')\ndef test_it(ask):\n    pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*conduct must be True or False, not 'yes'"])
