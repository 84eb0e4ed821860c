"""`--responses-live`: tests against endpoints, honest ones and others, on this machine."""

from __future__ import annotations

import pytest

from mockserver.profiles import load_profile
from tests.live.conftest import CANARY_KEY, fake_endpoint, fake_endpoints
from tests.testing.pytest_plugin.conftest import RunPytest

__all__ = ["fake_endpoint", "fake_endpoints"]

ASKING_TEST = """
def test_asks(ask, responses_server):
    assert text(ask())
    assert responses_server.journal.last.prompt == "hi"
"""


@pytest.fixture(autouse=True)
def _endpoint_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)


def live_options(root: str, deviation: str = "honest") -> list[str]:
    return ["--responses-live", f"--responses-live-url={root}/{deviation}{load_profile().base_path}"]


def test_a_test_without_stubs_runs(run: RunPytest, fake_endpoint: str) -> None:
    result = run(ASKING_TEST, *live_options(fake_endpoint))
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def test_it(responses_server): responses_server.reply('x')", "it configures a reply"),
        ("def test_it(responses_server): responses_server.fail('rate-limit')", "it configures an error"),
        ("def test_it(responses_server): responses_server.clock", "it moves the server's clock"),
        ("def test_it(responses_server): responses_server.reset()", "it resets the server"),
        ("def test_it(make_responses_server): make_responses_server()", "it starts a mock server of its own"),
        (
            "@pytest.mark.responses(rendering='documented')\ndef test_it(responses_server): pass",
            "its marker sets rendering",
        ),
        (
            "@pytest.mark.responses(exchanges='.')\ndef test_it(responses_server): pass",
            "its marker sets exchanges",
        ),
        (
            "@pytest.mark.responses(profile='qwen-2026-09')\ndef test_it(responses_server): pass",
            "its marker sets profile qwen-2026-09, and the endpoint is checked as qwen-2026-01",
        ),
    ],
)
def test_only_tests_that_script_the_mock_are_skipped(
    code: str, reason: str, run: RunPytest, fake_endpoint: str
) -> None:
    result = run(code + ASKING_TEST, "-rs", *live_options(fake_endpoint))
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*not against a live endpoint: {reason}"])


def test_an_endpoint_that_breaks_the_contract_fails_the_test(run: RunPytest, fake_endpoint: str) -> None:
    result = run(ASKING_TEST, *live_options(fake_endpoint, "usage-total"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Contract violation USE-001 at /usage/total_tokens: the endpoint's reply: total_tokens is not*"]
    )
    allowed = "@pytest.mark.responses(allow=['USE-001'])"
    run(f"{allowed}{ASKING_TEST}", *live_options(fake_endpoint, "usage-total")).assert_outcomes(passed=1)


def test_each_example_is_checked(run: RunPytest, fake_endpoint: str) -> None:
    code = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=20, deadline=None, database=None)
@given(question=st.text(min_size=1, alphabet="abc"))
def test_it(ask, responses_server, question):
    assert text(ask(question))
    assert [entry.prompt for entry in responses_server.journal] == [question]
"""
    run(code, *live_options(fake_endpoint)).assert_outcomes(passed=1)
    result = run(code, *live_options(fake_endpoint, "text-differs"))
    result.assert_outcomes(passed=1)  # only streams are wrong there
    run(code, *live_options(fake_endpoint, "usage-gone")).assert_outcomes(failed=1)


def test_the_budget_is_not_exceeded(run: RunPytest, fake_endpoint: str) -> None:
    code = """
def test_it(ask, responses_server):
    assert text(ask())
    assert ask()["code"] == "BudgetSpent"
"""
    run(code, *live_options(fake_endpoint), "--responses-live-max-requests=1").assert_outcomes(passed=1)
    run(code, *live_options(fake_endpoint), "--responses-live-max-tokens=10").assert_outcomes(passed=1)


def test_the_key_is_in_no_output(run: RunPytest, fake_endpoint: str) -> None:
    result = run(
        ASKING_TEST.replace('"hi"', '"ho"'),
        *live_options(fake_endpoint, "key-in-body"),
        "-vv",
        "--showlocals",
    )
    result.assert_outcomes(failed=1)
    assert CANARY_KEY not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--responses-live"], "--responses-live needs an endpoint: add --responses-live-url URL"),
        (["--responses-live", "--responses-live-url=http://example.com/v1"], "--allow-http"),
        (
            ["--responses-live", "--responses-live-url=https://x/v1", "--responses-live-api-key-env=NO"],
            "NO is not set",
        ),
        (
            ["--responses-live", "--responses-live-url=https://x/v1", "--responses-live-profile=x"],
            "no profile 'x'",
        ),
        (
            ["--responses-live", "--responses-live-url=https://x/v1", "--responses-live-max-tokens=many"],
            "--responses-live-max-tokens must be a whole number, not 'many'",
        ),
    ],
)
def test_invalid_options_are_reported(options: list[str], words: str, run: RunPytest) -> None:
    result = run(ASKING_TEST, *options)
    assert words in result.stdout.str() + result.stderr.str()
    assert result.ret != pytest.ExitCode.OK


def test_without_responses_live_no_request_leaves(run: RunPytest) -> None:
    """Nothing listens at this address: a request there would fail the test."""
    run(ASKING_TEST, "--responses-live-url=http://127.0.0.1:1/v1").assert_outcomes(passed=1)
