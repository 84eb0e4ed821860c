"""The time of `mockserver check` on one small file, compared with a Python that only imports orjson.

    .venv/bin/python benchmarks/cold_start.py [--rounds 20]

Both run alternately in one benchmark run. The result is the ratio of the medians.

Goal: at most 3 times `python -c 'import orjson'`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

GOAL = 3.0

_PACKAGE = Path(__file__).resolve().parent.parent / "mockserver"

_REQUEST = b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}'


def run_seconds(*command: str | Path) -> float:
    """Run a program and return its duration in seconds."""
    start = time.perf_counter()
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    program = Path(sys.executable).with_name("mockserver")
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.json"
        small.write_bytes(_REQUEST)
        ours: tuple[str | Path, ...] = (program, "check", small)
        bare: tuple[str | Path, ...] = (sys.executable, "-c", "import orjson")
        # Stale byte code would be compiled at each start where Python may not write it.
        subprocess.run([sys.executable, "-m", "compileall", "-q", _PACKAGE], check=True)
        for command in (ours, bare):  # the first run of each fills the caches
            run_seconds(*command)
        pairs = [(run_seconds(*ours), run_seconds(*bare)) for _ in range(rounds)]
    checked, imported = (median(each) for each in zip(*pairs, strict=True))
    ratio = checked / imported
    print(f"mockserver check   {checked * 1000:6.1f} ms")
    print(f"import orjson      {imported * 1000:6.1f} ms")
    print(f"ratio              {ratio:6.2f}    goal: at most {GOAL}")
    sys.exit(ratio > GOAL)


if __name__ == "__main__":
    main()
