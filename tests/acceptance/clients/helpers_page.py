"""Generates `docs/helpers.md` from measurements: `python -m tests.acceptance.clients.helpers_page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.clients.matrix import locked_version
from tests.acceptance.clients.violations import VIOLATIONS, expected_text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "helpers.md"
MEASURED_FILE = Path(__file__).with_name("helpers.json")

#: Environment and title of each measured client.
HELPERS = {
    "openai-newest": "openai-python",
    "openai-1": "openai-python",
    "node": "openai-node",
    "node-6": "openai-node",
}

INTRODUCTION = """\
<!-- Written by tests/acceptance/clients/helpers_page.py from measurements of the tests; do not edit. -->
# How stream helpers handle broken streams

Each row is a stream with one broken or unusual feature, served by `mockserver serve --exchanges`. A test
sends all of them to the helpers `responses.stream()` of the OpenAI SDKs and to their plain
`create(stream=True)`, and compares the results with this table.

**X** it raises, **~** it shows a different text than was sent, **·** it notices nothing and shows the text.

If a helper notices nothing, only a contract check does: the fixture, `mockserver check` or
`mockserver verify`.
"""


def page() -> str:
    """Render the page."""
    return "\n".join([INTRODUCTION, *_table()]) + "\n"


def _table() -> Iterator[str]:
    measured = json.loads(MEASURED_FILE.read_text(encoding="utf-8"))
    heads = [f"{title} {locked_version(name, 'openai')}" for name, title in HELPERS.items()]
    ways = [f"{head}, {way}" for head in heads for way in ("`stream()`", "`create`")]
    yield f"| the stream | {' | '.join(ways)} |"
    yield "|---" * (len(ways) + 1) + "|"
    for title in VIOLATIONS:
        marks = [
            outcome_mark(title, measured[name][title][way])
            for name in HELPERS
            for way in ("helper", "create")
        ]
        yield f"| {title.replace('|', chr(92) + '|')} | {' | '.join(marks)} |"


def outcome_mark(title: str, seen: dict[str, str]) -> str:
    """What a helper's user sees: a symbol and the name of the error."""
    if "error" in seen:
        return f"X {seen['error']}"
    return "·" if seen["text"] == expected_text(title) else "~"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
