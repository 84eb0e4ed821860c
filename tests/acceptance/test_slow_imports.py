"""What a request imports while others wait: nothing that takes long, not even the first request that needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, wait_until
from tests.acceptance.test_start import UNUSED
from tests.marks import slow_except_where

#: What takes 15 ms and more to import, with the packages that it imports.
SLOW = (*UNUSED, "anyio._backends", "jsonpath", "mockserver.contract.schema.validation", "referencing")

#: Prints what the event loop has imported, which runs in the main thread.
_PROGRAM = """
import asyncio, atexit, sys, threading
names = []
def record(event, arguments):
    if event == "import" and threading.current_thread() is threading.main_thread() and asyncio._get_running_loop():
        names.append(arguments[0])
sys.addaudithook(record)
atexit.register(lambda: print("imported", *names))
from mockserver.cli import main
sys.argv[1] = "COMMAND"
main()
"""

TOKEN = "token-of-the-admin-api"
CONVERSATIONS = "qwen-2026-09"


class Request(NamedTuple):
    """A request of a client, and the status of its reply."""

    status: int
    method: str
    path: str
    """Below the base URL, unless it begins with two slashes."""
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 (nobody changes it)

    def send(self, server: ServerProcess) -> None:
        url = server.root_url + self.path[1:] if self.path.startswith("//") else self.path
        is_text = isinstance(self.body, str)
        reply = server.client.request(
            self.method,
            url,
            content=self.body if is_text else None,
            json=None if is_text else self.body,
            headers={"x-mock-admin-token": TOKEN, "content-type": "application/json", **self.headers},
        )
        assert reply.status_code == self.status, reply.text


def create(status: int, input: Any, headers: dict[str, str] | None = None, **members: Any) -> Request:  # noqa: A002
    body = {"model": MODEL, "input": input, **members}
    return Request(status, "POST", "/responses", body, headers or {})


INVALID_CALL = {"reply": {"items": [{"type": "web_search_call", "action": 1}]}}
CHAT = "//compatible-mode/v1/chat/completions"

CASES: list[tuple[str, Sequence[str], Sequence[Request]]] = [
    (
        "requests",
        (),
        [
            create(200, "hi"),
            create(400, [1]),
            Request(400, "POST", CHAT, {"model": "qwen-plus", "messages": [1]}),
            Request(404, "GET", "//nowhere"),
        ],
    ),
    ("responses-first", (), [create(400, [1])]),
    (
        "responses-greek",
        (),
        [create(200, "Γεια σου"), *[create(200, text) for text in ("a", "b", "c", "שלום")]],
    ),
    ("responses-stream", ("--stream-errors", "inband"), [create(200, [1], stream=True)]),
    ("responses-unknown", (), [create(200, "hi", colour=1)]),
    ("responses-no-json", (), [Request(400, "POST", "/responses", "{no")]),
    ("responses-large", (), [create(400, ["x" * 100_000])]),
    ("responses-limits", ("--limit", "requests=5", "--verbose"), [create(400, [1])]),
    ("responses-strict", ("--strict",), [create(400, "hi"), create(400, [1])]),
    ("chat", (), [Request(400, "POST", CHAT, {"model": "qwen-plus", "messages": [1]})]),
    (
        "chat-greek",
        (),
        [
            Request(
                200,
                "POST",
                CHAT,
                {"model": "qwen-plus", "messages": [{"role": "user", "content": "Γεια σου"}]},
            )
        ],
    ),
    ("conversations", ("--profile", CONVERSATIONS), [Request(400, "POST", "/conversations", {"items": 3})]),
    ("compact", ("--profile", "openresponses-2026-04"), [Request(400, "POST", "/responses/compact", {})]),
    ("models", (), [Request(200, "GET", "/models"), Request(404, "GET", "//nowhere")]),
    ("methods", (), [Request(405, "PUT", "/responses")]),
    ("openapi", ("--admin-token-env", "ADMIN"), [Request(200, "GET", "//openapi.json")]),
    (
        "admin",
        ("--admin-token-env", "ADMIN"),
        [
            Request(400, "POST", "//_mock/stubs", INVALID_CALL),
            Request(200, "POST", "//_mock/stubs", {"match": {"json_path": {"$.input": "x"}}, "reply": "x"}),
            Request(400, "POST", "//_mock/stubs", {"unknown": 1}),
            Request(400, "PUT", "//_mock/faults", ["unknown"]),
            Request(400, "PUT", "//_mock/sessions/a", {"seedd": 1}),
            Request(200, "PUT", "//_mock/sessions/a", {"profile": CONVERSATIONS}),
            Request(200, "GET", "//_mock/sessions/default/verdict?conduct=true"),
            Request(200, "GET", "//_mock/journal"),
        ],
    ),
    ("console", ("--console",), [Request(403, "GET", "//_mock/console")]),
    ("rules", ("--console",), [Request(200, "GET", "//_mock/console/rules/REQ-001")]),
    ("fault", ("--fault", "SEQ-002"), [create(200, "hi", stream=True)]),
    (
        "fault-of-a-request",
        ("--allow-mock-headers",),
        [
            create(400, "hi", {"x-mock-fault": "unknown"}),
            create(200, "hi", {"x-mock-fault": "SEQ-002"}, stream=True),
        ],
    ),
    ("session", ("--allow-mock-headers",), [create(400, [1], {"x-mock-session": "a"})]),
]


def program(command: str = "serve") -> tuple[str, ...]:
    return sys.executable, "-c", _PROGRAM.replace("COMMAND", command)


def slow_imports(server: ServerProcess) -> list[str]:
    """What takes long among the imports of the server's loop; it stops the server."""
    assert server.stop() == 0
    imported = server.stdout_text.splitlines()[-1].split()
    assert imported[0] == "imported"
    return [name for name in imported if f"{name}.".startswith(tuple(f"{each}." for each in SLOW))]


