"""How smoothly the console's list scrolls: 5,000 requests in Chromium, by script and by wheel.

.venv/bin/python benchmarks/console.py

The exit status is 1 if the goal is missed: 59.5 frames a second on average, and no frame more than one period late.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

from mockserver.server.console import ConsoleAccess
from mockserver.server.http.app import App
from mockserver.server.http.services import Services
from mockserver.server.http.threaded_server import ThreadedServer
from mockserver.server.state.sessions import open_session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.reports.chromium import Browser, Tab, find_chromium, run_chromium

REQUESTS = 5_000
#: A journal keeps the last 1,000 requests of a session.
SESSIONS = 5
FRAMES = 300
#: Milliseconds between frames, and the goal.
PERIOD = 1000 / 60
MIN_FRAMES_A_SECOND = 59.5
#: Frames come at multiples of the period: the next one after two is three periods after the last.
MAX_PAUSE = 2.5 * PERIOD

#: Each frame is [time, position, whether rows are drawn at the top and at the bottom of the view].
RECORD_FRAMES = """
(() => {
  const list = document.querySelector(".rows"), box = list.getBoundingClientRect();
  const isDrawn = (y) => Boolean(document.elementFromPoint(box.left + 9, y)?.closest(".row"));
  list.scrollTop = 0;
  window.recorded = [];
  window.step = null;
  const record = window.record = (now) => {
    if (window.record !== record) return;
    window.step?.();
    recorded.push([now, list.scrollTop, isDrawn(box.top + 2) && isDrawn(box.bottom - 2)]);
    requestAnimationFrame(record);
  };
  requestAnimationFrame(record);
})()
"""
#: To the end of the list: in each frame more than a view of rows, which is faster than a hand.
SCROLL_BY_SCRIPT = f"""
new Promise((done) => {{
  const list = document.querySelector(".rows"), distance = list.scrollHeight - list.clientHeight;
  let count = 0;
  window.step = () => {{
    if (count < {FRAMES}) list.scrollTop = distance * ++count / {FRAMES};
    else done();
  }};
}})
"""
#: Pixels, and pixels a second: a fast turn of the wheel for as long as the script scrolls.
WHEEL_DISTANCE, WHEEL_SPEED = 20_000, 4_000


@dataclass(frozen=True)
class Scroll:
    """The frames of one scroll, and the processor time that they took, in milliseconds a frame."""

    pauses: list[float]
    blank: int
    page: float
    processes: dict[str, float]

    @property
    def frames_a_second(self) -> float:
        return 1000 * len(self.pauses) / sum(self.pauses)

    @property
    def reaches_the_goal(self) -> bool:
        return self.frames_a_second >= MIN_FRAMES_A_SECOND and max(self.pauses) <= MAX_PAUSE

    def print(self) -> None:
        late = sum(each > 1.5 * PERIOD for each in self.pauses)
        median, longest = statistics.median(self.pauses), max(self.pauses)
        print(f"  {len(self.pauses)} frames: {self.frames_a_second:.1f} frames a second, {late} late")
        print(f"  between frames: median {median:.1f} ms, longest {longest:.1f} ms")
        print(f"  {self.blank} frames with a row in view that was not drawn yet")
        print(f"  processor time a frame: {self.page:.1f} ms of the page's thread, of {PERIOD:.1f} ms;")
        print(
            f"  of whole processes: {', '.join(f'{name} {ms:.1f} ms' for name, ms in self.processes.items())}"
        )


def main() -> int:
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
            scrolls = {
                "by script, through the whole list": lambda: tab.evaluate(SCROLL_BY_SCRIPT),
                f"by wheel, {WHEEL_SPEED:,} pixels a second": lambda: turn_wheel(tab),
            }
            return max([measure(browser, tab, *each) for each in scrolls.items()])
    finally:
        server.stop()


def measure(browser: Browser, tab: Tab, name: str, scroll: Callable[[], object]) -> int:
    """Scroll, print what it took, and return the exit status."""
    time.sleep(1)  # what loading the page left to do is no part of it
    tab.evaluate(RECORD_FRAMES)
    before, processes_before = page_seconds(tab), process_seconds(browser)
    scroll()
    page, processes = page_seconds(tab) - before, process_seconds(browser)
    frames = tab.evaluate("recorded")
    drawn = tab.evaluate("document.querySelectorAll('.row').length")
    # From the first frame that moved to the last: before and after there is nothing to do.
    moved = [at for at, (one, other) in enumerate(pairwise(frames), 1) if one[1] != other[1]]
    frames = frames[max(0, moved[0] - 1) : moved[-1] + 1]
    result = Scroll(
        pauses=[later[0] - earlier[0] for earlier, later in pairwise(frames)],
        blank=sum(not each[2] for each in frames),
        page=1000 * page / len(frames),
        processes={
            name: 1000 * (seconds - processes_before.get(name, 0)) / len(frames)
            for name, seconds in processes.items()
        },
    )
    print(f"{name} ({drawn} elements for {REQUESTS:,} rows):")
    result.print()
    print("  goal reached" if result.reaches_the_goal else "  GOAL MISSED")
    return 0 if result.reaches_the_goal else 1


def turn_wheel(tab: Tab) -> None:
    tab.call(
        "Input.synthesizeScrollGesture",
        x=200, y=500, yDistance=-WHEEL_DISTANCE, speed=WHEEL_SPEED, gestureSourceType="mouse",
    )  # fmt: skip


def page_seconds(tab: Tab) -> float:
    """The processor time of the page's thread, which depends little on how busy the machine is."""
    metrics = tab.call("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def process_seconds(browser: Browser) -> dict[str, float]:
    """The processor time of all threads of the browser's processes, by kind."""
    seconds: dict[str, float] = {}
    for each in browser.call("SystemInfo.getProcessInfo")["processInfo"]:
        seconds[each["type"]] = seconds.get(each["type"], 0) + each["cpuTime"]
    return seconds


if __name__ == "__main__":
    sys.exit(main())
