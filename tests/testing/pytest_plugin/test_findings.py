"""Findings of a test: each test has one outcome, with its findings and its transcript."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.conftest import RunPytest

INVALID_REQUEST = 'ask(model="nope")'


def test_an_invalid_request_fails_the_test_with_its_rule(run: RunPytest) -> None:
    result = run(f"def test_it(ask):\n    {INVALID_REQUEST}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Contract violation REQ-005 at /model: Unsupported model: 'nope'.*",
            "*- requests to the mock server -*",
            "profile qwen-2026-01, rendering wire",
            "1. POST */responses -> 400",
            '   > {"model":"nope","input":"hi"}',
            '   < {"code":"InvalidParameter",*',
            "FAILED *::test_it - Contract violation REQ-005 at /model: *",
        ]
    )
    # A traceback into the plugin would not help.
    result.stdout.no_fnmatch_line("*pytest_plugin/__init__.py*")


def test_only_allowed_rules_may_be_broken(run: RunPytest) -> None:
    result = run(
        f"""
pytestmark = pytest.mark.responses(allow=["REQ-007"])

@pytest.mark.responses(allow=["REQ-005"])
def test_allowed(ask):
    {INVALID_REQUEST}

@pytest.mark.responses(allow="REQ-005")
def test_allowed_by_a_string(ask):
    {INVALID_REQUEST}

@pytest.mark.responses(allow=["REQ-001"])
def test_another(ask):
    {INVALID_REQUEST}

@pytest.mark.responses(allow=["REQ-005"])
def test_of_the_module(ask):
    {INVALID_REQUEST}
    ask([{{"type": "function_call_output", "call_id": "none", "output": "x"}}])
"""
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_another*"])


def test_a_failing_test_keeps_its_failure_and_gets_the_section(run: RunPytest) -> None:
    result = run(f"def test_it(ask):\n    {INVALID_REQUEST}\n    assert 1 == 2\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E       assert 1 == 2", "*- requests to the mock server -*", "   error REQ-005 /model*"]
    )
    result.stdout.no_fnmatch_line("*ContractError*")


def test_a_passing_test_prints_nothing(run: RunPytest) -> None:
    result = run('def test_it(ask, responses_server):\n    responses_server.reply("yes")\n    ask()\n', "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*responses:*")


def test_requests_in_setup_count_and_requests_in_teardown_do_not(run: RunPytest) -> None:
    """The check belongs to the call: requests in teardown are not checked, and no test errors."""
    result = run(
        f"""
@pytest.fixture
def late(ask):
    yield
    {INVALID_REQUEST}

@pytest.fixture
def early(ask):
    {INVALID_REQUEST}

def test_late(late):
    pass

def test_early(early):
    pass

def test_next(ask):
    ask()
"""
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_early*REQ-005*"])


@pytest.mark.parametrize(
    ("mark", "body", "outcome"),
    [
        ("xfail", INVALID_REQUEST, {"xfailed": 1}),
        ("xfail(strict=True)", INVALID_REQUEST, {"xfailed": 1}),
        ("xfail(strict=True)", "ask()", {"failed": 1}),
        ("xfail", "ask()", {"xpassed": 1}),
        ("xfail(raises=ContractError)", INVALID_REQUEST, {"xfailed": 1}),
        ("xfail(raises=KeyError)", INVALID_REQUEST, {"failed": 1}),
        ("skip", INVALID_REQUEST, {"skipped": 1}),
        ("filterwarnings('default')", f"{INVALID_REQUEST}; pytest.skip('no')", {"skipped": 1}),
        ("filterwarnings('default')", f"{INVALID_REQUEST}; pytest.fail('no')", {"failed": 1}),
        ("filterwarnings('default')", f"{INVALID_REQUEST}; pytest.xfail('no')", {"xfailed": 1}),
    ],
)
def test_skip_and_xfail_keep_their_meaning(
    mark: str, body: str, outcome: dict[str, int], run: RunPytest
) -> None:
    code = (
        f"from mockserver.errors import ContractError\n@pytest.mark.{mark}\ndef test_it(ask):\n    {body}\n"
    )
    run(code).assert_outcomes(**outcome)


def test_requests_outside_the_api_fail_the_test(run: RunPytest) -> None:
    result = run(
        """
