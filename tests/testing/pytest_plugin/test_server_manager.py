"""Several servers in a test, and servers that cannot start or crash."""

from __future__ import annotations

import pytest

from mockserver.server.http.listeners import bind_socket
from tests.testing.pytest_plugin.conftest import RunPytest

CRASH_FUNCTION = """
import time

def kill(server):
    thread = server._server._threaded_server
    thread._loop.call_soon_threadsafe(thread._loop.stop)
    while thread.is_running:
        time.sleep(0.001)
"""


def test_two_servers_are_both_checked_and_isolated(run: RunPytest) -> None:
    result = run(
        """
made = []

def test_apart(ask, responses_server, make_responses_server):
    other = make_responses_server(rendering="documented")
    made.append(other)
    assert other.base_url != responses_server.base_url
    responses_server.reply("one")
    other.reply("two")
    assert (text(ask()), text(ask(server=other))) == ("one", "two")
    assert (len(responses_server.journal), len(other.journal)) == (1, 1)

def test_stopped():
    assert not made[0]._server.is_running

def test_other_is_checked(ask, make_responses_server):
    ask(server=make_responses_server(), model="nope")

def test_other_is_strict(ask, make_responses_server):
    other = make_responses_server()
    other.reply("once")
    ask(server=other)
    ask(server=other)

def test_only_others(make_responses_server):
    a, b = make_responses_server(), make_responses_server(seed=1)
    ids = [each.httpx().post("/responses", json={"model": each.model, "input": "x"}).json()["id"]
           for each in (a, b)]
    assert len(set(ids)) == 2

def test_wrong(make_responses_server):
    make_responses_server(profil="x")
"""
    )
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "Contract violation REQ-005 at /model: *",
            "Unmatched request (unplanned): *",
            "E * no server setting 'profil'; did you mean 'profile'?*",
        ]
    )


def test_a_port_in_use_is_a_setup_error(run: RunPytest) -> None:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    result = run(
        f"""
@pytest.fixture(scope="session")
def responses_config():
    return {{"port": {port}}}

def test_it(ask):
    pass

def test_again(ask):
    pass
"""
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([f"E * cannot listen on 127.0.0.1:{port}: Address already in use"])
    listener.close()


def test_a_fixed_port_serves_every_settings(run: RunPytest) -> None:
    """Tests with different settings use one server after the other."""
    free = bind_socket("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    result = run(
        f"""
@pytest.fixture(scope="session")
def responses_config():
    return {{"port": {port}}}

def test_wire(ask, responses_server):
    assert "parallel_tool_calls" in ask()
    assert ":{port}/" in responses_server.base_url

@pytest.mark.responses(rendering="documented")
def test_documented(ask, responses_server):
    assert "parallel_tool_calls" not in ask()
    assert ":{port}/" in responses_server.base_url
"""
    )
    result.assert_outcomes(passed=2)


def test_a_crashed_server_fails_only_its_test(run: RunPytest) -> None:
    result = run(
        CRASH_FUNCTION
        + """
def test_before(ask):
    ask()

def test_swallowed(ask, responses_server):
    ask()
    kill(responses_server)

def test_new(ask):
    assert text(ask())

def test_by_itself(ask, responses_server):
    kill(responses_server)
    ask()

def test_told(ask, responses_server):
    kill(responses_server)
    responses_server.reply("x")

def test_after(ask):
    assert text(ask())
""",
        "-W",
        "error",
    )
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.no_fnmatch_line("E *Timeout*")
    result.stdout.fnmatch_lines(
        [
            "*the mock server crashed during the test: RuntimeError: Event loop stopped before *",
            "*- requests to the mock server -*",
            "the mock server crashed: RuntimeError: Event loop stopped before Future completed.",
            "E * the mock server crashed: RuntimeError: Event loop stopped before Future completed.",
        ]
    )


@pytest.mark.parametrize("streams", [False, True], ids=["replies", "streams"])
def test_a_crash_disconnects_waiting_clients(run: RunPytest, streams: bool) -> None:
    result = run(
        CRASH_FUNCTION
        + f"""
import httpx, threading
from mockserver.exchanges import Exchange, Match

def test_it(make_responses_server):
    head = {{"content-type": "text/event-stream"}}
    chunks = [{{"text": "event: x\\n"}}] * {int(streams)} + [{{"at_ms": 60_000, "text": "late"}}]
    http = {{"status": 200, "headers": head, "chunks": chunks}}
    server = make_responses_server(exchanges=[Exchange("slow", Match(), {{"http": http}})])
    def kill_at_request():
        while not len(server.journal):
            time.sleep(0.001)
        kill(server)
    threading.Thread(target=kill_at_request).start()
    with pytest.raises(httpx.HTTPError) as error:
        body = {{"model": server.model, "input": "x", "stream": True}}
        server.httpx(timeout=30).post("/responses", json=body)
    assert not isinstance(error.value, httpx.TimeoutException)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the mock server crashed during the test: RuntimeError: Event loop stopped*"]
    )
