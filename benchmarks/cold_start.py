"""The time of a start: `mockserver serve` compared with a bare uvicorn application, and `mockserver check`.

    .venv/bin/python benchmarks/cold_start.py [--pairs 9] [--json FILE]

A server is timed from its start until it answers the first request, either GET /health or a POST that creates
a response, and its memory is read then. Both servers alternate, with the same interpreter and fresh byte code;
the result is the median of the ratios of the pairs. `check` of one small file is compared with a Python that
only imports orjson.

Goals: serve at most 1.6 times bare uvicorn, in at most 45 MiB; check at most 3 times `python -c 'import orjson'`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

SERVE_GOAL, MEMORY_GOAL_MIB, CHECK_GOAL = 1.6, 45.0, 3.0

_ROOT = Path(__file__).resolve().parent.parent
_BARE = _ROOT / "benchmarks" / "bare_uvicorn.py"
_REQUEST = b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}'
_TIMEOUT_S = 60


class Start(NamedTuple):
    """One start of a server."""

    seconds: float
    """Until the first reply was read."""
    reply_seconds: float
    """Of these, from the first attempt that found the server listening."""
    memory_mib: float
    """Resident memory after the first reply."""


class Row(NamedTuple):
    """One row of the result."""

    name: str
    ours_ms: float
    bare_ms: float
    ratio: float
    goal: float


def run_seconds(*command: str | Path) -> float:
    """Run a program and return its duration in seconds."""
    start = time.perf_counter()
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def start_server(command: list[str], url_file: Path, method: str, path: str | None) -> Start:
    """Start a server, time its first reply, and stop it. `path`: None for that of creating a response."""
    url_file.unlink(missing_ok=True)
    begin = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (url_file.exists() and (text := url_file.read_text())):
            if server.poll() is not None or time.perf_counter() - begin > _TIMEOUT_S:
                raise SystemExit(f"no server appeared: {' '.join(command)}")
            time.sleep(0.0005)
        listening = time.perf_counter()
        url = urlsplit(text)
        connection = http.client.HTTPConnection(url.netloc, timeout=_TIMEOUT_S)
        headers = {"authorization": "Bearer sk-bench", "content-type": "application/json"}
        body = _REQUEST if method == "POST" else None
        connection.request(method, path or f"{url.path}/responses", body, headers)
        reply = connection.getresponse()
        reply.read()
        end = time.perf_counter()
        if reply.status != 200:
            raise SystemExit(f"the first request got {reply.status}")
        connection.close()
        return Start(end - begin, end - listening, _memory_mib(server.pid))
    finally:
        server.kill()
        server.wait()


def _memory_mib(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def measure_pairs(measure_ours: Callable[[], float], measure_bare: Callable[[], float], pairs: int) -> Row:
    """Measure both alternately; the row has no name and no goal yet."""
    measure_ours(), measure_bare()  # the first run of each fills the caches
    times = [(measure_ours(), measure_bare()) for _ in range(pairs)]
    ours, bare = (median(each) * 1000 for each in zip(*times, strict=True))
    return Row("", ours, bare, median(ours / bare for ours, bare in times), 0)


def measure_serve(folder: Path, pairs: int) -> tuple[list[Row], list[Start], list[Start]]:
    """The rows of `serve`, and each start of both servers."""
    recorded = {"pieces": ['{"status": "ok"}'], "headers": [["content-type", "application/json"]]}
    for name in ("reply", "stream"):
        (folder / f"{name}.json").write_text(json.dumps(recorded))
    program = Path(sys.executable).with_name("mockserver")
    ours = [str(program), "serve", "--port", "0", "--url-file", str(folder / "url")]
    bare = [sys.executable, str(_BARE), str(folder)]
    starts: tuple[list[Start], list[Start]] = ([], [])
    rows = []
    for name, method, path in (("GET /health", "GET", "/health"), ("POST …/responses", "POST", None)):

        def start_ours(method: str = method, path: str | None = path) -> float:
            starts[0].append(start_server(ours, folder / "url", method, path))
            return starts[0][-1].seconds

        def start_bare(method: str = method) -> float:
            starts[1].append(start_server(bare, folder / "bare", method, "/reply/responses"))
            return starts[1][-1].seconds

        row = measure_pairs(start_ours, start_bare, pairs)
        rows.append(row._replace(name=f"serve, until {name} is answered", goal=SERVE_GOAL))
    return rows, *starts


def measure_check(folder: Path, pairs: int) -> Row:
    """The row of `check`."""
    small = folder / "small.json"
    small.write_bytes(_REQUEST)
    program = Path(sys.executable).with_name("mockserver")
    row = measure_pairs(
        lambda: run_seconds(program, "check", small),
        lambda: run_seconds(sys.executable, "-c", "import orjson"),
        pairs,
    )
    return row._replace(name="check of a small file", goal=CHECK_GOAL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file too")
    arguments = parser.parse_args()
    # Stale byte code would be compiled at each start where Python may not write it.
    subprocess.run([sys.executable, "-m", "compileall", "-q", _ROOT / "mockserver"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        rows, ours, bare = measure_serve(Path(folder), arguments.pairs)
        rows.append(measure_check(Path(folder), arguments.pairs))
    memory, bare_memory = (median(each.memory_mib for each in starts) for starts in (ours, bare))
    first_reply_ms = median(each.reply_seconds for each in ours[len(ours) // 2 :]) * 1000
    print("| start | ours, ms | compared with, ms | ratio | goal |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.name} | {row.ours_ms:.1f} | {row.bare_ms:.1f} | {row.ratio:.2f} | at most {row.goal:.1f} |"
        )
    print(
        f"\nMemory of serve: {memory:.1f} MiB; goal: at most {MEMORY_GOAL_MIB:.0f}; bare: {bare_memory:.1f} MiB."
    )
    print(f"First reply of serve, once it listens: {first_reply_ms:.1f} ms.")
    if arguments.json is not None:
        result = {
            "rows": [row._asdict() for row in rows],
            "memory_mib": {"ours": memory, "bare": bare_memory, "goal": MEMORY_GOAL_MIB},
            "first_reply_ms": first_reply_ms,
        }
        arguments.json.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    sys.exit(memory > MEMORY_GOAL_MIB or any(row.ratio > row.goal for row in rows))


if __name__ == "__main__":
    main()
