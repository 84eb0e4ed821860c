"""`--responses-live`: tests against endpoints, honest ones and others, on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import httpx
import pytest

from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.profiles import load_profile
from mockserver.server.http.listeners import bind_socket
from mockserver.testing.mock import MockServer
from tests.live.conftest import CANARY_KEY, fake_endpoint, fake_endpoints
from tests.live.tunnels import CA_FILE, start_proxy, start_tls_front
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
        ("def test_it(responses_intercept): pass", "it intercepts requests"),
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


def test_first_reply_decides_the_profile_at_a_shared_path(
    run: RunPytest, fake_endpoints: Callable[[str], str]
) -> None:
    """`/v1` is the path of every gateway, so it decides nothing."""
    url = f"{fake_endpoints('qwen-2026-09')}/honest/v1"
    code = "@pytest.mark.responses(profile='qwen-2026-01')\ndef test_it(responses_server): pass"
    result = run(code + ASKING_TEST, "-rs", "--responses-live", f"--responses-live-url={url}")
    result.assert_outcomes(passed=1, skipped=1)
    reason = "its marker sets profile qwen-2026-01, and the endpoint is checked as qwen-2026-09"
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
@pytest.mark.responses(allow=[ALLOWED])
def test_it(ask, responses_server):
    assert text(ask())
    assert ask()["code"] == "BudgetSpent"
"""
    allowed = code.replace("ALLOWED", "'budget'")
    run(allowed, *live_options(fake_endpoint), "--responses-live-max-requests=1").assert_outcomes(passed=1)
    run(allowed, *live_options(fake_endpoint), "--responses-live-max-tokens=10").assert_outcomes(passed=1)
    result = run(code.replace("ALLOWED", ""), *live_options(fake_endpoint), "--responses-live-max-requests=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Budget spent (budget): POST */responses: 1 requests and * tokens are spent*"]
    )


IGNORING_TESTS = """
def test_one(ask):
    ask()

def test_two(ask):
    ask()
"""
STOPPED = "*responses: no request reached *"


def unused_url() -> str:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    return f"http://127.0.0.1:{port}{load_profile().base_path}"


def test_an_unreachable_endpoint_fails_the_first_test_and_stops_the_run(run: RunPytest) -> None:
    url = unused_url()
    result = run(IGNORING_TESTS, "--responses-live", f"--responses-live-url={url}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Endpoint unreachable (unreachable): POST */responses: The endpoint did not reply: *",
            "responses: live endpoint: 1 request and 0 tokens spent",
            f"!* responses: no request reached {url}: The endpoint did not reply: *!",
        ]
    )


def test_an_unreachable_endpoint_can_be_allowed(run: RunPytest) -> None:
    allowed = "pytestmark = pytest.mark.responses(allow=['unreachable'])\n" + IGNORING_TESTS
    result = run(allowed, "--responses-live", f"--responses-live-url={unused_url()}")
    result.assert_outcomes(passed=2)


def test_a_tls_error_is_unreachable(run: RunPytest, fake_endpoint: str) -> None:
    url = f"{fake_endpoint.replace('http:', 'https:')}/honest{load_profile().base_path}"
    result = run(IGNORING_TESTS, "--responses-live", f"--responses-live-url={url}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Endpoint unreachable (unreachable): *SSL*", STOPPED])


def test_a_silent_endpoint_is_unreachable(run: RunPytest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts connections and never replies; the client gives up and swallows the error."""
    monkeypatch.setattr("mockserver.live.relay._IDLE_TIMEOUT", 0.1)
    listener = bind_socket("127.0.0.1", 0)
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{load_profile().base_path}"
    code = """
import httpx

def test_one(responses_server):
    with pytest.raises(httpx.TimeoutException):
        body = {"model": responses_server.model, "input": "hi"}
        responses_server.httpx(timeout=0.2).post("/responses", json=body)

def test_two(ask):
    ask()
"""
    result = run(code, "--responses-live", f"--responses-live-url={url}")
    listener.close()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Endpoint unreachable (unreachable): *the client disconnected before the endpoint replied", STOPPED]
    )


def test_a_reply_whose_check_takes_too_long_fails_its_test(
    run: RunPytest, fake_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay answers on, and what was not examined is not green."""
    release = threading.Event()
    monkeypatch.setattr("mockserver.live.relay._IDLE_TIMEOUT", 0.1)
    monkeypatch.setattr(PassThroughChecker, "journal_entry", lambda *_: release.wait(60))
    code = """
def test_one(ask):
    ask()
    ask()
"""
    result = run(code, *live_options(fake_endpoint))
    release.set()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Unchecked reply (unchecked): a reply was not checked by the end of the test"]
    )


