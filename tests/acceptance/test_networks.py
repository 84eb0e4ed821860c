"""Servers that other machines, containers and web pages reach, and standard output that cannot be written."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from mockserver.errors import ConfigurationError
from mockserver.network import machine_addresses
from mockserver.testing.mock import MockServer
from tests.acceptance.conftest import KEY, MODEL, ServerProcess, StartServer, server_environment
from tests.acceptance.test_record import running_command
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

HELLO = {"model": MODEL, "input": "Hello!"}


def own_address() -> str:
    """An address of this machine that is not loopback."""
    found = [each for each in machine_addresses() if ":" not in each]
    return found[0] if found else "127.0.0.1"


def status_with_host(server: ServerProcess, host: str, path: str, key: str = KEY) -> int:
    """The status of a GET with this `Host`."""
    with closing(http.client.HTTPConnection(*server.address, timeout=60)) as client:
        client.request("GET", path, headers={"host": host, "authorization": f"Bearer {key}"})
        return client.getresponse().status


def run_command(folder: Path, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        [sys.executable, "-m", "mockserver", *map(str, command)], folder, env=server_environment(**env)
    )


def test_a_server_on_all_addresses_answers_to_its_own(start_server: StartServer) -> None:
    server = start_server("--host", "0.0.0.0", "--api-key", KEY)
    url = f"http://{own_address()}:{server.address[1]}"
    reply = server.client.post(f"{url}{httpx.URL(server.base_url).path}/responses", json=HELLO)
    assert reply.status_code == 200, reply.text
    assert status_with_host(server, "rebound.example", "/openapi.json") == 403
    assert status_with_host(server, "10.1.2.3:8080", "/openapi.json") == 200
    assert status_with_host(server, "mock.default.svc.cluster.local", "/ready") == 200


def test_it_prints_its_addresses_and_a_warning(start_server: StartServer) -> None:
    server = start_server("--host", "0.0.0.0", "--api-key", KEY)
    assert "warning: listening on 0.0.0.0: other machines can send requests" in server.stderr_text
    assert server.base_url.startswith("http://127.0.0.1:")
    for address in machine_addresses():
        if ":" not in address:
            assert f"http://{address}:{server.address[1]}" in server.stdout_text


def test_it_logs_clients_that_cannot_read_its_refusal(start_server: StartServer) -> None:
    server = start_server()
    for _ in range(2):
        with pytest.raises(httpx.ConnectError, match="SSL"):
            httpx.get(server.root_url.replace("http:", "https:"), trust_env=False)
        with socket.create_connection(server.address, timeout=60) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
            assert client.recv(4096).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.create("Hello!").status_code == 200
    tls, http2, _ = server.log_lines(3)
    assert tls.endswith(
        " refused a connection: A TLS handshake arrived, but this port speaks plain HTTP:"
        " begin the base URL with http://."
    )
    assert http2.endswith(" refused a connection: A client began with HTTP/2, but this port speaks HTTP/1.1.")


@pytest.mark.slow
def test_run_shows_that_its_command_uses_https(tmp_path: Path) -> None:
    program = (
        "import os, urllib.request as r; r.urlopen(os.environ['OPENAI_BASE_URL'].replace('http', 'https'))"
    )
    done = run_command(tmp_path, "run", "--", sys.executable, "-c", program)
    assert done.returncode == 1
    assert "mockserver: refused a connection: A TLS handshake arrived" in done.stderr


def test_a_suffix_lets_the_names_of_a_cluster_in(start_server: StartServer) -> None:
    server = start_server("--allow-host", "*.svc.cluster.local")
    assert status_with_host(server, "mock.ci.svc.cluster.local:8080", "/openapi.json") == 200
    assert status_with_host(server, "mock.ci.cluster.local", "/openapi.json") == 403


@pytest.mark.parametrize("name", ["mock.local:8080", "http://mock.local", "*"])
@pytest.mark.parametrize("command", ["serve", "replay", "run"])
def test_a_host_that_cannot_match_is_refused(command: str, name: str, tmp_path: Path) -> None:
    rest = {"serve": ["--port", "0"], "replay": [str(tmp_path)], "run": ["--", sys.executable, "-c", ""]}
    done = run_command(tmp_path, command, "--allow-host", name, *rest[command])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "cannot match" in done.stderr


def test_localhost_is_served_over_both_protocols(start_server: StartServer) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    server = start_server()
    port = server.address[1]
    assert f"http://[::1]:{port}" in server.stdout_text
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert server.client.get(f"http://{host}:{port}/health").status_code == 200


def test_one_address_alone_is_served_if_it_is_named(start_server: StartServer) -> None:
    server = start_server("--host", "::1")
    assert server.base_url.startswith("http://[::1]:")
    assert "also at" not in server.stdout_text
    assert server.client.post("/responses", json=HELLO).status_code == 200
    with pytest.raises(httpx.ConnectError):
        server.client.get(f"http://127.0.0.1:{server.address[1]}/health")


def test_a_busy_port_on_the_other_loopback_address_is_reported(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        done = run_command(tmp_path, "serve", "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot listen on localhost" in done.stderr


COMMANDS = {
    "serve": (),
    "replay": ("{recordings}",),
    "record": ("--upstream", "https://api.example/v1", "--out", "out"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_beyond_loopback_every_command_requires_a_key(command: str, tmp_path: Path) -> None:
    arguments = [each.replace("{recordings}", str(tmp_path)) for each in COMMANDS[command]]
    done = run_command(tmp_path, command, "--host", "0.0.0.0", *arguments)
    assert done.returncode == 2
    assert "listening on 0.0.0.0 requires an API key" in done.stderr


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one recording, made by `record` on all addresses."""
    folder = tmp_path_factory.mktemp("recordings") / "out"
    with MockServer(api_key="sk-upstream-key-0123") as endpoint:
        options: list[str | Path] = ["--upstream", endpoint.base_url, "--out", folder, "--host", "0.0.0.0"]
        options += ["--upstream-key-env", "UPSTREAM_KEY", "--api-key", KEY, "--profile", "qwen-2026-01"]
        run = folder.parent / "run"
        with running_command(run, "record", *options, UPSTREAM_KEY="sk-upstream-key-0123") as recorder:
            url = f"http://{own_address()}:{recorder.address[1]}"
            path = httpx.URL(recorder.base_url).path
            assert recorder.client.post(f"{url}{path}/responses", json=HELLO).status_code == 200
            assert (
                recorder.client.post(
                    "/responses", json=HELLO, headers={"authorization": "Bearer other-key"}
                ).status_code
                == 401
            )
            assert status_with_host(recorder, "10.9.8.7", "/health") == 200
            assert "warning: listening on 0.0.0.0" in recorder.stderr_text
    return folder


