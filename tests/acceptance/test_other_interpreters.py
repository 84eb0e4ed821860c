"""The built wheel with each other Python that is installed: a server, a check and the pytest plugin."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ENVIRONMENTS, isolated_environment
from tests.programs import run_program

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

#: Without a plugin of the interpreter at hand that warns.
PYTEST = ("-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
TEST = """\
import pathlib
import subprocess
import sys

import mockserver
from mockserver import MockServer


def test_a_stream(responses_server):
    responses_server.reply("Hi there!")
    body = {"model": responses_server.model, "input": "Hello!", "stream": True}
    reply = responses_server.httpx().post("/responses", json=body)
    assert "Hi there!" in reply.text
    pathlib.Path("hello.sse").write_bytes(reply.content)


def test_a_violation_is_found(responses_server):
    body = {"model": "none", "input": "Hello!"}
    assert responses_server.httpx().post("/responses", json=body).status_code == 400


def test_commands():
    program = [sys.executable, "-W", "error", "-m", "mockserver"]
    client = "import os, httpx; httpx.post(os.environ['OPENAI_BASE_URL'] + '/responses', json={\
'model': 'qwen3-max-2026-01-23', 'input': 'Hello!'}, headers={\
'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']}).raise_for_status()"
    subprocess.run([*program, "run", "--", sys.executable, "-c", client], check=True)
    subprocess.run([*program, "check", "hello.sse"], check=True)
    assert mockserver.__file__.startswith(SITE)
"""


def test_the_wheel_works_with_every_interpreter(site_packages: Path, tmp_path: Path) -> None:
    others = sorted(ENVIRONMENTS.glob("python-3.*/bin/python"))
    pythons = others or [Path(sys.executable)]
    (tmp_path / "test_it.py").write_text(f"SITE = {str(site_packages)!r}\n{TEST}")
    environment = isolated_environment(PYTHONPATH=str(site_packages))
    for python in pythons:
        done = run_program([python, *PYTEST, "test_it.py"], tmp_path, env=environment)
        version = python.parent.parent.name
        assert done.returncode == 1, f"{version}:\n{done.stdout}{done.stderr}"
        assert "1 failed, 2 passed" in done.stdout, f"{version}:\n{done.stdout}{done.stderr}"
        assert "Contract violation REQ-005" in done.stdout, f"{version}:\n{done.stdout}"
