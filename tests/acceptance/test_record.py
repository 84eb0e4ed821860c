"""`mockserver record` and `replay` with real clients, which cannot tell a replay from the original."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.wire import json
from tests.acceptance.clients.matrix import CLIENTS, Client
from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, server_environment, wait_until
from tests.acceptance.test_clients import run_client
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: One client in Python and one in Node.
RECORDED_CLIENTS = [each for each in CLIENTS if each.environment in ("openai-newest", "node")]
HELLO = {"model": MODEL, "input": "Hello!"}


@contextmanager
def running_command(
    folder: Path, *command: str | Path, program: Sequence[str] = ("-m", "mockserver"), **env: str
) -> Iterator[ServerProcess]:
    """Run a serving command until the block ends."""
    folder.mkdir()
    url_file, stdout, stderr = (folder / name for name in ("url", "stdout", "stderr"))
    with stdout.open("wb") as output, stderr.open("wb") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                *program,
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
    assert first.endswith("(refused: not forwarded: Invalid API-key provided.)")
    assert second.startswith("POST /responses 200 first byte ")
    assert "hello-reply-" in second
    assert "  error REQ-001 /temperature: " in server.stderr_text
    assert "mockserver: 3 requests, 2 recordings in " in server.stderr_text
    assert KEY.encode() not in folder_bytes(folder) + folder_bytes(tmp_path / "record")
    assert b"of-clients-only" not in folder_bytes(folder) + server.stderr_text.encode()


def test_what_cannot_be_read_is_passed_on_and_the_log_says_so(
    start_server: StartServer, tmp_path: Path
) -> None:
    upstream, folder = start_server("--api-key", KEY), tmp_path / "recordings"
    command = ("record", "--upstream", upstream.base_url, "--out", folder, "--max-body", "1MB")
    head = {"content-type": "application/json"}
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (json.dumps({**HELLO, "input": "x" * 20_000_000}), {}),
        (gzip.compress(json.dumps({**HELLO, "input": "y" * 2_000_000})), {"content-encoding": "gzip"}),
        (gzip.compress(json.dumps(HELLO)), {"content-encoding": "gzip"}),
    ]
    with running_command(tmp_path / "record", *command) as server:
        for body, coding in bodies:
            assert server.client.post("/responses", content=body, headers=head | coding).status_code == 200
    (recording,) = folder.glob("*.json")
    assert json.loads(recording.read_bytes())["request"] == HELLO
    assert "(not recorded: the request's body has more than 1000000 bytes (--max-body))" in server.stderr_text
    assert "(not recorded: the request's decoded body has more than 1000000 bytes" in server.stderr_text
    assert "3 requests, 1 recording" in server.stderr_text
    with running_command(tmp_path / "replay", "replay", folder, "--max-body", "1MB") as replayed:
        again = replayed.client.post("/responses", json=HELLO)
        large = replayed.client.post("/responses", content=b" " * 1_000_001, headers=head)
    assert (again.status_code, large.status_code) == (200, 413)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--upstream", "https://example.com/v1", "--max-body", "much"),
            "--max-body must be a number of bytes",
        ),
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
    done = run_program(command, tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists() or not [*(tmp_path / "x").iterdir()]


#: Runs a command in a process whose checks never end, and hold the interpreter all the time.
ENDLESS_CHECKS = """
import sys
from mockserver.live.pass_through_checks import PassThroughChecker
from mockserver.cli import main

def spin(*_):
    while True:
        pass

