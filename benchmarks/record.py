"""The delay that `mockserver record` adds to the first byte of a reply, with and without it alternately.

    .venv/bin/python benchmarks/record.py

Both use the same mock server, which streams with pauses like a model, and a client with a persistent
connection. Goal: at most 5 ms more at the median.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx

GOAL_MS = 5.0
ROUNDS = 200
KEY = "sk-benchmark"
BODY = {"model": "qwen3-max-2026-01-23", "input": "How warm is it?", "stream": True}


@contextmanager
def running_command(folder: Path, name: str, *command: str) -> Iterator[str]:
    """Run a serving command; yields its base URL."""
    url_file = folder / f"{name}.url"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mockserver", *command, "--port", "0", "--url-file", str(url_file)],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        while not (url_file.exists() and url_file.read_text()):
            assert process.poll() is None, (folder / f"{name}.log").read_text()
            time.sleep(0.01)
        yield url_file.read_text()
    finally:
        process.terminate()
        process.wait(20)


def time_to_first_byte(client: httpx.Client, url: str) -> float:
    """Milliseconds from a request to the first byte of its reply's body."""
    began = time.perf_counter()
    with client.stream("POST", f"{url}/responses", json=BODY) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        took = time.perf_counter() - began
        for _ in pieces:
            pass
    return took * 1000


def main() -> int:
    times: dict[str, list[float]] = {"direct": [], "recorded": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        serve = ("serve", "--quiet", "--pace", "model:20,400")
        with running_command(folder, "mock", *serve) as direct:
            record = ("record", "--upstream", direct, "--out", "recordings", "--quiet")
            with (
                running_command(folder, "record", *record) as through,
                httpx.Client(trust_env=False) as client,
            ):
                client.headers["authorization"] = f"Bearer {KEY}"
                places = {"direct": direct, "recorded": through}
                for number in range(ROUNDS + 5):
                    for place, url in places.items():
                        took = time_to_first_byte(client, url)
                        if number >= 5:
                            times[place].append(took)
        kept = len([*(folder / "recordings").glob("*.json")])
    assert kept == ROUNDS + 5, f"{kept} recordings of {ROUNDS + 5} requests"
    for place, taken in times.items():
        most = quantiles(taken, n=20)[18]
        print(f"{place:<9} first byte: median {median(taken):6.2f} ms, 95 % {most:6.2f} ms")
    added = median(times["recorded"]) - median(times["direct"])
    load = os.getloadavg()[0]
    print(f"added at the median: {added:.2f} ms (load of the machine {load:.1f} on {os.cpu_count()} cores)")
    print(f"goal: at most {GOAL_MS} ms: {'reached' if added <= GOAL_MS else 'missed'}")
    return 0 if added <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
