"""Generate docs/faults.md: the catalogue of faults, and how real clients react to each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mockserver.server.delivery.faults.catalogue import catalogue

__all__ = ["faults_page"]

MEASURED_FILE = Path(__file__).parent.parent / "tests" / "data" / "faults.json"

_HEAD = """\
<!-- Written by docs/generate.py from the catalogue and tests/data/faults.json: `make docs`. -->
# Faults

A fault is a failure that you inject on purpose. Without one, everything the server sends is valid. You can
request a fault by its name

- on the command line: `mockserver serve --fault NAME[,OPTION=VALUE…][:PROBABILITY]`
- in a request header: `x-mock-fault: NAME[,OPTION=VALUE…]` (`serve` needs `--allow-mock-headers`;
  `MockServer` and the pytest fixture always accept it)
- in Python: `server.fault("NAME", option=value)` or `server.reply("…", fault="NAME,option=value")`
- in an exchange file: `"delivery": {"fault": "NAME,option=value"}`

With a probability, the fault applies to some requests only. Which ones depends on the seed, the request and
how often it was sent before, not on the order of arrival. Every fault takes `first=N`: it then applies only
to the first N identical requests. The reply names its fault in the header `x-mock-fault`, unless the fault
suppresses the headers. `mockserver faults` prints this list.

[profiles.md](profiles.md) lists the service's own errors. They take the options `retry-after`,
`retry-after-ms` and `should-retry`, which set the headers `retry-after`, `retry-after-ms` and
`x-should-retry`. The id of a [rule](rules.md), such as `SEQ-004`, is a fault too: the reply then violates
that rule. The option `pick=N` varies location and edit.
"""

_CLIENTS_HEAD = """
## How clients react

Time-out 1 s, 2 retries, a reply of one message. Each cell shows what the user of the client gets, and the
number of requests sent. *all of it* means the complete text; *ends …* means a loop that ends without an
exception.
"""


def faults_page() -> str:
    """Return the whole page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield _HEAD
    for kind in ("connection or body", "stream", "status"):
        yield f"## {kind[0].upper()}{kind[1:]}\n"
        yield "| name | effect | options |"
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
