"""The page about faults: the catalogue, and what clients make of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mockserver.server.delivery.faults import catalogue

__all__ = ["faults_page"]

MEASURED_FILE = Path(__file__).parent.parent / "tests" / "data" / "faults.json"

_HEAD = """\
<!-- Written by docs/generate.py from the catalogue and tests/data/faults.json: `make docs`. -->
# Faults

A fault is asked for by its name, and nothing invalid leaves the server otherwise:

- `mockserver serve --fault NAME[,OPTION=VALUE…][:PROBABILITY]`, for every request or for some;
- `x-mock-fault: NAME[,OPTION=VALUE…]` on a request (with `--allow-mock-headers`; always with `MockServer`
  and in pytest);
- `server.fault("NAME", option=value)`, or `server.reply("…", fault="NAME,option=value")`;
- `"delivery": {"fault": "NAME,option=value"}` in an exchange file.

Whether a probability comes true follows from the seed, the request and how often it came before, not from
the order of arrival. Every fault takes `first=N`: only the first N times that the very same request comes.
An answer that has a head says in `x-mock-fault` what was done to it. `mockserver faults` prints the list.

The service's own errors, by name too, are in [profiles.md](profiles.md); they take `retry-after`,
`retry-after-ms` and `should-retry`, which set the headers of these names (`x-should-retry`). The id of any
[rule](rules.md) that an answer can break is a fault as well: `SEQ-004`; `pick=N` varies place and way.
"""

_CLIENTS_HEAD = """
## What clients make of them

Time-out 1 s, 2 retries, a reply of one message. Each cell: what the user of the client gets, and the number
of requests that were sent. *all of it* is the whole text; *ends …* is a loop that ends without an exception.
"""


def faults_page() -> str:
    """The whole page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield _HEAD
    for kind in ("connection or body", "stream", "status"):
        yield f"## {kind[0].upper()}{kind[1:]}\n"
        yield "| name | what happens | options |"
        yield "|---|---|---|"
        for each in catalogue():
            if each.kind == kind:
                options = ", ".join(f"`{name}={value}`" for name, value in each.options.items())
                yield f"| `{each.name}` | {each.summary} | {options} |"
        yield ""
    yield _CLIENTS_HEAD
    measured = json.loads(MEASURED_FILE.read_text(encoding="utf-8"))
    clients = list(measured)
    yield "| fault | " + " | ".join(clients) + " |"
    yield "|---" * (len(clients) + 1) + "|"
    for case in measured[clients[0]]:
        mode, _, name = case.partition(" ")
        cells = (f"{seen}, {attempts}" for seen, attempts in (measured[client][case] for client in clients))
        yield f"| {mode} `{name}` | " + " | ".join(cells) + " |"