import httpx

def test_key(ask):
    ask(key="wrong-key-of-mine")

def test_path(responses_server):
    responses_server.httpx().get("/files")

def test_text(responses_server):
    client = responses_server.httpx()
    client.post("/responses", content=b"{", headers={"content-type": "application/json"})

@pytest.mark.responses(allow=["refused"])
def test_allowed(ask):
    ask(key="wrong-key-of-mine")
"""
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "Refused request (refused): POST */responses: not an API request: Invalid API-key provided.*",
            "Refused request (refused): GET */files: not an API request: There is nothing at */files.*",
            "Contract violation SCH-006: *",
        ]
    )
    result.stdout.no_fnmatch_line("*wrong-key-of-mine*API*")


def test_keys_are_redacted_everywhere(run: RunPytest, pytester: pytest.Pytester) -> None:
    result = run(
        """
KEY = "sk-canary" + "0123456789"

@pytest.mark.responses(allow=["refused"])
def test_wrong_key(ask):
    ask(KEY, key=KEY)
    raise RuntimeError("by itself")

def test_in_the_text(ask):
    ask(f"my key is {KEY}", model=KEY)
    ask(KEY, **{KEY: KEY})

def test_unplanned(ask, responses_server):
    responses_server.reply(KEY)
    ask()
    ask(KEY)

def test_unused(ask, responses_server):
    responses_server.reply(KEY)
""",
        "--responses-report=report.json",
        "--responses-ignored=error",
    )
    result.assert_outcomes(failed=4)
    assert "REQ-005" in result.stdout.str()
    assert "canary0123456789" not in result.stdout.str() + result.stderr.str()
    assert "canary0123456789" not in (pytester.path / "report.json").read_text()


def test_entries_that_leave_the_journal_are_checked(run: RunPytest) -> None:
    result = run(
        f"""
from mockserver.server.state.journal import Journal

def test_it(ask, responses_server, monkeypatch):
    monkeypatch.setattr(Journal, "MAX_ENTRIES", 3)
    {INVALID_REQUEST}
    for _ in range(5):
        ask()
    assert len(responses_server.journal) == 3

def test_reset(ask, responses_server):
    {INVALID_REQUEST}
    responses_server.reset()
    assert len(responses_server.journal) == 0
"""
    )
    result.assert_outcomes(failed=2)
    assert sum(line.startswith("Contract violation REQ-005") for line in result.outlines) == 2


def test_a_test_without_the_fixture_is_checked_if_it_sends_requests(run: RunPytest) -> None:
    """A client with session scope can send requests in any test."""
    result = run(
        f"def test_first(ask):\n    ask()\n\ndef test_it(request):\n    ask = "
        f"request.getfixturevalue('ask')\n    {INVALID_REQUEST}\n"
    )
    result.assert_outcomes(passed=1, failed=1)


def test_a_fixture_from_getfixturevalue_is_checked(run: RunPytest) -> None:
    result = run(f"def test_it(request):\n    ask = request.getfixturevalue('ask')\n    {INVALID_REQUEST}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Contract violation REQ-005 at /model: *"])


def test_unittest_classes_are_checked(run: RunPytest) -> None:
    result = run(
        f"""
import unittest

