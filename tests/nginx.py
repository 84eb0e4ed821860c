"""nginx for tests, without a master process."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import free_port

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


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


@contextmanager
def load_balancer(folder: Path, server_ports: Iterable[int]) -> Iterator[int]:
    """Run nginx in front of servers, which get requests at random; yields its port."""
    port = free_port()
    # By default nginx gives a replica nothing for ten seconds after a worker of it has died.
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in server_ports)
    # In turn, clients that keep step would each get the same replica again and again.
    upstream = f"upstream replicas {{ random; {servers} keepalive 64; }}"
    location = (
        "proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection '';"
        " proxy_set_header Host localhost; proxy_buffering off;"
    )
    site = f"{upstream} server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}"
    with nginx(folder, site):
        _await_port(port)
        yield port


def _await_port(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < end, "nginx does not listen"
        time.sleep(0.01)