def test_replay_serves_other_machines_with_a_key(recordings: Path, tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--api-key", KEY, "--profile", "qwen-2026-01")
    with running_command(tmp_path / "run", "replay", recordings, *options) as player:
        url = f"http://{own_address()}:{player.address[1]}{httpx.URL(player.base_url).path}/responses"
        assert player.client.post(url, json=HELLO).status_code == 200
        assert (
            player.client.post(url, json=HELLO, headers={"authorization": "Bearer other"}).status_code == 401
        )
        assert status_with_host(player, "10.9.8.7", "/ready") == 200


def test_run_takes_a_host_and_makes_a_key(tmp_path: Path) -> None:
    script = (
        "import os, urllib.request as r, json, urllib.error\n"
        "def ask(key):\n"
        "    head = {'authorization': 'Bearer ' + key, 'content-type': 'application/json'}\n"
        f"    data = json.dumps({HELLO}).encode()\n"
        "    request = r.Request(os.environ['OPENAI_BASE_URL'] + '/responses', data, head)\n"
        "    try: print(r.urlopen(request).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
        "ask(os.environ['OPENAI_API_KEY']); ask('sk-other')\n"
    )
    command = ("run", "--host", "0.0.0.0", "--ignore", "refused", "--", sys.executable, "-c", script)
    done = run_command(tmp_path, *command)
    assert done.stdout.split() == ["200", "401"], done.stderr
    assert "warning: listening on 0.0.0.0" in done.stderr


def test_mock_server_takes_a_host_with_a_key() -> None:
    with pytest.raises(ConfigurationError, match="requires an API key"):
        MockServer(host="0.0.0.0")
    with MockServer(host="0.0.0.0", api_key=KEY, allow_host="host.docker.internal") as server:
        port = httpx.URL(server.base_url).port
        url = f"http://{own_address()}:{port}{httpx.URL(server.base_url).path}/responses"
        for headers in ({}, {"host": "host.docker.internal:8080"}):
            assert server.httpx().post(url, json=HELLO, headers=headers).status_code == 200
        refused = server.httpx().post(url, json=HELLO, headers={"host": "rebound.example"})
        assert refused.status_code == 403


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize(
    "command",
    [
        ["rules"],
        ["faults"],
        ["check", "request.json"],
        ["serve", "--port", "0", "--url-file", "url"],
        ["serve", "--port", "0", "--url-file", "url", "--workers", "2"],
        ["serve", "--help"],
        ["record", "--upstream", "https://api.example/v1", "--out", "out", "--url-file", "url"],
        ["replay", "{recordings}", "--port", "0", "--url-file", "url"],
    ],
)
def test_a_full_disk_is_reported_in_one_line(
    command: Sequence[str], tmp_path: Path, recordings: Path
) -> None:
    (tmp_path / "request.json").write_text('{"model": "nope", "input": "hi"}')
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mockserver"),
                *(each.replace("{recordings}", str(recordings)) for each in command),
            ],
            cwd=tmp_path,
            env=server_environment(DASHSCOPE_API_KEY=KEY, PYTHONUNBUFFERED=""),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 2
    *notes, error = done.stderr.splitlines()
    assert error.startswith("mockserver: cannot write to standard output: "), done.stderr
    assert all(each.startswith("mockserver: ") for each in notes), done.stderr
    assert not (tmp_path / "url").exists(), "whoever finds the file may expect the banner"
