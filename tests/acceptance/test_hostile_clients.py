"""Hostile clients against a server process: what they take is limited, and the server lives."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import ServerProcess, StartServer, wait_until
from tests.marks import slow_except

pytestmark = pytest.mark.acceptance


def read_all(client: socket.socket) -> bytes:
    """What comes until the connection ends, which may lose a part of it."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            received += piece
    return received


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="CPU time is read in /proc")
@pytest.mark.parametrize("loop", slow_except({"uvloop"}, ["uvloop", "asyncio"]))
def test_server_without_files_for_more_connections(start_server: StartServer, loop: str) -> None:
    """The connections that it has are served, new ones refused, and it does not try in vain all the time."""
    start = f"import resource, sys; sys.modules.update({{}} if {loop == 'uvloop'} else {{'uvloop': None}})\n"
    start += "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); sys.argv[0] = 'mockserver'\n"
    start += "from mockserver.cli import main; main()"
    server = start_server(program=(sys.executable, "-c", start))
    request = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-mock\r\n"
    request += b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    with contextlib.ExitStack() as stack:
        first, *others = (
            stack.enter_context(socket.create_connection(server.address, timeout=60)) for _ in range(200)
        )
        assert read_all(others[-1]).startswith(b"HTTP/1.1 503 ")
        before = cpu_seconds(server.process.pid)
        time.sleep(1.5)  # longer than the pause between two attempts
        assert cpu_seconds(server.process.pid) - before < 0.75
        first.sendall(request)
        assert first.recv(12) == b"HTTP/1.1 400"  # needs modules that were not imported before
    wait_until(lambda: is_served(server), "a new connection")
    assert server.stop() == 0
    assert "Traceback" not in server.stderr_text


def is_served(server: ServerProcess) -> bool:
    try:
        return server.create("Hello").status_code == 200
    except httpx.TransportError:
        return False
