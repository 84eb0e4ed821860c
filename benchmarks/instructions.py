"""Instructions per request, counted by valgrind: the same on a quiet and on a busy machine.

    .venv/bin/python benchmarks/instructions.py [--tree PATH] [--requests 300] [--console] [KIND ...]

A server runs under callgrind and answers one connection. The count of a short run is subtracted from that of a
longer one, so that neither start nor warm-up is part of the result. `--tree` counts another checkout, `--console`
a server with a console that nobody looks at.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_WARM_UP = 60
_START_TIMEOUT_S = 300

_PATH = "/api/v2/apps/protocols/compatible-mode/v1/responses"
_MODEL = "qwen3-max-2026-01-23"
_INTRODUCTION = "Hello, please introduce yourself in one sentence."
_INTELLIGENCE = "Please briefly introduce artificial intelligence."


def request_body(kind: str, number: int) -> dict[str, object]:
    """The body of the request with this number."""
    if kind == "reply":
        return {"model": _MODEL, "input": _INTRODUCTION}
    if kind == "stream":
        return {"model": _MODEL, "input": _INTELLIGENCE, "stream": True}
    if kind == "distinct":
        return {
            "model": _MODEL,
            "input": f"Question {number}: what is the capital of country {number * 7919}?",
        }
    raise ValueError(f"unknown kind {kind!r}: choose from reply, stream, distinct")


def send_requests(port: int, kind: str, count: int) -> None:
    """Send requests one after another on one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in range(count):
            body = json.dumps(request_body(kind, number)).encode()
            head = (
                f"POST {_PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n"
                f"content-type: application/json\r\nauthorization: Bearer sk-bench\r\nuser-agent: bench\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            _read_reply(connection)


def _read_reply(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server refused a request: {head[:40]!r} {body[:300]!r}")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        body += _receive(connection)


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise SystemExit("the server closed the connection")
    return data


def count_instructions(tree: Path, kind: str, requests: int, *options: str) -> int:
    """The instructions of a server from its start to its end, with so many requests in between."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "callgrind"
        url_file = Path(folder) / "url"
        environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", sys.executable]
        serve = ["-m", "mockserver", "serve", "--port", "0", "--url-file", str(url_file), *options]
        server = subprocess.Popen(
            [*command, *serve], env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            port = _wait_for_port(url_file, server)
            send_requests(port, kind, requests)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate()
        totals = re.search(r"^(?:summary|totals): ([0-9]+)", output.read_text(), re.MULTILINE)
        if totals is None:
            raise SystemExit("callgrind wrote no totals")
        return int(totals[1])


def _wait_for_port(url_file: Path, server: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        if url_file.exists() and (found := re.search(r":([0-9]+)", url_file.read_text().partition("//")[2])):
            return int(found[1])
        time.sleep(0.2)
    raise SystemExit("the server did not start")


def per_request(tree: Path, kind: str, requests: int, *options: str) -> float:
    """Thousands of instructions per request."""
    short = count_instructions(tree, kind, _WARM_UP, *options)
    long = count_instructions(tree, kind, _WARM_UP + requests, *options)
    return (long - short) / requests / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["reply", "stream", "distinct"], metavar="KIND")
    parser.add_argument("--tree", type=Path, default=_ROOT)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--console", action="store_const", const=("--console",), default=())
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        count = per_request(arguments.tree, kind, arguments.requests, *arguments.console)
        print(f"{kind:10} {count:8.1f} thousand instructions per request", flush=True)


if __name__ == "__main__":
    main()
