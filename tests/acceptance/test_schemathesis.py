"""Schemathesis against the server and its own OpenAPI document: all phases, no failures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mockserver.contract.openapi.chat import CHAT_OPERATION_ID
from tests.acceptance.conftest import KEY, ServerProcess, StartServer
from tests.programs import run_program

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

SETTINGS = """
[checks]
# The server refuses with 400 what a schema cannot express; `refused_for_a_reason` checks each case.
positive_data_acceptance.expected-statuses = ["2xx", "400", "401"]
"""


LATER_SETTINGS = """
[checks]
# As above; also, ids in paths are found only if they exist.
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "404"]
"""


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "version"),
    [
        pytest.param("qwen-2026-01", "3.1", marks=pytest.mark.soak),
        ("qwen-2026-01", "3.2"),
        pytest.param("qwen-2026-09", "3.2", marks=pytest.mark.soak),
    ],
)
def test_schemathesis_finds_nothing(
    profile: str, version: str, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--api-key", KEY, "--profile", profile)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS if profile == "qwen-2026-01" else LATER_SETTINGS)
    output = run_schemathesis(
        server, profile, tmp_path, f"?version={version}", "--exclude-operation-id", CHAT_OPERATION_ID
    )
    # The documented samples are from January: other profiles have no examples.
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")[profile != "qwen-2026-01" :]:
        assert f"✅ {phase}" in output
    assert "internal error" not in server.stderr_text


@pytest.mark.acceptance
@pytest.mark.slow
def test_nothing_is_found_in_chat_completions(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--api-key", KEY)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    only = ("--include-operation-id", CHAT_OPERATION_ID, "--phases", "fuzzing")
    output = run_schemathesis(server, "qwen-2026-01", tmp_path, "", *only)
    assert "✅ Fuzzing" in output
    assert "internal error" not in server.stderr_text


def run_schemathesis(server: ServerProcess, profile: str, folder: Path, query: str, *options: str) -> str:
    """Run Schemathesis in a folder and return its output; AssertionError if it reports failures."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.root_url}/openapi.json{query}"]
    command += ["--header", f"Authorization: Bearer {KEY}", "--max-examples", "50", "--seed", "1"]
    command += ["--generation-database", "none", "--no-color", *options]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(HOOKS),
        "SCHEMATHESIS_PROFILE": profile,
        "NO_PROXY": "*",
    }
    environment.pop("MOCKSERVER_TEST_SPOOL", None)
    ran = run_program(command, folder, env=environment)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr
    return ran.stdout
