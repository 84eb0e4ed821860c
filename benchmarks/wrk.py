"""Load by wrk, which costs a fraction of what a client in Python would, and what it cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Load", "run_wrk"]

_SCRIPT = Path(__file__).with_suffix(".lua")


class Load(NamedTuple):
    """What wrk sent in a slice of time."""

    replies: int
    seconds: float
    cpu_seconds: float
    """CPU time of wrk, without reading the requests."""


def run_wrk(port: int, requests: Iterable[bytes], connections: int, seconds: int) -> Load:
    """Send requests in turn over connections that send the next one as soon as a reply is complete.

    SystemExit if wrk is not installed, or if a reply is an error.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed")
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryFile() as output:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT)]
        process = subprocess.Popen(
            [program, *options, f"http://127.0.0.1:{port}", "--", file.name],
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = output.read().decode().splitlines()
    if process.returncode or len(lines) != 2:
        raise SystemExit(f"wrk failed: {lines}")
    loading, result = map(json.loads, lines)
    if result["failed"]:
        raise SystemExit(f"{result['failed']} of {result['replies']} requests failed")
    cpu_seconds = usage.ru_utime + usage.ru_stime - loading["loading_cpu"]
    return Load(result["replies"], result["seconds"], cpu_seconds)
