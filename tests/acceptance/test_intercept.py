"""`mockserver run --intercept`: programs that name the service's own https address, without any change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.conftest import (
    ENVIRONMENTS,
    environment_python,
    isolated_environment,
    require_program,
    server_environment,
)
from tests.acceptance.documented_samples import (
    DOCUMENT_URL,
    SAMPLES_FOLDER,
    sample_text,
    text_in_the_document,
    write_program,
)
from tests.marks import slow_except
from tests.programs import run_program

pytestmark = pytest.mark.acceptance

RUN_COMMAND = (sys.executable, "-m", "mockserver", "run")
LANGUAGES = ("python", "node", "curl")
SAMPLES = sorted(file.name for file in SAMPLES_FOLDER.iterdir() if file.suffix.removeprefix(".") in LANGUAGES)
#: What each sample prints at least.
PRINTED = {
    "basic": "Hello! I am Qwen, a large-scale language model",
    "multi-turn": "John",
    "streaming": "Artificial intelligence",
    "tools": "Key information from the Alibaba Cloud official website",
    "migrate-chat": "Hello",
    "migrate-messages": "Hello",
    "migrate-concise": "Hello",
}


def run_intercepted(
    command: Sequence[str | Path], folder: Path, *options: str, **env: str
) -> subprocess.CompletedProcess[str]:
    return run_program(
        [*RUN_COMMAND, "--intercept", *options, "--", *map(str, command)],
        folder,
        env=server_environment(**env),
    )


@pytest.mark.parametrize("file", slow_except(("basic.python", "basic.curl"), SAMPLES))
def test_a_sample_of_the_document_runs_as_it_is(file: str, tmp_path: Path) -> None:
    name, language = file.rsplit(".", 1)
    text = sample_text(name, language)
    if file != "streaming.python":  # the only one that needs its indentation
        text = text_in_the_document(text)
    if name == "migrate-chat":  # the section gives the address of each API, and a client for neither
        text = text.replace(f'"{DOCUMENT_URL}"', '"https://dashscope-intl.aliyuncs.com/compatible-mode/v1"')
    options = ("--ignore", "REQ-007") if file == "multi-turn.curl" else ()  # "response_id_from_first_round"

    done = run_intercepted(write_program(text, language, tmp_path), tmp_path, *options)

    assert done.returncode == 0, done.stdout + done.stderr
    assert PRINTED[name] in done.stdout
    assert "no findings" in done.stderr


@pytest.mark.parametrize("version", ["openai-1", "openai-2", "openai-2.15.0"])
@pytest.mark.parametrize("name", ["basic", "streaming"])
@pytest.mark.slow
def test_earlier_versions_of_the_sdk(name: str, version: str, tmp_path: Path) -> None:
    done = run_intercepted([environment_python(version), SAMPLES_FOLDER / f"{name}.python"], tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert PRINTED[name] in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic", "streaming"])
def test_an_earlier_version_of_the_node_sdk(name: str, tmp_path: Path) -> None:
    packages = ENVIRONMENTS / "node-6" / "node_modules"
    if not packages.is_dir():
        pytest.skip(".environments/node-6 is missing: `make environments` builds it if npm is installed")
    (tmp_path / "node_modules").symlink_to(packages)
    done = run_intercepted(write_program(sample_text(name, "node"), "node", tmp_path), tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert PRINTED[name] in done.stdout


ONE_REQUEST = f"""
import os
url = "{DOCUMENT_URL}/responses"
head = {{"authorization": "Bearer " + os.environ["DASHSCOPE_API_KEY"], "content-type": "application/json"}}
body = {{"model": "qwen3-max-2026-01-23", "input": "Hello!"}}
"""
AIOHTTP = """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.post(url, headers=head, json=body) as reply:
        print(reply.status)
