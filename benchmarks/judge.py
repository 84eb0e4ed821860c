"""The speed of contract checks: parsed events per second, compared with orjson in the same run.

    .venv/bin/python benchmarks/judge.py

The baseline is orjson reading and writing the same events. Compare the ratio: a busy machine slows down both.

Goals: check_stream ≥ 150,000 parsed events/s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

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

GOAL_EVENTS_PER_SECOND = 150_000
ROUNDS = 7
#: Minimum duration of one measurement, in seconds.
MIN_SECONDS = 0.15

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
    reached = median(rates["check_stream, parsed events"])
    outcome = "reached" if reached >= GOAL_EVENTS_PER_SECOND else "missed"
    print(f"goal: {GOAL_EVENTS_PER_SECOND:,} parsed events/s: {outcome}")
    return 0 if reached >= GOAL_EVENTS_PER_SECOND else 1


def rate(call: Callable[[], Any]) -> float:
    """Calls per second."""
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < MIN_SECONDS:
        call()
        calls += 1
    return calls / passed


if __name__ == "__main__":
    sys.exit(main())
