"""`mockserver exchanges`: files checked as the server would, and drafted from what is at hand."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from mockserver.testing.mock import MockServer
from tests.cli.conftest import RunCli

KEY = "sk-0123456789abcdef0123456789abcdef"
CURL = f"""curl -X POST https://example.com/v1/responses \\
  -H "Authorization: Bearer {KEY}" -H "Content-Type: application/json" \\
  -d '{{"model": "qwen3-max-2026-01-23", "input": "Hello!", "tools": [{{"type": "web_search"}}]}}'
"""


def ask(server: MockServer, content: str, **members: Any) -> Any:
    with server.httpx() as client:
        return client.post("/responses", json={"model": server.model, "input": content, **members})


def set_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))


def test_a_curl_command_becomes_an_exchange_that_is_served(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    set_stdin(monkeypatch, CURL.encode())
    code, out, err = run_cli("exchanges", "new", "--name", "hello", "--out", "out")
    assert (code, out, err) == (0, "out/hello.json\n", "")
    text = (tmp_path / "out" / "hello.json").read_text()
    assert KEY not in text
    assert run_cli("exchanges", "check", "out") == (0, "out: 1 exchange, all valid\n", "")
    with MockServer(exchanges=tmp_path / "out") as server:
        assert "Write the reply" in ask(server, "Hello!", tools=[{"type": "web_search"}]).text


def test_a_recorded_stream_becomes_an_exchange_with_the_same_bytes(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with MockServer(seed=9, strict=False) as server:
        recorded = ask(server, "Hello!", stream=True).content
    set_stdin(monkeypatch, recorded)
    code, out, _ = run_cli("exchanges", "new", "--prompt", "Hello!")
    assert code == 0
    (tmp_path / "new.json").write_text(out)
    with MockServer(exchanges=tmp_path) as server:
        reply = ask(server, "Hello!", stream=True)
        assert reply.content == recorded
        assert server.journal.last.exchange == "new"


def test_a_har_file_becomes_one_exchange_per_call(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "qwen3-max-2026-01-23", "input": [{"role": "user", "content": "Hi"}]}
    call = {
        "request": {
            "method": "POST",
            "url": "https://example.com/v1/responses?x=1",
            "headers": [{"name": "authorization", "value": f"Bearer {KEY}"}],
            "postData": {"text": json.dumps(body)},
        },
        "response": {
            "status": 429,
            "content": {"mimeType": "application/json", "text": f'{{"message":"{KEY}"}}'},
        },
    }
    other = {"request": {"method": "GET", "url": "https://example.com/"}, "response": {}}
    set_stdin(monkeypatch, json.dumps({"log": {"entries": [other, call, call]}}).encode())
    code, out, _ = run_cli("exchanges", "new", "--name", "har")
    assert code == 0
    assert KEY not in out
    assert [name in out for name in ('"har"', '"har-2"', '"prompt": "Hi"', '"status": 429')] == [True] * 4


@pytest.mark.parametrize(
    "line",
    [
        """curl https://x/v1/responses -d'{"model": "m", "input": "It\\u0027s me"}'""",
        """curl 'https://x/v1/responses' --data-raw $'{"model": "m", "input": "It\\'s me"}'""",
        """curl 'https://x' \\\n --data-raw $'{"model": "m", "input": "It\\u0027s me"}' --compressed""",
        """curl --json "{\\"model\\": \\"m\\", \\"input\\": \\"It's me\\"}" https://x/v1/responses""",
    ],
)
def test_curl_quoting(line: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stdin(monkeypatch, line.encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, err) == (0, "")
    assert json.loads(out)["match"] == {"prompt": "It's me", "stream": False}


def test_a_har_file_can_have_bodies_in_base64(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(content: object) -> bytes:
        request = {"method": "POST", "url": "https://x/v1/responses", "postData": {"text": '{"input":"Hi"}'}}
        entry = {"request": request, "response": {"status": 200, "content": content}}
        return json.dumps({"log": {"entries": [entry]}}).encode()

    text = base64.b64encode("data: é\n\n".encode()).decode()
    set_stdin(monkeypatch, entries({"mimeType": "text/event-stream", "encoding": "base64", "text": text}))
    _, out, _ = run_cli("exchanges", "new")
    assert json.loads(out)["reply"]["http"]["chunks"] == [{"text": "data: é\n\n"}]
    for content, message in (({}, "lacks 'text'"), ({"encoding": "base64", "text": "é"}, "cannot be read")):
        set_stdin(monkeypatch, entries(content))
        code, _, err = run_cli("exchanges", "new")
        assert (code, message in err) == (2, True)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", ".x", "a/b", "x" * 101, "a\nb"])
def test_hostile_names_are_refused(
    name: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_stdin(monkeypatch, CURL.encode())
    code, out, err = run_cli("exchanges", "new", "--name", name, "--out", ".")
    assert (code, out) == (2, "")
    assert "is not a valid name" in err
    file = {"format": 1, "name": name, "match": {}, "reply": {"script": {"items": []}}}
    (tmp_path / "it.json").write_text(json.dumps(file))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    assert "it.json#/name" in err


def test_existing_files_and_links_are_not_overwritten(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "mine"
    (tmp_path / "new.json").symlink_to(target)
    set_stdin(monkeypatch, CURL.encode())
    code, _, err = run_cli("exchanges", "new", "--out", ".")
    assert code == 1
    assert "cannot write new.json" in err
    assert not target.exists()


@pytest.mark.parametrize(
    "data", ["", "curl", "curl -d '{'", "curl -d '[1]'", "curl 'x", '{"log":{"entries":[]}}', "x"]
)
def test_unusable_input_exits_with_2(data: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stdin(monkeypatch, data.encode())
    code, out, err = run_cli("exchanges", "new")
    assert (code, out) == (2, "")
    assert err.startswith("mockserver: ")


def test_an_invalid_delivery_is_reported_with_its_pointer(run_cli: RunCli, tmp_path: Path) -> None:
    file = {
        "format": 1,
        "name": "it",
        "match": {},
        "reply": {"script": {"items": []}},
        "delivery": {"pace": "fast"},
    }
    (tmp_path / "it.json").write_text(json.dumps(file))
    code, _, err = run_cli("exchanges", "check", ".")
    assert code == 1
    assert "it.json#/delivery/pace: pace must be none" in err
