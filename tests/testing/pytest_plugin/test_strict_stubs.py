"""Strict tests: unmatched requests and unused stubs."""

from __future__ import annotations

from tests.testing.pytest_plugin.conftest import RunPytest


def test_stubs_reply_in_order_and_once_by_default(run: RunPytest) -> None:
    result = run(
        """
from mockserver import FunctionCall, Script

def test_it(ask, responses_server):
    responses_server.reply("one")
    responses_server.reply(chunks=["t", "wo"]).times(2)
    responses_server.reply(Script((FunctionCall("look", "{}"),)))
    responses_server.reply("for ever").always()
    texts = [text(ask()) for _ in range(3)]
    assert texts == ["one", "two", "two"]
    assert ask(tools=[{"type": "function", "name": "look"}])["output"][0]["name"] == "look"
    assert {text(ask()) for _ in range(4)} == {"for ever"}
    assert [stub.call_count for stub in responses_server.stubs] == [1, 2, 1, 4]

def test_always_may_be_never(responses_server):
    responses_server.reply("if needed").always()
"""
    )
    result.assert_outcomes(passed=2)


def test_an_unmatched_request_is_rejected_and_fails_the_test(run: RunPytest) -> None:
    result = run(
        """
def test_one_too_many(ask, responses_server):
    responses_server.reply("once")
    assert text(ask()) == "once"
    rejection = ask("again?")
    assert rejection["code"] == "UnplannedRequest"
    assert "request_id" in rejection

def test_no_stubs(ask):
    assert text(ask("again?"))

@pytest.mark.responses(strict=False)
def test_not_strict(ask, responses_server):
    responses_server.reply("once")
    assert text(ask()) == "once"
    assert text(ask()) != "once"

@pytest.mark.responses(allow=["unplanned"])
def test_allowed(ask, responses_server):
    responses_server.reply("once")
    ask()
    assert ask()["code"] == "UnplannedRequest"
"""
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "Unmatched request (unplanned): no stub matches this request with prompt 'again?'; stubs: 'once' (*",
            "stub: 'once' (expected once, used once)",
        ]
    )


def test_an_unmatched_request_is_not_retried(run: RunPytest) -> None:
    """The status is 400: clients retry after 408, 409, 429 and 5xx."""
    result = run(
        """
@pytest.mark.responses(allow=["unplanned"])
def test_it(responses_server):
    responses_server.reply("once")
    client = responses_server.httpx()
    body = {"model": responses_server.model, "input": "x"}
    assert [client.post("/responses", json=body).status_code for _ in range(2)] == [200, 400]
"""
    )
    result.assert_outcomes(passed=1)


def test_an_unused_stub_fails_the_test(run: RunPytest) -> None:
    code = """
def test_none(responses_server):
    responses_server.reply("unused")

def test_some(ask, responses_server):
    responses_server.reply("twice").times(2)
    ask()

def test_by_itself(responses_server):
    responses_server.reply("unused")
    assert 0

@pytest.mark.responses(strict=False)
def test_not_strict(responses_server):
    responses_server.reply("unused")

@pytest.mark.responses(allow=["unused"])
def test_allowed(responses_server):
    responses_server.reply("unused")
"""
    result = run(code)
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(
        [
            "Unused stub (unused): 'unused' (expected once, not used)",
            "Unused stub (unused): 'twice' (expected 2 times, used once)",
            "E       assert 0",
        ]
    )
    result = run(code, "--responses-unused=warn")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["responses: unused stubs: 2"])
    result = run(code, "--responses-unused=off")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.no_fnmatch_line("responses:*")


def test_a_rejected_request_is_reported_instead_of_its_unused_stub(run: RunPytest) -> None:
    result = run(
        """
def test_it(ask, responses_server):
    responses_server.reply("never")
    ask(model="nope")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Contract violation REQ-005 at /model: *"])


def test_a_stub_missed_by_an_allowed_request_is_no_failure(run: RunPytest) -> None:
    result = run(
        """
@pytest.mark.responses(allow=["REQ-005"])
def test_it(ask, responses_server):
    responses_server.reply("never")
    ask(model="nope")
"""
    )
    result.assert_outcomes(passed=1)


def test_unused_stubs_of_all_servers_are_reported(run: RunPytest) -> None:
    result = run(
        """
def test_it(responses_server, make_responses_server):
    responses_server.reply("one")
    make_responses_server().reply("two")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Unused stub (unused): 'one' (expected*", "Unused stub (unused): 'two' (expected*"]
    )


def test_user_exchanges_do_not_count_as_unmatched(run: RunPytest, pytester: object) -> None:
    result = run(
        """
import json, pathlib

folder = pathlib.Path(__file__).parent / "exchanges"
folder.mkdir(exist_ok=True)
(folder / "hi.json").write_text(json.dumps({
    "format": 1, "name": "hi", "source": "a test", "profile": "qwen-2026-01",
    "match": {"prompt": "hi"},
    "reply": {"script": {"items": [{"type": "message", "text": "from a file"}]}},
}))

@pytest.mark.responses(exchanges="exchanges")
def test_it(ask, responses_server):
    responses_server.reply("stubbed")
    assert [text(ask()) for _ in range(3)] == ["stubbed", "from a file", "from a file"]

@pytest.mark.responses(exchanges="exchanges")
def test_other(ask, responses_server):
    responses_server.reply("stubbed")
    ask("something else")
    ask("something else")

def test_without(ask):
    assert text(ask()) != "from a file"
"""
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_other*unplanned*"])