PassThroughChecker.journal_entry = spin
sys.argv[0] = "mockserver"
main()
"""

#: Runs a command in a process whose files may have at most 4 KiB, as on a full disk.
FULL_DISK = """
import resource, sys
from mockserver.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.argv[0] = "mockserver"
main()
"""

#: Seconds for a command to end: it waits 10 s for the checks, and the rest only stops a hang.
STOP_SECONDS = 120


@pytest.mark.parametrize(
    ("options", "status"),
    [((), 0), pytest.param(("--fail-on", "error"), 3, marks=pytest.mark.soak)],
    ids=["no verdict", "verdict"],
)
def test_checks_that_never_end_cost_no_recording_and_no_ctrl_c(
    options: tuple[str, ...], status: int, start_server: StartServer, tmp_path: Path
) -> None:
    upstream, folder = start_server("--api-key", KEY), tmp_path / "recordings"
    command: tuple[str | Path, ...] = ("record", "--upstream", upstream.base_url, "--out", folder, *options)
    with running_command(tmp_path / "record", *command, program=("-c", ENDLESS_CHECKS)) as server:
        for _ in range(3):
            assert server.client.post("/responses", json=HELLO).status_code == 200
        wait_until(lambda: len([*folder.glob("*.json")]) == 3, "three recordings")
        assert server.stop(signal.SIGINT, STOP_SECONDS) == status
    assert "3 requests, 3 recordings in " in server.stderr_text
    assert "  not checked: the checks took too long: 3" in server.stderr_text


def test_second_ctrl_c_ends_the_checks(start_server: StartServer, tmp_path: Path) -> None:
    upstream, folder = start_server("--api-key", KEY), tmp_path / "recordings"
    command = ("record", "--upstream", upstream.base_url, "--out", folder)
    with running_command(tmp_path / "record", *command, program=("-c", ENDLESS_CHECKS)) as server:
        assert server.client.post("/responses", json=HELLO).status_code == 200
        wait_until(lambda: len([*folder.glob("*.json")]) == 1, "the recording")
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: "Ctrl-C stops this" in server.stderr_text, "the note about the checks")
        server.stop(signal.SIGTERM, STOP_SECONDS)
    assert "1 request, 1 recording in " in server.stderr_text
    assert "  not checked: interrupted: 1" in server.stderr_text


def odd_upstream(reply: bytes) -> Any:
    """An application that answers every request with the same JSON."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(reply))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    return app


@pytest.mark.parametrize(
    "reply",
    [
        json.dumps({"object": "response", "output": [{"type": "message", "id": n} for n in range(20_000)]}),
        b'{"object":"response",%b,"n1":0}' % b",".join(b'"n%d":0' % n for n in range(60_000)),
    ],
    ids=["bad-items", "duplicate-name"],
)
def test_odd_reply_costs_no_later_recording_and_no_ctrl_c(reply: bytes, tmp_path: Path) -> None:
    upstream, folder = ThreadedServer(odd_upstream(reply)), tmp_path / "recordings"
    upstream.start()
    command = ("record", "--upstream", upstream.url + "/v1", "--out", folder)
    with running_command(tmp_path / "record", *command) as server:
        for _ in range(5):
            assert server.client.post("/responses", json=HELLO).content == reply
        assert server.stop(signal.SIGINT, STOP_SECONDS) == 0
    upstream.stop()
    assert "5 requests, 5 recordings in " in server.stderr_text
    assert len([*folder.glob("*.json")]) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_full_disk_is_reported_and_fails_the_command(start_server: StartServer, tmp_path: Path) -> None:
    upstream, folder = start_server("--api-key", KEY), tmp_path / "recordings"
    command = ("record", "--upstream", upstream.base_url, "--out", folder, "--quiet")
    with running_command(tmp_path / "record", *command, program=("-c", FULL_DISK)) as server:
        for body in (HELLO, {**HELLO, "stream": True}):
            assert server.client.post("/responses", json=body).status_code == 200
        assert server.stop(signal.SIGINT, STOP_SECONDS) == 3
    assert "2 requests, 1 recording in " in server.stderr_text
    assert "  not recorded: File too large: 1" in server.stderr_text
    assert [file.name[:12] for file in folder.iterdir()] == ["hello-reply-"]


def test_folder_that_vanishes_is_reported_and_fails_the_command(
    start_server: StartServer, tmp_path: Path
) -> None:
    upstream, folder = start_server("--api-key", KEY), tmp_path / "recordings"
    command = ("record", "--upstream", upstream.base_url, "--out", folder, "--quiet")
    with running_command(tmp_path / "record", *command) as server:
        folder.rmdir()
        folder.write_bytes(b"a file")
        assert server.client.post("/responses", json=HELLO).status_code == 200
        assert server.stop(signal.SIGTERM, STOP_SECONDS) == 3
    assert "  not recorded: Not a directory: 1" in server.stderr_text


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pipe of a known size")
def test_parent_that_reads_no_output_stops_no_recording(start_server: StartServer, tmp_path: Path) -> None:
    import fcntl

    upstream, folder, url_file = start_server("--api-key", KEY), tmp_path / "recordings", tmp_path / "url"
    command = ["record", "--upstream", upstream.base_url, "--out", folder, "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mockserver", *map(str, command), "--url-file", str(url_file)],
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
    try:
        wait_until(url_file.exists, "the URL file")
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url_file.read_text(), headers=headers, trust_env=False) as client:
            for _ in range(150):  # each writes a line of about 80 bytes
                assert client.post("/responses", json=HELLO, timeout=STOP_SECONDS).status_code == 200
        wait_until(lambda: len([*folder.glob("*.json")]) == 150, "every recording")
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