class Cases(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _ask(self, ask):
        self.ask = ask

    def test_broken(self):
        self.{INVALID_REQUEST}

    def test_good(self):
        self.ask()
"""
    )
    result.assert_outcomes(passed=1, failed=1)


def test_chat_completions_are_checked_and_counted(run: RunPytest) -> None:
    result = run(
        """
import httpx

def chat(server, messages):
    head = {"authorization": f"Bearer {server.api_key}"}
    body = {"model": server.model, "messages": messages}
    url = f"{server.chat_base_url}/chat/completions"
    return httpx.post(url, json=body, headers=head, trust_env=False)

def test_good(responses_server):
    responses_server.when("hi").reply("Hello!")
    reply = chat(responses_server, [{"role": "user", "content": "hi"}])
    assert reply.json()["choices"][0]["message"]["content"] == "Hello!"
    responses_server.assert_requested("hi", times=1)

def test_bad(responses_server):
    chat(responses_server, [])

def test_unused(responses_server):
    responses_server.when("another").reply("Hello!")
    chat(responses_server, [{"role": "user", "content": "hi"}])
"""
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "Contract violation REQ-001 at /messages: [[]] is too short*",
            "1. POST /compatible-mode/v1/chat/completions -> 400",
        ]
    )


def test_requests_in_named_sessions_are_checked(run: RunPytest) -> None:
    result = run(
        """
def test_fine(ask, responses_server):
    alice = responses_server.session("alice")
    alice.reply("stubbed")
    assert text(ask(server=alice)) == "stubbed"
    alice.assert_requested("hi", times=1)

def test_broken(ask, responses_server):
    alice = responses_server.session("alice")
    assert (len(alice.journal), len(alice.stubs)) == (0, 0)
    ask(server=alice, model="nope")

def test_unused(ask, responses_server):
    responses_server.session("bob").reply("never used")

def test_unplanned(ask, responses_server):
    bob = responses_server.session("bob")
    bob.reply("once")
    [ask(server=bob) for _ in range(2)]

@pytest.mark.responses(strict=False)
def test_not_strict(ask, responses_server):
    bob = responses_server.session("bob")
    bob.reply("once")
    [ask(server=bob) for _ in range(2)]
"""
    )
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "Contract violation REQ-005 at /model: *",
            "session alice, profile qwen-2026-01, rendering wire",
            "Unused stub (unused): *",
            "Unmatched request (unplanned): *",
        ]
    )


UNKNOWN_TOOL = 'ask(tools=[{"type": "websearch"}])'


def test_warnings_are_listed_and_fail_no_test_by_default(run: RunPytest) -> None:
    result = run(f"def test_it(ask):\n    {UNKNOWN_TOOL}\n    {UNKNOWN_TOOL}\n")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["responses: warning REQ-006 at /tools/0/type: *websearch*: 2 requests"])


def test_warnings_fail_tests_with_fail_on_warning(run: RunPytest, pytester: pytest.Pytester) -> None:
    plain = f"def test_it(ask):\n    {UNKNOWN_TOOL}\n"
    marked = f"@pytest.mark.responses(fail_on='warning')\n{plain}"
    allowed = f"@pytest.mark.responses(allow=['REQ-006'])\n{plain}"
    result = run(plain, "--responses-fail-on=warning")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Contract violation REQ-006 at /tools/0/type: *websearch*"])
    run(marked).assert_outcomes(failed=1)
    run(plain, "-oresponses_fail_on=warning").assert_outcomes(failed=1)
    run(marked.replace("warning", "error"), "--responses-fail-on=warning").assert_outcomes(passed=1)
    result = run(allowed, "--responses-fail-on=warning")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("responses: warning*")


def test_the_section_shows_the_request_that_broke_the_rule_wherever_it_stands(run: RunPytest) -> None:
    code = """
def test_it(ask):
    for number in range(30):
        ask(f"number {number}", **({"stream": 3} if number == 4 else {}))
"""
    result = run(code)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "5. POST */responses -> 400",
            "*number 4*",
            "*/stream*",
            "(19 earlier requests)",
            "21. POST *",
            "30. POST *",
        ]
    )
    result.stdout.no_fnmatch_line("4. POST *")


@pytest.mark.slow
def test_the_section_shows_requests_that_the_journal_has_dropped(run: RunPytest) -> None:
    code = """
def test_dropped(ask, responses_server):
    for number in range(1100):
        ask(f"number {number}", **({"stream": 3} if number in (2, 1050) else {}))

def test_before_a_reset(ask, responses_server):
    ask("first")
    ask("second", stream=3)
    responses_server.reset()
    ask("third")
"""
    result = run(code)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "3. POST */responses -> 400 (no longer in the journal)",
            "*number 2*",
            "1051. POST */responses -> 400",
            "*number 1050*",
            "1100. POST *",
            "2. POST */responses -> 400 (no longer in the journal)",
            "*second*",
            "1. POST */responses -> 200",
        ]
    )
