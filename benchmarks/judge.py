"""The speed of contract checks: events per second, and time and memory of `mockserver check` for a long stream.

    .venv/bin/python benchmarks/judge.py [--megabytes 100]

The baseline is orjson reading and writing the same events. Compare the ratio: a busy machine slows down both.
The stream of the command has deltas of a few characters, one of 16 with an escape; its speed is per second of CPU,
the start of the program included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import orjson

from mockserver.contract.check import check_response, check_stream
from mockserver.profiles import DEFAULT_PROFILE
from mockserver.replies.script import FunctionCall, Message, Reasoning, Script, ToolCall
from mockserver.testing.strategies.framing import encode_events
from mockserver.testing.strategies.rendered_replies import (
    ReplySpec,
    render_context,
    render_events,
    render_response,
    tools_for_script,
)


class Limit(NamedTuple):
    """What a figure must reach, and what it should."""

    name: str
    must: float
    aim: float
    is_maximum: bool = False

    def report(self, figure: float) -> bool:
        """Print the figure; return whether it is as it must be."""
        reaches = (
            (figure <= self.must, figure <= self.aim)
            if self.is_maximum
            else (figure >= self.must, figure >= self.aim)
        )
        outcome = "aim reached" if all(reaches) else "reached" if reaches[0] else "missed"
        print(f"{self.name:<30} {figure:>12,.0f}     must {self.must:,}, aim {self.aim:,}: {outcome}")
        return reaches[0]


EVENTS = Limit("parsed events/s", 400_000, 600_000)
FILE_SPEED = Limit("mockserver check, MB/s", 60, 100)
FILE_MEMORY = Limit("mockserver check, peak MiB", 80, 60, is_maximum=True)

ROUNDS = 7
#: Minimum duration of one measurement, in seconds.
MIN_SECONDS = 0.15

#: Prints the CPU seconds and peak KiB of the command. A small process starts it: a new process counts the peak of
#: the one that started it.
_MEASURE_COMMAND = """
import resource, subprocess, sys
command = [sys.executable, "-m", "mockserver", "check", sys.argv[1]]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

WORDS = tuple(f" word{number}" for number in range(200))
SCRIPT = Script(
    (
        Reasoning(WORDS[:50]),
        ToolCall("web_search", {"action": {"query": "q", "sources": [], "type": "search"}}),
        FunctionCall("get_weather", '{"city": "Paris"}'),
        Message(WORDS),
    )
)


def main() -> int:
    """Print all figures; return 1 if one misses what it must reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the long stream")
    arguments = parser.parse_args()
    reached = [EVENTS.report(measure_checks())]
    speed, memory = measure_file(arguments.megabytes * 1_000_000)
    reached += [FILE_SPEED.report(speed), FILE_MEMORY.report(memory)]
    return 0 if all(reached) else 1


def measure_checks() -> float:
    """Print the speed of each check; return the parsed events per second."""
    here = render_context(DEFAULT_PROFILE, "wire")
    reply = ReplySpec(
        SCRIPT, here.profile.models[0], 1769084048, "auto", tools=tools_for_script(SCRIPT, here)
    )
    events = render_events(reply, here)
    response = render_response(reply, here)
    lines = [orjson.dumps(event) for event in events]
    data = b"".join(encode_events(events))
    assert check_stream(events) == []
    work: dict[str, tuple[Callable[[], Any], int]] = {
        "orjson round trip, events": (
            lambda: [orjson.dumps(orjson.loads(line)) for line in lines],
            len(events),
        ),
        "check_stream, parsed events": (lambda: check_stream(events), len(events)),
        "check_stream, bytes (events)": (lambda: check_stream(data), len(events)),
        "check_response, parsed": (lambda: check_response(response), 1),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, (call, count) in work.items():
            rates[name].append(count * rate(call))
    baseline = median(rates["orjson round trip, events"])
    for name, measured in rates.items():
        figure = median(measured)
        print(f"{name:<30} {figure:>12,.0f}/s   {figure / baseline:6.3f} of orjson")
    return median(rates["check_stream, parsed events"])


def measure_file(size: int) -> tuple[float, float]:
    """MB per second of CPU and peak MiB of `mockserver check` for a stream of about so many bytes."""
    here = render_context(DEFAULT_PROFILE, "wire")
    model = here.profile.models[0]

    def frames(deltas: int) -> list[bytes]:
        texts = tuple(' "quote"\n' if number % 16 == 15 else " a" for number in range(deltas))
        return list(
            encode_events(
                render_events(ReplySpec(Script((Message(texts),)), model, 1769084048, "auto"), here)
            )
        )

    sample = frames(10_000)
    data = b"".join(frames(int(size / sum(map(len, sample)) * len(sample))))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.txt"
        file.write_bytes(data)
        measured = subprocess.run(
            [sys.executable, "-c", _MEASURE_COMMAND, file], check=True, capture_output=True, text=True
        )
    seconds, kibibytes = map(float, measured.stdout.split())
    return len(data) / 1e6 / seconds, kibibytes / 1024


def rate(call: Callable[[], Any]) -> float:
    """Calls per second of CPU."""
    calls, started = 0, time.process_time()
    while (passed := time.process_time() - started) < MIN_SECONDS:
        call()
        calls += 1
    return calls / passed


if __name__ == "__main__":
    sys.exit(main())
