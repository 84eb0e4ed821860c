"""`mockserver record` and `replay` with real clients, which cannot tell a replay from the original."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.acceptance.clients.matrix import CLIENTS, Client
from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, server_environment, wait_until
from tests.acceptance.test_clients import run_client

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: One client in Python and one in Node.
RECORDED_CLIENTS = [each for each in CLIENTS if each.environment in ("openai-newest", "node")]
HELLO = {"model": MODEL, "input": "Hello!"}


@contextmanager
def running_command(folder: Path, *command: str | Path, **env: str) -> Iterator[ServerProcess]:
    """Run a serving command until the block ends."""
    folder.mkdir()
    url_file, stdout, stderr = (folder / name for name in ("url", "stdout", "stderr"))
    with stdout.open("wb") as output, stderr.open("wb") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mockserver",
                *map(str, command),
                "--port",
                "0",
                "--url-file",
                str(url_file),
            ],
            cwd=folder,
            env=server_environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
    with httpx.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=300, trust_env=False) as client:
        server = ServerProcess(process, stdout, stderr, "", client)
        try:
            wait_until(lambda: url_file.exists() or process.poll() is not None, "the URL file")
            assert process.poll() is None, server.stderr_text
            server.base_url = url_file.read_text(encoding="utf-8")
            client.base_url = httpx.URL(server.base_url)
            yield server
        finally:
            if process.poll() is None:
                server.stop(signal.SIGINT, 30)


def folder_bytes(folder: Path) -> bytes:
    """The names and contents of all files in a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return b"\n".join(str(file).encode() + b"\n" + file.read_bytes() for file in files)


@pytest.mark.parametrize("client", RECORDED_CLIENTS, ids=lambda client: client.environment)
def test_clients_cannot_tell_a_replay_from_the_original(
    client: Client, start_server: StartServer, tmp_path: Path
) -> None:
    upstream = start_server("--api-key", KEY, "--seed", "7")
    seen = []
    folders = [tmp_path / name for name in ("asking", "asking-again", "work")]
    for folder in folders:
        folder.mkdir()
    with running_command(
        tmp_path / "record", "record", "--upstream", upstream.base_url, "--out", folders[2], "--record-errors"
    ) as server:
        seen.append(run_client(client, server, folders[0]))
        server.client.close()
    assert "Traceback" not in server.stderr_text
    assert server.process.returncode == 0
    with running_command(tmp_path / "replay", "replay", folders[2], "--once") as replayed:
        seen.append(run_client(client, replayed, folders[1]))
    first, second = ({name: str(each) for name, each in one.items()} for one in seen)
    assert {name: text.replace(replayed.base_url, server.base_url) for name, text in second.items()} == first
    assert len(first) > 10
    assert "were not asked for" not in replayed.stderr_text
    # Not the driver's folder: it belongs to the client, which has the key.
    for place in (folders[2], tmp_path / "record", tmp_path / "replay"):
        assert KEY.encode() not in folder_bytes(place)


def test_the_key_of_a_variable_is_added_and_clients_have_another(
    start_server: StartServer, tmp_path: Path
) -> None:
    """A client that presents the endpoint's key is refused: it does not need the recorder to add it."""
    upstream = start_server("--api-key", KEY)
    folder = tmp_path / "recordings"
    options = ("--upstream-key-env", "UPSTREAM_KEY", "--api-key", "of-clients-only", "--fail-on", "error")
    command = ("record", "--upstream", upstream.base_url, "--out", folder, *options)
    with running_command(tmp_path / "record", *command, UPSTREAM_KEY=KEY) as server:
        assert server.client.post("/responses", json=HELLO).status_code == 401
        server.client.headers["authorization"] = "Bearer of-clients-only"
        statuses = [
            server.client.post("/responses", json={**HELLO, **more}).status_code
            for more in ({}, {"stream": True, "temperature": 9})
        ]
        assert statuses == [200, 400]
    assert server.process.returncode == 1
    assert len([*folder.glob("*.json")]) == 2
    assert "API key    from UPSTREAM_KEY" in server.stdout_text
    first, second = server.stderr_text.splitlines()[:2]
    assert first.endswith("(refused: not forwarded)")
    assert second.startswith("POST /responses 200 first byte ")
    assert "hello-reply-" in second
    assert "  error REQ-001 /temperature: " in server.stderr_text
    assert "mockserver: 3 requests, 2 recordings in " in server.stderr_text
    assert KEY.encode() not in folder_bytes(folder) + folder_bytes(tmp_path / "record")
    assert b"of-clients-only" not in folder_bytes(folder) + server.stderr_text.encode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--upstream", "http://example.com/v1"), "use --allow-http example.com to send it anyway"),
        (("--upstream", "https://u:p@example.com/v1"), "a base URL must not contain a user"),
        (("--upstream", "ftp://example.com"), "is not a base URL"),
        (("--upstream", "https://example.com/v1", "--upstream-key-env", "NO_SUCH"), "NO_SUCH is not set"),
        (("--upstream", "https://example.com/v1", "--mask", "user"), "a JSON pointer starts with /"),
        (
            ("--upstream", "https://example.com/v1", "--allow-header", "Cookie"),
            "this header cannot be passed on",
        ),
        (("--upstream", "https://example.com/v1", "--profile", "no-such"), "no profile 'no-such'"),
    ],
)
def test_unusable_arguments_exit_with_2(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mockserver", "record", "--out", "x", "--port", "0", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists() or not [*(tmp_path / "x").iterdir()]
