"""`MockServer` without the pytest plugin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import mockserver
from mockserver import FunctionCall, Message, MockServer, Script
from mockserver.clock import SteppedClock
from mockserver.errors import ConfigurationError, MissingPackage, StartError
from mockserver.exchanges import Exchange, Match
from mockserver.replies.script import ScriptError, ToolCall
from mockserver.server.http.listeners import bind_socket

DAY = 86_400


def ask_text(server: MockServer, text: str = "hi") -> str:
    return str(ask(server, text).json()["output"][0]["content"][0]["text"])


def ask(server: MockServer, text: str = "hi", **more: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {server.api_key}"}
    body = {"model": server.model, "input": text, **more}
    return httpx.post(f"{server.base_url}/responses", json=body, headers=headers, trust_env=False)


def test_replies_are_given_in_order_and_once(responses_server: MockServer) -> None:
    responses_server.reply("one")
    responses_server.reply(Script((Message(("t", "wo")),)))
    assert [ask_text(responses_server) for _ in range(2)] == ["one", "two"]


def test_reset_restores_the_initial_state(responses_server: MockServer) -> None:
    assert len(responses_server.journal) == 0
    first = ask_text(responses_server)
    responses_server.reply("left over")
    responses_server.reset()
    assert len(responses_server.journal) == 0
    assert ask_text(responses_server) == first


def test_the_fixture_has_url_model_and_journal(responses_server: MockServer) -> None:
    assert responses_server.base_url.startswith("http://127.0.0.1:")
    ask_text(responses_server, "what is asked")
    assert responses_server.journal.last.json["input"] == "what is asked"
    assert responses_server.journal[0].model == responses_server.model
    assert repr(responses_server) == f"<MockServer qwen-2026-01 {responses_server.base_url}>"


def test_two_servers_are_isolated() -> None:
    with MockServer(seed=1) as one, MockServer(seed=1, rendering="documented") as two:
        one.reply("for one")
        assert ask_text(two) != "for one"
        assert ask_text(one) == "for one"
        assert (len(one.journal), len(two.journal)) == (1, 1)


def test_chunks_are_the_events_of_a_stream(responses_server: MockServer) -> None:
    responses_server.reply(chunks=["Hel", "lo", " wor", "ld"])
    answer = ask(responses_server, stream=True)
    deltas = [piece for piece in responses_server.journal.last.reply if b"output_text.delta" in piece]
    assert len(deltas) == 4
    assert '"delta":" wor"' in answer.text


def test_an_invalid_reply_is_an_error_at_once(responses_server: MockServer) -> None:
    with pytest.raises(ConfigurationError, match="teleport"):
        responses_server.reply(Script((ToolCall("teleport", {}),)))
    with pytest.raises(ConfigurationError, match="failed"):
        responses_server.reply(Script((), status="failed", error=ScriptError("a", "b")))
    with pytest.raises(ConfigurationError, match="exactly one"):
        responses_server.reply()
    with pytest.raises(ConfigurationError, match="exactly one"):
        responses_server.reply("text", chunks=["text"])
    with pytest.raises(ConfigurationError, match="not a int"):
        responses_server.reply(1)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="chunks must be texts"):
        responses_server.reply(chunks=[1])  # type: ignore[list-item]
    assert responses_server.stubs == ()


def test_a_call_without_an_id_gets_a_new_one_each_time(responses_server: MockServer) -> None:
    responses_server.reply(Script((FunctionCall("look", "{}"),))).times(2)
    tools = [{"type": "function", "name": "look"}]
    calls = [ask(responses_server, tools=tools).json()["output"][0]["call_id"] for _ in range(2)]
    assert len(set(calls)) == 2


def test_a_test_can_advance_the_clock(responses_server: MockServer) -> None:
    """A response can be continued for seven days."""
    first = ask(responses_server).json()
    assert first["created_at"] == SteppedClock.START
    responses_server.clock.advance(7 * DAY - 1)
    assert ask(responses_server, previous_response_id=first["id"]).status_code == 200
    responses_server.clock.advance(1)
    expired = ask(responses_server, previous_response_id=first["id"])
    assert (expired.status_code, expired.json()["code"]) == (400, "InvalidParameter")
    assert responses_server.journal.last.detail == "previous_response_id expired"
    responses_server.reset()
    assert responses_server.clock.now() == SteppedClock.START
    with MockServer(seed=None) as unseeded, pytest.raises(ConfigurationError, match="without a seed"):
        unseeded.clock.advance(1)


def test_servers_are_strict_by_default() -> None:
    with MockServer() as strict, MockServer(strict=False) as lenient:
        for server in (strict, lenient):
            server.reply("stubbed")
            assert ask_text(server) == "stubbed"
        rejection = ask(strict)
        assert (rejection.status_code, rejection.json()["code"]) == (400, "UnplannedRequest")
        assert strict.journal.last.refusal == "unplanned"
        assert ask(lenient).status_code == 200
        strict.reset()
        assert ask(strict).status_code == 200


def test_settings_have_the_names_of_the_project_file(tmp_path: Path) -> None:
    with MockServer(
        model=["one", "two"], api_key="mine", rendering="documented", exchanges=tmp_path, store_size=1
    ) as server:
        assert (server.model, server.api_key) == ("one", "mine")
        assert ask(server, model="two").status_code == 200
        assert ask(server, model="three").status_code == 400
        assert "parallel_tool_calls" not in ask(server).json()
    with MockServer(model="any", api_key=["first", "second"]) as server:
        assert (server.api_key, ask(server, model="whatever").status_code) == ("first", 200)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"profil": "x"}, "no server setting 'profil'; did you mean 'profile'"),
        ({"seed": "1"}, "seed cannot be '1'"),
        ({"port": True}, "port cannot be True"),
        ({"exchanges": "nowhere"}, "no folder nowhere"),
    ],
)
def test_invalid_settings_are_errors(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        MockServer(**settings)  # type: ignore[arg-type]


def test_exchanges_can_be_objects() -> None:
    script = {"script": {"items": [{"type": "message", "text": "mine"}]}}
    with MockServer(exchanges=[Exchange("mine", Match(prompt="hi"), script)]) as server:
        assert ask_text(server) == "mine"


def test_async_with() -> None:
    async def main() -> str:
        async with MockServer(seed=1) as server, httpx.AsyncClient(trust_env=False) as client:
            server.reply("hello")
            headers = {"authorization": f"Bearer {server.api_key}"}
            body = {"model": server.model, "input": "hi"}
            answer = await client.post(f"{server.base_url}/responses", json=body, headers=headers)
            return str(answer.json()["output"][0]["content"][0]["text"])

    assert asyncio.run(main()) == "hello"


def test_the_httpx_client_is_ready_to_use(responses_server: MockServer) -> None:
    client = responses_server.httpx(headers={"x-mine": "1"})
    responses_server.reply("hello")
    answer = client.post("/responses", json={"model": responses_server.model, "input": "hi"})
    assert answer.json()["output"][0]["content"][0]["text"] == "hello"
    assert responses_server.journal.last.headers["x-mine"] == "[redacted]"


def test_clients_are_closed_with_the_server() -> None:
    with MockServer() as server:
        kept, closed = server.httpx(), server.httpx()
        closed.close()
        server.httpx()
    assert kept.is_closed


def test_a_missing_openai_package_is_named(
    responses_server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    for make in (responses_server.openai, responses_server.async_openai):
        with pytest.raises(MissingPackage, match="pip install 'openai'"):
            make()


def test_a_port_in_use_is_a_start_error() -> None:
    listener = bind_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        MockServer(port=port).start()
    listener.close()
    with MockServer(port=port) as server:
        assert f":{port}/" in server.base_url


def test_a_crashed_server_reports_the_reason() -> None:
    server = MockServer().start()
    ask_text(server)
    crash(server)
    with pytest.raises(httpx.HTTPError):
        ask(server)
    for attempt in (lambda: server.reply("x"), server.reset):
        with pytest.raises(StartError, match="Event loop stopped"):
            attempt()
    server.stop()


def crash(server: MockServer) -> None:
    """End the server's thread as a bug would."""
    thread = server._server._threaded_server
    assert thread._loop is not None
    thread._loop.call_soon_threadsafe(thread._loop.stop)
    deadline = time.monotonic() + 60
    while thread.is_running:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_package_exports_its_members_lazily() -> None:
    assert all(getattr(mockserver, name) for name in mockserver.__all__)
    assert list(mockserver.__all__) == sorted(mockserver.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        _ = mockserver.Other


def test_the_plugin_imports_only_pytest() -> None:
    program = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import mockserver.testing.pytest_plugin\n"
        "packages = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(packages - sys.stdlib_module_names))\n"
        "print(sorted(name for name in sys.modules if name.startswith('mockserver')))\n"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    packages, modules = completed.stdout.splitlines()
    assert packages == "['mockserver']"
    assert modules.count("'") // 2 == 4, modules  # the package, testing, the plugin and its options
