"""Fixtures for the acceptance tests: server processes, the built wheel and client environments."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.programs import run_program

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENTS = ROOT / ".environments"
MODEL = "qwen3-max-2026-01-23"
KEY = "sk-acceptance"

#: Variables of the caller that would change servers and clients …
_REMOVED_PREFIXES = ("MOCKSERVER_", "OPENAI_", "DASHSCOPE_", "NODE_", "CLICOLOR", "CURL_")
_REMOVED_NAMES = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERMINAL_WIDTH", "TTY_COMPATIBLE"}
#: … except those that the traffic recorder needs.
_KEPT_NAMES = {"MOCKSERVER_TEST_SPOOL"}


def server_environment(**extra: str) -> dict[str, str]:
    """The environment of a server process, including the traffic recorder, so that every byte is checked."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_NAMES or not (name.startswith(_REMOVED_PREFIXES) or name in _REMOVED_NAMES)
    } | extra


def isolated_environment(**extra: str) -> dict[str, str]:
    """The environment of a client: only what is needed to find programs, and no proxy."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return kept | {"HOME": os.devnull, "LANG": "C.UTF-8", "PYTHONUTF8": "1"} | extra


def environment_without_checkout() -> dict[str, str]:
    """This process's environment without variables that lead Python or pip to the checkout or a network."""
    foreign = ("PYTHON", "PIP_", "VIRTUAL_ENV", "COVERAGE_", "MOCKSERVER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
    }


def run_checked(*command: str | Path, cwd: Path) -> None:
    done = run_program([*map(str, command)], cwd, env=environment_without_checkout())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist of the checkout and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run_checked(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def site_packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that contains only the wheel."""
    folder = tmp_path_factory.mktemp("site")
    install = ("install", "--no-deps", "--no-index", "--target", folder, wheel)
    run_checked(sys.executable, "-m", "pip", *install, cwd=folder)
    return folder


def wait_until(condition: Callable[[], Any], description: str, seconds: float = 60) -> None:
    """Poll for a condition; AssertionError if it is not met in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {description}"
        time.sleep(0.005)


@dataclass
class ServerProcess:
    """One `mockserver serve` process."""

    process: subprocess.Popen[bytes]
    stdout_file: Path
    stderr_file: Path
    base_url: str
    """The base URL for a client."""
    client: httpx.Client
    """A client with the key and the base URL; use absolute URLs for other paths."""

    @property
    def root_url(self) -> str:
        """The URL without a path."""
        return str(httpx.URL(self.base_url).join("/")).rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.base_url)
        assert url.port is not None
        return url.host, url.port

    @property
    def stdout_text(self) -> str:
        """Standard output so far."""
        return self.stdout_file.read_text(encoding="utf-8")

    @property
    def stderr_text(self) -> str:
        """Standard error so far."""
        return self.stderr_file.read_text(encoding="utf-8")

    def log_lines(self, count: int) -> list[str]:
        """Wait for this number of log lines and return them; a line can come just after its reply."""
        wait_until(lambda: self.stderr_text.count("\n") >= count, f"{count} lines in the log")
        lines = self.stderr_text.splitlines()
        assert len(lines) == count, lines
        return lines

    def create(self, input: Any, **parameters: Any) -> httpx.Response:  # noqa: A002 - the API's parameter
        """`POST …/responses`; parameters that are None are omitted."""
        body = {"model": MODEL, "input": input, **parameters}
        return self.client.post(
            "/responses", json={name: value for name, value in body.items() if value is not None}
        )

    def stop(self, signal_number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Stop the process with a signal and return its exit status; AssertionError if it does not stop."""
        self.process.send_signal(signal_number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server still runs {seconds} s after signal {signal_number}") from None


StartServer = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start a server: `start(*options, key=…, env=…, cwd=…)`; several can run, and all stop with the test."""
    servers: list[ServerProcess] = []

    def run(
        *options: str | Path,
        key: str = KEY,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        program: Sequence[str | Path] = (sys.executable, "-m", "mockserver"),
    ) -> ServerProcess:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        url_file, stdout, stderr = folder / "url", folder / "stdout", folder / "stderr"
        with stdout.open("wb") as output, stderr.open("wb") as errors:
            process = subprocess.Popen(
                [*program, "serve", "--port", "0", "--url-file", url_file, *options],
                cwd=cwd or folder,
                env=server_environment(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        client = httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=300, trust_env=False)
        server = ServerProcess(process, stdout, stderr, "", client)
        servers.append(server)
        wait_until(lambda: url_file.exists() or process.poll() is not None, "the server's URL file")
        assert process.poll() is None, f"exit {process.poll()}: {server.stderr_text}"
        server.base_url = url_file.read_text(encoding="utf-8")
        client.base_url = httpx.URL(server.base_url)
        return server

    try:
        yield run
    finally:
        for server in servers:
            _end(server)


def _end(server: ServerProcess) -> None:
    server.client.close()
    if server.process.poll() is not None:
        return
    server.process.terminate()
    try:
        server.process.wait(60)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server with default options on a free port; it accepts any key."""
    return start_server()


@pytest.fixture
def run_serve(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `mockserver serve` to its end, with options that it cannot start with."""

    def run(*options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return run_program(
            [sys.executable, "-m", "mockserver", "serve", *options], tmp_path, env=server_environment(**env)
        )

    return run


def require_program(name: str) -> str:
    """The path of an external program; skips the test if it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def environment_python(name: str) -> Path:
    """The interpreter of a client environment; skips the test if it is not built."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f".environments/{name} is missing: `make environments` builds it")
    return python


@pytest.fixture
def newest_openai() -> Path:
    """The Python with the newest openai."""
    return environment_python("openai-newest")


@pytest.fixture
def document_openai() -> Path:
    """The Python with openai 2.15.0, which printed the document's samples."""
    return environment_python("openai-2.15.0")
