"""The console of a server process while real clients use it: their requests in the list, and one stream in full."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import (
    ENVIRONMENTS,
    KEY,
    MODEL,
    ServerProcess,
    StartServer,
    environment_python,
    isolated_environment,
    require_program,
)
from tests.programs import run_program
from tests.reports.chromium import Browser, Tab

pytestmark = pytest.mark.acceptance

PROMPT = "Why is the sky blue, in the words of a poet?"
EXCHANGE = {
    "match": PROMPT,
    "reply": [{"reasoning": "They want a poem about the sky."}, "Blue is what the air lets through to us."],
}

PYTHON_CLIENT = f"""
from openai import OpenAI

client = OpenAI(max_retries=0)
print(client.responses.create(model="{MODEL}", input="Hello!").output_text)
for event in client.responses.create(model="{MODEL}", input="{PROMPT}", stream=True):
    print(event.type)
"""
NODE_CLIENT = f"""
import OpenAI from "openai";

const client = new OpenAI({{ maxRetries: 0 }});
console.log((await client.responses.create({{ model: "{MODEL}", input: "Hello!" }})).output_text);
for await (const event of await client.responses.create({{ model: "{MODEL}", input: "{PROMPT}", stream: true }})) {{
  console.log(event.type);
}}
"""


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    folder = tmp_path / "exchanges"
    folder.mkdir()
    (folder / "sky.json").write_text(json.dumps(EXCHANGE))
    return start_server("--console", "--api-key", KEY, "--exchanges", folder, "--pace", "model:30,400")


@pytest.fixture
def tab(browser: Browser, server: ServerProcess) -> Iterator[Tab]:
    """The console, opened by the link that the server prints."""
    link = re.search(r"http://\S+/_mock/console\?token=\S+", server.stdout_text)
    assert link, server.stdout_text
    opened = Tab(browser)
    opened.call("Page.navigate", url=link[0])
    opened.wait_until("document.querySelector('.connection.live') !== null")
    yield opened
    assert opened.console_errors == []
    assert {httpx.URL(each).host for each in opened.requested_urls} <= {"127.0.0.1", ""}
    opened.close()


def client_command(language: str, folder: Path) -> list[str | Path]:
    if language == "Python":
        return [environment_python("openai-newest"), "-c", PYTHON_CLIENT]
    packages = ENVIRONMENTS / "node" / "node_modules"
    if not packages.is_dir():
        pytest.skip("there is no .environments/node: `make environments` builds it where npm is")
    (folder / "node_modules").symlink_to(packages)
    (folder / "client.mjs").write_text(NODE_CLIENT)
    return [require_program("node"), folder / "client.mjs"]


@pytest.mark.parametrize("language", ["Python", "Node"])
def test_the_console_shows_what_a_client_does(
    language: str, tab: Tab, server: ServerProcess, tmp_path: Path
) -> None:
    done = run_program(
        client_command(language, tmp_path),
        env=isolated_environment(
            OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY, PATH=os.environ["PATH"]
        ),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "response.completed"

    tab.wait_until("document.querySelectorAll('.row').length === 2")
    tab.wait_until("[...document.querySelectorAll('.row')].every((row) => !row.textContent.includes('…'))")
    plain, stream = tab.evaluate("[...document.querySelectorAll('.row')].map((row) => row.innerText)")
    assert "Hello!" in plain
    assert "⇉" not in plain
    assert PROMPT in stream
    assert "⇉" in stream
    for row in (plain, stream):
        assert MODEL in row
        assert "200" in row

    tab.evaluate("document.querySelectorAll('.row')[1].click()")
    shown = tab.wait_for_frame_text("tokens per second")
    for expected in ("Timeline", "item 0 · reasoning", "item 1 · message", "answered by", "sky", "a stream"):
        assert expected in shown
    assert re.search(r"first token\s+[\d.]+ m?s after the request", shown)
    assert f"{len(lines) - 1} events" in shown
    tab.evaluate("document.querySelectorAll('.row')[0].click()")
    assert lines[0] in tab.wait_for_frame_text("one reply")


PRINT_MODULES = """
import atexit, sys
from mockserver.cli import main

atexit.register(lambda: print(*sorted(sys.modules)))
main()
"""


def test_a_server_without_a_console_loads_nothing_of_it(start_server: StartServer) -> None:
    token = "a-token-of-the-admin-api-0123456789"
    options = ("--admin-token-env", "TOKEN")
    server = start_server(*options, env={"TOKEN": token}, program=(sys.executable, "-c", PRINT_MODULES))
    assert server.create("Hi").status_code == 200
    assert server.create("Hi", stream=True).status_code == 200
    assert server.create("Hi", temperature=9).status_code == 400
    assert server.client.get(f"{server.base_url}/models").status_code == 200
    assert server.client.get(f"{server.root_url}/_mock/console").status_code == 404
    journal = f"{server.root_url}/_mock/journal"
    assert server.client.get(journal, headers={"x-mock-admin-token": token}).status_code == 200

    server.process.terminate()
    assert server.process.wait(60) == 0

    loaded = server.stdout_text.splitlines()[-1].split()
    assert "mockserver.server.admin" in loaded
    assert [each for each in loaded if each.startswith("mockserver.server.console")] == []
