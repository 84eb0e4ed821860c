"""Codex CLI: `codex exec --json` with a custom provider, in its read-only sandbox.

Codex runs the arguments that the mock server generates for its shell tool; these are harmless commands.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.clients.driver import (
    BASE_URL,
    CITY_SCHEMA,
    PROMPTS,
    UNKNOWN_MODEL,
    WRONG_KEY,
    Observation,
    run_scenarios,
)

DOCUMENTED_URL = "http://127.0.0.1:8080/api/v2/apps/protocols/compatible-mode/v1"
COMMAND = ("codex", "exec", "--json", "--skip-git-repo-check", "--sandbox", "read-only")

#: Codex says this of every model that is not OpenAI's.
_IGNORED_MESSAGE = "Model metadata for"


def write_config(home: Path) -> None:
    text = Path(__file__).with_name("codex.toml").read_text(encoding="utf-8")
    assert DOCUMENTED_URL in text
    (home / "config.toml").write_text(text.replace(DOCUMENTED_URL, BASE_URL), encoding="utf-8")


def start_codex(home: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    work = home / "work"
    work.mkdir(exist_ok=True)
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=work,
        env={**os.environ, "HOME": str(home), "CODEX_HOME": str(home), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def run_codex(home: Path, *arguments: str, **env: str) -> Observation:
    with start_codex(home, *arguments, **env) as process:
        output, _ = process.communicate(timeout=300)
    seen = observe([json.loads(line) for line in output.splitlines()])
    return {**seen, "exit": process.returncode}


def observe(events: list[Observation]) -> Observation:
    """What the lines say: the last message, the items, the commands that ran, the error."""
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    items = [item for item in items if not str(item.get("message")).startswith(_IGNORED_MESSAGE)]
    seen: Observation = {"items": [item["type"] for item in items]}
    for item in items:
        if item["type"] == "agent_message":
            seen["text"] = item["text"]
        elif item["type"] == "command_execution":
            seen["exit_codes"] = [*seen.get("exit_codes", []), item["exit_code"]]
    for event in events:
        if event["type"] == "turn.failed":
            seen["error"], seen["message"] = "turn.failed", event["error"]["message"]
    return seen


def codex_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="codex-") as folder:
        write_config(Path(folder))
        yield Path(folder)


def basic() -> Observation:
    (seen,) = [run_codex(home, PROMPTS["basic"]) for home in codex_home()]
    return seen


def two_turns() -> Observation:
    for home in codex_home():
        run_codex(home, PROMPTS["name"])
        return run_codex(home, "resume", "--last", PROMPTS["recall"])
    raise AssertionError


def structured() -> Observation:
    for home in codex_home():
        schema = home / "city.json"
        schema.write_text(json.dumps(CITY_SCHEMA), encoding="utf-8")
        return run_codex(home, "--output-schema", str(schema), PROMPTS["city"])
    raise AssertionError


def wrong_key() -> Observation:
    (seen,) = [run_codex(home, "Hello!", OPENAI_API_KEY=WRONG_KEY) for home in codex_home()]
    return seen


def unknown_model() -> Observation:
    (seen,) = [run_codex(home, "--model", UNKNOWN_MODEL, "Hello!") for home in codex_home()]
    return seen


def cancel() -> Observation:
    """End Codex as soon as its turn has begun, then ask again."""
    for home in codex_home():
        with start_codex(home, PROMPTS["essay"]) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if json.loads(line)["type"] == "item.started":
                    break
            process.terminate()
    return {"deltas": 1, **basic()}


if __name__ == "__main__":
    run_scenarios(
        {
            "basic": basic,
            "two_turns": two_turns,
            "structured": structured,
            "wrong_key": wrong_key,
            "unknown_model": unknown_model,
            "cancel": cancel,
        }
    )
