"""Scripting a server process from the outside: the first stub in one line of curl, verdicts, and the token."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, require_program

pytestmark = pytest.mark.acceptance

TOKEN = "a-token-of-this-test"


def admin_client(server: ServerProcess, token: str = TOKEN) -> httpx.Client:
    return httpx.Client(
        base_url=server.root_url, headers={"x-mock-admin-token": token}, trust_env=False, timeout=300
    )


def token_file(server: ServerProcess) -> Path:
    return server.stdout_file.with_name("url.admin-token")


def test_the_first_stub_over_http_is_one_line_of_curl(start_server: StartServer) -> None:
    server = start_server("--admin", "--api-key", KEY)
    # What the terminal prints is what a newcomer copies.
    (line,) = [each for each in server.stdout_text.splitlines() if "try " in each]
    command = line.partition("try ")[2].strip()
    assert command.startswith("curl ")
    curl = require_program("curl")
    done = subprocess.run(
        ["sh", "-c", command.replace("curl", f"{curl} -s", 1)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"name": "stub-1"}
    reply = server.create("Hi").json()
    assert reply["output"][0]["content"][0]["text"] == "Hello"


def test_a_mistake_over_http_shows_the_way_out(start_server: StartServer) -> None:
    server = start_server("--admin", "--strict")
    with admin_client(server, token_file(server).read_text()) as admin:
        reply = admin.post("/_mock/stubs", content='{"reply": {"txt": "Hello"}, "macth": "Hi"}')
        assert reply.status_code == 400
        for words in ("did you mean 'text'?", "did you mean 'match'?", 'example: {"reply":"Hello"}'):
            assert words in reply.json()["message"]
        message = server.create("Hi").json()["message"]
        stub = message.partition("with ")[2]
        assert admin.post("/_mock/stubs", content=stub).status_code == 200
        assert server.create("Hi").status_code == 200


def test_strict_rejects_what_no_stub_and_no_file_answers(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "hello.json").write_text('{"match": "Hi", "reply": "Hello"}')
    server = start_server("--strict", "--exchanges", tmp_path)
    assert server.create("Hi").status_code == 200
    rejected = server.create("Bye")
    assert (rejected.status_code, rejected.json()["code"]) == (400, "UnplannedRequest")
    assert '{"match":"Bye","reply":"…"}' in rejected.json()["message"]
    assert (
        "The nearest is the exchange hello in hello.json: prompt: expected 'Hi'" in rejected.json()["message"]
    )
    assert start_server().create("Bye").status_code == 200


def test_a_verdict_over_http(start_server: StartServer) -> None:
    server = start_server("--strict", "--admin-token-env", "TOKEN", env={"TOKEN": TOKEN})
    with admin_client(server) as admin:

        def verdict(name: str = "default") -> Any:
            return admin.get(f"/_mock/sessions/{name}/verdict").json()

        assert (verdict()["verdict"], verdict()["requests"]) == ("unchecked", 0)
        assert admin.post("/_mock/stubs", json={"reply": "Hello", "times": 2}).status_code == 200
        # Calls of the admin API are not requests, whatever is wrong with them.
        assert admin.post("/_mock/stubs", json={"rply": 1}).status_code == 400
        assert admin.get("/_mock/nothing").status_code == 404
        assert admin.get("/_mock/journal", headers={"x-mock-admin-token": "wrong"}).status_code == 401
        assert admin.get("/_mock/journal").json()["entries"] == []
        assert verdict()["requests"] == 0
        server.create("Hi")
        unused = verdict()
        assert (unused["verdict"], [each["rule"] for each in unused["violations"]]) == ("fail", ["unused"])
        server.create("Hi")
        assert verdict() == {
            "session": "default",
            "verdict": "pass",
            "requests": 2,
            "violations": [],
            "unused": [],
            "unchecked": [],
        }
        server.create("Hi", stream=3)
        server.create("Bye")
        failed = verdict()
        assert (failed["verdict"], failed["requests"]) == ("fail", 4)
        assert [(each["request"], each["rule"]) for each in failed["violations"]] == [
            (3, "REQ-001"),
            (4, "unplanned"),
        ]
        assert "/stream" in failed["violations"][0]["location"]
        assert admin.get("/_mock/sessions/nobody/verdict").status_code == 404
        admin.post("/_mock/reset", json={})
        assert verdict()["verdict"] == "unchecked"


def test_a_verdict_on_conduct_over_http(start_server: StartServer) -> None:
    server = start_server("--admin", "--fault", "http-status,status=404,first=2")
    with admin_client(server, token_file(server).read_text()) as admin:
        for _ in range(3):
            server.create("Hi")
        url = "/_mock/sessions/default/verdict"
        plain = admin.get(url).json()
        assert plain["verdict"] == "pass"
        assert admin.get(url, params={"conduct": "false"}).json() == plain
        verdict = admin.get(url, params={"conduct": "true"}).json()
        assert verdict["verdict"] == "fail"
        assert verdict["conduct"] == verdict["violations"]
        assert [(each["request"], each["rule"]) for each in verdict["conduct"]] == [(2, "RTY-003")]
        assert admin.get(url, params={"conduct": "maybe"}).status_code == 400
        assert [each["left_at"] for each in admin.get("/_mock/journal").json()["entries"]] == [None] * 3


def test_a_client_is_told_to_stop_over_http(start_server: StartServer) -> None:
    server = start_server("--admin", "--seed", "1")
    with admin_client(server, token_file(server).read_text()) as admin:

        def rules() -> list[tuple[int, str]]:
            verdict = admin.get("/_mock/sessions/default/verdict", params={"conduct": "true"}).json()
            return [(each["request"], each["rule"]) for each in verdict["conduct"]]

        url = "/_mock/sessions/default/stopped"
        assert admin.post(url).json()["request"] is None
        assert admin.post(url, json={"request": 1}).status_code == 400
        assert admin.post("/_mock/sessions/nobody/stopped").status_code == 404
        server.create("Hi")
        told = admin.post(url).json()
        assert (told["request"], told["left_at"]) == (1, None)
        assert told["end"] <= told["stopped_at"]
        assert rules() == [(1, "ABT-001")]
        slow = {"reply": {"chunks": ["One ", "two "] * 300, "pace": "model:0,1"}}
        assert admin.post("/_mock/stubs", json=slow).status_code == 200
        body = {"model": MODEL, "input": "Count.", "stream": True}
        with server.client.stream("POST", "/responses", json=body):
            assert admin.post(url).json() == {**told, "request": 2, "end": None}
            assert rules() == [(1, "ABT-001"), (2, "ABT-002")]
        told = admin.post(url, json={"request": 2, "timeout": 60}).json()
        assert told["end"] is not None
        assert told["left_at"] is not None
        assert rules() == [(1, "ABT-001")]
        first, second = admin.get("/_mock/journal").json()["entries"]
        assert first["sent_bytes"] is None
        assert second["sent_bytes"] < len(second["reply"].encode())


@pytest.mark.slow
def test_a_verdict_on_a_journal_that_has_dropped_requests_is_not_green(start_server: StartServer) -> None:
    server = start_server("--admin", "--quiet")
    with admin_client(server, token_file(server).read_text()) as admin:
        for number in range(1002):
            server.create(str(number))
        verdict = admin.get("/_mock/sessions/default/verdict").json()
        assert (verdict["verdict"], verdict["requests"], verdict["violations"]) == ("unchecked", 1002, [])
        assert verdict["unchecked"] == ["the 2 oldest requests, which the journal has dropped"]


def test_a_generated_token_is_beside_the_url_file_for_its_owner_only(start_server: StartServer) -> None:
    server = start_server("--admin")
    file = token_file(server)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() in server.stdout_text
    with admin_client(server, file.read_text()) as admin:
        assert admin.get("/_mock/stubs").status_code == 200


def test_a_given_token_is_not_printed(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    by_file = start_server("--admin-token-file", tmp_path / "token")
    by_variable = start_server("--admin-token-env", "TOKEN", env={"TOKEN": TOKEN})
    for server in (by_file, by_variable):
        assert TOKEN not in server.stdout_text + server.stderr_text
        assert not token_file(server).exists()
        with admin_client(server) as admin:
            assert admin.get("/_mock/stubs").status_code == 200
            assert TOKEN not in admin.get("/_mock/journal").text


def test_an_unusable_token_ends_the_start(
    run_serve: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for name, content in (("empty", ""), ("short", "abc"), ("two", "a-token-of-two words")):
        (tmp_path / name).write_text(content)
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    for options, words in (
        (["--admin-token-env", "NO_SUCH"], "the variable is not set"),
        (["--admin-token-env", "SHORT"], "at least 8 characters"),
        *(([f"--admin-token-file={name}"], "at least 8 characters") for name in ("empty", "short", "two")),
        (["--admin-token-file=bytes"], "not a text"),
        (["--admin-token-file=no-such"], "does not exist"),
        (["--admin-token-env", "SHORT", "--admin-token-file=short"], "not both"),
    ):
        done = run_serve(*options, SHORT="secret7")
        assert done.returncode == 2
        assert words in done.stderr
        assert "secret7" not in done.stderr
        assert "abc" not in done.stderr
