"""The speed of the strategies: streams and requests per second, compared with Hypothesis in the same run.

    .venv/bin/python benchmarks/strategies.py

The baseline is a plain Hypothesis strategy: a list of four short texts. Compare the ratio: a busy machine slows
down both. The time of the test around a draw is not included.

Goals: ≥ 400 streams/s and ≥ 400 requests/s.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mockserver import strategies

GOAL = 400
ROUNDS = 3
EXAMPLES = 1_000

STRATEGIES: dict[str, Any] = {
    "four short texts (yardstick)": st.lists(st.text(max_size=6), min_size=4, max_size=4),
    "streams": strategies.streams(),
    "streams, documented": strategies.streams(rendering="documented"),
    "streams, unknown members": strategies.streams(unknown=True),
    "requests": strategies.requests(),
    "responses": strategies.responses(),
    "broken streams": strategies.broken_streams(),
    "conversations": strategies.conversations(),
}


def main() -> int:
    rates: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for _ in range(ROUNDS):
        for name, strategy in STRATEGIES.items():
            rates[name].append(rate(strategy))
    yardstick = median(next(iter(rates.values())))
    for name, measured in rates.items():
        figure = median(measured)
        print(f"{name:<30} {figure:>8,.0f}/s   {figure / yardstick:6.3f} of the yardstick")
    reached = all(median(rates[name]) >= GOAL for name in ("streams", "requests"))
    print(f"goal: {GOAL} streams/s and requests/s: {'reached' if reached else 'missed'}")
    return 0 if reached else 1


def rate(strategy: Any) -> float:
    """Values drawn per second."""

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: Any) -> None:
        pass

    started = time.perf_counter()
    draw()
    return EXAMPLES / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
