"""Instructions per request, counted by valgrind: the same on a quiet and on a busy machine.

    .venv/bin/python benchmarks/instructions.py [--tree PATH] [--requests 60] [--console] [KIND ...]
    .venv/bin/python benchmarks/instructions.py --check
    .venv/bin/python benchmarks/instructions.py --update

A server runs under callgrind and answers one connection. Of each kind it answers a few requests before the counted
ones, so neither start nor warm-up is part of the result. `--tree` counts another checkout, `--console`
a server with a console that nobody looks at.

The kind `start` is all that a server does until the first reply.
The kinds `stub` and `stubs` are distinct requests to a server with one stub, and with 10,000 more that have `contains`.

The ratio is to a minimal application on uvicorn that sends the same bytes. `instructions.json` has the committed
ratios: `--check` exits with status 1 if one is larger now, and `--update` writes the present ones. Address
randomization and random hashes are off and the server has a seed. Between two builds of Python the ratios still
differ, so the tolerance is wider for builds other than the one that wrote the file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import ADMIN_OPTIONS, add_stubs
from benchmarks.workloads import RESPONSES_PATH, encode_request, path_of, request_body, save_sample

_ROOT = Path(__file__).resolve().parent.parent
_BASELINE = Path(__file__).with_name("instructions.json")
_START_TIMEOUT_S = 300
_WARM_UP = 40
_IDLE_S = 1.0
_LOG_DELAY_S = 3.0
#: The server, with a log that is written once for all the counted requests: usually it is written every 20 ms, so a
#: busy machine writes it more often.
_SERVE = f"""
from mockserver.cli import main
from mockserver.server.http import access_log

