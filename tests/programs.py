"""Programs that tests run, and ports for them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["free_port", "run_program"]


def run_program(
    command: Sequence[str | Path],
    folder: Path | str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a program without input in a folder; return its status and output. `timeout` is in seconds.

    AssertionError, with the output so far, if it takes longer.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        output = b"".join(filter(None, (expired.stdout, expired.stderr))).decode(errors="replace")
        raise AssertionError(f"not within {timeout} s: {command}\n{output}") from None


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses, for a program that cannot choose one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
