"""The servers that benchmarks run, and the CPU time of their processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx

__all__ = [
    "ADMIN_OPTIONS",
    "MockServerProcess",
    "add_stubs",
    "cpu_seconds",
    "pin_to_core",
    "running",
    "running_mockserver",
    "running_redis",
]

_START_TIMEOUT_S = 60
_ADMIN_TIMEOUT_S = 300

_ADMIN_TOKEN = "token-of-the-benchmark"
_ADMIN_VARIABLE = "MOCKSERVER_BENCHMARK_TOKEN"
os.environ[_ADMIN_VARIABLE] = _ADMIN_TOKEN
#: What a server needs so that stubs can be added.
ADMIN_OPTIONS = ("--admin-token-env", _ADMIN_VARIABLE)


def add_stubs(port: int, stubs: Sequence[Mapping[str, object]]) -> None:
    """Add stubs to a server with `ADMIN_OPTIONS`."""
    added = httpx.post(
        f"http://127.0.0.1:{port}/_mock/stubs",
        json=stubs,
        headers={"x-mock-admin-token": _ADMIN_TOKEN},
        timeout=_ADMIN_TIMEOUT_S,
    )
    added.raise_for_status()


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far, also of those that have ended."""
    return time.clock_gettime(~pid << 3 | 2)  # what clock_getcpuclockid() makes of a process in Linux


def pin_to_core(core: int) -> None:
    """Keep this process, and those that it starts, on one core, if there are several."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def running(*command: str | Path, core: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, on one core if there is one given."""
    process = subprocess.Popen(
        [*command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=None if core is None else lambda: pin_to_core(core),  # noqa: PLW1509 (one thread)
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


class MockServerProcess:
    """A running `mockserver serve`, with workers or without."""

    def __init__(self, process: subprocess.Popen[bytes], base_url: str) -> None:
        self.process = process
        self.base_url = base_url
        url = urlsplit(base_url)
        assert url.port is not None
        self.port = url.port
        self.responses_path = f"{url.path}/responses"

    def worker_pids(self) -> list[int]:
        """The processes that serve."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [*map(int, children)] or [pid]

    def pin_workers(self) -> None:
        """Give each worker a core, with all of its threads: those of the future inherit it."""
        cores = sorted(os.sched_getaffinity(0))
        for number, pid in enumerate(self.worker_pids()):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {cores[number % len(cores)]})

    def worker_seconds(self) -> list[float]:
        """The CPU time of each worker so far."""
        return [cpu_seconds(pid) for pid in self.worker_pids()]


@contextlib.contextmanager
def running_mockserver(folder: Path, *options: str, core: int | None = None) -> Iterator[MockServerProcess]:
    """Run `mockserver serve` on a free port."""
    url_file = folder / f"url-{time.monotonic_ns()}"
    serve = (sys.executable, "-m", "mockserver", "serve", "--port", "0", "--quiet")
    with running(*serve, "--url-file", url_file, *options, core=core) as process:
        _await_file(url_file, process)
        yield MockServerProcess(process, url_file.read_text())


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run Redis as the documentation recommends; with its socket."""
    unix_socket = folder / "redis.sock"
    options: Sequence[str | Path] = ("--port", "0", "--dir", folder, "--unixsocket", unix_socket)
    persistence = ("--save", "", "--appendonly", "yes")
    with running("redis-server", *options, *persistence) as process:
        _await_file(unix_socket, process)
        yield process, unix_socket


def _await_file(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not file.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise SystemExit(f"{file} did not appear")
        time.sleep(0.02)
