"""Child processes: a client's environment, its end in time, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from mockserver.errors import ConfigurationError

__all__ = ["ClientProcesses", "ProcessResult", "client_environment"]

#: Bytes of a child's output that are looked at.
MAX_OUTPUT_BYTES = 4 << 20

#: Names of the loopback that no proxy may get.
_LOOPBACK_HOSTS = "127.0.0.1,localhost,::1"


def client_environment(base_url: str, api_key: str, **variables: str) -> dict[str, str]:
    """This process's environment, and what leads a client to the mock: URL, key, no proxy."""
    around = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    none = ",".join(filter(None, (around, _LOOPBACK_HOSTS)))
    return {
        **os.environ,
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": api_key,
        "DASHSCOPE_API_KEY": api_key,
        "NO_PROXY": none,
        "no_proxy": none,
        **variables,
    }


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a child ended."""

    exit_status: int | None
    """Its exit status, below 0 for a signal; None: it was killed because its time was up."""
    stdout: bytes
    stderr: bytes
    duration: float


class ClientProcesses:
    """Runs commands, several at once where asked; `close` ends those that still run."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> ProcessResult:
        """Run a command to its end, and no longer than `seconds`.

        It gets no standard input and a process group of its own, which is killed whole: what it left in the
        background, too. ConfigurationError where the command can not be started.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            begun = time.monotonic()
            child = self._start(command, environment, output, errors)
            try:
                status: int | None = child.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _kill_process_group(child)
                child.wait()
                with self._lock:
                    self._running.discard(child)
            return ProcessResult(status, _read_output(output), _read_output(errors), time.monotonic() - begun)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ConfigurationError("the run is over")
            try:
                child = subprocess.Popen(  # noqa: S603 - a command is what this runs
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise ConfigurationError(f"can not run {command[0]}: {reason}") from None
            self._running.add(child)
            return child

    def close(self) -> None:
        """Kill what still runs; nothing is started any more."""
        with self._lock:
            self._closed = True
            for child in self._running:
                _kill_process_group(child)


def _kill_process_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)


def _read_output(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES)
