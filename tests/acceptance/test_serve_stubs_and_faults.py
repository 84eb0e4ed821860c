"""Exchange files that change, faults, pace and rate limits of a server process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockserver.testing.mock import MockServer
from tests.acceptance.conftest import KEY, StartServer, wait_until

pytestmark = pytest.mark.acceptance


def write_exchange(folder: Path, text: str, **more: Any) -> None:
    reply = {"script": {"items": [{"type": "message", "text": text}]}}
    file = {
        "format": 1,
        "name": "it",
        "match": {"contains": "hello", "ignore_case": True},
        "reply": reply,
        **more,
    }
    (folder / "it.json").write_text(json.dumps(file))


def test_exchange_files_are_reloaded_when_they_change(start_server: StartServer, tmp_path: Path) -> None:
    write_exchange(tmp_path, "Before.")
    server = start_server("--exchanges", tmp_path)
    assert "Before." in server.create("Hello?").text
    write_exchange(tmp_path, "Afterwards.")
    wait_until(lambda: "Afterwards." in server.create("Hello?").text, "the new text")
    (tmp_path / "it.json").write_text("{")
    wait_until(lambda: "not reloaded: it.json" in server.stderr_text, "a line about the broken file")
    assert "Afterwards." in server.create("Hello?").text


def test_faults_pace_and_limits_of_a_server_process(start_server: StartServer) -> None:
    server = start_server("--fault", "cut-after,after=2", "--pace", "fixed:1", "--chunking", "bytes:10")
    assert server.create("Hello", stream=True).text.count("data:") == 2
    assert server.create("Hello").status_code == 200
    limited = start_server("--limit", "requests=1")
    assert [limited.create("Hello").status_code for _ in range(2)] == [200, 429]


def test_python_file_and_command_line_give_the_same_bytes(start_server: StartServer, tmp_path: Path) -> None:
    delivery: Any = {"fault": "doubled-event,after=2", "chunking": "random", "pace": "model:1,9999,0.5"}
    write_exchange(tmp_path, "Hi there!", delivery=delivery)
    by_file = (
        start_server("--exchanges", tmp_path, "--seed", "5", "--api-key", KEY)
        .create("hello", stream=True)
        .content
    )
    write_exchange(tmp_path, "Hi there!")
    options = ("--fault", delivery["fault"], "--chunking", "random", "--exchanges", tmp_path)
    by_options = start_server("--seed", "5", *options).create("hello", stream=True).content
    with MockServer(seed=5) as server, server.httpx() as client:
        server.when(contains="HELLO", ignore_case=True).reply("Hi there!", **delivery)
        body = {"model": "qwen3-max-2026-01-23", "input": "hello", "stream": True}
        by_code = client.post("/responses", json=body).content
    assert by_file == by_options == by_code


@pytest.mark.slow
def test_a_seed_repeats_faults_and_chunking() -> None:
    def run(seed: int) -> list[bytes]:
        faults = ["internal-error:0.3", "lost-event:0.3", "SEQ-004:0.2"]
        with (
            MockServer(seed=seed, strict=False, fault=faults, chunking="random") as server,
            server.httpx() as client,
        ):
            bodies = [{"model": server.model, "input": f"{n % 3}", "stream": n % 2 == 0} for n in range(6)]
            return [client.post("/responses", json=body).content for body in bodies]

    runs = [run(seed) for seed in range(100)]
    assert runs == [run(seed) for seed in range(100)]
    assert len({tuple(each) for each in runs}) == 100


def test_the_admin_token_is_printed_and_opens_the_admin_api(start_server: StartServer) -> None:
    server = start_server("--admin", "--seed", "1")
    token = server.stdout_text.partition("x-mock-admin-token: ")[2].split()[0]
    head = {"x-mock-admin-token": token}
    reply = {"script": {"items": [{"type": "message", "text": "Stubbed over HTTP."}]}}
    plan = {"format": 1, "name": "it", "match": {}, "reply": reply}
    assert server.client.post(f"{server.root_url}/_mock/stubs", json=plan, headers=head).status_code == 200
    assert "Stubbed over HTTP." in server.create("Hi").text
    assert server.client.get(f"{server.root_url}/_mock/journal").status_code == 401
    assert token not in server.stderr_text
