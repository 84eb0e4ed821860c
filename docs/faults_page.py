"""The page `faults.md`: the catalogue of faults, and how clients react to each."""

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

A fault is injected by name. Without a fault, everything that the server sends is valid. You can inject one with
- `server.fault("NAME", option=value)`, or `server.reply("…", fault="NAME,option=value")`;
- `"delivery": {"fault": "NAME,option=value"}` in an exchange file.

A probability is decided by the seed, the request and how often the same request came before, not by the
order of arrival. Every fault takes `first=N`: it applies only to the first N identical requests. If the
response has a head, its header `x-mock-fault` names the fault. `mockserver faults` prints this list.

[profiles.md](profiles.md) lists the service's own errors, which you can also request by name. They take
`retry-after`, `retry-after-ms` and `should-retry`, which set the headers `retry-after`, `retry-after-ms` and
`x-should-retry`. The id of a [rule](rules.md) that a response can break is a fault too, for example
`SEQ-004`; `pick=N` varies where and how the rule is broken.
"""

_CLIENTS_HEAD = """
## How clients react

Each client has a time-out of 1 s and makes 2 retries; the reply is one message. Each cell shows what the
client's user gets and how many requests were sent. *all of it* is the whole text; *ends …* is a loop that
ends without an exception.
"""


def faults_page() -> str:
    """Render the page."""
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
