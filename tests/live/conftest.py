"""Fake endpoints: one process for each profile, with all deviations."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mockserver.cli import main
from mockserver.profiles import DEFAULT_PROFILE, load_profile
from mockserver.wire import json
from tests.cli.conftest import run_cli

__all__ = ["run_cli"]

ROOT = Path(__file__).parent.parent.parent
#: A key that must not appear anywhere.
CANARY_KEY = "sk-canary-4f1d2c7b9e"

Verify = Callable[..., tuple[int, dict[str, Any], str]]


@contextmanager
def _running_endpoint(profile: str, folder: Path) -> Iterator[str]:
    url_file = folder / "url"
    command = [sys.executable, "-m", "tests.live.fake_endpoint", str(url_file), profile, CANARY_KEY]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not url_file.exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield url_file.read_text()
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def fake_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The root URL of a profile's fake endpoint; the path goes on with a deviation and the base path."""
    with ExitStack() as stack:

        @cache
        def start(profile: str) -> str:
            return stack.enter_context(_running_endpoint(profile, tmp_path_factory.mktemp("endpoint")))

        yield start


@pytest.fixture(scope="session")
def fake_endpoint(fake_endpoints: Callable[[str], str]) -> str:
    """The fake endpoint of the default profile."""
    return fake_endpoints(DEFAULT_PROFILE)


@pytest.fixture
def verify(
    fake_endpoints: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Verify:
    """Run `mockserver verify` against a fake endpoint: (exit status, JSON report, output)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHSCOPE_API_KEY", CANARY_KEY)

    def run(deviation: str, *options: str, profile: str = DEFAULT_PROFILE) -> tuple[int, dict[str, Any], str]:
        target = tmp_path / "report.json"
        target.unlink(missing_ok=True)
        url = f"{fake_endpoints(profile)}/{deviation}{load_profile(profile).base_path}"
        arguments = ["verify", "--base-url", url, "--rate", "0", "--report", f"json={target}", *options]
        monkeypatch.setattr(sys, "argv", ["mockserver", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        value = json.loads(target.read_bytes()) if target.exists() else {}
        return int(ended.value.code or 0), value, (out + err).decode()

    return run


def child_environment() -> dict[str, str]:
    """The environment of a child process, with the canary as the API key."""
    return {**os.environ, "DASHSCOPE_API_KEY": CANARY_KEY}
