"""The verdict of the plugin: one outcome for each test, and what is told with it."""

from __future__ import annotations

import pytest

from tests.testing.plugin.conftest import Run

BROKEN = 'ask(model="nope")'


def test_a_swallowed_broken_request_fails_the_test_with_its_rule(run: Run) -> None:
    result = run(f"def test_it(ask):\n    {BROKEN}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "REQ-005: this test can not pass:",
            "  error REQ-005 /model: Unsupported model: 'nope'.*",
            "*- what the mock server was asked -*",
            "profile qwen-2026-01, rendering wire",
            "1. POST */responses -> 400",
            '   > {"model":"nope","input":"hi"}',
            '   < {"code":"InvalidParameter",*',
            "FAILED *::test_it - REQ-005: this test can not pass:",
        ]
    )
    # The traceback of the plugin would tell nothing.
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_what_is_allowed_passes_and_nothing_else(run: Run) -> None:
    result = run(
        f"""
pytestmark = pytest.mark.responses(allow=["REQ-007"])

@pytest.mark.responses(allow=["REQ-005"])
def test_allowed(ask):
    {BROKEN}

@pytest.mark.responses(allow="REQ-005")
def test_allowed_by_a_word(ask):
    {BROKEN}

@pytest.mark.responses(allow=["REQ-001"])
def test_another(ask):
    {BROKEN}

@pytest.mark.responses(allow=["REQ-005"])
def test_of_the_module(ask):
    {BROKEN}
    ask([{{"type": "function_call_output", "call_id": "none", "output": "x"}}])
"""
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_another*"])


def test_a_test_that_failed_by_itself_keeps_its_failure_and_gets_the_section(run: Run) -> None:
    result = run(f"def test_it(ask):\n    {BROKEN}\n    assert 1 == 2\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E       assert 1 == 2", "*- what the mock server was asked -*", "   error REQ-005 /model*"]
    )
    result.stdout.no_fnmatch_line("*ContractError*")


def test_a_good_test_passes_and_tells_nothing(run: Run) -> None:
    result = run('def test_it(ask, responses_server):\n    responses_server.reply("yes")\n    ask()\n', "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*responses:*")


def test_a_failure_in_teardown_is_not_ours_and_ours_is_none(run: Run) -> None:
    """The verdict belongs to the call: a teardown that asks is not judged, and there is never an error."""
    result = run(
        f"""
@pytest.fixture
def late(ask):
    yield
    {BROKEN}

@pytest.fixture
def early(ask):
    {BROKEN}

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
        ("xfail", BROKEN, {"xfailed": 1}),
        ("xfail(strict=True)", BROKEN, {"xfailed": 1}),
        ("xfail(strict=True)", "ask()", {"failed": 1}),
        ("xfail", "ask()", {"xpassed": 1}),
        ("xfail(raises=ContractError)", BROKEN, {"xfailed": 1}),
        ("xfail(raises=KeyError)", BROKEN, {"failed": 1}),
        ("skip", BROKEN, {"skipped": 1}),
        ("filterwarnings('default')", f"{BROKEN}; pytest.skip('no')", {"skipped": 1}),
        ("filterwarnings('default')", f"{BROKEN}; pytest.fail('no')", {"failed": 1}),
        ("filterwarnings('default')", f"{BROKEN}; pytest.xfail('no')", {"xfailed": 1}),
    ],
)
def test_marks_for_skipping_and_failing_keep_their_sense(
    mark: str, body: str, outcome: dict[str, int], run: Run
) -> None:
    code = (
        f"from mockserver.errors import ContractError\n@pytest.mark.{mark}\ndef test_it(ask):\n    {body}\n"
    )
    run(code).assert_outcomes(**outcome)


def test_what_is_no_call_of_the_api_fails_too(run: Run) -> None:
    result = run(
        """
import httpx

def test_key(ask):
    ask(key="wrong-key-of-mine")

def test_path(responses_server):
    responses_server.httpx().get("/models")

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
            "refused: this test can not pass:",
            "*POST */responses is no call of the API: Invalid API-key provided.*",
            "*GET */models is no call of the API: There is nothing at */models.*",
            "SCH-006: this test can not pass:",
        ]
    )
    result.stdout.no_fnmatch_line("*wrong-key-of-mine*API*")


def test_keys_appear_nowhere(run: Run, pytester: pytest.Pytester) -> None:
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


def test_more_requests_than_the_journal_keeps_are_all_judged(run: Run) -> None:
    result = run(
        f"""
from mockserver.server.state.journal import Journal

def test_it(ask, responses_server, monkeypatch):
    monkeypatch.setattr(Journal, "MAX_ENTRIES", 3)
    {BROKEN}
    for _ in range(5):
        ask()
    assert len(responses_server.journal) == 3

def test_reset(ask, responses_server):
    {BROKEN}
    responses_server.reset()
    assert len(responses_server.journal) == 0
"""
    )
    result.assert_outcomes(failed=2)
    assert result.outlines.count("REQ-005: this test can not pass:") == 2


def test_a_test_without_the_fixture_is_judged_where_its_client_asks(run: Run) -> None:
    """A client that lives for the whole run asks in any test."""
    result = run(
        f"def test_first(ask):\n    ask()\n\ndef test_it(request):\n    ask = "
        f"request.getfixturevalue('ask')\n    {BROKEN}\n"
    )
    result.assert_outcomes(passed=1, failed=1)


def test_a_fixture_asked_for_by_name_in_the_body_is_judged_at_once(run: Run) -> None:
    result = run(f"def test_it(request):\n    ask = request.getfixturevalue('ask')\n    {BROKEN}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["REQ-005: this test can not pass:"])


def test_a_class_of_unittest_is_judged_too(run: Run) -> None:
    result = run(
        f"""
import unittest

class Cases(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _ask(self, ask):
        self.ask = ask

    def test_broken(self):
        self.{BROKEN}

    def test_good(self):
        self.ask()
"""
    )
    result.assert_outcomes(passed=1, failed=1)


def test_chat_completions_are_judged_and_counted_too(run: Run) -> None:
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
            "  error REQ-001 /messages: [[]] is too short*",
            "1. POST /compatible-mode/v1/chat/completions -> 400",
        ]
    )


def test_what_is_asked_in_named_sessions_is_judged_too(run: Run) -> None:
    result = run(
        """
def test_fine(ask, responses_server):
    alice = responses_server.session("alice")
    alice.reply("planned")
    assert text(ask(server=alice)) == "planned"
    alice.assert_requested("hi", times=1)

def test_broken(ask, responses_server):
    alice = responses_server.session("alice")
    assert (len(alice.journal), len(alice.planned)) == (0, 0)
    ask(server=alice, model="nope")

def test_unused(ask, responses_server):
    responses_server.session("bob").reply("never asked for")

def test_unplanned(ask, responses_server):
    bob = responses_server.session("bob")
    bob.reply("once")
    [ask(server=bob) for _ in range(2)]

@pytest.mark.responses(strict=False)
def test_as_the_marker_says(ask, responses_server):
    bob = responses_server.session("bob")
    bob.reply("once")
    [ask(server=bob) for _ in range(2)]
"""
    )
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "REQ-005: this test can not pass:*",
            "session alice, profile qwen-2026-01, rendering wire",
            "unused: this test can not pass:*",
            "unplanned: this test can not pass:*",
        ]
    )
