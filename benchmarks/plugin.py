"""The overhead of the pytest plugin, compared with a bare pytest in the same run.

    .venv/bin/python benchmarks/plugin.py [--rounds 15]

Three pytest runs alternate, on one file with one test and no other plugin: without the plugin, with the unused
plugin, and with its fixture. The last one loads the server, the contract checks and their libraries; it has no
goal. Start and stop times are those of `MockServer` in a process that has imported it: `first` is the first
server of its process, `used` served a request over a connection that is still open at the stop, and of
`waiting` a client still waits for the rest of a stream. CPU time is shown with elapsed time, because it says
more on a busy machine.

Goals: start ≤ 10 ms, stop ≤ 30 ms, the unused plugin ≤ 20 ms; all by the median.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

GOAL_START_MS, GOAL_STOP_MS, GOAL_UNUSED_MS = 10.0, 30.0, 20.0

#: Elapsed and CPU time, in ms.
Times = tuple[float, float]

_PLUGIN = ("-p", "mockserver.testing.pytest_plugin")
_EMPTY_TEST = "def test_it():\n    pass\n"
_FIXTURE_TEST = "def test_it(responses_server):\n    pass\n"

# Starts and stops of one process, in ms: a line `first start stop` or `used start stop` for each.
_LIFECYCLE_PROGRAM = """
import sys, time
from http.client import HTTPConnection
from urllib.parse import urlsplit
from mockserver import MockServer
from mockserver.exchanges import Exchange, Match

chunks = [{"text": "event: begun"}, {"at_ms": 60_000, "text": "late"}]
http = {"status": 200, "headers": {"content-type": "text/event-stream"}, "chunks": chunks}
SLOW = Exchange("slow", Match(prompt="wait"), {"http": http})

def life(name, ask):
    server = MockServer(seed=1, exchanges=[SLOW])
    began = time.perf_counter()
    server.start()
    started = time.perf_counter()
    if ask:
        url = urlsplit(server.base_url)
        client = HTTPConnection(url.hostname, url.port)
        body = '{"model": "%s", "input": "%s"}' % (server.model, ask)
        head = {"authorization": "Bearer sk-mock", "content-type": "application/json"}
        client.request("POST", url.path + "/responses", body, head)
        answer = client.getresponse()
        assert answer.read(None if ask == "hi" else 5)
    ending = time.perf_counter()
    server.stop()
    ended = time.perf_counter()
    print(name, (started - began) * 1000, (ended - ending) * 1000)

life("first", "")
for _ in range(10):
    life("later", "")
    life("used", "hi")
    life("waiting", "wait")
"""


def time_pytest(file: Path, *options: str) -> tuple[float, float]:
    """Run pytest and return its elapsed and CPU time, in ms."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, file.name]
    used, began = processor_time(), time.perf_counter()
    subprocess.run(
        command,
        cwd=file.parent,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (time.perf_counter() - began) * 1000, processor_time() - used


def processor_time() -> float:
    """CPU time of ended child processes, in ms."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000


def time_server_lifecycles() -> dict[str, list[tuple[float, float]]]:
    """(start, stop) in ms of servers in a new process, by kind."""
    done = subprocess.run(
        [sys.executable, "-c", _LIFECYCLE_PROGRAM], check=True, capture_output=True, text=True
    )
    times: dict[str, list[tuple[float, float]]] = {}
    for name, start, stop in map(str.split, done.stdout.splitlines()):
        times.setdefault(name, []).append((float(start), float(stop)))
    return times


def overhead(run: tuple[Times, Times, Times]) -> tuple[Times, Times, Times]:
    """One round: the bare run, and the overhead of the other two."""
    bare, unused, used = run
    return (
        bare,
        (unused[0] - bare[0], unused[1] - bare[1]),
        (used[0] - bare[0], used[1] - bare[1]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        empty, used = Path(folder) / "test_empty.py", Path(folder) / "test_used.py"
        empty.write_text(_EMPTY_TEST)
        used.write_text(_FIXTURE_TEST)
        time_pytest(used, *_PLUGIN)  # fills the caches
        runs = [
            (time_pytest(empty), time_pytest(empty, *_PLUGIN), time_pytest(used, *_PLUGIN))
            for _ in range(rounds)
        ]
    bare, unused, fully = (
        [median(each[kind] for each in column) for kind in (0, 1)]
        for column in zip(*map(overhead, runs), strict=True)
    )
    print(f"pytest, bare                      {bare[0]:7.1f} ms (CPU {bare[1]:6.1f} ms)")
    print(f"  + the plugin, unused            {unused[0]:+7.1f} ms (CPU {unused[1]:+6.1f} ms)", end="")
    print(f"   goal: at most {GOAL_UNUSED_MS:.0f}")
    print(f"  + the plugin, its fixture used  {fully[0]:+7.1f} ms (CPU {fully[1]:+6.1f} ms)")
    reached = [unused[0] <= GOAL_UNUSED_MS]
    gathered: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, found in time_server_lifecycles().items():
            gathered.setdefault(name, []).extend(found)
    for name, found in gathered.items():
        start, stop = (median(each) for each in zip(*found, strict=True))
        print(f"server, {name:<10}       start {start:7.2f} ms   stop {stop:7.2f} ms")
        reached += [start <= GOAL_START_MS, stop <= GOAL_STOP_MS]
    outcome = "reached" if all(reached) else "missed"
    print(f"goals: start ≤ {GOAL_START_MS:.0f} ms, stop ≤ {GOAL_STOP_MS:.0f} ms: {outcome}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
