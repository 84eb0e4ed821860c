"""The examples of the admin API in docs/scripting.md: complete, run unchanged, and alike in every language."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from mockserver.server.admin.operations import OPERATIONS
from tests.acceptance.conftest import (  # noqa: F401 (a fixture)
    StartServer,
    require_program,
    start_server,
)
from tests.programs import run_program

PAGE = Path(__file__).parent.parent.parent / "docs" / "scripting.md"
TOKEN = "a-token-of-this-test"


def find_block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


#: How each language names method and path of a call.
CALLS = {
    "sh": re.compile(
        r'^curl -H "x-mock-admin-token: \$TOKEN"(?: -X (\w+))? "\$MOCK(\S+?)"(?: -d (.*))?$', re.MULTILINE
    ),
    "js": re.compile(r'^await mock\("(\w+)", "(\S+?)"(?:, (.*))?\);$', re.MULTILINE),
    "go": re.compile(r'^\tmock\("(\w+)", "(\S+?)", (.*)\)$', re.MULTILINE),
}  # fmt: skip


def calls(language: str) -> list[tuple[str, str]]:
    found = CALLS[language].findall(find_block(language))
    return [(method or ("POST" if body else "GET"), path.partition("?")[0]) for method, path, body in found]


@pytest.mark.parametrize("language", CALLS)
def test_every_operation_has_an_example(language: str) -> None:
    for operation in OPERATIONS:
        pattern = re.sub(r"\{\w+\}", r"[^/]+", operation.path)
        assert any(
            method == operation.method and re.fullmatch(pattern, path) for method, path in calls(language)
        ), f"{operation.name} has no example in {language}"
    assert calls(language) == calls("sh")


def run_example(language: str, folder: Path, root_url: str) -> list[Any]:
    """The replies that the block prints."""
    file = folder / f"admin.{'mjs' if language == 'js' else language}"
    file.write_text(find_block(language))
    (folder / ".curlrc").write_text('silent\nshow-error\nfail-with-body\nwrite-out = "\\n"\n')
    variables = {
        "MOCK": root_url,
        "TOKEN": TOKEN,
        "CURL_HOME": str(folder),
        "GOCACHE": str(folder / "go"),
        "GO111MODULE": "off",
    }
    require_program("curl")
    commands: dict[str, list[str]] = {
        "sh": ["sh", "-eu", str(file)],
        "js": [require_program("node"), str(file)],
        "go": [require_program("go"), "run", str(file)],
    }
    done = run_program(commands[language], env={**os.environ, **variables}, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("language", CALLS)
def test_the_example_runs_unchanged(
    language: str,
    start_server: StartServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    replies = []
    for each in dict.fromkeys(("sh", language)):
        server = start_server("--seed", "1", "--admin-token-env", "TOKEN", env={"TOKEN": TOKEN})
        replies.append(run_example(each, tmp_path, server.root_url))
    assert all(each == replies[0] for each in replies)
    assert len(replies[0]) == len(calls(language))
    assert replies[0][0] == {"name": "stub-1"}
