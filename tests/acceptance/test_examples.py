"""The examples that need other packages, with the built wheel: tests pass, and programs do what their pages say."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.acceptance.conftest import (
    ROOT,
    StartServer,
    environment_python,
    isolated_environment,
    wait_until,
)
from tests.programs import free_port, run_program
from tests.reports.chromium import Browser, Tab

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture
def python() -> Path:
    return environment_python("examples")


def copy_example(name: str, folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "examples" / name, folder / name, ignore=ignored))


def environment(site_packages: Path, **extra: str) -> dict[str, str]:
    """The environment of a program that finds the wheel and no network."""
    nowhere = "http://127.0.0.1:9"
    proxies = {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1"}
    return isolated_environment(PYTHONPATH=str(site_packages), **proxies, **extra)


def run(command: Sequence[str | Path], cwd: Path, env: dict[str, str]) -> str:
    """Run a command to its end and return its output."""
    done = run_program(command, cwd, env=env, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running_app(command: Sequence[str | Path], port: int, cwd: Path, env: dict[str, str]) -> Iterator[str]:
    """Run a server that listens on the port, and yield its URL."""
    log = cwd / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )

    def is_listening() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(is_listening, "the app listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize(("name", "count"), [("agents", 5), ("langchain", 4), ("fastapi", 6)])
def test_the_tests_of_an_example_pass(
    name: str, count: int, python: Path, site_packages: Path, tmp_path: Path
) -> None:
    project = copy_example(name, tmp_path)
    options = ("-q", "-p", "no:cacheprovider", "-p", "mockserver.testing.pytest_plugin")
    output = run([python, "-m", "pytest", *options], project, environment(site_packages))
    assert re.search(rf"^{count} passed in ", output, re.MULTILINE), output


def test_the_page_of_the_fastapi_example_shows_an_answer(
    python: Path, site_packages: Path, tmp_path: Path, browser: Browser
) -> None:
    project, port = copy_example("fastapi", tmp_path), free_port()
    app = (python, "-m", "uvicorn", "chat:app", "--port", str(port))
    command = (python, "-m", "mockserver", "run", "--", *app)
    with running_app(command, port, project, environment(site_packages)) as url:
        tab = Tab(browser)
        tab.load_url(url)
        tab.evaluate(
            "document.querySelector('input').value = 'Hello, please introduce yourself in one sentence.';"
            "document.querySelector('button').click()"
        )
        tab.wait_until("document.querySelector('#answer').textContent.startsWith('Hello! I am Qwen')")
        tab.wait_until("previous !== null")
        assert tab.evaluate("document.querySelector('#answer').textContent").startswith("Hello! I am Qwen")


def test_users_of_the_gateway_get_an_answer_though_the_model_is_busy(
    python: Path, site_packages: Path, tmp_path: Path, start_server: StartServer
) -> None:
    project, port = copy_example("gateway", tmp_path), free_port()
    faults = ("--fault", "rate-429:0.1", "--fault", "cut-body:0.02")
    mock = start_server(
        "--load", "--seed", "1", *faults,
        program=(python, "-m", "mockserver"), env={"PYTHONPATH": str(site_packages)},
    )  # fmt: skip
    app = (python, "-m", "uvicorn", "gateway:app", "--port", str(port))
    with running_app(app, port, project, environment(site_packages, UPSTREAM=mock.root_url)) as url:
        output = run([python, "load.py", url, "--requests", "200"], project, environment(site_packages))
    assert re.search(r"^complete +200$", output, re.MULTILINE), output


def test_the_nightly_workflow_verifies_an_endpoint(
    python: Path, site_packages: Path, tmp_path: Path, start_server: StartServer
) -> None:
    project = copy_example("nightly", tmp_path)
    workflow = yaml.safe_load((project / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8"))
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["verify"]["steps"] if "run" in step}
    program = tmp_path / "bin" / "mockserver"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {python} -m mockserver "$@"\n')
    program.chmod(0o755)
    key = "sk-mock-0001"
    env = environment(
        site_packages,
        BASE_URL=start_server("--profile", "latest", "--api-key", key).base_url,
        DASHSCOPE_API_KEY=key,
        GITHUB_STEP_SUMMARY=str(project / "summary.md"),
        MOCKSERVER_RATE="0",
    )
    env["PATH"] = f"{program.parent}{os.pathsep}{env['PATH']}"
    assert list(steps) == ["Install", "Verify", "Summary"]
    for name in ("Verify", "Summary"):
        run(["bash", "-e", "-c", steps[name]], project, env)
    assert "pass" in (project / "summary.md").read_text(encoding="utf-8")
    assert {file.suffix for file in project.glob("verify.*")} == {".xml", ".html", ".md"}
