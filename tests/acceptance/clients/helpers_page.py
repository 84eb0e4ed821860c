"""Makes `docs/helpers.md` from what was measured: `python -m tests.acceptance.clients.helpers_page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.clients.matrix import locked_version
from tests.acceptance.clients.violations import VIOLATIONS, expected_text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "helpers.md"
MEASURED_FILE = Path(__file__).with_name("helpers.json")

#: Environment and title of each client whose helper is measured.
HELPERS = {
    "openai-newest": "openai-python",
    "openai-1": "openai-python",
    "node": "openai-node",
    "node-6": "openai-node",
}

INTRODUCTION = """\
<!-- Written by tests/acceptance/clients/helpers_page.py from what the tests measure; do not edit. -->
# What stream helpers make of broken streams

Each row is one stream with one thing wrong or odd, served by `mockserver serve --exchanges`. A test feeds
all of them to the helpers `responses.stream()` of the OpenAI SDKs and to their plain `create(stream=True)`,
and holds this table to what they do.

**X** it raises, **~** it shows another text than was sent, **·** it notices nothing, and shows what was sent.

Where a helper notices nothing, nobody but the judge does: that of the fixture, `mockserver check` or
`mockserver verify`.
"""


def page() -> str:
    """The whole page."""
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
    """What a helper's user sees, in a sign and the name of the error."""
    if "error" in seen:
        return f"X {seen['error']}"
    return "·" if seen["text"] == expected_text(title) else "~"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
