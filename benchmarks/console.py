"""What the console costs a server: instructions per request, as `instructions.py` counts them.

    .venv/bin/python benchmarks/console.py [--tree PATH] [--requests 300] [KIND ...]

One count is of a plain server, one of a server with `--console` that nobody looks at. For the cost of a commit to
plain servers, compare two checkouts: `--tree`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from instructions import per_request

_ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["reply", "stream"], metavar="KIND")
    parser.add_argument("--tree", type=Path, default=_ROOT)
    parser.add_argument("--requests", type=int, default=300)
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        plain = per_request(arguments.tree, kind, arguments.requests)
        print(f"{kind:10} {plain:8.1f} thousand instructions per request without --console", flush=True)
        loaded = per_request(arguments.tree, kind, arguments.requests, "--console")
        print(f"{'':10} {loaded:8.1f} with it ({loaded / plain - 1:+.2%})", flush=True)


if __name__ == "__main__":
    main()
