"""Client programs as child processes: their environment, a time limit, and no process left behind."""

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
from mockserver.network import no_proxy_variables

__all__ = ["ClientProcesses", "ProcessResult", "client_environment"]

#: Bytes of a child's output that are read.
MAX_OUTPUT_BYTES = 4 << 20


def client_environment(base_url: str, api_key: str, **variables: str) -> dict[str, str]:
    """This process's environment with the mock's URL and key, and no proxy for the mock."""
    return {
        **os.environ,
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": api_key,
        "DASHSCOPE_API_KEY": api_key,
        **no_proxy_variables(os.environ, base_url),
        **variables,
    }


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a child ended."""

    exit_status: int | None
    """The exit status, negative for a signal; None if it was killed at the time limit."""
    stdout: bytes
    stderr: bytes
    duration: float
    """In seconds."""


class ClientProcesses:
    """Runs commands, also several at once; `close` ends those that still run."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, command: Sequence[str], environment: Mapping[str, str], timeout: float) -> ProcessResult:
        """Run a command for at most `timeout` seconds.

        It gets no standard input, and a process group of its own, which is killed at the end together with
        background processes. ConfigurationError if the command cannot be started.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            started = time.monotonic()
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
            return ProcessResult(
                status, _read_output(output), _read_output(errors), time.monotonic() - started
            )

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ConfigurationError("the run is over")
            try:
                child = subprocess.Popen(  # noqa: S603 - running a command is the purpose
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise ConfigurationError(f"cannot run {command[0]}: {reason}") from None
            self._running.add(child)
            return child

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
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
