"""The SDKs' stream helpers handle broken streams as `docs/helpers.md` says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.clients.helpers_page import HELPERS, MEASURED_FILE, PAGE, page
from tests.acceptance.clients.matrix import CLIENTS_FOLDER
from tests.acceptance.clients.violations import MODEL, VIOLATIONS, violation_exchange
from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    StartServer,
    environment_python,
    isolated_environment,
    require_program,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def client_command(name: str, folder: Path) -> list[str | Path]:
    if not name.startswith("node"):
        return [environment_python(name), CLIENTS_FOLDER / "helper_python.py"]
    modules = ENVIRONMENTS / name / "node_modules"
    if not modules.is_dir():
        pytest.skip(f"there is no .environments/{name}: `make environments` builds it where npm is")
    (folder / "node_modules").symlink_to(modules)
    driver = folder / "helper_node.mjs"
    driver.write_bytes((CLIENTS_FOLDER / driver.name).read_bytes())
    return [require_program("node"), driver]


def measure(name: str, start: StartServer, folder: Path) -> dict[str, Any]:
    """How a client's helper and plain stream handle every stream."""
    exchanges = folder / "exchanges"
    exchanges.mkdir()
    for number, title in enumerate(VIOLATIONS):
        (exchanges / f"{number:02}.json").write_text(json.dumps(violation_exchange(title)), encoding="utf-8")
    # These streams are invalid on purpose, so the traffic recorder must not check them.
    server = start("--exchanges", exchanges, "--quiet", env={"MOCKSERVER_TEST_SPOOL": ""})
    done = subprocess.run(
        client_command(name, folder),
        input=json.dumps(list(VIOLATIONS)),
        env=isolated_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY, MODEL=MODEL),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("title"): _without_messages(line) for line in lines}


def _without_messages(line: dict[str, Any]) -> dict[str, Any]:
    return {
        way: {name: seen[name] for name in ("text", "error") if name in seen} for way, seen in line.items()
    }


@pytest.mark.parametrize("name", HELPERS)
def test_helpers_behave_as_documented(name: str, start_server: StartServer, tmp_path: Path) -> None:
    seen = measure(name, start_server, tmp_path)

    if os.environ.get("MOCKSERVER_MEASURE"):  # update the measurements
        known = json.loads(MEASURED_FILE.read_text(encoding="utf-8")) if MEASURED_FILE.exists() else {}
        MEASURED_FILE.write_text(json.dumps({**known, name: seen}, indent=1) + "\n", encoding="utf-8")
    assert seen == json.loads(MEASURED_FILE.read_text(encoding="utf-8"))[name]


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.acceptance.clients.helpers_page`"


def test_the_first_streams_break_nothing_for_python() -> None:
    """Guards the table: a valid stream shows its whole text."""
    measured = json.loads(MEASURED_FILE.read_text(encoding="utf-8"))
    for title in list(VIOLATIONS)[:2]:
        for name in HELPERS:
            assert "error" not in measured[name][title]["helper"]
