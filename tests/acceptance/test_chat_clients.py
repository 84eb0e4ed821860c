"""Real SDKs with Chat Completions: replies, streams, stream helpers, tools and errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    MODEL,
    StartServer,
    environment_python,
    isolated_environment,
    require_program,
)
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CLIENTS_FOLDER = Path(__file__).parent / "clients"

CALL = {"type": "function_call", "name": "weather", "arguments": {"city": "Oslo"}}
EXCHANGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "hi": ({"prompt": "Hi"}, [{"type": "message", "text": "Hello there!"}]),
    "rain": ({"prompt": "Rain?", "tool": "weather"}, [CALL]),
    "umbrella": (
        {"prompt": "Rain?", "tool_output": "Rain in Oslo.", "after": "rain"},
        [{"type": "message", "text": "Take an umbrella."}],
    ),
    "thought": (
        {"prompt": "Think.", "thinking": True},
        [{"type": "reasoning", "text": "Hm."}, {"type": "message", "text": "Yes."}],
    ),
}


def run_client(command: Sequence[str | Path], start: StartServer, folder: Path) -> list[Any]:
    """What a client prints that uses a server with these exchanges."""
    for name, (match, items) in EXCHANGES.items():
        exchange = {"format": 1, "name": name, "match": match, "reply": {"script": {"items": items}}}
        (folder / f"{name}.json").write_text(json.dumps(exchange), encoding="utf-8")
    server = start("--exchanges", folder, "--seed", "1", "--allow-mock-headers")
    url = f"{server.root_url}/compatible-mode/v1"
    done = run_program(
        command, folder, env=isolated_environment(OPENAI_BASE_URL=url, OPENAI_API_KEY=KEY, MODEL=MODEL)
    )
    assert done.returncode == 0, done.stderr
    printed: list[Any] = json.loads(done.stdout)
    return printed


@pytest.mark.parametrize("name", ["openai-newest", "openai-2"])
def test_openai_python(name: str, start_server: StartServer, tmp_path: Path) -> None:
    command: list[str | Path] = [environment_python(name), "-W", "error", CLIENTS_FOLDER / "chat_python.py"]
    assert run_client(command, start_server, tmp_path) == [
        "Hello there!",
        ["Hello there!", True],
        ['{"city":"Oslo"}', True],
        ["tool_calls", "weather", "Take an umbrella."],
        "Weather",
        "Hm.",
        [
            ["NotFoundError", "model_not_found", True],
            ["BadRequestError", "invalid_parameter_error", True],
            ["RateLimitError", "limit_requests", True],
        ],
    ]


def test_openai_node(start_server: StartServer, tmp_path: Path) -> None:
    packages = ENVIRONMENTS / "node" / "node_modules"
    if not packages.is_dir():
        pytest.skip("there is no .environments/node: `make environments` builds it where npm is installed")
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "chat.mjs").write_text((CLIENTS_FOLDER / "chat_node.mjs").read_text())
    assert run_client([require_program("node"), "chat.mjs"], start_server, tmp_path) == [
        "Hello there!",
        ["Hello there!", True],
        "Hello there!",
        "Take an umbrella.",
        ["NotFoundError", "model_not_found"],
    ]


def test_langchain_openai(start_server: StartServer, tmp_path: Path) -> None:
    # A program in this folder has the same name as the package.
    (tmp_path / "chat.py").write_text((CLIENTS_FOLDER / "chat_langchain.py").read_text())
    command: list[str | Path] = [environment_python("langchain-openai"), "chat.py"]
    assert run_client(command, start_server, tmp_path) == [
        ["Hello there!", True],
        "Hello there!",
        "Weather",
        "Weather",
    ]
