"""The server for tests, and the fixture that gives it."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

import mockserver
from mockserver import MockServer
from mockserver.errors import ConfigurationError
from mockserver.replies.script import Message, Script, ScriptError, ToolCall

HEADERS = {"authorization": "Bearer sk-mock"}


def say(server: MockServer, text: str = "hi") -> str:
    body = {"model": server.model, "input": text}
    reply = httpx.post(f"{server.base_url}/responses", json=body, headers=HEADERS, trust_env=False)
    return str(reply.json()["output"][0]["content"][0]["text"])


def test_replies_are_given_in_order_and_once(responses_server: MockServer) -> None:
    responses_server.reply("one")
    responses_server.reply(Script((Message(("t", "wo")),)))
    assert [say(responses_server) for _ in range(2)] == ["one", "two"]


def test_each_test_begins_anew(responses_server: MockServer) -> None:
    assert len(responses_server.journal) == 0
    first = say(responses_server)
    responses_server.reply("left over")
    responses_server.reset()
    assert len(responses_server.journal) == 0
    assert say(responses_server) == first


def test_the_fixture_has_what_a_client_needs(responses_server: MockServer) -> None:
    assert responses_server.base_url.startswith("http://127.0.0.1:")
    say(responses_server, "what is asked")
    assert responses_server.journal.last.json["input"] == "what is asked"
    assert responses_server.journal[0].model == responses_server.model


def test_two_servers_at_once_do_not_meet() -> None:
    with MockServer(seed=1) as one, MockServer(seed=1, rendering="documented") as two:
        one.reply("for one")
        assert say(two) != "for one"
        assert say(one) == "for one"
        assert (len(one.journal), len(two.journal)) == (1, 1)


def test_a_reply_that_can_not_be_given_is_told_at_once(responses_server: MockServer) -> None:
    with pytest.raises(ConfigurationError, match="teleport"):
        responses_server.reply(Script((ToolCall("teleport", {}),)))
    with pytest.raises(ConfigurationError, match="failed"):
        responses_server.reply(Script((), status="failed", error=ScriptError("a", "b")))


def test_the_package_gives_its_server_and_nothing_else_by_name() -> None:
    assert all(getattr(mockserver, name) for name in mockserver.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        _ = mockserver.Other


def test_the_plugin_imports_nothing_but_pytest() -> None:
    program = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import mockserver.testing.plugin\n"
        "packages = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(packages - sys.stdlib_module_names))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['mockserver']"