access_log._FLUSH_DELAY_SECONDS = {_LOG_DELAY_S}
main()
"""


class _Server(NamedTuple):
    """A server that answers some kinds of requests."""

    name: str
    options: tuple[str, ...] = ()
    stub_count: int | None = None
    """Stubs that answer one question each, beside one that answers all others; None: no stubs."""


_PLAIN = _Server("plain")
#: What can be counted, by name: that of the requests, and the server.
KINDS = {
    "start": ("reply", _Server("start")),
    "reply": ("reply", _PLAIN),
    "distinct": ("plain", _PLAIN),
    "chained": ("chained", _PLAIN),
    "tools": ("tools", _PLAIN),
    "history": ("history", _PLAIN),
    "stream": ("stream", _PLAIN),
    "coalesced": ("stream", _Server("coalesced", ("--chunking", "coalesced"))),
    "chat": ("chat", _PLAIN),
    "stub": ("plain", _Server("stub", stub_count=0)),
    "stubs": ("plain", _Server("stubs", stub_count=10_000)),
}
#: How much more a request may take among 10,000 stubs than among none.
_MAX_RATIO_OF_STUBS = 1.2
#: How much larger than the committed ratio a ratio may be: by the same build of Python, and by another one.
_TOLERANCE = 0.03
_TOLERANCE_OF_OTHER_BUILDS = 0.15


class CountedServer:
    """A server under callgrind, and a connection to it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        url_file: Path,
        output: Path,
        log_delay: float = 0,
        *,
        is_counting: bool = False,
    ) -> None:
        """`log_delay` is how many seconds after a request the server writes its log line and those that wait."""
        self._process = process
        self._log_delay = log_delay
        self._url_file = url_file
        self._output = output
        self._dump_count = 0
        self._earlier_id = ""
        self._idle_rate: float | None = None
        self._is_counting = is_counting

    def count_start(self, path: str, kind: str) -> float:
        """The instructions until the first reply, of a server that counts from its start."""
        with socket.create_connection(("127.0.0.1", self.wait_for_port())) as connection:
            self._send(connection, path, request_body(kind, 0))
        return self._dump()

    def count(self, path: str, kind: str, requests: int) -> float:
        """The instructions of one request of a kind, on average."""
        with socket.create_connection(("127.0.0.1", self.wait_for_port())) as connection:
            if not self._is_counting:
                self._control("--instr=on")
                self._is_counting = True
            if kind == "chained" and path == RESPONSES_PATH:
                self._earlier_id = json.loads(self._send(connection, path, request_body("plain", -1)))["id"]
            for number in range(_WARM_UP):
                self._send(connection, path, request_body(kind, number, self._earlier_id))
            self._wait_for_log(time.monotonic())
            if self._idle_rate is None:
                self._idle_rate = self._count_idle()
            started = self._zero()
            for number in range(_WARM_UP, _WARM_UP + requests):
                self._send(connection, path, request_body(kind, number, self._earlier_id))
            self._wait_for_log(started)
            idle = self._idle_rate * (time.monotonic() - started)
            return (self._dump() - idle) / requests

    def _wait_for_log(self, since: float) -> None:
        """Wait until the lines of requests that were sent since then, but no longer ago, are written at once."""
        if self._log_delay:
            time.sleep(max(0.0, since + self._log_delay - time.monotonic()) + _IDLE_S / 2)

    def _count_idle(self) -> float:
        """The instructions of a second without requests: timers run more often the busier the machine is."""
        started = self._zero()
        time.sleep(_IDLE_S)
        elapsed = time.monotonic() - started
        return self._dump() / elapsed

    def _zero(self) -> float:
        self._control("--zero")
        return time.monotonic()

    def wait_for_port(self) -> int:
        """The port of the server, which may still have to start."""
        return _wait_for_port(self._url_file, self._process)

    def _send(self, connection: socket.socket, path: str, body: dict[str, object]) -> bytes:
        connection.sendall(encode_request(path, self.wait_for_port(), json.dumps(body).encode()))
        return read_reply(connection)

    def _control(self, command: str) -> None:
        subprocess.run(
            ["callgrind_control", command, str(self._process.pid)],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _dump(self) -> int:
        self._control("--dump")
        self._dump_count += 1
        text = Path(f"{self._output}.{self._dump_count}").read_text()
        totals = re.search(r"^(?:summary|totals): ([0-9]+)", text, re.MULTILINE)
        if totals is None:
            raise SystemExit("callgrind wrote no totals")
        return int(totals[1])


def read_reply(connection: socket.socket) -> bytes:
    """Read one reply; return its body, still chunked if it is a stream."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server refused a request: {head[:40]!r} {body[:300]!r}")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        body += _receive(connection)
    return body


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise SystemExit("the server closed the connection")
    return data


@contextlib.contextmanager
def counted_server(
    arguments: list[str],
    url_file: Path,
    environment: dict[str, str],
    log_delay: float = 0,
    *,
    from_start: bool = False,
) -> Iterator[CountedServer]:
    """Run a Python program that writes its URL to a file, under callgrind. `log_delay`: as of `CountedServer`.

    It counts from the first requests on, so that it starts several times as fast, or `from_start`.
    """
    output = url_file.with_suffix(".callgrind")
    # Addresses decide the order of some sets, and how dictionaries collide.
    fixed = ["setarch", "-R"] if _can_fix_addresses() else []
    begin = "yes" if from_start else "no"
    options = ["--tool=callgrind", f"--instr-atstart={begin}", f"--callgrind-out-file={output}"]
    command = [*fixed, "valgrind", *options, sys.executable]
    server = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONHASHSEED": "0", **environment},
        cwd=url_file.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield CountedServer(server, url_file, output, log_delay, is_counting=from_start)
    finally:
        server.kill()
        server.wait()


def _can_fix_addresses() -> bool:
    return (
        shutil.which("setarch") is not None
        and subprocess.run(["setarch", "-R", "true"], check=False, capture_output=True).returncode == 0
    )


def _wait_for_port(url_file: Path, server: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        if url_file.exists() and (found := re.search(r":([0-9]+)", url_file.read_text().partition("//")[2])):
            return int(found[1])
        time.sleep(0.2)
    raise SystemExit("the server did not start")


@contextlib.contextmanager
def _our_server(
    tree: Path, folder: Path, options: tuple[str, ...], server: _Server, *, from_start: bool = False
) -> Iterator[CountedServer]:
    url_file = folder / f"{server.name}.url"
    # With a seed the ids and texts are the same in every run, and so is their length.
    serve = ["-c", _SERVE, "serve", "--port", "0", "--url-file", str(url_file), "--seed", "1"]
    serve += [*server.options, *options]
    serve += () if server.stub_count is None else ADMIN_OPTIONS
    environment = {"PYTHONPATH": str(tree)}
    with counted_server(serve, url_file, environment, _LOG_DELAY_S, from_start=from_start) as counted:
        if server.stub_count is not None:
            _add_stubs(counted.wait_for_port(), server.stub_count)
        yield counted


def _add_stubs(port: int, count: int) -> None:
    """Add stubs that answer the first questions, and one that answers every other."""
    reply = {"reply": "An answer.", "times": "always"}
    stubs = [{**reply, "match": {"contains": f"Question {number}:"}} for number in range(count)]
    add_stubs(port, [*stubs, reply])


@contextlib.contextmanager
def _bare_server(folder: Path, *, from_start: bool = False) -> Iterator[CountedServer]:
    program, url_file = str(Path(__file__).with_name("bare_uvicorn.py")), folder / "bare"
    url_file.unlink(missing_ok=True)
    with counted_server([program, str(folder)], url_file, {}, from_start=from_start) as server:
        yield server


def save_samples(tree: Path, folder: Path, kinds: list[str]) -> None:
    """Save what our server answers to each kind of request, for the minimal application to send."""
    url_file = folder / "samples.url"
    serve = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--url-file", str(url_file)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    with subprocess.Popen(
        serve, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            port = _wait_for_port(url_file, server)
            for kind in kinds:
                save_sample(port, kind, folder)
        finally:
            server.terminate()


def measure(tree: Path, kinds: list[str], requests: int, *options: str) -> dict[str, tuple[float, float]]:
    """Thousands of instructions per request by kind: of our server, and of the minimal application."""
    results: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        save_samples(tree, folder, sorted({KINDS[kind][0] for kind in kinds}))
        if "start" in kinds:
            results["start"] = _measure_start(tree, folder, options)
            _print_row("start", *results["start"])
            kinds = [kind for kind in kinds if kind != "start"]
        if not kinds:
            return results
        bare = stack.enter_context(_bare_server(folder))
        servers = {
            server: stack.enter_context(_our_server(tree, folder, options, server))
            for server in dict.fromkeys(KINDS[kind][1] for kind in kinds)
        }
        baselines: dict[str, float] = {}
        for kind in kinds:
            request_kind, server = KINDS[kind]
            ours = servers[server].count(path_of(request_kind), request_kind, requests)
            if request_kind not in baselines:
                baselines[request_kind] = bare.count(f"/{request_kind}/responses", request_kind, requests)
            results[kind] = ours / 1000, baselines[request_kind] / 1000
            _print_row(kind, *results[kind])
    return results


def _measure_start(tree: Path, folder: Path, options: tuple[str, ...]) -> tuple[float, float]:
    # Stale byte code would be compiled at each start where Python may not write it.
    subprocess.run([sys.executable, "-m", "compileall", "-q", tree / "mockserver"], check=True)
    kind, server = KINDS["start"]
    with _our_server(tree, folder, options, server, from_start=True) as counted:
        ours = counted.count_start(path_of(kind), kind)
    with _bare_server(folder, from_start=True) as counted:
        bare = counted.count_start(f"/{kind}/responses", kind)
    return ours / 1000, bare / 1000


def _print_row(kind: str, ours: float, bare: float) -> None:
    print(
        f"{kind:10} {ours:8.1f} thousand instructions, bare {bare:7.1f}, ratio {ours / bare:.3f}", flush=True
    )


def python_build() -> str:
    """The interpreter that counts: its version, compiler and options of its build."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    options = sorted(set(re.findall(r"--(?:enable-optimizations|with-lto|enable-shared)", arguments)))
    return " ".join([platform.python_version(), platform.machine(), platform.python_compiler(), *options])


def find_regressions(ratios: dict[str, float], baseline: Mapping[str, Any], build: str) -> list[str]:
    """Describe the kinds that take more instructions than the committed ratios allow."""
    is_same_build = baseline["python"] == build
    tolerance = _TOLERANCE if is_same_build else _TOLERANCE_OF_OTHER_BUILDS
    committed = baseline["ratios"]
    update = "benchmarks/instructions.py --update"
    problems = []
    for kind, ratio in ratios.items():
        if kind not in committed:
            problems.append(f"{kind}: no committed ratio. To add it: {update}")
        elif ratio > (allowed := committed[kind] * (1 + tolerance)):
            problems.append(
                f"{kind}: {ratio:.3f} times the instructions of bare uvicorn, committed {committed[kind]:.3f}, "
                f"allowed {allowed:.3f}. If that is intended: {update}"
            )
    if {"stub", "stubs"} <= ratios.keys() and (
        (found := ratios["stubs"] / ratios["stub"]) > _MAX_RATIO_OF_STUBS
    ):
        problems.append(
            f"stubs: {found:.3f} times the instructions of a request without them, allowed {_MAX_RATIO_OF_STUBS}"
        )
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=[*KINDS], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--tree", type=Path, default=_ROOT)
    parser.add_argument("--requests", type=int, default=60, help="how many to count of each kind")
    parser.add_argument("--console", action="store_const", const=("--console",), default=())
    parser.add_argument("--check", action="store_true", help="compare with the committed ratios")
    parser.add_argument("--update", action="store_true", help="commit the present ratios")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - KINDS.keys():
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}; choose from {', '.join(KINDS)}")
    measured = measure(arguments.tree, arguments.kinds, arguments.requests, *arguments.console)
    ratios = {kind: round(ours / bare, 3) for kind, (ours, bare) in measured.items()}
    if arguments.update:
        earlier = json.loads(_BASELINE.read_text())["ratios"] if _BASELINE.exists() else {}
        content = {"python": python_build(), "ratios": {**earlier, **ratios}}
        _BASELINE.write_text(json.dumps(content, indent=2) + "\n")
    if arguments.check:
        baseline, build = json.loads(_BASELINE.read_text()), python_build()
        regressions = find_regressions(ratios, baseline, build)
        if regressions:
            # What is slower is slower twice.
            again = [kind for kind in ratios if find_regressions({kind: ratios[kind]}, baseline, build)]
            measured = measure(arguments.tree, again, arguments.requests, *arguments.console)
            ratios = {kind: min(ratios[kind], ours / bare) for kind, (ours, bare) in measured.items()}
            regressions = find_regressions(ratios, baseline, build)
        print("\n".join(regressions))
        raise SystemExit(bool(regressions))


if __name__ == "__main__":
    main()
