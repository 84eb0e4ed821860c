"""`check`, `wait_for_requests` and `journal.last`: what a test without the plugin needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

import mockserver
from mockserver import ConfigurationError, ContractError, MockServer, MockSession
from mockserver.server.state.journal import Journal
from tests.pytest_runs import run_pytest_process


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        yield server


def ask(server: MockServer | MockSession, text: str = "Hi", **members: Any) -> Any:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": text, **members})


def test_check_passes_if_every_request_is_valid_and_every_stub_used(server: MockServer) -> None:
    server.check()
    server.reply("Hello.")
    ask(server)
    server.check()


def test_check_raises_what_the_plugin_would_fail_with(server: MockServer) -> None:
    server.when("Hi").reply("Hello.").times(2)
    ask(server)
    with pytest.raises(
        ContractError, match=r"^Unused stub \(unused\): 'Hello.' when prompt='Hi'.*used once"
    ) as caught:
        server.check()
    assert [each.rule for each in caught.value.findings] == ["unused"]
    server.check(allow=["unused"])
    ask(server, "Bye")
    ask(server, model="qwen-of-tomorrow")
    with pytest.raises(ContractError) as caught:
        server.check()
    unmatched, unsupported = str(caught.value).splitlines()
    assert unmatched.startswith(
        "Unmatched request (unplanned): no stub matches this request with prompt 'Bye'"
    )
    assert unmatched.endswith("[request 2]")
    assert unsupported.startswith("Contract violation REQ-005 at /model: ")
    assert unsupported.endswith("[request 3]")
    server.check(allow={"unplanned", "REQ-005"})
    with pytest.raises(ConfigurationError, match=r"no rule 'unplaned'; did you mean 'unplanned'"):
        server.check(allow=["unplaned"])


def test_check_covers_the_named_sessions_of_a_server(server: MockServer) -> None:
    alice, bob = server.session("alice"), server.session("bob")
    ask(alice, model="qwen-of-tomorrow")
    bob.check()
    for each in (alice, server):
        with pytest.raises(ContractError, match=r"\[session alice, request 1\]"):
            each.check()


def test_check_does_not_pass_over_requests_that_the_journal_has_dropped(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "MAX_ENTRIES", 2)
    for _ in range(3):
        ask(server)
    with pytest.raises(
        ContractError, match="Not checked: the 1 oldest requests, which the journal has dropped"
    ):
        server.check()


def test_check_in_a_test_follows_its_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def ask(server, **members):
            with server.httpx() as client:
                client.post("/responses", json={"model": "qwen-of-tomorrow", "input": "Hi"})

        @pytest.mark.responses(allow=["REQ-005"])
        def test_allowed(responses_server):
            ask(responses_server)
            responses_server.check()
            responses_server.session("alice").check()

        @pytest.mark.responses(allow=["REQ-005"])
        def test_another_server(make_responses_server):
            server = make_responses_server()
            ask(server)
            server.check()

        def test_fails_at_the_line(responses_server):
            ask(responses_server)
            responses_server.check()
            assert False, "not reached"
        """
    )
    result = run_pytest_process(pytester)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*Contract violation REQ-005 at /model*request 1*"])
    result.stdout.no_fnmatch_line("*not reached*")


def test_wait_for_requests_in_the_background(server: MockServer) -> None:
    server.reply("Hello.", delay_ms=20).times(3)
    threads = [Thread(target=ask, args=(server, str(number))) for number in range(3)]
    for thread in threads:
        thread.start()
    entries = server.wait_for_requests(3, timeout=60)
    assert {entry.prompt for entry in entries} == {"0", "1", "2"}
    for thread in threads:
        thread.join()
    assert server.wait_for_requests(1)[0] is server.journal[0]


def test_wait_for_requests_says_what_arrived(server: MockServer) -> None:
    ask(server)
    with pytest.raises(
        AssertionError, match=r"expected 2 requests within 0.05 s; 1 arrived\n  1. <POST /.*/responses 200"
    ):
        server.wait_for_requests(2, timeout=0.05)
    for count in (0, True, "2"):
        with pytest.raises(ConfigurationError, match="an integer of at least 1"):
            server.wait_for_requests(count)  # type: ignore[arg-type]


def test_the_last_entry_of_an_empty_journal_is_an_error_that_says_so(server: MockServer) -> None:
    with pytest.raises(IndexError, match="no request has arrived"):
        _ = server.journal.last
    ask(server, "One")
    ask(server, "Two")
    assert server.journal.last.prompt == "Two"


def test_everything_public_shows_in_dir_and_can_be_imported() -> None:
    assert set(mockserver.__all__) <= set(dir(mockserver))
    assert sorted(mockserver.__all__) == mockserver.__all__
    assert {"ConfigurationError", "Entry", "Finding", "MockSession", "Stub"} <= set(mockserver.__all__)
    for name in mockserver.__all__:
        assert getattr(mockserver, name) is not None
    code = "import sys, mockserver; dir(mockserver); print([m for m in sys.modules if m.startswith('mockserver.')])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout == "[]\n"
