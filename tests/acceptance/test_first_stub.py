"""A newcomer's path: a stub by one curl line, seen in the console, copied as a test that passes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import isolated_environment, server_environment
from tests.pytest_runs import run_pytest_process

STUB = """curl -sS "$SERVER/_mock/stubs" -H "x-mock-admin-token: $(cat token)" -d '{"reply": "Hello from curl"}'"""
QUESTION = """curl -sS "$SERVER/v1/responses" -H "Authorization: Bearer sk-mock" -H "Content-Type: application/json" \\
  -d '{"model": "qwen3-max-2026-01-23", "input": "Hi"}'"""


def run_shell(command: str, server: str, folder: Path) -> str:
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=isolated_environment(SERVER=server),
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_from_the_first_stub_to_a_passing_test(tmp_path: Path, pytester: pytest.Pytester) -> None:
    (tmp_path / "token").write_text("a-token-for-this-test", encoding="utf-8")
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--console", "--admin"]
    with subprocess.Popen(
        [*command, "--admin-token-file", str(tmp_path / "token")],
        stdout=subprocess.PIPE,
        text=True,
        env=server_environment(),
    ) as process:
        try:
            assert process.stdout is not None
            link = next(line.split()[-1] for line in process.stdout if "console?token=" in line)
            server = link.partition("/_mock/")[0]

            assert json.loads(run_shell(STUB, server, tmp_path)) == {"name": "stub-1"}
            assert "Hello from curl" in run_shell(QUESTION, server, tmp_path)

            with httpx.Client(trust_env=False, follow_redirects=True) as browser:
                assert browser.get(link).status_code == 200
                page = browser.get(f"{server}/_mock/console/exchanges/default/1").text
                copied = browser.get(f"{server}/_mock/console/exchanges/default/1/pytest").text
        finally:
            process.terminate()

    assert "answered by" in page
    assert "stub-1" in page
    assert "Hello from curl" in copied
    pytester.makepyfile(test_copied=copied)
    run_pytest_process(pytester).assert_outcomes(passed=1)
