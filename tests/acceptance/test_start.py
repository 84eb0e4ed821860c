"""What `mockserver serve` loads before the first request that needs it."""

from __future__ import annotations

import sys

from tests.acceptance.conftest import StartServer

#: Modules of features that a plain server and a plain request do not use, and the packages they import.
UNUSED = (
    "faker",
    "hypothesis",
    "httpx",
    "jsonschema",
    "rich",
    "starlette.applications",
    "mockserver.contract.chat.check",
    "mockserver.contract.check",
    "mockserver.contract.openapi",
    "mockserver.live",
    "mockserver.recordings",
    "mockserver.replies.chat",
    "mockserver.replies.json_schema",
    "mockserver.replies.mutants",
    "mockserver.reports",
    "mockserver.server.admin",
    "mockserver.server.chat",
    "mockserver.server.console",
    "mockserver.server.operations",
    "mockserver.testing",
)

#: Collections of garbage in a start and one reply: a start creates tens of thousands of objects that stay, so there
#: would be dozens.
MAX_COLLECTIONS = 10

_PROGRAM = """
import atexit, gc, sys
count = lambda: sum(each["collections"] for each in gc.get_stats())
earlier = count()
atexit.register(lambda: print("collections", count() - earlier))
atexit.register(lambda: print("loaded", *sorted(sys.modules)))
from mockserver.cli import main
main()
"""


def test_a_plain_server_loads_only_what_it_uses(start_server: StartServer) -> None:
    server = start_server(program=(sys.executable, "-c", _PROGRAM))
    assert server.client.get(f"{server.root_url}/health").status_code == 200
    assert server.create("Hello, please introduce yourself in one sentence.").status_code == 200
    assert server.create("Hello!", stream=True).status_code == 200
    assert server.create("How far away is the moon?").status_code == 200
    assert server.stop() == 0

    loaded = server.stdout_text.splitlines()[-2].split()
    assert loaded[0] == "loaded"
    assert "mockserver.server.http.app" in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{each}." for each in UNUSED))] == []


def test_a_start_does_not_examine_what_it_creates(start_server: StartServer) -> None:
    server = start_server(program=(sys.executable, "-c", _PROGRAM))
    assert server.create("Hello!").status_code == 200
    assert server.stop() == 0

    name, collections = server.stdout_text.splitlines()[-1].split()
    assert name == "collections"
    assert int(collections) <= MAX_COLLECTIONS