def test_a_refused_key_fails_the_first_test_and_stops_the_run(
    run: RunPytest, fake_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-wrong-key-0001")
    result = run(IGNORING_TESTS, *live_options(fake_endpoint))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Refused request (refused): POST */responses: the endpoint replied 401: *", STOPPED]
    )
    assert "sk-wrong-key-0001" not in result.stdout.str()
    allowed = "pytestmark = pytest.mark.responses(allow=['refused'])\n" + IGNORING_TESTS
    run(allowed, *live_options(fake_endpoint)).assert_outcomes(passed=2)


def test_an_unknown_path_of_a_client_is_refused(run: RunPytest, fake_endpoints: Callable[[str], str]) -> None:
    """A response that does not exist is an answer of the API; a path that does not exist is none."""
    code = """
def test_path(ask, responses_server):
    ask()
    responses_server.httpx().get("/nowhere")

def test_missing_response(responses_server):
    responses_server.httpx().get("/responses/resp_missing")
"""
    url = f"{fake_endpoints('qwen-2026-05')}/honest{load_profile('qwen-2026-05').base_path}"
    result = run(
        code, "--responses-live", f"--responses-live-url={url}", "--responses-live-profile=qwen-2026-05"
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["Refused request (refused): GET */nowhere: the endpoint replied 404: *"])


def test_a_wrong_path_is_refused(run: RunPytest, fake_endpoint: str) -> None:
    url = f"{fake_endpoint}/honest/elsewhere"
    result = run(IGNORING_TESTS, "--responses-live", f"--responses-live-url={url}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Refused request (refused): *the endpoint replied 404: *", STOPPED])


def test_a_reply_that_is_cut_is_unreachable(run: RunPytest, fake_endpoint: str) -> None:
    code = "def test_it(ask):\n    try:\n        ask(stream=True)\n    except Exception:\n        pass\n"
    result = run(code, *live_options(fake_endpoint, "closed-early"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Endpoint unreachable (unreachable): *the endpoint cut the reply after *"])


def test_a_wrong_key_for_the_pass_through_is_refused(run: RunPytest, fake_endpoint: str) -> None:
    code = (
        ASKING_TEST + "\ndef test_wrong_key(ask):\n    ask(key='wrong')\n\ndef test_last(ask):\n    ask()\n"
    )
    result = run(code, *live_options(fake_endpoint))
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["Refused request (refused): POST */responses: not an API request: *"])


def test_the_summary_has_requests_and_tokens(
    run: RunPytest, fake_endpoint: str, pytester: pytest.Pytester
) -> None:
    result = run(ASKING_TEST + IGNORING_TESTS, *live_options(fake_endpoint), "--responses-report=report.json")
    result.assert_outcomes(passed=3)
    tests = json.loads((pytester.path / "report.json").read_bytes())["tests"]
    assert [test["live"]["requests"] for test in tests] == [1, 1, 1]
    tokens = sum(test["live"]["tokens"] for test in tests)
    assert tokens > 0
    result.stdout.fnmatch_lines([f"responses: live endpoint: 3 requests and {tokens:,} tokens spent"])


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
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith("ERROR: ")
    assert words in line


def test_without_responses_live_no_request_leaves(run: RunPytest) -> None:
    """Nothing listens at this address: a request there would fail the test."""
    run(ASKING_TEST, "--responses-live-url=http://127.0.0.1:1/v1").assert_outcomes(passed=1)


def test_the_endpoint_is_reached_through_a_proxy_with_its_own_authority(run: RunPytest) -> None:
    with MockServer(api_key=CANARY_KEY) as server, start_proxy() as proxy:
        url = httpx.URL(server.base_url)
        assert url.port is not None
        with start_tls_front(url.port) as root:
            options = ["--responses-live", f"--responses-live-url={root}{url.path}"]
            options += [f"--responses-live-ca-file={CA_FILE}", f"--responses-live-proxy={proxy.url}"]
            run(ASKING_TEST, *options).assert_outcomes(passed=1)
    assert proxy.targets


def test_an_invalid_proxy_ends_the_run(run: RunPytest, fake_endpoint: str) -> None:
    result = run(ASKING_TEST, *live_options(fake_endpoint), "--responses-live-proxy=nowhere")
    result.stderr.fnmatch_lines(["*--responses-live-proxy must be a URL like*"])
