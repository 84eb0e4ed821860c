"""nginx for tests, without a master process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(folder: Path, site: str) -> Iterator[None]:
    """Run nginx with what its `http` block has to say about a site; skip the test if it is not installed."""
    if PROGRAM is None:
        pytest.skip("nginx is not installed")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{site} }}\n"
    )
    with subprocess.Popen([PROGRAM, "-e", folder / "error.log", "-c", configuration]) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)
