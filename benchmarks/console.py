"""How smoothly the console's list scrolls: 5,000 requests in Chromium, one step for each frame.

.venv/bin/python benchmarks/console.py
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import httpx

from mockserver.server.console import ConsoleAccess
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.reports.chromium import Tab, find_chromium, run_chromium

REQUESTS = 5_000
#: A journal keeps the last 1,000 requests of a session.
SESSIONS = 5
FRAMES = 300

SCROLL = f"""
new Promise((done) => {{
  const list = document.querySelector(".rows"), moments = [];
  list.scrollTop = 0;
  const step = (now) => {{
    moments.push(now);
    list.scrollTop += (list.scrollHeight - list.clientHeight) / {FRAMES};
    if (moments.length <= {FRAMES}) requestAnimationFrame(step);
    else done(JSON.stringify({{ moments, drawn: document.querySelectorAll(".row").length, top: list.scrollTop }}));
  }};
  requestAnimationFrame(step);
}})
"""


def main() -> None:
    program = find_chromium()
    if program is None:
        raise SystemExit("chromium is not installed")
    services = Services(default_session=open_session(profile="qwen-2026-01"), console=ConsoleAccess())
    server = ThreadedServer(App(services))
    server.start()
    assert services.console is not None
    try:
        with httpx.Client(headers={"authorization": "Bearer sk-mock"}, trust_env=False) as client:
            for number in range(REQUESTS):
                url = f"{server.url}/s/session-{number % SESSIONS}/v1/responses"
                client.post(url, json={"model": "qwen3-max-2026-01-23", "input": f"Question {number}"})
        with tempfile.TemporaryDirectory() as folder, run_chromium(program, Path(folder)) as browser:
            tab = Tab(browser, 1280, 800)
            tab.call("Page.navigate", url=services.console.link(server.url))
            tab.wait_until(
                f"document.querySelector('.filters [role=status]')?.textContent === '{REQUESTS} requests'"
            )
            tab.call("Performance.disable")
            tab.call("Performance.enable", timeDomain="threadTicks")
            before = processor_seconds(tab)
            measured = json.loads(tab.evaluate(SCROLL))
            work = processor_seconds(tab) - before
        print_frames(measured)
        print(f"work of the page: {1000 * work / FRAMES:.1f} ms of processor time a frame, of 16.7 ms")
    finally:
        server.stop()


def processor_seconds(tab: Tab) -> float:
    """What the page's thread has worked, which does not depend on how busy the machine is."""
    metrics = tab.call("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def print_frames(measured: dict[str, list[float]]) -> None:
    moments = measured["moments"]
    pauses = sorted(later - earlier for earlier, later in pairwise(moments))
    seconds = (moments[-1] - moments[0]) / 1000
    print(f"{len(pauses)} frames in {seconds:.2f} s: {len(pauses) / seconds:.1f} frames a second")
    print(f"between frames: median {statistics.median(pauses):.1f} ms, longest {pauses[-1]:.1f} ms")
    print(f"{sum(each > 25 for each in pauses)} late frames; {measured['drawn']} rows drawn of {REQUESTS:,}")


if __name__ == "__main__":
    main()
