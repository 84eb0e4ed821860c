"""The profiles after January from the outside: command options, and real SDKs with later features."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.clients.later_profiles import CLIENTS, PROFILES, SCENARIOS, expected_observations
from tests.acceptance.clients.matrix import CLIENTS_FOLDER
from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    ROOT,
    ServerProcess,
    StartServer,
    environment_python,
    isolated_environment,
    require_program,
)
from tests.programs import run_program

pytestmark = pytest.mark.acceptance


def run_client(command: list[str | Path], folder: Path, server: ServerProcess) -> dict[str, Any]:
    done = run_program(
        [*command, *SCENARIOS],
        folder,
        env=isolated_environment(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY, PYTHONPATH=str(ROOT)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"scenario"')]
    return {line.pop("scenario"): line for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "environment", [name for name, (_, file) in CLIENTS.items() if file == "openai_python_later.py"]
)
def test_openai_for_python(environment: str, profile: str, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(
        "--api-key", KEY, "--profile", profile, "--seed", "3", "--structured-output", "obey"
    )  # its essay is long enough to be truncated
    command: list[str | Path] = [
        environment_python(environment),
        "-m",
        "tests.acceptance.clients.openai_python_later",
    ]
    assert run_client(command, tmp_path, server) == expected_observations(profile)
    assert "internal error" not in server.stderr_text


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("environment", [name for name, (_, file) in CLIENTS.items() if file == "later.mjs"])
def test_openai_for_node(environment: str, profile: str, start_server: StartServer, tmp_path: Path) -> None:
    modules = ENVIRONMENTS / environment / "node_modules"
    if not modules.is_dir():
        pytest.skip(f"there is no .environments/{environment}: `make environments` builds it where npm is")
    for name in ("later.mjs", "driving.mjs", "prompts.json"):
        (tmp_path / name).write_bytes((CLIENTS_FOLDER / name).read_bytes())
    (tmp_path / "node_modules").symlink_to(modules)
    server = start_server(
        "--api-key", KEY, "--profile", profile, "--seed", "3", "--structured-output", "obey"
    )  # its essay is long enough to be truncated
    assert run_client([require_program("node"), "later.mjs"], tmp_path, server) == expected_observations(
        profile
    )


def test_latest_is_the_newest_profile(start_server: StartServer) -> None:
    server = start_server("--api-key", KEY, "--profile", "latest")
    assert server.base_url.endswith("/compatible-mode/v1")
    health = server.client.get(f"{server.root_url}/health").json()
    assert health["profile"] == "qwen-2026-09"
    assert "qwen-2026-09" in server.stdout_text


def test_fault_headers_need_permission(start_server: StartServer) -> None:
    body = {"model": "qwen3-max", "input": "x"}
    header = {"x-mock-fault": "internal-error"}
    for options, status in (((), 200), (("--allow-mock-headers",), 500)):
        server = start_server("--api-key", KEY, "--profile", "latest", *options)
        assert server.client.post("responses", json=body, headers=header).status_code == status


@pytest.mark.parametrize("how", ["http", "inband"])
def test_stream_errors_option(how: str, start_server: StartServer) -> None:
    server = start_server("--api-key", KEY, "--profile", "latest", "--stream-errors", how)
    reply = server.client.post("responses", json={"model": "gpt-5", "input": "x", "stream": True})
    assert reply.status_code == (400 if how == "http" else 200)
    assert "Unsupported model" in reply.text


def test_function_arguments_option(start_server: StartServer) -> None:
    server = start_server("--api-key", KEY, "--profile", "latest", "--function-arguments", "whole")
    tools = [{"type": "function", "name": "f", "description": "F"}]
    body = {"model": "qwen3-max", "input": "x", "stream": True, "tools": tools}
    reply = server.client.post("responses", json=body)
    assert "function_call_arguments" not in reply.text
    assert '"arguments":"{}"' in reply.text


@pytest.mark.parametrize("option", [("--stream-errors", "loud"), ("--function-arguments", "half")])
def test_invalid_choices_are_refused(option: tuple[str, str]) -> None:
    done = run_program([sys.executable, "-m", "mockserver", "serve", *option])
    assert done.returncode == 2
    assert option[1] in done.stderr