@pytest.mark.parametrize(
    ("name", "options", "requests"),
    slow_except_where(lambda name, *_: name == "requests", CASES),
    ids=[name for name, *_ in CASES],
)
def test_the_event_loop_imports_nothing_that_takes_long(
    name: str, options: Sequence[str], requests: Sequence[Request], start_server: StartServer
) -> None:
    server = start_server(*options, env={"ADMIN": TOKEN}, program=program())
    for request in requests:
        request.send(server)
    assert slow_imports(server) == []


@pytest.mark.slow
def test_a_reload_imports_nothing_in_the_event_loop(start_server: StartServer, tmp_path: Path) -> None:
    exchanges = tmp_path / "exchanges"
    exchanges.mkdir()
    (exchanges / "first.json").write_text('{"match": "a", "reply": "b"}')
    server = start_server("--exchanges", exchanges, program=program())
    (exchanges / "second.json").write_text(
        '{"match": "c", "reply": {"items": [{"type": "web_search_call", "action": 1}]}}'
    )
    wait_until(lambda: "second.json" in server.stderr_text, "the problem of the file in the log")
    assert slow_imports(server) == []


@pytest.mark.slow
def test_relays_and_replays_import_nothing_in_the_event_loop(
    start_server: StartServer, tmp_path: Path
) -> None:
    requests, recordings = (create(400, [1]), create(200, "hi", stream=True)), tmp_path / "recordings"
    url = start_server("--quiet").base_url
    options = ("--api-key", KEY, "--upstream-key-env", "UP", "--allow-http", "127.0.0.1")
    servers = (
        ("record", ("--upstream", url, "--out", recordings, *options)),
        ("replay", (recordings,)),
        ("serve", ("--fallback", url, *options)),
    )
    for command, arguments in servers:
        server = start_server(*arguments, env={"UP": "sk-of-the-upstream"}, program=program(command))
        for request in requests:
            request.send(server)
        # The client of a relay loads anyio, which takes 20 ms.
        assert [name for name in slow_imports(server) if not name.startswith("anyio.")] == []
