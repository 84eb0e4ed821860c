"""What `mockserver serve` loads before the first request that needs it."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.acceptance.conftest import ServerProcess, StartServer

#: Modules of features that a plain server and a plain request do not use, and the packages they import.
UNUSED = (
    "faker",
    "hypothesis",
    "httpx",
    "jsonschema",
    "rich",
    "click.shell_completion",
    "starlette",
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
    "mockserver.server.delivery.chunking",
    "mockserver.server.delivery.effects",
    "mockserver.server.delivery.faults.registry",
    "mockserver.server.delivery.holds",
    "mockserver.server.delivery.pacing",
    "mockserver.server.delivery.steps",
    "mockserver.server.distributions",
    "mockserver.server.http.reply_steps",
    "mockserver.server.operations",
    "mockserver.testing",
)

#: Collections of garbage in a start and one reply: a start creates tens of thousands of objects that stay, so there
#: would be dozens.
MAX_COLLECTIONS = 10
#: Python compiles code for each dataclass, and each pattern. Rarely used patterns are texts, which `re` compiles when
#: they are first used.
MAX_DATACLASSES, MAX_PATTERNS = 11, 16
#: `typing.NamedTuple` compiles every annotation; that of `mockserver.named_tuples` does not.
MAX_TYPED_TUPLES = 0

_PROGRAM = """
import atexit, dataclasses, gc, json, re, sys

def count_collections():
    return sum(each["collections"] for each in gc.get_stats())

def report():
    ours = [module for name, module in [*sys.modules.items()] if name.startswith("mockserver.")]
    values = {id(value): value for module in ours for value in vars(module).values()}.values()
    classes = [each for each in values if isinstance(each, type)]
    print(json.dumps({
        "modules": sorted(sys.modules),
        "collections": count_collections() - earlier_collections,
        "dataclasses": sorted(each.__name__ for each in classes if dataclasses.is_dataclass(each)),
        "typed_tuples": [
            each.__name__ for each in classes if hasattr(each, "__orig_bases__") and hasattr(each, "_fields")
        ],
        "patterns": [each.pattern for each in values if isinstance(each, re.Pattern)],
    }, default=str))

earlier_collections = count_collections()
atexit.register(report)
from mockserver.cli import main
main()
"""


def stop_and_read_report(server: ServerProcess) -> dict[str, Any]:
    assert server.stop() == 0
    report: dict[str, Any] = json.loads(server.stdout_text.splitlines()[-1])
    return report


def test_a_plain_server_loads_only_what_it_uses(start_server: StartServer) -> None:
    server = start_server(program=(sys.executable, "-c", _PROGRAM))
    assert server.client.get(f"{server.root_url}/health").status_code == 200
    assert server.create("Hello, please introduce yourself in one sentence.").status_code == 200
    assert server.create("Hello!", stream=True).status_code == 200
    assert server.create("How far away is the moon?").status_code == 200

    loaded = stop_and_read_report(server)["modules"]
    assert "mockserver.server.http.app" in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{each}." for each in UNUSED))] == []


def test_a_start_creates_and_examines_little(start_server: StartServer) -> None:
    server = start_server(program=(sys.executable, "-c", _PROGRAM))
    assert server.create("Hello!").status_code == 200

    report = stop_and_read_report(server)
    assert report["collections"] <= MAX_COLLECTIONS
    assert "Session" in report["dataclasses"]
    assert len(report["dataclasses"]) <= MAX_DATACLASSES, report["dataclasses"]
    assert len(report["typed_tuples"]) <= MAX_TYPED_TUPLES, report["typed_tuples"]
    assert len(report["patterns"]) <= MAX_PATTERNS, report["patterns"]
