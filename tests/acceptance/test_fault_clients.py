"""Every fault × real clients: the exception and the number of attempts, published in `docs/faults.md`.

`tests/data/faults.json` has the expectations. A client that hangs or hides the failure is expected to do so.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockserver.server.delivery.faults.catalogue import wire_faults
from mockserver.testing.mock import MockServer
from tests.acceptance.clients.matrix import CLIENTS_FOLDER
from tests.acceptance.conftest import ENVIRONMENTS, environment_python, isolated_environment, require_program
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

EXPECTED_FILE = Path(__file__).parent.parent / "data" / "faults.json"
CLIENTS = ("openai-python 3", "openai-python 2", "openai-node", "httpx")

STATUSES = [
    *(f"http-status,status={each}" for each in (400, 401, 403, 404, 408, 409, 413, 422)),
    *(f"http-status,status={each}" for each in (429, 500, 502, 503, 504, 529)),
    "http-status,status=400,should-retry=true",
    "internal-error,should-retry=false",
    "rate-429,retry-after-ms=10",
    "rate-429,retry-after=0.01",
    "throttling,retry-after=121",
    "quota-429",
    "internal-error,first=2",
    "rate-limit",
]  # fmt: skip
SHORT_OPTIONS = {"slow-drip": "slow-drip,bytes=500,ms=1"}


def fault_cases() -> list[str]:
    """Every wire fault and the statuses, for streams and for bodies."""
    listed = []
    for mode in ("stream", "body"):
        fitting = [each.name for each in wire_faults().values() if each.can_break(stream=mode == "stream")]
        listed += [f"{mode} {SHORT_OPTIONS.get(each, each)}" for each in (*fitting, *STATUSES)]
    return [*listed, "stream untyped-error", "stream SEQ-004", "stream SEQ-006,pick=0", "body USE-004"]


@pytest.fixture
def server() -> Iterator[MockServer]:
    with MockServer(model="any", strict=False) as server:
        server.reply("One two three four.").always()
        yield server


def client_command(client: str) -> list[str | Path]:
    if client == "openai-node":
        return [require_program("node"), "faults.mjs"]
    if client == "httpx":
        return [sys.executable, CLIENTS_FOLDER / "faults.py", "httpx"]
    environment = "openai-newest" if client.endswith("3") else "openai-2"
    return [environment_python(environment), CLIENTS_FOLDER / "faults.py", "openai"]


def measure(client: str, server: MockServer, folder: Path) -> dict[str, list[Any]]:
    """(what the client's user sees, attempts) for each case."""
    if client == "openai-node":
        modules = ENVIRONMENTS / "node" / "node_modules"
        if not modules.is_dir():
            pytest.skip("there is no .environments/node: `make environments` builds it")
        (folder / "node_modules").symlink_to(modules)
        (folder / "faults.mjs").write_bytes((CLIENTS_FOLDER / "faults.mjs").read_bytes())
    cases = fault_cases()
    done = run_program(
        [*map(str, client_command(client)), *cases],
        folder,
        env=isolated_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=server.api_key),
    )
    assert done.returncode == 0, done.stderr
    attempts = Counter(
        int(dict(entry.request_head.headers).get(b"x-case", b"-1")) for entry in server.journal
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    return {case: [seen, attempts[number]] for number, (case, seen) in enumerate(outcomes)}


@pytest.mark.parametrize("client", CLIENTS)
def test_client_handles_each_fault_as_published(client: str, server: MockServer, tmp_path: Path) -> None:
    assert measure(client, server, tmp_path) == json.loads(EXPECTED_FILE.read_text(encoding="utf-8"))[client]