asyncio.run(main())
"""
URLLIB = """
import json, urllib.request
request = urllib.request.Request(url, json.dumps(body).encode(), head)
print(urllib.request.urlopen(request).status)
"""
PYTHON_CLIENTS = {
    "urllib": ("", URLLIB),
    "httpx": ("openai-1", "import httpx; print(httpx.post(url, headers=head, json=body).status_code)"),
    "httpx2": (
        "openai-newest",
        "import httpx2; print(httpx2.post(url, headers=head, json=body).status_code)",
    ),
    "requests": (
        "litellm",
        "import requests; print(requests.post(url, headers=head, json=body).status_code)",
    ),
    "aiohttp": ("litellm", AIOHTTP),
}


@pytest.mark.parametrize("client", slow_except(("urllib",), PYTHON_CLIENTS))
def test_clients_in_python(client: str, tmp_path: Path) -> None:
    environment, code = PYTHON_CLIENTS[client]
    python = environment_python(environment) if environment else sys.executable
    done = run_intercepted([python, "-I", "-c", ONE_REQUEST + code], tmp_path)

    assert done.stdout == "200\n", done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_http_modules_of_node(tmp_path: Path) -> None:
    done = run_intercepted([require_program("node"), SAMPLES_FOLDER / "intercept_https.mjs"], tmp_path)

    assert done.stdout.splitlines() == ["200 200 200", "authorized true", "HTTP/1.1 200 OK"], done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Go asks the system which authorities to trust")
def test_go(tmp_path: Path) -> None:
    program = tmp_path / "program"
    subprocess.run(
        [require_program("go"), "build", "-o", program, SAMPLES_FOLDER / "intercept.go"],
        env=isolated_environment(GOCACHE=str(tmp_path / "cache"), GOFLAGS="-mod=mod"),
        cwd=tmp_path,
        check=True,
        timeout=600,
    )
    done = run_intercepted([program], tmp_path)

    assert done.stdout.startswith("200 "), done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_java(tmp_path: Path) -> None:
    done = run_intercepted([require_program("java"), SAMPLES_FOLDER / "Intercept.java"], tmp_path)

    assert done.stdout.startswith("200 "), done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


REFUSED = """
import os, urllib.request
try:
    urllib.request.urlopen("https://telemetry.example/")
except OSError as error:
    print(error)
"""


def test_another_host_is_refused_and_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_REQUEST + URLLIB + REFUSED]

    done = run_intercepted(command, tmp_path, "--report", "json=report.json")
    ignored = run_intercepted(command, tmp_path, "--ignore", "refused")

    assert done.returncode == 1
    assert done.stdout == "200\n<urlopen error Tunnel connection failed: 403 Forbidden>\n"
    assert done.stderr.startswith("mockserver: 2 requests checked, 1 refused\n")
    assert (
        "telemetry.example is not a host of the service. To let clients reach it, use --allow-connect"
        in done.stderr
    )
    (checked,) = json.loads((tmp_path / "report.json").read_bytes())
    assert checked["findings"][0]["rule"] == "refused"
    assert ignored.returncode == 0, ignored.stderr


def test_node_reaches_no_other_host(tmp_path: Path) -> None:
    code = "fetch('https://telemetry.example/').catch((error) => console.log(error.cause.message))"
    done = run_intercepted([require_program("node"), "-e", code], tmp_path)

    assert done.stdout == "the proxy refuses the connection: HTTP/1.1 403 Forbidden\n", done.stderr
    assert "telemetry.example is not a host of the service" in done.stderr


def test_what_the_user_has_set_cannot_lead_past_the_mock(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    done = run_intercepted(
        [sys.executable, "-c", ONE_REQUEST + URLLIB],
        tmp_path,
        NO_PROXY="*",
        no_proxy=".aliyuncs.com",
        HTTPS_PROXY=nowhere,
        https_proxy=nowhere,
        SSL_CERT_FILE=os.devnull,
    )

    assert done.stdout == "200\n", done.stderr


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = run_intercepted([sys.executable, "-c", ONE_REQUEST + URLLIB], tmp_path, TMPDIR=str(temporary))

    assert done.stdout == "200\n", done.stderr
    assert [*temporary.iterdir()] == []


def test_no_request_is_a_failure(tmp_path: Path) -> None:
    done = run_intercepted([sys.executable, "-c", ""], tmp_path)

    assert done.returncode == 1
    assert "no requests received: does the command read OPENAI_BASE_URL or HTTPS_PROXY?" in done.stderr


def test_settings_of_a_project(tmp_path: Path) -> None:
    def run(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pyproject.toml").write_text(f"[tool.mockserver]\n{text}", encoding="utf-8")
        return run_program(
            [*RUN_COMMAND, *options, "--", sys.executable, "-c", ONE_REQUEST + URLLIB],
            tmp_path,
            env=server_environment(HTTPS_PROXY="http://127.0.0.1:9"),
        )

    assert run("intercept = true\n").stdout == "200\n"
    assert "no requests received" in run('allow-connect = ["example.com"]\n').stderr
    refused = run("", "--allow-connect", "example.com")
    assert refused.returncode == 2
    assert "--allow-connect needs --intercept" in refused.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "loopback host, not 0.0.0.0"),
        (("--allow-connect", "https://example.com"), "give the name alone"),
    ],
)
def test_unusable_options(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run_intercepted(["true"], tmp_path, *options)
    assert done.returncode == 2
    assert message in done.stderr
